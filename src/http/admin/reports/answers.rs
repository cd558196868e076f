//! `GET /v1/reports/answers`

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, web};
use serde::Serialize;

use super::asked::{self, SpanQuery};
use crate::domain::event::CustomerAnswer;
use crate::domain::outcome::Status;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::reports;

/// What each figure means, printed with every report.
const DEFINITIONS: [(&str, &str); 3] = [
    (
        "opened",
        "All cases opened in the span, whether their customers saw the question or not. Reversals are not among them.",
    ),
    (
        "data",
        "The cases whose customer answered, on the page behind the links in messages, what would help. The last answer of a case counts. \
         Nobody has to answer, so those who do are not like those who do not.",
    ),
    (
        "recovered, exhausted, stopped, open",
        "Where the cases with that answer stand now. A case that is open can still become any of the others.",
    ),
];

/// What customers said would help.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AnswersReport {
    /// Begin of the span.
    pub from: Instant,
    /// End of the span, itself not included.
    pub to: Instant,
    /// The zone in which days begin.
    pub zone: String,
    /// When it was computed.
    pub as_of: Instant,
    /// What each figure means.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub definitions: BTreeMap<&'static str, &'static str>,
    /// How many cases were opened.
    pub opened: u64,
    /// In how many of them the customer answered.
    pub answered: u64,
    /// A row for each answer.
    pub data: Vec<AnswerRow>,
}

/// The cases with one answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AnswerRow {
    /// The answer.
    pub answer: CustomerAnswer,
    /// How many cases.
    pub cases: u64,
    /// How many of them recovered.
    pub recovered: u64,
    /// How many ended without money.
    pub exhausted: u64,
    /// How many were stopped.
    pub stopped: u64,
    /// How many are open.
    pub open: u64,
}

/// Says what customers answered when their page asked what would help, and what became of their cases.
#[utoipa::path(
    tag = "reports",
    params(SpanQuery),
    responses((status = 200, description = "The report.", body = AnswersReport)),
)]
#[get("/v1/reports/answers")]
pub(in crate::http::admin) async fn answers(
    state: web::Data<HttpState>,
    query: web::Query<SpanQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let now = state.engine.clock().now();
    let (zone_name, zone) = asked::zone(query.zone)?;
    let (from, to) = asked::span([query.from.as_deref(), query.to.as_deref()], &zone, now)?;
    let conn = state.reports.conn();
    let given = reports::answers(conn, from, to).await?;
    Ok(HttpResponse::Ok().json(AnswersReport {
        from: Instant(from),
        to: Instant(to),
        zone: zone_name,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().collect(),
        opened: reports::opened(conn, from, to).await?,
        answered: given.len() as u64,
        data: CustomerAnswer::ALL.iter().map(|answer| row(*answer, &given)).collect(),
    }))
}

fn row(answer: CustomerAnswer, given: &[(CustomerAnswer, Status)]) -> AnswerRow {
    let count = |status: Option<Status>| {
        let its = given.iter().filter(|(one, _)| *one == answer);
        its.filter(|(_, stands)| status.is_none_or(|status| *stands == status))
            .count() as u64
    };
    AnswerRow {
        answer,
        cases: count(None),
        recovered: count(Some(Status::Recovered)),
        exhausted: count(Some(Status::Exhausted)),
        stopped: count(Some(Status::Stopped)),
        open: count(Some(Status::Open)),
    }
}
