//! The page of one case: what comes next and why, its story, its attempts and mails, and what staff can do.

use actix_web::{HttpRequest, HttpResponse, get, web};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use super::{Stop, session, shown};
use crate::domain::case::Trigger;
use crate::domain::command::EntryKind;
use crate::domain::role::Role;
use crate::domain::{explain, forecast};
use crate::http::HttpState;
use crate::http::admin::approvals::ApprovalJson;
use crate::http::admin::cases::{find, grounds, retry};
use crate::http::error::Problem;
use crate::http::wire::MoneyJson;
use crate::http::wire::case::CaseJson;
use crate::http::wire::history::{NotificationJson, TimelineJson};
use crate::store::attempts::AttemptRow;
use crate::store::{approvals, attempts, notifications, timeline, touches};

pub(super) mod acts;

/// How many lines of a timeline a page shows.
const LINES_MAX: u64 = 500;

/// One attempt as the page shows it.
#[derive(Serialize)]
struct Attempt {
    at: String,
    origin: &'static str,
    trigger: Option<&'static str>,
    status: &'static str,
    amount: MoneyJson,
    decline: Option<String>,
    code: Option<String>,
    charge_id: Option<String>,
}

/// What the page was asked to report.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Report {
    done: Option<String>,
    refused: Option<String>,
}

#[get("/dashboard/cases/{id}")]
pub(super) async fn show_case(
    state: web::Data<HttpState>,
    request: HttpRequest,
    id: web::Path<String>,
    report: web::Query<Report>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Viewer).await?;
    let case = find(&state, id.into_inner()).await?;
    let campaign = state.engine.campaign(&case.campaign).await?;
    let now = state.engine.clock().now();
    let conn = state.store.conn();
    let lines = timeline::by_case(conn, &case.id, LINES_MAX, None).await?;
    let plan = timeline::last_of(conn, &case.id, EntryKind::Planned).await?;
    let plan = plan.map(|line| line.data);
    let lines: Vec<_> = lines.iter().map(TimelineJson::from).collect();
    let attempts = attempts::by_case(conn, &case.id).await?;
    let attempts: Vec<_> = attempts.iter().map(Attempt::from).collect();
    let mails = notifications::by_case(conn, &case.id).await?;
    let mails: Vec<_> = mails
        .iter()
        .map(|row| NotificationJson::of(row, visitor.caller.role))
        .collect();
    let learned = state.engine.learned();
    let history = state.engine.history(&case).await?;
    let grounds = grounds(&state, &case, &learned, &history);
    let written = touches::written(conn, &case.connection, &case.customer_id).await?;
    let retry = retry::check(&state, &case).await?;
    let waiting = approvals::of_case(conn, &case.id, now).await?;
    let waiting: Vec<_> = waiting.iter().map(|row| ApprovalJson::of(row, now)).collect();
    let acts = acts::offered(&state, &case, &campaign, &retry, visitor.language).await?;
    let context = context! {
        section => "cases",
        now => now.to_string(),
        case => Value::from(Serde(CaseJson::of(&case, visitor.caller.role))),
        open => case.outcome().is_none(),
        why => Value::from(Serde(explain::explain(&case, &campaign, plan, grounds, now))),
        steps => Value::from(Serde(forecast::forecast(&case, &campaign, grounds, &written, now))),
        timeline => Value::from(Serde(lines)),
        attempts => Value::from(Serde(attempts)),
        mails => Value::from(Serde(mails)),
        acts => acts,
        done => report.done.as_deref(),
        waiting => Value::from(Serde(waiting)),
        undo => case.memory.undo.as_ref().filter(|undo| undo.until > now).map(|undo| undo.act.as_str()),
        refused => report.refused.as_deref(),
    };
    Ok(shown("case.html", &visitor, &context))
}

impl From<&AttemptRow> for Attempt {
    fn from(row: &AttemptRow) -> Self {
        Self {
            at: row.started_at.to_string(),
            origin: row.origin.as_str(),
            trigger: row.trigger.map(Trigger::as_str),
            status: row.status.as_str(),
            amount: row.amount.into(),
            decline: row.decline.as_ref().map(|decline| decline.kind.to_string()),
            code: row.decline.as_ref().and_then(|decline| decline.provider_code.clone()),
            charge_id: row.charge_id.clone(),
        }
    }
}

/// The HTML of a mail, for the frame on the page; its own headers keep it from doing anything.
#[get("/dashboard/cases/{id}/mails/{mail}")]
pub(super) async fn mail(
    state: web::Data<HttpState>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Stop> {
    session::visitor(&state, &request, Role::Viewer).await?;
    let (id, mail) = path.into_inner();
    let case = find(&state, id).await?;
    let mails = notifications::by_case(state.store.conn(), &case.id).await?;
    let html = mails
        .into_iter()
        .find(|row| row.id.as_str() == mail)
        .and_then(|row| row.body_html);
    let html = html.ok_or_else(|| Problem::not_found("there is no such mail"))?;
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html))
}
