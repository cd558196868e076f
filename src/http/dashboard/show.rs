//! How values look on a page, and how forms are read.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::{HttpRequest, web};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use super::language::{self, Language};
use crate::domain::money::Currency;
use crate::domain::report::Rate;
use crate::http::body;
use crate::http::error::Problem;

/// The most bytes of a form.
pub(super) const FORM_BYTES_MAX: usize = 16 * 1024;

/// The templates, read once; each page escapes by its name.
pub(super) static PAGES: LazyLock<Environment<'static>> = LazyLock::new(environment);

pub(super) const TEMPLATES: [(&str, &str); 36] = [
    ("layout.html", include_str!("layout.html")),
    ("login.html", include_str!("login.html")),
    ("welcome.html", include_str!("welcome.html")),
    ("gone.html", include_str!("gone.html")),
    ("fault.html", include_str!("fault.html")),
    ("me.html", include_str!("me.html")),
    ("people.html", include_str!("people.html")),
    ("overview.html", include_str!("overview.html")),
    ("cases.html", include_str!("cases.html")),
    ("bulk.html", include_str!("bulk.html")),
    ("campaigns.html", include_str!("campaigns.html")),
    ("campaign_text.html", include_str!("campaign_text.html")),
    ("diff.html", include_str!("diff.html")),
    ("publication.html", include_str!("publication.html")),
    ("inbox.html", include_str!("inbox.html")),
    ("event.html", include_str!("event.html")),
    ("audit.html", include_str!("audit.html")),
    ("health.html", include_str!("health.html")),
    ("case.html", include_str!("case.html")),
    ("desk.html", include_str!("desk.html")),
    ("table.html", include_str!("table.html")),
    ("learning.html", include_str!("learning.html")),
    ("range.html", include_str!("range.html")),
    ("reports.html", include_str!("reports.html")),
    ("reports_nav.html", include_str!("reports_nav.html")),
    ("definitions.html", include_str!("definitions.html")),
    ("definition_list.html", include_str!("definition_list.html")),
    ("all_definitions.html", include_str!("all_definitions.html")),
    ("funnel.html", include_str!("funnel.html")),
    ("attempts.html", include_str!("attempts.html")),
    ("churn.html", include_str!("churn.html")),
    ("attribution.html", include_str!("attribution.html")),
    ("ages.html", include_str!("ages.html")),
    ("rates.html", include_str!("rates.html")),
    ("messages.html", include_str!("messages.html")),
    ("error.html", include_str!("error.html")),
];

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("money", money_filter);
    environment.add_filter("when", when_filter);
    environment.add_filter("day", day);
    environment.add_filter("words", words_filter);
    environment.add_filter("t", language::translated);
    environment.add_filter("number", number);
    environment.add_filter("percent", percent_filter);
    environment.add_filter("local", local_filter);
    environment.add_filter("said", said);
    environment.add_filter("prose", prose);
    environment.add_filter("ending", ending);
    for (name, source) in TEMPLATES {
        environment
            .add_template(name, source)
            .expect("a test reads every template");
    }
    environment
}

/// An amount as people read it: `1,234.50 EUR`.
pub(super) fn money(amount_minor: i64, currency: &str) -> String {
    let decimals = currency.parse::<Currency>().map_or(2, |currency| currency.decimals());
    let unit = 10_u64.pow(decimals);
    let size = amount_minor.unsigned_abs();
    let sign = if amount_minor < 0 { "−" } else { "" };
    let whole = grouped(size / unit);
    let width = usize::try_from(decimals).expect("a currency has at most three decimals");
    let fraction = if decimals == 0 {
        String::new()
    } else {
        format!(".{:0width$}", size % unit)
    };
    format!("{sign}{whole}{fraction} {currency}")
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn money_filter(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let amount = value.get_attr("amount_minor")?;
    let currency = value.get_attr("currency")?;
    let amount = i64::try_from(amount).map_err(|_| Error::new(ErrorKind::InvalidOperation, "no amount"))?;
    Ok(money_in(
        language::of_page(state),
        amount,
        currency.as_str().unwrap_or_default(),
    ))
}

/// An amount with the signs of a language: `1.234,50 EUR`.
pub(super) fn money_in(language: Language, amount_minor: i64, currency: &str) -> String {
    local(language, &money(amount_minor, currency))
}

/// Numbers that are written as in English, with the signs of a language.
pub(super) fn local(language: Language, number: &str) -> String {
    let swap = |letter| match letter {
        ',' => '.',
        '.' => ',',
        other => other,
    };
    match language {
        Language::English => number.to_owned(),
        Language::German => number.chars().map(swap).collect(),
    }
}

fn local_filter(state: &State<'_, '_>, number: &Value) -> String {
    local(language::of_page(state), &number.to_string())
}

/// A rate as `53.12 %`; a dash where there is none.
pub(super) fn percent(language: Language, rate: Option<&Rate>) -> String {
    rate.map_or_else(|| "–".to_owned(), |rate| percent_of(language, &rate.percent))
}

fn percent_of(language: Language, percent: &str) -> String {
    format!("{} %", local(language, percent))
}

fn percent_filter(state: &State<'_, '_>, rate: &Value) -> Result<String, Error> {
    if rate.is_none() || rate.is_undefined() {
        return Ok("–".to_owned());
    }
    let percent = rate.get_attr("percent")?;
    Ok(percent_of(
        language::of_page(state),
        percent.as_str().unwrap_or_default(),
    ))
}

/// A whole number with its thousands grouped.
fn number(state: &State<'_, '_>, number: u64) -> String {
    number_in(language::of_page(state), number)
}

/// The same in a language.
pub(super) fn number_in(language: Language, number: u64) -> String {
    local(language, &grouped(number))
}

/// The first day of a month as `Mar 26`.
pub(super) fn month(language: Language, first: Date) -> String {
    match language {
        Language::English => first.strftime("%b %y").to_string(),
        Language::German => format!("{} {}", MONTHS[month_index(first)], first.strftime("%y")),
    }
}

fn month_index(day: Date) -> usize {
    usize::from(day.month().unsigned_abs() - 1)
}

/// The months as German dates name them.
const MONTHS: [&str; 12] = [
    "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez.",
];

/// An RFC 3339 text as `1 Mar 2026, 09:00 UTC`.
fn when(text: &str) -> String {
    when_in(Language::English, text)
}

fn when_filter(state: &State<'_, '_>, text: &str) -> String {
    when_in(language::of_page(state), text)
}

/// The same in a language.
pub(super) fn when_in(language: Language, text: &str) -> String {
    shown(language, text, "%-d %b %Y", ", %H:%M UTC")
}

/// An RFC 3339 text as `1 Mar 2026`.
fn day(state: &State<'_, '_>, text: &str) -> String {
    shown(language::of_page(state), text, "%-d %b %Y", "")
}

fn shown(language: Language, text: &str, day: &str, time: &str) -> String {
    let Ok(instant) = text.parse::<Timestamp>() else {
        return text.to_owned();
    };
    let at = instant.to_zoned(TimeZone::UTC);
    let time = at.strftime(time);
    match language {
        Language::English => format!("{}{time}", at.strftime(day)),
        Language::German => {
            let month = MONTHS[month_index(at.date())];
            format!("{}. {month} {}{time}", at.day(), at.year())
        }
    }
}

/// A word of the tables as people read it, in a place where it may be read otherwise: `{{ stage|words("stage") }}`.
fn words_filter(state: &State<'_, '_>, word: &str, place: Option<String>) -> String {
    let language = language::of_page(state);
    place.map_or_else(|| language.word(word), |place| language.word_of(&place, word))
}

/// One of a few sentences that Rust writes in English.
fn said(state: &State<'_, '_>, english: &str) -> String {
    language::of_page(state).say(english).to_owned()
}

/// What an outcome says besides its kind: by whom, what then, or why.
fn ending(state: &State<'_, '_>, outcome: &Value) -> Result<String, Error> {
    let language = language::of_page(state);
    for (field, before) in [
        ("by", language.say("by ")),
        ("then", language.say("then ")),
        ("why", ""),
    ] {
        let value = outcome.get_attr(field)?;
        if let Some(word) = value.as_str() {
            return Ok(format!("{before}{}", language.word_of(field, word)));
        }
    }
    Ok(String::new())
}

/// Reads a form; of several fields of one name the last counts.
pub(in crate::http) async fn form(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HashMap<String, String>, Problem> {
    let fields = fields(request, payload, FORM_BYTES_MAX).await?;
    Ok(fields.into_iter().collect())
}

/// Reads the fields of a form of at most so many bytes, in their order.
pub(super) async fn fields(
    request: &HttpRequest,
    payload: web::Payload,
    bytes_max: usize,
) -> Result<Vec<(String, String)>, Problem> {
    let body = body::read(request.headers(), &mut payload.into_inner(), bytes_max).await?;
    Ok(url::form_urlencoded::parse(&body).into_owned().collect())
}

/// A sentence of the timeline as people read it. Those are written in the terms of the tables: amounts in minor units before
/// their currency, instants in RFC 3339, names with underscores.
pub(super) fn prose(text: &str) -> String {
    let mut words = text.split(' ').peekable();
    let mut read = Vec::new();
    while let Some(word) = words.next() {
        let bare = word.trim_end_matches(['.', ',', ';', ':', ')']);
        let tail = &word[bare.len()..];
        let amount = bare.parse::<i64>().ok().filter(|_| tail.is_empty());
        let code = words.peek().and_then(|next| next.get(..3)).filter(|code| is_code(code));
        if let (Some(amount), Some(code)) = (amount, code) {
            let after = words.next().map_or("", |next| &next[code.len()..]);
            read.push(format!("{}{after}", money(amount, code)));
        } else if bare.parse::<Timestamp>().is_ok() {
            read.push(format!("{}{tail}", when(bare)));
        } else {
            read.push(word.replace('_', " "));
        }
    }
    read.join(" ")
}

fn is_code(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped_by_their_currency() {
        assert_eq!(money(123_456_789, "EUR"), "1,234,567.89 EUR");
        assert_eq!(money(5, "USD"), "0.05 USD");
        assert_eq!(money(1_500, "JPY"), "1,500 JPY");
        assert_eq!(money(-1_234, "KWD"), "−1.234 KWD");
    }

    #[test]
    fn sentences_lose_the_terms_of_the_tables() {
        let plan = "After a decline for do_not_honor the next charge is planned for 2026-03-01T09:00:00Z.";
        assert_eq!(
            prose(plan),
            "After a decline for do not honor the next charge is planned for 1 Mar 2026, 09:00 UTC."
        );
        assert_eq!(
            prose("The charge of 2899 USD failed: limit."),
            "The charge of 28.99 USD failed: limit."
        );
        assert_eq!(
            prose("Asked 3 times. It was 1500 JPY."),
            "Asked 3 times. It was 1,500 JPY."
        );
        assert_eq!(prose("in 7"), "in 7");
    }

    #[test]
    fn every_template_can_be_read() {
        for (name, _) in TEMPLATES {
            assert!(PAGES.get_template(name).is_ok(), "{name}");
        }
        assert_eq!(when("2026-03-01T09:00:00Z"), "1 Mar 2026, 09:00 UTC");
    }
}
