//! `[stripe]`: the connection named `stripe`.

use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::http::{keeps_secrets, web_url};
use super::values::Values;
use crate::domain::case::Collector;

/// The shortest webhook secret, in characters: a shorter one can be guessed.
const WEBHOOK_SECRET_CHARS_MIN: usize = 8;

/// One account at Stripe.
#[derive(Clone, Debug)]
pub struct Stripe {
    /// Where the API is; plain http only on this host.
    pub api_base: Url,
    /// The API key.
    pub api_key: SecretString,
    /// Signing secrets of the webhook endpoint, newest first; never empty.
    pub webhook_secrets: Vec<SecretString>,
    /// Who may charge again after a failure.
    pub collector: Collector,
    /// Time zone of customers whose own and whose country are unknown.
    pub timezone: TimeZone,
    /// Language of customers whose own is unknown, as a BCP 47 tag.
    pub locale: String,
}

impl Stripe {
    /// Whether the key moves real money.
    pub fn is_live(&self) -> bool {
        is_live(self.api_key.expose_secret())
    }
}

/// Whether an API key of Stripe moves real money.
pub(super) fn is_live(key: &str) -> bool {
    key.starts_with("sk_live_") || key.starts_with("rk_live_")
}

pub(super) fn read(values: &mut Values) -> Option<Stripe> {
    let api_base = values.required("stripe.api_base", api_base);
    let api_key = values.optional("stripe.api_key", token);
    let webhook_secrets = values.optional("stripe.webhook_secrets", webhook_secrets);
    let collector = values.required("stripe.collector", collector);
    let timezone = values.required("stripe.timezone", timezone);
    let locale = values.required("stripe.locale", locale);
    match (values.is_set("stripe.api_key"), values.is_set("stripe.webhook_secrets")) {
        (true, false) => values.fault(
            "stripe.webhook_secrets",
            "is missing while `stripe.api_key` is set; set it to the endpoint's signing secret",
        ),
        (false, true) => values.fault(
            "stripe.api_key",
            "is missing while `stripe.webhook_secrets` is set; set it to the account's key",
        ),
        (true, true) | (false, false) => {}
    }
    Some(Stripe {
        api_base: api_base?,
        api_key: api_key?,
        webhook_secrets: webhook_secrets?,
        collector: collector?,
        timezone: timezone?,
        locale: locale?,
    })
}

/// Reads a secret that travels in a header: visible ASCII only.
pub(super) fn token(text: &str) -> Result<SecretString, String> {
    if text.chars().all(|c| c.is_ascii_graphic()) {
        Ok(text.into())
    } else {
        Err("holds characters that no key has (spaces, control or non-ASCII ones); copy it again".to_owned())
    }
}

fn api_base(text: &str) -> Result<Url, String> {
    let url = web_url(text)?;
    if !keeps_secrets(&url) {
        return Err("would send the API key over plain http to another host; write it with https".to_owned());
    }
    Ok(url)
}

/// Reads signing secrets, newest first.
pub(super) fn webhook_secrets(text: &str) -> Result<Vec<SecretString>, String> {
    let one = |(index, secret): (usize, &str)| {
        let secret = secret.trim();
        if secret.chars().count() < WEBHOOK_SECRET_CHARS_MIN {
            let place = index + 1;
            return Err(format!(
                "has an entry (number {place}) shorter than {WEBHOOK_SECRET_CHARS_MIN} characters; \
                 write the whole secrets, comma separated, newest first"
            ));
        }
        token(secret)
    };
    text.split(',').enumerate().map(one).collect()
}

fn collector(text: &str) -> Result<Collector, String> {
    match text {
        "us" => Ok(Collector::Us),
        "provider" => Ok(Collector::Provider),
        _ => Err("is neither `us` nor `provider`; write one of them".to_owned()),
    }
}

fn timezone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "is not an IANA time zone; write it like Europe/Paris or UTC".to_owned())
}

fn locale(text: &str) -> Result<String, String> {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let plain = |part: &str, min: usize, max: usize| {
        (min..=max).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    if plain(language, 2, 3) && parts.all(|part| plain(part, 2, 8)) {
        Ok(text.to_owned())
    } else {
        Err("is not a language tag; write it like en or pt-BR".to_owned())
    }
}
