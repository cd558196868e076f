//! The further reports as pages, each with its chart, its numbers, its definitions and its file: the funnel, charges by their number, who
//! brought the money back, and the recovered share by age. Beside them a page of all definitions.

use actix_web::{HttpRequest, HttpResponse, get, web};
use jiff::civil::Date;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use super::bars::{self, Bar};
use super::language::Language;
use super::reports::given;
use super::{Stop, session, show, shown};
use crate::domain::report::ages::Age;
use crate::domain::report::attempts::Charged;
use crate::domain::report::attribution::Credited;
use crate::domain::report::definitions::{self, Definition};
use crate::domain::report::funnel::Funnel;
use crate::domain::report::uplift::uplift;
use crate::domain::report::{By, Rate};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::reports::{ages, asked, attempts, attribution, compared, funnel};
use crate::http::error::Problem;

/// The most groups that are shown; the file has all.
const GROUPS_MAX: usize = 40;

/// What is asked of the pages. A form sends what was left empty, too.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    from: Option<String>,
    to: Option<String>,
    by: Option<By>,
    age: Option<Age>,
    fee_minor: Option<String>,
}

impl Asked {
    fn days(&self, state: &HttpState) -> Result<[Date; 2], Problem> {
        let asked = [given(self.from.as_ref()), given(self.to.as_ref())];
        asked::days(asked, &asked::zones(state), state.engine.clock().now())
    }

    fn by(&self) -> By {
        self.by.unwrap_or(By::None)
    }

    fn age(&self) -> Age {
        self.age.unwrap_or(Age::Week)
    }

    fn fee(&self, state: &HttpState) -> Result<i64, Problem> {
        let Some(text) = given(self.fee_minor.as_ref()) else {
            return Ok(attempts::usual_fee(state));
        };
        attempts::fee(text.trim().parse().ok())
    }
}

/// What every one of these pages shows.
pub(super) fn frame(state: &HttpState, page: &'static str, [from, to]: [Date; 2]) -> Value {
    context! {
        section => "reports",
        page,
        now => state.engine.clock().now().to_string(),
        from => from.to_string(),
        to => to.to_string(),
        span => format!("from={from}&to={to}"),
        definitions => Value::from(Serde(of(page))),
    }
}

/// The definitions of the figures of a report.
fn of(page: &str) -> Vec<&'static Definition> {
    let place = format!("/v1/reports/{page}#");
    let shown = |one: &&Definition| one.found_at.iter().any(|found| found.starts_with(&place));
    definitions::all().iter().filter(shown).collect()
}

fn choices() -> Vec<&'static str> {
    By::ALL.iter().map(|by| by.as_str()).collect()
}

#[get("/dashboard/reports/funnel")]
pub(super) async fn funnel_page(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Marketing).await?;
    let days = asked.days(&state)?;
    let mut funnels = funnel::over(&state, days, asked.by()).await?;
    let cases = |funnel: &Funnel| funnel.stages.first().map_or(0, |first| first.reached.cases);
    funnels.sort_by(|one, other| (&one.currency, cases(other)).cmp(&(&other.currency, cases(one))));
    let left = funnels.len().saturating_sub(GROUPS_MAX);
    funnels.truncate(GROUPS_MAX);
    let charts: Vec<String> = match asked.by() {
        By::None => funnels.iter().map(|funnel| drawn(funnel, visitor.language)).collect(),
        _ => Vec::new(),
    };
    let context = context! {
        by => asked.by().as_str(),
        choices => Value::from(Serde(choices())),
        charts => Value::from(charts.into_iter().map(Value::from_safe_string).collect::<Vec<_>>()),
        funnels => Value::from(Serde(&funnels)),
        left,
        ..frame(&state, "funnel", days)
    };
    Ok(shown("funnel.html", &visitor, &context))
}

fn drawn(funnel: &Funnel, language: Language) -> String {
    let failed = funnel.stages.first().map_or(0, |first| first.reached.cases);
    let bars: Vec<Bar> = funnel
        .stages
        .iter()
        .map(|row| Bar {
            name: language.word_of("stage", row.stage.as_str()),
            share: row.of_failed.clone(),
            inner: Rate::of_counts(row.in_turn.cases, failed),
            told: language.say_with(
                "{cases} cases, {share}",
                &[
                    ("cases", &show::number_in(language, row.reached.cases)),
                    ("share", &show::percent(language, row.of_failed.as_ref())),
                ],
            ),
        })
        .collect();
    let label = language.say_with("Funnel of cases in {currency}", &[("currency", &funnel.currency)]);
    bars::svg(&label, &bars)
}

#[get("/dashboard/reports/funnel.csv")]
pub(super) async fn funnel_file(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    session::visitor(&state, &request, Role::Marketing).await?;
    Ok(funnel::as_csv(&state, asked.days(&state)?, asked.by()).await?)
}

#[get("/dashboard/reports/attempts")]
pub(super) async fn attempts_page(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Marketing).await?;
    let days = asked.days(&state)?;
    let fee_minor = asked.fee(&state)?;
    let mut groups = attempts::over(&state, days, asked.by(), fee_minor).await?;
    groups.sort_by(|one, other| (&one.currency, other.cases).cmp(&(&other.currency, one.cases)));
    let left = groups.len().saturating_sub(GROUPS_MAX);
    groups.truncate(GROUPS_MAX);
    let charts: Vec<String> = match asked.by() {
        By::None => groups.iter().map(|group| by_number(group, visitor.language)).collect(),
        _ => Vec::new(),
    };
    let context = context! {
        by => asked.by().as_str(),
        choices => Value::from(Serde(choices())),
        fee_minor,
        charts => Value::from(charts.into_iter().map(Value::from_safe_string).collect::<Vec<_>>()),
        groups => Value::from(Serde(groups.into_iter().map(told).collect::<Vec<_>>())),
        left,
        ..frame(&state, "attempts", days)
    };
    Ok(shown("attempts.html", &visitor, &context))
}

/// The charges of a group as people read them.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    row: Charged,
    /// Charges by recoveries, with two decimals.
    per_recovery: Option<String>,
}

fn told(row: Charged) -> Told {
    let parts = row.attempts_per_recovery_parts_per_100;
    Told {
        per_recovery: parts.map(|parts| format!("{}.{:02}", parts / 100, parts % 100)),
        row,
    }
}

/// The success of charges by their number. The first one never succeeds, so it is not drawn.
fn by_number(group: &Charged, language: Language) -> String {
    let later = group.numbers.iter().filter(|row| row.number > 1);
    let bars: Vec<Bar> = later
        .map(|row| Bar {
            name: language.say_with("charge {number}", &[("number", &row.number.to_string())]),
            share: row.success.clone(),
            inner: row.success.clone(),
            told: language.say_with(
                "{share} of {charges}",
                &[
                    ("share", &show::percent(language, row.success.as_ref())),
                    ("charges", &show::number_in(language, row.succeeded + row.declined)),
                ],
            ),
        })
        .collect();
    if bars.is_empty() {
        return String::new();
    }
    let label = language.say_with("Success by charge in {currency}", &[("currency", &group.currency)]);
    bars::svg(&label, &bars)
}

#[get("/dashboard/reports/attempts.csv")]
pub(super) async fn attempts_file(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    session::visitor(&state, &request, Role::Marketing).await?;
    let fee_minor = asked.fee(&state)?;
    Ok(attempts::as_csv(&state, asked.days(&state)?, asked.by(), fee_minor).await?)
}

#[get("/dashboard/reports/attribution")]
pub(super) async fn attribution_page(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Marketing).await?;
    let days = asked.days(&state)?;
    let [begin, end] = attribution::instants(&state, days)?;
    let compared = compared::shown(&state, (begin, Some(end))).await?;
    let waits = compared.is_none();
    let uplift = compared.map_or_else(|| uplift(&[]), |compared| compared.uplift.clone());
    let report = attribution::over(&state, days, uplift.against_holdout).await?;
    let charts = report.credited.iter();
    let charts = charts.map(|credited| Value::from_safe_string(to_us(credited, visitor.language)));
    let context = context! {
        charts => Value::from(charts.collect::<Vec<_>>()),
        report => Value::from(Serde(&report)),
        waits,
        ..frame(&state, "attribution", days)
    };
    Ok(shown("attribution.html", &visitor, &context))
}

/// What the first two ways put down to us, in one currency.
fn to_us(credited: &Credited, language: Language) -> String {
    let bar = |name: &str, share: &Option<Rate>, cases: u64| Bar {
        name: format!("{} {name}", credited.currency),
        share: share.clone(),
        inner: share.clone(),
        told: language.say_with(
            "{share}, {cases} cases",
            &[
                ("share", &show::percent(language, share.as_ref())),
                ("cases", &show::number_in(language, cases)),
            ],
        ),
    };
    let bars = [
        bar(
            language.say("by a charge of ours"),
            &credited.mechanism_share,
            credited.mechanism.cases,
        ),
        bar(
            language.say("after a message"),
            &credited.last_touch_share,
            credited.last_touch.cases,
        ),
    ];
    let label = language.say_with(
        "What is put down to us of the recovered money in {currency}",
        &[("currency", &credited.currency)],
    );
    bars::svg(&label, &bars)
}

#[get("/dashboard/reports/attribution.csv")]
pub(super) async fn attribution_file(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    session::visitor(&state, &request, Role::Marketing).await?;
    Ok(attribution::as_csv(&state, asked.days(&state)?).await?)
}

#[get("/dashboard/reports/ages")]
pub(super) async fn ages_page(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Marketing).await?;
    let days = asked.days(&state)?;
    let age = asked.age();
    let rows = ages::over(&state, days, age).await?;
    let context = context! {
        age => age.as_str(),
        columns => age.columns(),
        rows => Value::from(Serde(&rows)),
        ..frame(&state, "ages", days)
    };
    Ok(shown("ages.html", &visitor, &context))
}

#[get("/dashboard/reports/ages.csv")]
pub(super) async fn ages_file(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    session::visitor(&state, &request, Role::Marketing).await?;
    Ok(ages::as_csv(&state, asked.days(&state)?, asked.age()).await?)
}

/// All definitions, each open at once.
#[get("/dashboard/reports/definitions")]
pub(super) async fn definitions_page(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Marketing).await?;
    let context = context! {
        definitions => Value::from(Serde(definitions::all())),
        ..frame(&state, "definitions", asked.days(&state)?)
    };
    Ok(shown("all_definitions.html", &visitor, &context))
}
