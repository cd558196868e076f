//! `[oidc]`: single sign-on at the dashboard by an identity provider that speaks OpenID Connect.

use secrecy::SecretString;

use super::http::{keeps_secrets, web_url};
use super::stripe::token;
use super::values::Values;

/// The keys of the section: all of them are set, or none.
const KEYS: [&str; 3] = ["oidc.issuer", "oidc.client_id", "oidc.client_secret"];

/// The identity provider, and who we are to it.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// The provider, as it calls itself. It is kept as it was written, for names of issuers are compared letter by letter.
    pub issuer: String,
    /// The name under which Recoup is known there.
    pub client_id: String,
    /// What proves that it is Recoup who asks.
    pub client_secret: SecretString,
}

pub(super) fn read(values: &mut Values) -> Option<Oidc> {
    let issuer = values.optional("oidc.issuer", issuer);
    let client_id = values.optional("oidc.client_id", |text| {
        token(text)?;
        Ok(text.to_owned())
    });
    let client_secret = values.optional("oidc.client_secret", token);
    let missing: Vec<&str> = KEYS.into_iter().filter(|key| !values.is_set(key)).collect();
    if missing.len() == KEYS.len() {
        return None;
    }
    for key in missing {
        values.fault(key, "is missing while another of [oidc] is set; set all three, or none");
    }
    if !values.is_set("http.public_url") {
        values.fault(
            "http.public_url",
            "is missing while [oidc] is set; the identity provider sends browsers back to an address below it",
        );
    }
    Some(Oidc {
        issuer: issuer?,
        client_id: client_id?,
        client_secret: client_secret?,
    })
}

fn issuer(text: &str) -> Result<String, String> {
    if keeps_secrets(&web_url(text)?) {
        Ok(text.to_owned())
    } else {
        Err("would send the client's secret over plain http to another host; write it with https".to_owned())
    }
}
