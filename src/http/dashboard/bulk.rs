//! One act on many cases: first what would become of each, then, once that was read, what did.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use jiff::Timestamp;
use minijinja::value::Serde;
use minijinja::{Value, context};

use super::session::{self, Visitor};
use super::{Stop, cases, page, to};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::cases::bulk::{self, BulkAction, BulkBody};
use crate::http::error::Problem;

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
}

/// Who comes back to the address of the form begins with the list again.
#[get("/dashboard/bulk")]
pub(super) async fn again() -> HttpResponse {
    to("/dashboard/cases")
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
    let answer = bulk::carry_out(&state, &visitor.caller, &plan, !sure).await?;
    let context = context! {
        section => "cases",
        fault => (),
        action => action.as_str(),
        danger => action == BulkAction::Stop,
        until,
        comment => plan.comment,
        back => cases::address(&list, &[]),
        list,
        answer => Value::from(Serde(&answer)),
    };
    Ok(page(StatusCode::OK, "bulk.html", Some(&visitor), &context))
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
