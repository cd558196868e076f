//! The page of one case: what comes next and why, its story, its attempts and mails, and what staff can do.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use super::{Stop, session, shown, to};
use crate::domain::case::Trigger;
use crate::domain::event::StaffAction;
use crate::domain::role::Role;
use crate::domain::{explain, forecast};
use crate::http::HttpState;
use crate::http::admin::cases::{act as acting, find, grounds};
use crate::http::error::Problem;
use crate::http::wire::MoneyJson;
use crate::http::wire::case::CaseJson;
use crate::http::wire::history::{NotificationJson, TimelineJson};
use crate::store::attempts::AttemptRow;
use crate::store::{attempts, notifications, timeline, touches};

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
    let context = context! {
        section => "cases",
        now => now.to_string(),
        case => Value::from(Serde(CaseJson::of(&case, visitor.caller.role))),
        open => case.outcome().is_none(),
        why => Value::from(Serde(explain::explain(&case, &campaign, None, grounds, now))),
        steps => Value::from(Serde(forecast::forecast(&case, &campaign, grounds, &written, now))),
        timeline => Value::from(Serde(lines)),
        attempts => Value::from(Serde(attempts)),
        mails => Value::from(Serde(mails)),
        acts => acts(),
        done => report.done.as_deref(),
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

/// What staff can do, with the words that the page puts on it.
fn acts() -> Vec<Value> {
    let one = |verb, title, text, danger| context! { verb, title, text, danger };
    vec![
        one(
            "retry",
            "Retry now",
            "Charges the customer now, where the rules of the card networks allow it.",
            false,
        ),
        one(
            "pause",
            "Pause",
            "Neither charges nor writes until the time you choose.",
            false,
        ),
        one(
            "resume",
            "Resume",
            "Goes on with a paused case. Skipped steps are not made up for.",
            false,
        ),
        one(
            "mark-paid",
            "Mark as paid",
            "The money came another way. The case ends as recovered.",
            false,
        ),
        one(
            "notes",
            "Add a note",
            "Writes into the timeline. Nothing else happens.",
            false,
        ),
        one("stop", "Stop", "Ends the chase. The invoice stays as it is.", true),
        one(
            "write-off",
            "Write off",
            "Gives the invoice up, at the provider too.",
            true,
        ),
    ]
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

#[post("/dashboard/cases/{id}/{verb}")]
pub(super) async fn act_on(
    state: web::Data<HttpState>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let (id, verb) = path.into_inner();
    let fields = session::posted(&state, &request, payload).await?;
    let field = |name: &str| fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let action = action_of(&verb, field("until"))?;
    let comment = field("comment").map(str::to_owned);
    match acting::act(&state, &visitor.caller, id, action, comment).await {
        Ok(case) => Ok(to(&format!("/dashboard/cases/{}?done={verb}", case.id))),
        Err(problem) if problem.status.as_u16() == 409 => {
            Ok(to(&format!("{}?refused={}", parent(request.path()), problem.code)))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// The address of the case that an act was sent to.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("/dashboard/cases", |(parent, _)| parent)
}

fn action_of(verb: &str, until: Option<&str>) -> Result<StaffAction, Problem> {
    Ok(match verb {
        "retry" => StaffAction::Retry,
        "pause" => StaffAction::Pause {
            until: until_of(until)?,
        },
        "resume" => StaffAction::Resume,
        "stop" => StaffAction::Stop,
        "mark-paid" => StaffAction::MarkPaid,
        "write-off" => StaffAction::WriteOff,
        "notes" => StaffAction::Note,
        _ => return Err(Problem::not_found("there is no such action")),
    })
}

/// A field `datetime-local`, which carries no zone; the page says that it means UTC.
pub(super) fn until_of(text: Option<&str>) -> Result<Timestamp, Problem> {
    let local: Option<DateTime> = text.and_then(|text| text.parse().ok());
    let instant = local
        .and_then(|local| local.to_zoned(TimeZone::UTC).ok())
        .map(|zoned| zoned.timestamp());
    instant.ok_or_else(|| Problem::bad_request("bad_field", "choose until when the case is paused"))
}
