//! F1: what the operator decides. Embedded defaults < `recoup.toml` < environment, checked as a whole before anything starts.
//!
//! A fault names its key and where it was set, says what is wrong and how to mend it, and never quotes a value: any
//! value may turn out to be a secret pasted into the wrong place.

pub mod admin;
pub mod campaigns;
mod ceiling;
pub mod clock;
pub mod database;
pub mod desk;
mod fault;
mod file;
pub mod http;
mod keys;
mod learning;
pub mod log;
pub mod mail;
pub mod oidc;
mod retention;
pub mod stripe;
mod values;

use std::path::Path;

pub use fault::{ConfigErrors, Fault, Origin};
use values::Values;

use crate::domain::ceiling::Rules;
use crate::domain::learning::Policy;
use crate::domain::retention::Retention;

/// The file that is read from the working directory when no other is named and it is there.
pub const FILE: &str = "recoup.toml";

/// The embedded defaults: every key with its meaning, as an operator may read it.
pub const DEFAULTS: &str = include_str!("config/defaults.toml");

/// The whole configuration, valid as it stands.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the state is kept.
    pub database: database::Database,
    /// Where and under which address we serve.
    pub http: http::Http,
    /// Which clock runs.
    pub clock: clock::Clock,
    /// The connection named `stripe`, where it is configured.
    pub stripe: Option<stripe::Stripe>,
    /// How mails leave, and as whom.
    pub mail: mail::Mail,
    /// How long what has ended is kept.
    pub retention: Retention,
    /// What the operator decides of how charges are planned.
    pub learning: Policy,
    /// The rules of card networks and bank debits, with the operator's limits.
    pub rules: Rules,
    /// Access from the start.
    pub admin: admin::Admin,
    /// Who else vouches for people who sign in, where somebody does.
    pub oidc: Option<oidc::Oidc>,
    /// What staff may do by themselves.
    pub desk: desk::Desk,
    /// Where campaigns come from.
    pub campaigns: campaigns::Campaigns,
    /// How logs are written.
    pub log: log::Log,
}

impl Config {
    /// Reads `file`, or `recoup.toml` where none is named and one is there, and the variables `env`.
    /// The error lists every fault found, not only the first.
    pub fn load(file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let mut values = defaults();
        let implied = Path::new(FILE);
        if let Some(path) = file.or_else(|| implied.exists().then_some(implied)) {
            file::read(path, &mut values);
        }
        values.add_env(env);
        Self::build(values)
    }

    fn build(mut values: Values) -> Result<Self, ConfigErrors> {
        let database = database::read(&mut values);
        let http = http::read(&mut values);
        let clock = clock::read(&mut values);
        let stripe = stripe::read(&mut values);
        let mail = mail::read(&mut values);
        let retention = retention::read(&mut values);
        let learning = learning::read(&mut values);
        let rules = ceiling::read(&mut values);
        let admin = admin::read(&mut values);
        let oidc = oidc::read(&mut values);
        let desk = desk::read(&mut values);
        let campaigns = campaigns::read(&mut values);
        let log = log::read(&mut values);
        refuse_test_clock_with_live_key(&mut values);
        let faults = values.into_faults();
        match (database, http, clock, mail, retention, learning, rules) {
            (Some(database), Some(http), Some(clock), Some(mail), Some(retention), Some(learning), Some(rules))
                if faults.is_empty() =>
            {
                Ok(Self {
                    database,
                    http,
                    clock,
                    stripe,
                    mail,
                    retention,
                    learning,
                    rules,
                    admin,
                    oidc,
                    desk,
                    campaigns,
                    log,
                })
            }
            _ => Err(ConfigErrors(faults)),
        }
    }
}

impl Default for Config {
    /// The embedded defaults alone: no file, no environment.
    fn default() -> Self {
        Self::build(defaults()).expect("the embedded defaults are valid, as a test shows")
    }
}

fn defaults() -> Values {
    let mut values = Values::default();
    file::add(DEFAULTS, &|_| Origin::Default, &mut values);
    values
}

fn refuse_test_clock_with_live_key(values: &mut Values) {
    if values.holds("clock.mode", |mode| mode == "test") && values.holds("stripe.api_key", stripe::is_live) {
        values.fault(
            "clock.mode",
            "is `test` while `stripe.api_key` is a live key; take a test key, or the clock mode `system`",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_describe_every_key() {
        let config = Config::default();
        assert!(config.stripe.is_none());
        for key in keys::KEYS {
            let (section, name) = key.path.split_once('.').unwrap();
            let rest = DEFAULTS.split(&format!("[{section}]\n")).nth(1).expect(key.path);
            let body = rest.split("\n[").next().unwrap();
            let told = body.lines().any(|line| {
                let line = line.strip_prefix("# ").unwrap_or(line);
                line.starts_with(&format!("{name} = "))
            });
            assert!(told, "{} is missing in defaults.toml", key.path);
        }
    }

    #[test]
    fn the_commented_examples_are_known_keys() {
        let all = DEFAULTS.lines().filter_map(|line| line.strip_prefix("# "));
        let names = all.filter_map(|line| line.split_once(" = ").map(|(name, _)| name));
        for name in names.filter(|name| !name.contains(' ')) {
            assert!(
                keys::KEYS.iter().any(|key| key.path.ends_with(&format!(".{name}"))),
                "{name}"
            );
        }
    }
}
