//! Money, dates and numbers against what the ICU library of Node.js writes (`tests/fixtures/intl.mjs`).

use std::collections::BTreeMap;

use jiff::civil::Date;
use recoup::domain::message::Message;
use recoup::domain::money::Money;
use recoup::mailer::{Locale, MailContext};
use serde::Deserialize;

use super::render;

#[derive(Deserialize)]
struct Oracle {
    locales: BTreeMap<String, Language>,
}

#[derive(Deserialize)]
struct Language {
    money: BTreeMap<String, Vec<(i64, String)>>,
    dates: Vec<(Date, String)>,
    percents: Vec<(i64, String)>,
    plurals: Vec<(u32, String)>,
}

fn oracle() -> BTreeMap<String, Language> {
    let oracle: Oracle = serde_json::from_str(include_str!("../../fixtures/intl.json")).unwrap();
    assert_eq!(oracle.locales.len(), Locale::all().len());
    oracle.locales
}

fn locale(tag: &str) -> &'static Locale {
    Locale::of(tag).unwrap_or_else(|| panic!("{tag} is missing"))
}

#[test]
fn money_is_written_as_the_language_does() {
    let mut compared = 0;
    for (tag, language) in oracle() {
        for (currency, amounts) in language.money {
            for (minor, expected) in amounts {
                let money = Money::new(minor, currency.parse().unwrap());
                assert_eq!(locale(&tag).money(money), expected, "{tag}, {minor} {currency}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 10 * 14 * 13);
}

#[test]
fn dates_are_written_as_the_language_does() {
    for (tag, language) in oracle() {
        assert_eq!(language.dates.len(), 36);
        for (day, expected) in language.dates {
            assert_eq!(locale(&tag).day(day), expected, "{tag}, {day}");
        }
    }
}

/// Shares stand in the digest alone.
#[test]
fn shares_are_written_as_the_language_does() {
    for (tag, language) in oracle() {
        for (parts_per_10k, expected) in language.percents {
            let mut context = MailContext::samples(Message::StaffDigest).remove(0);
            let share = context.digest.as_mut().unwrap().currencies[0]
                .month
                .rate
                .as_mut()
                .unwrap();
            share.parts_per_10k = parts_per_10k;
            let text = render(Message::StaffDigest, locale(&tag), &context).text;
            assert!(
                text.contains(&expected),
                "{tag}, {parts_per_10k}: {expected:?} in\n{text}"
            );
        }
    }
}

#[test]
fn a_number_stands_with_the_form_that_the_language_asks_for() {
    for (tag, language) in oracle() {
        let file = format!("{}/email-templates/{tag}.toml", env!("CARGO_MANIFEST_DIR"));
        let words: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
        let forms = words["plurals"]["attempts"].as_table().unwrap();
        for (count, category) in language.plurals.into_iter().filter(|(count, _)| *count > 1) {
            let mut context = MailContext::samples(Message::SubscriptionEnded).remove(0);
            context.attempts = count;
            let phrase = forms[&category].as_str().unwrap().replace("{n}", &count.to_string());
            let text = render(Message::SubscriptionEnded, locale(&tag), &context).text;
            assert!(text.contains(&phrase), "{tag}, {count}: {phrase:?} in\n{text}");
        }
    }
}
