//! The page of the desk: what waits for a second person, who is excluded, and invoices that are put in by hand.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::value::{Serde, merge_maps};
use minijinja::{Value, context};
use serde::Deserialize;

use super::{Stop, session, shown, to};
use crate::domain::approval::ApprovalStatus;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::approvals::{self as ruling, ApprovalJson};
use crate::http::admin::cases::act::remark;
use crate::http::admin::cases::open;
use crate::http::admin::exclusions::{self as excluding, ExclusionJson};
use crate::http::error::Problem;
use crate::http::wire::MoneyJson;
use crate::store::{approvals, exclusions};

const PAGE: &str = "/dashboard/desk";
/// How many entries of a list the page shows; the API lists all.
const SHOWN: u64 = 200;
/// How many decided approvals the page shows.
const DECIDED_SHOWN: usize = 20;

/// What the page was asked to report.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Report {
    done: Option<String>,
    refused: Option<String>,
}

#[get("/dashboard/desk")]
pub(super) async fn page(
    state: web::Data<HttpState>,
    request: HttpRequest,
    report: web::Query<Report>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let now = state.engine.clock().now();
    let conn = state.store.conn();
    let pending = (Some(ApprovalStatus::Pending), now);
    let waiting = approvals::list(conn, pending, None, SHOWN).await?;
    let waiting: Vec<Value> = waiting
        .iter()
        .map(|row| {
            let yours = row.asker_id == visitor.caller.key_id;
            merge_maps([context! { yours }, Value::from(Serde(ApprovalJson::of(row, now)))])
        })
        .collect();
    let all = approvals::list(conn, (None, now), None, SHOWN).await?;
    let decided = all.iter().filter(|row| row.status_at(now) != ApprovalStatus::Pending);
    let decided: Vec<ApprovalJson> = decided
        .take(DECIDED_SHOWN)
        .map(|row| ApprovalJson::of(row, now))
        .collect();
    let excluded = exclusions::list(conn, None, SHOWN).await?;
    let excluded: Vec<ExclusionJson> = excluded.iter().map(ExclusionJson::from).collect();
    let limits: Vec<MoneyJson> = state.approval_above.iter().map(|limit| (*limit).into()).collect();
    let context = context! {
        section => "desk",
        waiting,
        decided => Value::from(Serde(decided)),
        excluded => Value::from(Serde(excluded)),
        limits => Value::from(Serde(limits)),
        connections => state.engine.connections().into_iter().map(str::to_owned).collect::<Vec<_>>(),
        done => report.done.as_deref(),
        refused => report.refused.as_deref(),
    };
    Ok(shown("desk.html", &visitor, &context))
}

#[post("/dashboard/desk/approvals/{id}")]
pub(super) async fn rule(
    state: web::Data<HttpState>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let fields = session::posted(&state, &request, payload).await?;
    let (yes, done) = match field(&fields, "ruling") {
        Some("approve") => (true, "approve"),
        Some("refuse") => (false, "refuse"),
        Some(_) | None => return Err(Problem::bad_request("bad_field", "approve or refuse").into()),
    };
    let comment = field(&fields, "comment").map(str::to_owned);
    let ruled = ruling::rule(&state, &visitor.caller, id.into_inner(), (yes, comment)).await;
    back(ruled.map(|_| format!("{PAGE}?done={done}")))
}

#[post("/dashboard/desk/invoices")]
pub(super) async fn put_in(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let fields = session::posted(&state, &request, payload).await?;
    let (connection, invoice) = (field(&fields, "connection"), field(&fields, "invoice_id"));
    let comment = field(&fields, "comment");
    let names = (connection.unwrap_or_default(), invoice.unwrap_or_default());
    let opened = open::put_in(&state, &visitor.caller, names.0, names.1, comment).await;
    back(opened.map(|case| format!("/dashboard/cases/{}?done=put-in", case.id)))
}

#[post("/dashboard/desk/exclusions/{verb}")]
pub(super) async fn exclude(
    state: web::Data<HttpState>,
    request: HttpRequest,
    verb: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let fields = session::posted(&state, &request, payload).await?;
    let customer = (
        field(&fields, "connection").unwrap_or_default(),
        field(&fields, "customer_id").unwrap_or_default(),
    );
    let comment = remark(field(&fields, "comment"))?;
    let caller = &visitor.caller;
    let done = match verb.as_str() {
        "add" => excluding::exclude(&state, caller, customer, comment)
            .await
            .map(|_| "exclude"),
        "lift" => excluding::include(&state, caller, customer, comment)
            .await
            .map(|_| "lift"),
        _ => Err(Problem::not_found("there is no such action")),
    };
    back(done.map(|done| format!("{PAGE}?done={done}")))
}

fn field<'a>(fields: &'a HashMap<String, String>, name: &str) -> Option<&'a str> {
    fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Where the browser goes: to what was done, or to the page with the reason why not.
fn back(done: Result<String, Problem>) -> Result<HttpResponse, Stop> {
    match done {
        Ok(address) => Ok(to(&address)),
        Err(problem) if matches!(problem.status.as_u16(), 409 | 422) => {
            Ok(to(&format!("{PAGE}?refused={}", problem.code)))
        }
        Err(problem) => Err(problem.into()),
    }
}
