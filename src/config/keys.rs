//! The table of every key: what is not here is unknown, in the file and in the environment.

use super::fault::Fault;

/// One key of the configuration.
#[derive(Debug)]
pub(super) struct Key {
    /// `section.name`.
    pub path: &'static str,
    /// Whether its value is secret, so that it may also come from a file named by `<path>_file`.
    pub secret: bool,
    /// Whether its value is `true` or `false`.
    pub switch: bool,
    /// Whether its value is a whole number.
    pub number: bool,
}

/// A known key, and the form in which it was set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub key: &'static Key,
    /// Whether the value is the path of a file that holds the secret.
    pub by_file: bool,
}

const fn text(path: &'static str) -> Key {
    Key {
        path,
        secret: false,
        switch: false,
        number: false,
    }
}

const fn secret(path: &'static str) -> Key {
    Key {
        path,
        secret: true,
        switch: false,
        number: false,
    }
}

const fn switch(path: &'static str) -> Key {
    Key {
        path,
        secret: false,
        switch: true,
        number: false,
    }
}

const fn number(path: &'static str) -> Key {
    Key {
        path,
        secret: false,
        switch: false,
        number: true,
    }
}

pub(super) const KEYS: &[Key] = &[
    secret("database.url"),
    switch("database.migrate"),
    text("http.listen"),
    text("http.public_url"),
    text("clock.mode"),
    text("clock.start"),
    text("stripe.api_base"),
    secret("stripe.api_key"),
    secret("stripe.webhook_secrets"),
    text("stripe.collector"),
    text("stripe.timezone"),
    text("stripe.locale"),
    secret("mail.smtp_url"),
    text("mail.smtp_ca_file"),
    text("mail.from"),
    text("mail.return_path"),
    text("mail.dkim_domain"),
    text("mail.dkim_selector"),
    secret("mail.dkim_key"),
    secret("mail.events_secrets"),
    text("mail.brand"),
    text("mail.support"),
    text("mail.logo_url"),
    text("mail.color"),
    text("mail.address"),
    text("mail.staff"),
    number("mail.per_domain_per_minute"),
    number("retention.inbox_days"),
    number("retention.closed_cases_months"),
    number("learning.holdout_percent"),
    number("ceiling.visa_reattempts"),
    number("ceiling.amex_attempts"),
    number("ceiling.discover_attempts"),
    number("ceiling.other_card_attempts"),
    secret("admin.bootstrap_key"),
    text("oidc.issuer"),
    text("oidc.client_id"),
    secret("oidc.client_secret"),
    text("desk.approval_above"),
    switch("desk.approval_to_publish"),
    text("campaigns.dir"),
    text("log.format"),
];

/// Finds the key that `path` names, such as `stripe.api_key` or `stripe.api_key_file`.
pub(super) fn find(path: &str) -> Option<Named> {
    let whole = KEYS
        .iter()
        .find(|key| key.path == path)
        .map(|key| Named { key, by_file: false });
    whole.or_else(|| {
        let stem = path.strip_suffix("_file")?;
        let key = KEYS.iter().find(|key| key.secret && key.path == stem)?;
        Some(Named { key, by_file: true })
    })
}

/// The fault for a `path` that names no key: it lists what would have been known there.
pub(super) fn unknown(path: &str, origin: super::Origin) -> Fault {
    let section = path.split('.').next().unwrap_or_default();
    let inside = KEYS
        .iter()
        .filter_map(|key| key.path.split_once('.'))
        .filter(|(of, _)| *of == section);
    let names: Vec<&str> = inside.map(|(_, name)| name).collect();
    let problem = if names.is_empty() {
        let mut sections: Vec<&str> = KEYS.iter().filter_map(|key| key.path.split('.').next()).collect();
        sections.dedup();
        format!(
            "is not a known section; remove it, or take one of: {}",
            sections.join(", ")
        )
    } else {
        format!(
            "is not a known key; remove it, or take one of [{section}]: {}",
            names.join(", ")
        )
    };
    Fault {
        key: path.to_owned(),
        origin,
        problem,
    }
}
