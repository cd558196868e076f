//! `[mail]`: how mails leave, and as whom.

use std::path::PathBuf;

use lettre::Address;
use lettre::message::Mailbox;
use secrecy::SecretString;
use url::Url;

use super::stripe::webhook_secrets;
use super::values::Values;
use crate::domain::brand::{Look, is_color};

/// The most characters of a return path before its `@`: 64 are the most by the standard, 49 of which are for the token.
const OWN_CHARS_MAX: usize = 15;
/// The longest name or contact that is shown in a mail, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// The most addresses of staff.
const STAFF_MAX: usize = 10;

/// How mails leave, and as whom.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The mail server, by its URL; without it, mails are only kept.
    pub smtp_url: Option<SecretString>,
    /// The certificates that the mail server's must lead to; without it, those that the machine trusts.
    pub smtp_ca_file: Option<PathBuf>,
    /// The sender; always there when `smtp_url` is.
    pub from: Option<Mailbox>,
    /// Where mails come back that cannot be delivered; without it, to the sender.
    pub return_path: Option<Address>,
    /// The domain that signs mails, where one does.
    pub dkim: Option<DkimKey>,
    /// What signs reports of what became of mails, newest first; without any, none are taken.
    pub events_secrets: Vec<SecretString>,
    /// The company name that customers know.
    pub brand: String,
    /// Where customers find help.
    pub support: Option<String>,
    /// How mails look.
    pub look: Look,
    /// Where billing staff are written to.
    pub staff: Vec<String>,
    /// The most mails a minute that leave for one recipient domain; 0 sets no limit.
    pub per_domain_per_minute: u32,
}

/// A domain that signs mails, and with what.
#[derive(Clone, Debug)]
pub struct DkimKey {
    /// The domain.
    pub domain: String,
    /// The selector under which the public key stands in the DNS.
    pub selector: String,
    /// The private key as PEM.
    pub key: SecretString,
}

pub(super) fn read(values: &mut Values) -> Option<Mail> {
    let smtp_url = values.optional("mail.smtp_url", smtp_url);
    let smtp_ca_file = values.optional("mail.smtp_ca_file", |text| Ok(PathBuf::from(text)));
    let from = values.optional("mail.from", |text| {
        text.parse()
            .map_err(|_| "is not a mail address; write it like Example Ltd <billing@example.com>".to_owned())
    });
    let return_path = values.optional("mail.return_path", return_path);
    let dkim = dkim(values, from.as_ref());
    let events_secrets = values.optional("mail.events_secrets", webhook_secrets);
    let brand = values.required("mail.brand", shown);
    let support = values.optional("mail.support", shown);
    let look = Look {
        logo_url: values.optional("mail.logo_url", logo_url),
        color: values.optional("mail.color", color),
        address: values.optional("mail.address", shown),
    };
    let staff = values.optional("mail.staff", staff).unwrap_or_default();
    let per_domain_per_minute = values.required("mail.per_domain_per_minute", |text| {
        text.parse()
            .map_err(|_| "is not a whole number; write how many mails, or 0 for no limit".to_owned())
    });
    if values.is_set("mail.smtp_url") && !values.is_set("mail.from") {
        values.fault(
            "mail.from",
            "is missing while `mail.smtp_url` is set; set it to the sender of all mails",
        );
    }
    Some(Mail {
        smtp_url,
        smtp_ca_file,
        from,
        return_path,
        dkim,
        events_secrets: events_secrets.unwrap_or_default(),
        brand: brand?,
        support,
        look,
        staff,
        per_domain_per_minute: per_domain_per_minute?,
    })
}

fn smtp_url(text: &str) -> Result<SecretString, String> {
    let form = "write smtp://HOST:PORT, smtp://HOST:PORT?tls=required or smtps://HOST:PORT";
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error}); {form}"))?;
    let tls = |(name, value): (_, _)| name == "tls" && value == "required";
    let fits = match url.scheme() {
        "smtp" => url.query_pairs().all(tls),
        "smtps" => url.query().is_none(),
        _ => false,
    };
    if fits && url.has_host() {
        Ok(text.into())
    } else {
        Err(format!("is not the URL of a mail server; {form}"))
    }
}

/// The three keys of DKIM: all of them, or none.
fn dkim(values: &mut Values, from: Option<&Mailbox>) -> Option<DkimKey> {
    let keys = ["mail.dkim_domain", "mail.dkim_selector", "mail.dkim_key"];
    let domain = values.optional(keys[0], dns_name);
    let selector = values.optional(keys[1], dns_name);
    let key = values.optional(keys[2], |text| Ok(SecretString::from(text)));
    if keys.iter().any(|key| values.is_set(key)) {
        for key in keys.iter().filter(|key| !values.is_set(key)).collect::<Vec<_>>() {
            values.fault(
                key,
                "is missing while another key of DKIM is set; set all three, or none",
            );
        }
    }
    let aligned = |domain: &str| from.is_none_or(|from| is_aligned(from.email.domain(), domain));
    if domain.as_deref().is_some_and(|domain| !aligned(domain)) {
        values.fault(
            keys[0],
            "is neither the domain of `mail.from` nor one above or below it, so that receivers would not count the signature",
        );
    }
    Some(DkimKey {
        domain: domain?,
        selector: selector?,
        key: key?,
    })
}

/// Whether a signature of one domain counts for mails from another: one is the other, or lies below it.
fn is_aligned(from: &str, signs: &str) -> bool {
    let (from, signs) = (from.to_ascii_lowercase(), signs.to_ascii_lowercase());
    let below = |one: &str, other: &str| one.strip_suffix(other).is_some_and(|rest| rest.ends_with('.'));
    from == signs || below(&from, &signs) || below(&signs, &from)
}

fn dns_name(text: &str) -> Result<String, String> {
    let label = |label: &str| {
        let plain = label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        (1..=63).contains(&label.len()) && plain
    };
    if text.len() <= 253 && text.split('.').all(label) {
        Ok(text.to_owned())
    } else {
        Err("is no name as the DNS has them; write it like example.com".to_owned())
    }
}

fn return_path(text: &str) -> Result<Address, String> {
    let plain = text.is_ascii() && !text.contains(['+', '"', ' ']);
    let address: Option<Address> = text.parse().ok().filter(|_| plain);
    let address = address.ok_or("is not a plain mail address without a +; write it like bounces@mail.example.com")?;
    if address.user().len() > OWN_CHARS_MAX {
        return Err(format!(
            "has more than {OWN_CHARS_MAX} characters before the @, which leaves no room for a token; shorten it"
        ));
    }
    Ok(address)
}

fn staff(text: &str) -> Result<Vec<String>, String> {
    let mut addresses: Vec<String> = Vec::new();
    for address in text.split(',').map(str::trim) {
        let is_plain = address.is_ascii() && address.parse::<lettre::Address>().is_ok();
        if !is_plain || addresses.iter().any(|other| other.eq_ignore_ascii_case(address)) {
            return Err(
                "is no list of different mail addresses; write them like ops@example.com, billing@example.com"
                    .to_owned(),
            );
        }
        addresses.push(address.to_owned());
    }
    if addresses.len() > STAFF_MAX {
        return Err(format!(
            "holds more than {STAFF_MAX} addresses; write to a mailing list instead"
        ));
    }
    Ok(addresses)
}

fn logo_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL ({error}); write https://..."))?;
    if url.scheme() == "https" && url.has_host() {
        Ok(text.to_owned())
    } else {
        Err("is not a web address that mail programs show a picture from; write https://...".to_owned())
    }
}

fn color(text: &str) -> Result<String, String> {
    if is_color(text) {
        Ok(text.to_owned())
    } else {
        Err("is not a colour; write it like \"#1f5fd6\"".to_owned())
    }
}

/// Reads a line that customers will see; a line break could break out of a header.
fn shown(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("holds a line break or another control character; write it on one line".to_owned());
    }
    if text.chars().count() > SHOWN_CHARS_MAX {
        return Err(format!("is longer than {SHOWN_CHARS_MAX} characters; shorten it"));
    }
    Ok(text.to_owned())
}
