//! The sections of the weekly digest: its figures in the words of a language, and its pictures.

use std::collections::BTreeMap;

use minijinja::Value;
use serde::Serialize;

use super::locale::Locale;
use super::{Picture, charts};
use crate::domain::money::{Currency, Money};
use crate::domain::report::Sum;
use crate::domain::report::digest::{Digest, InCurrency, Split, Standing};

/// For how many currencies the weeks are drawn; the others stand in figures alone.
const DRAWN_MAX: usize = 2;

/// A part of the message: a heading, pictures, rows of figures, and what these mean.
#[derive(Serialize)]
pub(super) struct Section {
    title: Value,
    groups: Vec<Group>,
    pictures: Vec<Shown>,
    notes: Vec<Value>,
}

/// Rows that belong together; they have a name where there are several groups.
#[derive(Serialize)]
struct Group {
    name: Option<Value>,
    rows: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    color: Option<&'static str>,
    label: Value,
    value: Value,
}

/// A picture with the same in words.
#[derive(Serialize)]
struct Shown {
    src: String,
    alt: Value,
    /// What the picture shows, for the form without pictures.
    lines: Vec<Value>,
    legend: Vec<Line>,
}

/// Writes the sections of one digest in one form.
pub(super) struct Writer<'a> {
    pub(super) digest: &'a Digest,
    pub(super) locale: &'a Locale,
    /// The labels, rendered in this form.
    pub(super) words: BTreeMap<&'a str, String>,
    /// Makes a value of a rendered text.
    pub(super) ready: fn(String) -> Value,
    pub(super) pictures: &'a [Picture],
}

/// The pictures of a digest, in the order in which it shows them.
pub(super) fn pictures(digest: &Digest) -> Vec<Picture> {
    let picture = |name: &str, png: Option<Vec<u8>>| {
        Some(Picture {
            cid: format!("{}.{}@digest", name.to_ascii_lowercase(), digest.week.first),
            png: png?,
        })
    };
    let drawn = digest.currencies.iter().take(DRAWN_MAX);
    let weeks = drawn.map(|one| picture(one.currency.code(), charts::weeks(&one.weeks)));
    weeks
        .chain([picture("cases", charts::split(digest.split))])
        .flatten()
        .collect()
}

impl Writer<'_> {
    pub(super) fn sections(&self) -> Vec<Section> {
        let mut sections = vec![self.week(), self.attention()];
        if self.digest.currencies.is_empty() {
            return sections;
        }
        sections.extend([self.month(), self.weeks(), self.split()]);
        sections.retain(|section| !(section.groups.is_empty() && section.pictures.is_empty()));
        sections
    }

    fn week(&self) -> Section {
        let rows = |one: &InCurrency| {
            let sums = [
                ("opened", one.opened),
                ("recovered", one.recovered),
                ("exhausted", one.exhausted),
                ("stopped", one.stopped),
                ("open", one.open),
            ];
            sums.map(|(key, sum)| self.line(key, self.sum(sum, one.currency)))
                .into()
        };
        let left_out = (self.digest.left_out > 0).then(|| self.say("left_out"));
        Section {
            title: self.say("week_title"),
            groups: self.by_currency(rows),
            pictures: Vec::new(),
            notes: [self.say("week_note")].into_iter().chain(left_out).collect(),
        }
    }

    fn attention(&self) -> Section {
        let attention = self.digest.attention;
        let rows = [
            ("needs_person", attention.needs_person),
            ("dead_events", attention.dead_events),
            ("undelivered", attention.undelivered),
        ];
        let rows = rows.map(|(key, count)| self.line(key, self.locale.count(count)));
        Section {
            title: self.say("attention_title"),
            groups: vec![Group {
                name: None,
                rows: rows.into(),
            }],
            pictures: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// This month and the one before. No rate stands without its cohort, its maturity and what it is a share of.
    fn month(&self) -> Section {
        let rows = |one: &InCurrency| {
            let months = [("this_month", &one.month), ("last_month", &one.month_before)];
            let rows = months.map(|(key, standing)| self.line(key, self.standing(standing, one.currency)));
            rows.into()
        };
        Section {
            title: self.say("month_title"),
            groups: self.by_currency(rows),
            pictures: Vec::new(),
            notes: vec![self.say("month_note")],
        }
    }

    fn weeks(&self) -> Section {
        let drawn = self.digest.currencies.iter().take(DRAWN_MAX);
        let pictures = drawn.filter_map(|one| {
            let written = one.weeks.iter().map(|week| {
                let money = |sum: Sum| self.money(sum, one.currency);
                let day = self.locale.day(week.monday);
                format!("{day}: {} / {}", money(week.recovered), money(week.all))
            });
            let written: Vec<String> = written.collect();
            let src = self.src(one.currency.code())?;
            let amounts = one.weeks.iter().flat_map(|week| [week.all, week.recovered]);
            let tallest = amounts.max_by_key(|sum| sum.amount_minor)?;
            let tallest = self
                .word("tallest")
                .replace("{amount}", &self.money(tallest, one.currency));
            let key = |color, label: String| Line {
                color: Some(color),
                label: (self.ready)(label),
                value: Value::from(""),
            };
            Some(Shown {
                src,
                alt: (self.ready)(format!("{} {}", self.word("weeks_alt"), written.join("; "))),
                lines: [self.word("weeks_alt").to_owned()]
                    .into_iter()
                    .chain(written)
                    .map(self.ready)
                    .collect(),
                legend: vec![
                    key(charts::FAILED, format!("{} ({tallest})", self.word("failed"))),
                    key(charts::RECOVERED, self.word("recovered_of_it").to_owned()),
                ],
            })
        });
        Section {
            title: self.say("weeks_title"),
            groups: Vec::new(),
            pictures: pictures.collect(),
            notes: vec![self.say("weeks_note")],
        }
    }

    /// How the cases of these weeks stand. Cases are counted across currencies; money never is.
    fn split(&self) -> Section {
        let Split {
            recovered,
            open,
            exhausted,
            stopped,
        } = self.digest.split;
        let rows = [
            (charts::RECOVERED, "recovered", recovered),
            (charts::OPEN, "still_open", open),
            (charts::EXHAUSTED, "exhausted", exhausted),
            (charts::STOPPED, "stopped", stopped),
        ];
        let written = rows.map(|(_, key, count)| format!("{}: {}", self.word(key), self.locale.cases(count)));
        let shown = self.src("cases").map(|src| Shown {
            src,
            alt: (self.ready)(written.join("; ")),
            lines: Vec::new(),
            legend: Vec::new(),
        });
        let lines = rows.map(|(color, key, count)| Line {
            color: Some(color),
            ..self.line(key, self.locale.cases(count))
        });
        // Without a case in these weeks there is nothing to split.
        let rows = shown.is_some().then(|| Group {
            name: None,
            rows: lines.into(),
        });
        Section {
            title: self.say("split_title"),
            groups: rows.into_iter().collect(),
            pictures: shown.into_iter().collect(),
            notes: vec![self.say("split_note")],
        }
    }

    /// A group for each currency, by its code where there are several.
    fn by_currency(&self, rows: impl Fn(&InCurrency) -> Vec<Line>) -> Vec<Group> {
        let currencies = &self.digest.currencies;
        let name = |one: &InCurrency| (currencies.len() > 1).then(|| Value::from(one.currency.code()));
        let group = |one: &InCurrency| Group {
            name: name(one),
            rows: rows(one),
        };
        currencies.iter().map(group).collect()
    }

    fn standing(&self, standing: &Standing, currency: Currency) -> String {
        let (Some(rate), Some(maturity)) = (&standing.rate, &standing.maturity) else {
            return self.word("no_cases").to_owned();
        };
        self.word("standing")
            .replace("{rate}", &self.locale.percent(rate))
            .replace("{amount}", &self.money(standing.all, currency))
            .replace("{cases}", &self.locale.cases(standing.all.cases))
            .replace("{closed}", &self.locale.percent(maturity))
    }

    /// Cases and their money; nothing has no money.
    fn sum(&self, sum: Sum, currency: Currency) -> String {
        let cases = self.locale.cases(sum.cases);
        if sum.cases == 0 {
            return cases;
        }
        format!("{cases} · {}", self.money(sum, currency))
    }

    fn money(&self, sum: Sum, currency: Currency) -> String {
        self.locale.money(Money::new(sum.amount_minor, currency))
    }

    fn line(&self, key: &str, value: String) -> Line {
        Line {
            color: None,
            label: self.say(key),
            value: (self.ready)(value),
        }
    }

    /// Where the picture of that name is; nothing where there was nothing to draw.
    fn src(&self, name: &str) -> Option<String> {
        let name = format!("{}.", name.to_ascii_lowercase());
        let found = self.pictures.iter().find(|picture| picture.cid.starts_with(&name));
        found.map(|picture| format!("cid:{}", picture.cid))
    }

    fn word(&self, key: &str) -> &str {
        self.words.get(key).map_or("", String::as_str)
    }

    fn say(&self, key: &str) -> Value {
        (self.ready)(self.word(key).to_owned())
    }
}
