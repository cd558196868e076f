//! The overview: what needs a person now, how much is at risk, how this month goes beside the last, what happens just now.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, get, web};
use jiff::{Timestamp, ToSpan};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use super::{Stop, chart, feed, session, shown};
use crate::domain::calendar;
use crate::domain::case::Case;
use crate::domain::command::EntryKind;
use crate::domain::outcome::Status;
use crate::domain::report::pace::{Months, Pace, pace};
use crate::domain::report::{By, Cohort, Cut, Report, Row, Sum};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::reports::{asked, recovery};
use crate::http::error::Problem;
use crate::http::wire::MoneyJson;
use crate::http::wire::case::CaseJson;
use crate::store::cases::{self, CaseFilter, Sort};
use crate::store::inbox::{self, InboxStatus};
use crate::store::{rollups, timeline};

/// How many cases are shown.
const NEWEST: u64 = 8;
/// How many of the cases that need a person are shown; the list has all.
const WAITING: u64 = 8;
/// One figure of the overview.
#[derive(Serialize)]
struct Tile {
    status: &'static str,
    cases: u64,
    amounts: Vec<MoneyJson>,
}

#[get("/dashboard")]
pub(super) async fn overview(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    let visitor = session::anybody(&state, &request).await?;
    let now = state.engine.clock().now();
    let two_months = two_months(&state, now);
    let report = last_months(&state, now).await?;
    let months = chart::periods(&report, visitor.language);
    let label = visitor.language.say("Recovery rate by month of the first failure");
    let role = visitor.caller.role;
    let sees_cases = role.allows(Role::Viewer);
    let (waiting, waiting_count) = if sees_cases {
        waiting(&state, role).await?
    } else {
        (Vec::new(), 0)
    };
    let lines = if sees_cases {
        feed::newest(&state, visitor.language, now).await?
    } else {
        Vec::new()
    };
    let context = context! {
        section => "overview",
        now => now.to_string(),
        tiles => Value::from(Serde(tiles(&report))),
        paces => Value::from(Serde(paces(&state, two_months).await?)),
        last_month => format!("from={}&to={}&by=decline_kind", two_months.before.first, two_months.month.first),
        chart => Value::from_safe_string(chart::svg(&months, label, visitor.language)),
        months => Value::from(Serde(&months)),
        newest => Value::from(Serde(newest(&state, role).await?)),
        dead => dead_events(&state, role).await?,
        waiting,
        waiting_count,
        lines => Value::from(Serde(lines)),
    };
    Ok(shown("overview.html", &visitor, &context))
}

async fn last_months(state: &HttpState, now: Timestamp) -> Result<Report, Problem> {
    let days = asked::days([None, None], &asked::zones(state), now)?;
    let cut = Cut {
        cohort: Cohort::Month,
        by: By::None,
    };
    recovery::over(state, days, cut).await
}

/// This month and the last one, by the days in the zone of the first connection.
fn two_months(state: &HttpState, now: Timestamp) -> Months {
    let zone = asked::zones(state).into_values().next();
    Months::at(now, &calendar::zone(zone.as_deref().unwrap_or("UTC")))
}

/// This month beside the last one at the same age.
async fn paces(state: &HttpState, months: Months) -> Result<Vec<Pace>, Problem> {
    let days = [months.before.first, months.month.last.saturating_add(1.day())];
    let conn = state.reports.conn();
    let opened = rollups::recovery(conn, days, By::None, Cohort::Day).await?;
    let ended = rollups::ended(conn, days).await?;
    pace(&opened, &ended, months).map_err(|error| {
        tracing::error!(%error, "the months could not be added up");
        Problem::internal()
    })
}

fn tiles(report: &Report) -> Vec<Tile> {
    let tile = |status: Status, of: fn(&Row) -> Sum| {
        let mut amounts = BTreeMap::new();
        let mut cases = 0;
        for row in &report.totals {
            let sum = of(row);
            cases += sum.cases;
            if sum.cases > 0 {
                let money = MoneyJson {
                    amount_minor: sum.amount_minor,
                    currency: row.currency.clone(),
                };
                amounts.insert(row.currency.clone(), money);
            }
        }
        Tile {
            status: status.as_str(),
            cases,
            amounts: amounts.into_values().collect(),
        }
    };
    vec![
        tile(Status::Open, |row| row.open),
        tile(Status::Recovered, |row| row.recovered),
        tile(Status::Exhausted, |row| row.exhausted),
        tile(Status::Stopped, |row| row.stopped),
    ]
}

/// The cases that a person has to look at, those that wait longest first, each with its reason; and how many there are.
async fn waiting(state: &HttpState, role: Role) -> Result<(Vec<Value>, u64), Problem> {
    let conn = state.store.conn();
    let filter = CaseFilter {
        needs_person: true,
        sort: Some(Sort::Oldest),
        limit: WAITING,
        ..CaseFilter::default()
    };
    let mut rows = Vec::new();
    for case in cases::list(conn, &filter).await? {
        let reason = reason(state, &case).await?;
        rows.push(context! { case => Value::from(Serde(CaseJson::of(&case, role))), reason });
    }
    Ok((rows, cases::count(conn, &filter).await?))
}

/// Why somebody should look at a case: what its timeline warned of last, else what comes next.
async fn reason(state: &HttpState, case: &Case) -> Result<Option<String>, Problem> {
    let warned = timeline::last_of(state.store.conn(), &case.id, EntryKind::Warned).await?;
    let next = || case.next_action().map(|next| next.why);
    Ok(warned.map(|line| line.text).or_else(next))
}

/// The newest cases, for those who may see cases.
async fn newest(state: &HttpState, role: Role) -> Result<Vec<CaseJson>, Problem> {
    if !role.allows(Role::Viewer) {
        return Ok(Vec::new());
    }
    let filter = CaseFilter {
        limit: NEWEST,
        ..CaseFilter::default()
    };
    let cases = cases::list(state.store.conn(), &filter).await?;
    Ok(cases.iter().map(|case| CaseJson::of(case, role)).collect())
}

/// How many events could not be worked on, for those who can act on it.
async fn dead_events(state: &HttpState, role: Role) -> Result<u64, Problem> {
    if !role.allows(Role::Billing) {
        return Ok(0);
    }
    let counts = inbox::counts(state.store.conn()).await?;
    Ok(counts
        .into_iter()
        .filter(|(status, _)| *status == InboxStatus::Dead)
        .map(|(_, count)| count)
        .sum())
}
