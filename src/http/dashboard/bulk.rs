//! One act on many cases: first what would become of each, then, once that was read, what did. The result is kept and has an address,
//! so that loading it again does nothing again.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};
use url::form_urlencoded::Serializer;

use super::session::{self, Visitor};
use super::{Stop, cases, page, to};
use crate::clock;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::cases::bulk::{self, BulkAction, BulkAnswer, BulkBody};
use crate::http::error::Problem;
use crate::http::idempotency::{self, Start};
use crate::http::page::plain;

const PAGE: &str = "/dashboard/bulk";
/// The most bytes of the form: every case of the largest act by its id.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// The fields of the form, several of which may have the same name.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn one(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter().filter(|(other, _)| other == name);
        let value = all.next().map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    fn all(&self, name: &str) -> Vec<String> {
        let all = self.0.iter().filter(|(other, _)| other == name);
        all.map(|(_, value)| value.clone()).collect()
    }

    /// All that the form asks for, to tell it from another one under the same key.
    fn asked(&self) -> Vec<u8> {
        let mut asked = Serializer::new(String::new());
        let fields = self.0.iter().filter(|(name, _)| name != session::CSRF);
        asked.extend_pairs(fields);
        asked.finish().into_bytes()
    }
}

/// Under which key the result to show was kept.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    once: Option<String>,
}

/// What the page tells of an act, done or not.
#[derive(Serialize)]
struct Told {
    action: BulkAction,
    until: Option<String>,
    comment: Option<String>,
    list: String,
    answer: BulkAnswer,
}

/// Shows what became of an act, as often as it is loaded. Who comes for none begins with the list.
#[get("/dashboard/bulk")]
pub(super) async fn result(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let Some(once) = plain("once", asked.into_inner().once)? else {
        return Ok(to("/dashboard/cases"));
    };
    let kept = idempotency::shown_again(&state, &visitor.caller, &once, PAGE).await?;
    let kept = kept.ok_or_else(|| {
        Problem::not_found("of this act nothing is kept here: the cases and the audit log tell what was done")
    })?;
    let told: serde_json::Value = serde_json::from_slice(&kept).map_err(|_| Problem::internal())?;
    Ok(shown(&visitor, &told, None))
}

#[post("/dashboard/bulk")]
pub(super) async fn submit(
    state: web::Data<HttpState>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let fields = Fields(session::posted_fields(&state, &request, payload, FORM_BYTES_MAX).await?);
    let list = fields.one("list").unwrap_or_default().to_owned();
    let sure = fields.one("sure") == Some("yes");
    let body = match body(&fields, &list, sure) {
        Ok(body) => body,
        Err(problem) => return Ok(refused(&visitor, &list, &problem)),
    };
    let (action, until) = (body.action, body.until.clone());
    let plan = match bulk::plan(&state, body).await {
        Ok(plan) if plan.ids.is_empty() => {
            let nothing = Problem::bad_request("no_case", "choose at least one case");
            return Ok(refused(&visitor, &list, &nothing));
        }
        Ok(plan) => plan,
        Err(problem) if problem.status.is_client_error() => return Ok(refused(&visitor, &list, &problem)),
        Err(problem) => return Err(problem.into()),
    };
    let told = |answer: BulkAnswer| Told {
        action,
        until,
        comment: plan.comment.clone(),
        list,
        answer,
    };
    if !sure {
        let answer = bulk::carry_out(&state, &visitor.caller, &plan, true).await?;
        let once = format!("bulk_{:032x}", clock::entropy());
        return Ok(shown(&visitor, &told(answer), Some(&once)));
    }
    let once = fields.one("once").unwrap_or_default();
    let key = idempotency::Key::of_form(&visitor.caller, once, PAGE, &fields.asked())?;
    match idempotency::begin(&state, &key).await {
        Ok(Start::Fresh) => {}
        Ok(Start::Again(_)) => return Ok(to(&address(once))),
        Err(problem) if problem.code == "idempotency_in_flight" => return Err(under_way().into()),
        Err(problem) => return Err(problem.into()),
    }
    match bulk::carry_out(&state, &visitor.caller, &plan, false).await {
        Ok(answer) => {
            let kept = serde_json::to_vec(&told(answer)).map_err(|_| Problem::internal())?;
            idempotency::keep_shown(&state, &key, &kept).await?;
            Ok(to(&address(once)))
        }
        Err(problem) => {
            idempotency::let_go(&state, &key).await;
            Err(problem.into())
        }
    }
}

/// Where the result under a key is shown.
fn address(once: &str) -> String {
    let mut query = Serializer::new(String::new());
    format!("{PAGE}?{}", query.append_pair("once", once).finish())
}

fn under_way() -> Problem {
    let detail = "this act is under way already, or broke off: load the page again in a moment, or look at the cases";
    Problem::new(StatusCode::CONFLICT, "idempotency_in_flight", detail)
}

/// The page of an act. With a key it offers to do it.
fn shown(visitor: &Visitor, told: &impl Serialize, once: Option<&str>) -> HttpResponse {
    let told = Value::from(Serde(told));
    let list = told.get_attr("list").ok();
    let list = list.as_ref().and_then(Value::as_str).unwrap_or_default();
    let context = context! {
        section => "cases",
        fault => (),
        once,
        back => cases::address(list, &[]),
        ..told
    };
    page(StatusCode::OK, "bulk.html", Some(visitor), &context)
}

/// What is asked for. The second time the form names each case that was shown, so that nothing is done to one that came since.
fn body(fields: &Fields, list: &str, sure: bool) -> Result<BulkBody, Problem> {
    let all = !sure && fields.one("scope") == Some("all");
    let action: BulkAction = fields
        .one("action")
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| Problem::bad_request("bad_field", "choose what is to be done"))?;
    let until = fields.one("until").filter(|_| action == BulkAction::Pause);
    let until = until.map(|until| super::case::acts::until_of(Some(until)).or_else(|_| instant(until)));
    Ok(BulkBody {
        action,
        until: until.transpose()?.map(|until| until.to_string()),
        comment: fields.one("comment").map(str::to_owned),
        ids: (!all).then(|| fields.all("id")),
        matching: all.then(|| list.to_owned()),
        dry_run: !sure,
    })
}

/// The page that asks for confirmation sends the instant as it was read.
fn instant(text: &str) -> Result<Timestamp, Problem> {
    let bad = |_| Problem::bad_request("bad_field", "choose until when the cases are paused");
    text.parse().map_err(bad)
}

fn refused(visitor: &Visitor, list: &str, problem: &Problem) -> HttpResponse {
    let context = context! {
        section => "cases",
        fault => &*problem.detail,
        back => cases::address(list, &[]),
    };
    page(problem.status, "bulk.html", Some(visitor), &context)
}
