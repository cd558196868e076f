//! `[mail]`: how mails leave, and as whom.

use std::path::PathBuf;

use lettre::message::Mailbox;
use secrecy::SecretString;
use url::Url;

use super::values::Values;
use crate::domain::brand::{Look, is_color};

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

pub(super) fn read(values: &mut Values) -> Option<Mail> {
    let smtp_url = values.optional("mail.smtp_url", smtp_url);
    let smtp_ca_file = values.optional("mail.smtp_ca_file", |text| Ok(PathBuf::from(text)));
    let from = values.optional("mail.from", |text| {
        text.parse()
            .map_err(|_| "is not a mail address; write it like Example Ltd <billing@example.com>".to_owned())
    });
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
