//! The reports as pages: recovery by month or week and split by one thing, how long it takes; each with its definition and
//! its numbers.

use actix_web::{HttpRequest, HttpResponse, get, web};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use super::language::Language;
use super::{Stop, chart, curve, session, show, shown};
use crate::domain::report::survival::Step;
use crate::domain::report::{By, Cohort, Cut, Rate, Report, Row, definitions};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::reports::{asked, recovery, time};
use crate::http::error::Problem;

/// The most groups that are shown; the file has all.
const GROUPS_MAX: usize = 40;
/// The ages of which the curve is told in numbers, in days.
const AGES: [u64; 7] = [1, 3, 7, 14, 21, 30, 60];

/// What is asked of the page.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    from: Option<String>,
    to: Option<String>,
    cohort: Option<Cohort>,
    by: Option<By>,
    convert: Option<String>,
}

impl Asked {
    /// Whether the cohorts are weeks; by day there would be more rows than anybody reads.
    fn cohort(&self) -> Cohort {
        self.cohort
            .filter(|cohort| *cohort == Cohort::Week)
            .unwrap_or(Cohort::Month)
    }
}

/// A row of the report as people read it.
#[derive(Serialize)]
struct Line {
    name: String,
    currency: String,
    cases: u64,
    amount: String,
    recovered: u64,
    recovered_amount: String,
    /// What was owed by those that ended without it.
    lost_amount: String,
    open_amount: String,
    net_amount: String,
    of_all: Option<Rate>,
    of_closed: Option<Rate>,
    of_retryable: Option<Rate>,
    net_of_all: Option<Rate>,
    of_customers: Option<Rate>,
    maturity: Option<Rate>,
    mature: bool,
    /// The share of all that was recovered, in tenths: how dark its cell is.
    heat: Option<i64>,
    /// Its part of everything that was recovered in its currency, in hundredths of a percent.
    part: Option<Rate>,
}

#[get("/dashboard/reports")]
pub(super) async fn page(
    state: web::Data<HttpState>,
    request: HttpRequest,
    query: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Marketing).await?;
    let language = visitor.language;
    let now = state.engine.clock().now();
    let zones = asked::zones(&state);
    let days = asked::days([given(query.from.as_ref()), given(query.to.as_ref())], &zones, now)?;
    let by = query.by.filter(|by| *by != By::None).unwrap_or(By::DeclineKind);
    let cohort = query.cohort();
    let report = recovery::with_customers(&state, days, Cut { cohort, by: By::None }).await?;
    // Of these the totals are shown, which months make quicker than weeks.
    let whole = |by| Cut {
        cohort: Cohort::Month,
        by,
    };
    let split = recovery::over(&state, days, whole(by)).await?;
    let touched = recovery::over(&state, days, whole(By::Message)).await?;
    let (_, ages) = time::ages(&state, days).await?;
    let steps = ages.curve();
    let mut groups = lines(&split.totals, language);
    groups.sort_by(|one, other| (&one.currency, other.cases).cmp(&(&other.currency, one.cases)));
    let left = groups.len().saturating_sub(GROUPS_MAX);
    groups.truncate(GROUPS_MAX);
    let [from, to] = days;
    let periods = chart::periods(&report, language);
    let label = match cohort {
        Cohort::Week => language.say("Recovery rate by week of the first failure"),
        Cohort::Month | Cohort::Day => language.say("Recovery rate by month of the first failure"),
    };
    let context = context! {
        section => "reports",
        page => "recovery",
        convert => given(query.convert.as_ref()).unwrap_or_default(),
        one => Value::from(Serde(in_one(&state, days, (cohort, given(query.convert.as_ref())), language).await?)),
        now => now.to_string(),
        from => from.to_string(),
        to => to.to_string(),
        zones => Value::from(Serde(&zones)),
        by => by.as_str(),
        choices => Value::from(Serde(choices())),
        cohort => cohort.as_str(),
        chart => Value::from_safe_string(chart::svg(&periods, label, language)),
        undrawn => periods.len() > chart::DRAWN_MAX,
        drawn_max => chart::DRAWN_MAX,
        periods => Value::from(Serde(lines(&report.rows, language))),
        groups => Value::from(Serde(&groups)),
        left,
        messages => Value::from(Serde(messages(&touched, language))),
        times => Value::from(Serde(ages.times())),
        curve => Value::from_safe_string(curve::svg(&steps, language)),
        ages => Value::from(Serde(at_ages(&steps))),
        definitions => Value::from(Serde(definitions::all())),
        span => span(from, to, cohort),
        spans => spans(&state, now, language)?,
    };
    Ok(shown("reports.html", &visitor, &context))
}

/// What was recovered in one currency, or which rates are missing for that.
#[derive(Serialize)]
struct InOne {
    currency: String,
    rows: Vec<[String; 4]>,
    missing: Vec<String>,
    refused: Option<String>,
}

async fn in_one(
    state: &HttpState,
    days: [Date; 2],
    (cohort, convert): (Cohort, Option<&str>),
    language: Language,
) -> Result<Option<InOne>, Stop> {
    let Some(text) = convert else { return Ok(None) };
    let to = recovery::currency(text.trim())?;
    let cut = Cut { cohort, by: By::None };
    let mut one = InOne {
        currency: to.to_string(),
        rows: Vec::new(),
        missing: Vec::new(),
        refused: None,
    };
    match recovery::in_one(state, days, cut, to).await {
        Ok(converted) => {
            let money = |minor| show::money_in(language, minor, to.code());
            let rows = converted.rows.into_iter().chain(converted.totals);
            one.rows = rows
                .map(|row| {
                    let [paid, net] = [row.recovered_minor, row.net_recovered_minor].map(money);
                    [row.cohort, row.recovered_cases.to_string(), paid, net]
                })
                .collect();
        }
        Err(problem) if problem.code == "rates_missing" => {
            one.missing = problem.errors().iter().map(|error| error.detail.clone()).collect();
            one.refused = Some(problem.detail.to_string());
        }
        Err(problem) => return Err(problem.into()),
    }
    Ok(Some(one))
}

/// The report as a file, split by what is asked for.
#[get("/dashboard/reports/recovery.csv")]
pub(super) async fn file(
    state: web::Data<HttpState>,
    request: HttpRequest,
    query: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    session::visitor(&state, &request, Role::Marketing).await?;
    let now = state.engine.clock().now();
    let days = asked::days(
        [given(query.from.as_ref()), given(query.to.as_ref())],
        &asked::zones(&state),
        now,
    )?;
    let cut = Cut {
        cohort: query.cohort(),
        by: query.by.unwrap_or(By::None),
    };
    if let Some(to) = given(query.convert.as_ref()) {
        let to = recovery::currency(to.trim())?;
        return Ok(recovery::converted_csv(&state, days, cut, to).await?);
    }
    Ok(recovery::as_csv(&state, days, cut).await?)
}

/// A form sends what was left empty, too.
pub(super) fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.trim().is_empty())
}

/// Spans that are often asked for.
fn spans(state: &HttpState, now: Timestamp, language: Language) -> Result<Vec<Value>, Problem> {
    let [year, tomorrow] = asked::days([None, None], &asked::zones(state), now)?;
    let month = tomorrow.saturating_sub(1.day()).first_of_month();
    let spans = [
        (language.say("Last month"), [month.saturating_sub(1.month()), month]),
        (language.say("This month"), [month, tomorrow]),
        (language.say("Last 12 months"), [year, tomorrow]),
    ];
    let one = |(name, [from, to]): (&str, [Date; 2])| context! { name, from => from.to_string(), to => to.to_string() };
    Ok(spans.into_iter().map(one).collect())
}

fn span(from: Date, to: Date, cohort: Cohort) -> String {
    format!("from={from}&to={to}&cohort={cohort}")
}

fn choices() -> Vec<&'static str> {
    let choices = By::ALL.iter().filter(|by| !matches!(by, By::None));
    choices.map(|by| by.as_str()).collect()
}

fn lines(rows: &[Row], language: Language) -> Vec<Line> {
    rows.iter().map(|row| line(row, language)).collect()
}

fn line(row: &Row, language: Language) -> Line {
    let money = |minor| show::money_in(language, minor, &row.currency);
    let rates = row.rates.clone();
    Line {
        name: row.group.clone().unwrap_or_else(|| row.cohort.clone()),
        currency: row.currency.clone(),
        cases: row.all.cases,
        amount: money(row.all.amount_minor),
        recovered: row.recovered.cases,
        recovered_amount: money(row.recovered.amount_minor),
        lost_amount: money(row.exhausted.amount_minor.saturating_add(row.stopped.amount_minor)),
        open_amount: money(row.open.amount_minor),
        net_amount: money(row.net_recovered_minor),
        heat: rates
            .amount_of_all
            .as_ref()
            .map(|rate| (rate.parts_per_10k / 1_000).clamp(0, 9)),
        of_all: rates.amount_of_all,
        of_closed: rates.amount_of_closed,
        of_retryable: rates.amount_of_retryable,
        net_of_all: rates.net_amount_of_all,
        of_customers: row
            .customers
            .as_ref()
            .and_then(|customers| customers.recovered_of_all.clone()),
        maturity: row.maturity.clone(),
        mature: row.mature,
        part: None,
    }
}

/// The messages after which money came, the one with most of it first.
fn messages(report: &Report, language: Language) -> Vec<Line> {
    let came = |row: &&Row| row.recovered.cases > 0;
    let mut messages: Vec<(i64, Line)> = report
        .totals
        .iter()
        .filter(came)
        .map(|row| {
            let all = report.totals.iter().filter(|other| other.currency == row.currency);
            let whole = all.map(|other| other.recovered.amount_minor).sum();
            let part = Rate::of_amounts(row.recovered.amount_minor, whole);
            (
                row.recovered.amount_minor,
                Line {
                    part,
                    ..line(row, language)
                },
            )
        })
        .collect();
    messages.sort_by(|(minor, one), (more, other)| (&one.currency, more).cmp(&(&other.currency, minor)));
    messages.into_iter().map(|(_, line)| line).collect()
}

/// The last step of the curve up to each age that has been reached.
fn at_ages(steps: &[Step]) -> Vec<(u64, Option<Step>)> {
    let last = steps.last().map_or(0, |step| step.hours);
    let reached = AGES.iter().take_while(|days| **days == 1 || (**days - 1) * 24 <= last);
    reached
        .map(|days| {
            let before = steps.iter().rev().find(|step| step.hours <= days * 24);
            (*days, before.cloned())
        })
        .collect()
}
