//! The overview: how much is open, how much came back, and how each month went.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, get, web};
use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use super::{Stop, chart, session, show, shown};
use crate::domain::outcome::Status;
use crate::domain::report::{By, Cohort, Cut, Report, Row, Sum};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::reports::{asked, recovery};
use crate::http::error::Problem;
use crate::http::wire::case::CaseJson;
use crate::store::cases::{self, CaseFilter};
use crate::store::inbox::{self, InboxStatus};

/// How many cases are shown.
const NEWEST: u64 = 8;

/// One figure of the overview.
#[derive(Serialize)]
struct Tile {
    status: &'static str,
    title: &'static str,
    cases: u64,
    amounts: Vec<String>,
}

#[get("/dashboard")]
pub(super) async fn overview(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    let visitor = session::anybody(&state, &request).await?;
    let now = state.engine.clock().now();
    let report = last_months(&state, now).await?;
    let months = chart::months(&report);
    let context = context! {
        section => "overview",
        now => now.to_string(),
        tiles => Value::from(Serde(tiles(&report))),
        chart => Value::from_safe_string(chart::svg(&months)),
        months => Value::from(Serde(&months)),
        newest => Value::from(Serde(newest(&state, visitor.caller.role).await?)),
        dead => dead_events(&state, visitor.caller.role).await?,
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

fn tiles(report: &Report) -> Vec<Tile> {
    let tile = |status: Status, title, of: fn(&Row) -> Sum| {
        let mut amounts = BTreeMap::new();
        let mut cases = 0;
        for row in &report.totals {
            let sum = of(row);
            cases += sum.cases;
            if sum.cases > 0 {
                amounts.insert(row.currency.clone(), show::money(sum.amount_minor, &row.currency));
            }
        }
        Tile {
            status: status.as_str(),
            title,
            cases,
            amounts: amounts.into_values().collect(),
        }
    };
    vec![
        tile(Status::Open, "Open", |row| row.open),
        tile(Status::Recovered, "Recovered", |row| row.recovered),
        tile(Status::Exhausted, "Exhausted", |row| row.exhausted),
        tile(Status::Stopped, "Stopped", |row| row.stopped),
    ]
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
