//! The rules of networks as data: `rules/networks.json`, with source, edition and grade for each.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::Rule;
use crate::domain::decline::Decline;
use crate::domain::network::Network;
use crate::domain::taxonomy::Grade;

/// Every rule of the networks, in the order in which they are asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The version of the file's form.
    pub version: u32,
    /// What it holds.
    pub title: String,
    /// The categories that a network puts its response codes into.
    pub categories: Categories,
    /// The rules.
    pub rules: Vec<NetworkRule>,
}

/// What a network's response codes say of further tries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categories {
    /// Where they are published.
    pub source: String,
    /// Which edition was read.
    pub edition: String,
    /// How well they are known.
    pub grade: Grade,
    /// Whose they are.
    pub network: Network,
    /// The category of every code that is not listed.
    pub otherwise: u8,
    /// The codes that are.
    pub codes: Vec<CategoryOfCode>,
}

/// The category of a code, for the time in which it has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryOfCode {
    /// The code.
    pub code: String,
    /// Its category.
    pub category: u8,
    /// The day it began.
    pub from: Option<Date>,
    /// The day it ended.
    pub until: Option<Date>,
    /// What else to know.
    pub note: Option<String>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRule {
    /// Its name.
    pub rule: Rule,
    /// The networks whose charges it binds.
    pub networks: Vec<Network>,
    /// The countries of the instruments that it binds; every one where none is named.
    #[serde(default)]
    pub countries: Vec<String>,
    /// The day it came into force.
    pub from: Option<Date>,
    /// The day it went out of force.
    pub until: Option<Date>,
    /// What it demands.
    pub form: Form,
    /// Where it is published.
    pub source: String,
    /// Which edition was read.
    pub edition: String,
    /// How well it is known.
    pub grade: Grade,
    /// What else to know.
    pub note: Option<String>,
}

/// What a rule demands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Form {
    /// No charge of the instrument after a decline with one of the codes.
    NeverAfter {
        /// Which of a decline's codes is meant.
        field: Field,
        /// The codes.
        codes: Vec<BareCode>,
    },
    /// No charge of the instrument after a decline of the category.
    NeverAfterCategory {
        /// The category.
        category: u8,
    },
    /// No charge of an instrument of the countries.
    NeverIn {
        /// The countries.
        countries: Vec<String>,
    },
    /// No charge for the same invoice unless each decline before had one of the codes.
    OnlyAfter {
        /// The codes of the network.
        network: Vec<String>,
        /// The provider's codes, where the network's is not known.
        provider: Vec<String>,
    },
    /// No charge of the instrument within a while after a decline with one of the codes.
    WaitAfter {
        /// Which of a decline's codes is meant.
        field: Field,
        /// The codes, each with its wait.
        codes: Vec<CodeWait>,
    },
    /// So many charges of the instrument within a rolling span, the first one included.
    AtMost {
        /// How many.
        attempts: u32,
        /// How many the operator may allow.
        attempts_max: u32,
        /// The length of the span, in hours.
        hours: u32,
        /// Whether only charges of the same amount are counted.
        same_amount: bool,
        /// Whether an approval makes the count begin anew.
        until_approval: bool,
    },
    /// The charge of an invoice is made again so often, and so long after the first.
    Represent {
        /// How often; without it as often as one likes.
        times: Option<u32>,
        /// Within how many hours of the first.
        hours: u32,
        /// Whether it must be of the same amount as the first.
        same_amount: bool,
    },
}

/// Which of a decline's codes a rule reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// The network's response code.
    Network,
    /// Advice.
    Advice,
    /// The provider's own.
    Provider,
}

/// A code of a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BareCode {
    /// The code.
    pub code: String,
}

/// A code and how long it asks to wait.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeWait {
    /// The code.
    pub code: String,
    /// The wait, in hours.
    pub hours: u32,
}

impl Rules {
    /// The rules that are built in.
    pub fn embedded() -> Self {
        Self::read(include_str!("../rules/networks.json")).expect("the embedded rules are valid, as a test shows")
    }

    /// Reads rules.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The most that a limit may be set to; nothing where the rule sets none.
    pub fn most(&self, rule: Rule) -> Option<u32> {
        self.rules
            .iter()
            .find(|known| known.rule == rule)
            .and_then(|known| match known.form {
                Form::AtMost { attempts_max, .. } => Some(attempts_max),
                Form::NeverAfter { .. }
                | Form::NeverAfterCategory { .. }
                | Form::NeverIn { .. }
                | Form::OnlyAfter { .. }
                | Form::WaitAfter { .. }
                | Form::Represent { .. } => None,
            })
    }

    /// The same rules with another limit, which never goes beyond the most that the rule allows.
    #[must_use]
    pub fn with_limit(mut self, rule: Rule, limit: u32) -> Self {
        for known in self.rules.iter_mut().filter(|known| known.rule == rule) {
            if let Form::AtMost {
                attempts, attempts_max, ..
            } = &mut known.form
            {
                *attempts = limit.clamp(1, *attempts_max);
            }
        }
        self
    }

    /// The category of a decline at `at`; nothing where the network has none.
    pub fn category(&self, network: Network, decline: &Decline, at: Timestamp) -> Option<u8> {
        let table = &self.categories;
        if table.network != network {
            return None;
        }
        let of = |code: &str| table.codes.iter().find(|entry| entry.code == code && entry.holds(at));
        let listed = decline.network_code.as_deref().and_then(of);
        Some(listed.map_or(table.otherwise, |entry| entry.category))
    }
}

impl CategoryOfCode {
    fn holds(&self, at: Timestamp) -> bool {
        holds(self.from, self.until, at)
    }
}

impl NetworkRule {
    /// Whether it binds a charge of an instrument of that network and country at `at`.
    pub fn binds(&self, network: Network, country: Option<&str>, at: Timestamp) -> bool {
        let here =
            self.countries.is_empty() || country.is_some_and(|country| self.countries.iter().any(|one| one == country));
        self.networks.contains(&network) && here && holds(self.from, self.until, at)
    }
}

impl Field {
    /// That code of a decline.
    pub fn of(self, decline: &Decline) -> Option<&str> {
        match self {
            Self::Network => decline.network_code.as_deref(),
            Self::Advice => decline.advice_code.as_deref(),
            Self::Provider => decline.provider_code.as_deref(),
        }
    }
}

/// So many hours as a length of time.
pub fn hours(hours: u32) -> SignedDuration {
    SignedDuration::from_hours(i64::from(hours))
}

/// Whether `at` lies in the days from `from` to before `until`, as they begin in UTC.
fn holds(from: Option<Date>, until: Option<Date>, at: Timestamp) -> bool {
    let begins = |day: Date| {
        day.to_zoned(TimeZone::UTC)
            .map_or(Timestamp::MAX, |start| start.timestamp())
    };
    from.is_none_or(|day| begins(day) <= at) && until.is_none_or(|day| at < begins(day))
}
