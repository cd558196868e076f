//! The rules once more, by someone who reads the file alone and counts on the fingers: slow, and without a line of the code
//! that is judged.

use jiff::Timestamp;
use recoup::domain::command::AttemptStatus;
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::ids::CaseId;
use recoup::domain::instrument::{Instrument, PastAttempt};
use recoup::domain::money::Money;
use serde_json::Value;

const HOUR: i64 = 3_600_000;

/// A charge as it was made.
pub struct Made<'a> {
    pub at: Timestamp,
    pub amount: Money,
    pub case: &'a CaseId,
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

fn holds_word(list: &Value, word: Option<&str>) -> bool {
    list.as_array()
        .unwrap()
        .iter()
        .any(|one| one.as_str() == word && word.is_some())
}

/// Whether a rule or a code is in force: `from` and `until` are days in UTC.
fn in_force(row: &Value, at: Timestamp) -> bool {
    let day = at.to_string()[..10].to_owned();
    let begun = row["from"].as_str().is_none_or(|from| from <= day.as_str());
    begun && row["until"].as_str().is_none_or(|until| day.as_str() < until)
}

fn field<'d>(decline: &'d Decline, name: &Value) -> Option<&'d str> {
    match name.as_str().unwrap() {
        "network" => decline.network_code.as_deref(),
        "advice" => decline.advice_code.as_deref(),
        _ => decline.provider_code.as_deref(),
    }
}

fn category(file: &Value, decline: &Decline, at: Timestamp) -> i64 {
    let rows = file["categories"]["codes"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["code"].as_str() == decline.network_code.as_deref() && in_force(row, at));
    number(row.map_or(&file["categories"]["otherwise"], |row| &row["category"]))
}

fn was_made(past: &PastAttempt) -> bool {
    past.status != AttemptStatus::NotSent && past.status != AttemptStatus::NotNeeded
}

/// The rules that a charge breaks after what went before it, by their names.
pub fn broken(file: &Value, instrument: &Instrument, made: &Made<'_>, before: &[PastAttempt]) -> Vec<String> {
    let mut broken: Vec<String> = Vec::new();
    let lost = |past: &PastAttempt| {
        past.decline
            .as_ref()
            .is_some_and(|no| no.disposition == Disposition::Never && no.kind != DeclineKind::MerchantConfig)
    };
    let healed = |nth: usize| before[nth..].iter().any(|past| past.status == AttemptStatus::Succeeded);
    if (0..before.len()).any(|nth| lost(&before[nth]) && !healed(nth)) {
        broken.push("terminal_decline".to_owned());
    }
    for row in file["rules"].as_array().unwrap() {
        let here = match row.get("countries") {
            Some(countries) => holds_word(countries, instrument.country.as_deref()),
            None => true,
        };
        let binds = holds_word(&row["networks"], Some(instrument.network.as_str())) && here && in_force(row, made.at);
        if binds && breaks(file, &row["form"], instrument, made, before) {
            broken.push(row["rule"].as_str().unwrap().to_owned());
        }
    }
    broken
}

fn breaks(file: &Value, form: &Value, instrument: &Instrument, made: &Made<'_>, before: &[PastAttempt]) -> bool {
    let (name, form) = form.as_object().unwrap().iter().next().unwrap();
    let mut declines = before
        .iter()
        .filter_map(|past| past.decline.as_ref().map(|no| (past, no)));
    let code_of = |row: &Value, no: &Decline| row["code"].as_str() == field(no, &form["field"]);
    match name.as_str() {
        "never_after" => declines.any(|(_, no)| form["codes"].as_array().unwrap().iter().any(|row| code_of(row, no))),
        "never_after_category" => declines.any(|(past, no)| category(file, no, past.at) == number(&form["category"])),
        "never_in" => holds_word(&form["countries"], instrument.country.as_deref()),
        "only_after" => declines.filter(|(past, _)| past.case_id == *made.case).any(|(_, no)| {
            if no.network_code.is_some() {
                !holds_word(&form["network"], no.network_code.as_deref())
            } else {
                !holds_word(&form["provider"], no.provider_code.as_deref())
            }
        }),
        "wait_after" => declines.any(|(past, no)| {
            let mut rows = form["codes"].as_array().unwrap().iter();
            rows.any(|row| code_of(row, no) && millis(made.at) < millis(past.at) + number(&row["hours"]) * HOUR)
        }),
        "at_most" => counted(form, made, before) >= number(&form["attempts"]),
        "represent" => {
            let series: Vec<&PastAttempt> = before
                .iter()
                .filter(|past| past.case_id == *made.case && was_made(past))
                .collect();
            let Some(first) = series.first() else { return false };
            let again = i64::try_from(series.len()).unwrap() - 1;
            form["times"].as_i64().is_some_and(|times| again >= times)
                || millis(made.at) - millis(first.at) > number(&form["hours"]) * HOUR
                || (form["same_amount"] == true && first.amount != made.amount)
        }
        other => panic!("nobody told me about {other}"),
    }
}

/// The tries that stand against a charge within the span that ends with it.
fn counted(form: &Value, made: &Made<'_>, before: &[PastAttempt]) -> i64 {
    let span = number(&form["hours"]) * HOUR;
    let mut count = 0;
    for (nth, past) in before.iter().enumerate() {
        let approved_since = before[nth..]
            .iter()
            .any(|later| later.status == AttemptStatus::Succeeded);
        let fits = form["same_amount"] == false || past.amount == made.amount;
        let recent = millis(made.at) - millis(past.at) < span;
        let refused = was_made(past) && past.status != AttemptStatus::Succeeded;
        if refused && fits && recent && !(form["until_approval"] == true && approved_since) {
            count += 1;
        }
    }
    count
}
