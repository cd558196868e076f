//! The words of one language, as `email-templates/<language>.toml` holds them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::case::Warning;
use crate::domain::message::Message;
use crate::domain::taxonomy::Wording;

/// A file of words. Every text is a template of its own; which variables it may name, the README of the folder says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalogue {
    /// How money and dates are written.
    pub format: Format,
    /// Phrases around a number.
    pub plurals: Plurals,
    /// Why a charge was declined, as one sentence that a customer may read.
    pub reasons: BTreeMap<Wording, String>,
    /// What stands in every message.
    pub common: BTreeMap<String, String>,
    /// The messages.
    pub message: BTreeMap<Message, Texts>,
    /// Why a case needs a person.
    pub warnings: BTreeMap<Warning, String>,
    /// The page behind the links in messages.
    pub page: BTreeMap<String, String>,
    /// What the weekly digest calls its figures.
    pub digest: BTreeMap<String, String>,
}

/// How a language writes money and dates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Format {
    pub decimal: String,
    pub group: String,
    /// How many digits must stand before the first group mark.
    pub group_from: usize,
    /// How the unit stands to the number: `{unit}{number}`.
    pub money: String,
    /// How a percent sign stands to the number: `{number}%`.
    pub percent: String,
    /// `{day}`, `{month}` and `{year}` in their order.
    pub date: String,
    pub months: [String; 12],
    /// The symbols of currencies that have one in this language; the others show their code.
    pub symbols: BTreeMap<String, String>,
}

/// Phrases around a number, each by the forms that the language has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plurals {
    pub attempts: Forms,
    pub days_left: Forms,
    pub cases: Forms,
}

/// The forms of one phrase; `{n}` is the number.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Forms {
    pub one: Option<String>,
    pub few: Option<String>,
    pub many: Option<String>,
    pub other: String,
}

/// One message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    /// The first for the first message of its kind in a case, the second for the second.
    pub subjects: Vec<String>,
    /// The heading.
    pub title: String,
    /// What the list of messages shows after the subject.
    pub preheader: String,
    /// The paragraphs before the facts; one that comes out empty falls away.
    pub paragraphs: Vec<String>,
    /// The paragraphs after them.
    pub after: Vec<String>,
    /// The one button.
    pub button: String,
}

impl Texts {
    /// All of them by kind, in one fixed order.
    pub fn all(&self) -> [(&'static str, &[String]); 6] {
        let one = std::slice::from_ref;
        [
            ("subject", &self.subjects),
            ("title", one(&self.title)),
            ("preheader", one(&self.preheader)),
            ("paragraph", &self.paragraphs),
            ("after", &self.after),
            ("button", one(&self.button)),
        ]
    }
}
