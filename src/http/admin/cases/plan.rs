//! `POST /v1/cases/{id}/...`: what staff can change of a plan: skip a step, extend, hold and release, go over to another version.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post, web};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::act::{ActBody, answer};
use crate::domain::campaign::Campaign;
use crate::domain::case::CampaignRef;
use crate::domain::event::{ExtendTo, MigrateHow, SkipStep, StaffAction};
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::wire;
use crate::http::wire::case::CaseJson;
use crate::store::campaigns;

/// Which step is passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipBody {
    /// The next charge, or the next message.
    pub step: SkipStep,
    /// A remark for the timeline and the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

/// How much later the campaign ends. One of both is given.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendBody {
    /// So many days later than it would.
    #[schema(minimum = 1, maximum = 60)]
    pub days: Option<u16>,
    /// Not before this instant; it ends at the campaign's hour then, or on the next day.
    #[schema(format = DateTime)]
    pub until: Option<String>,
    /// A remark for the timeline and the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

/// Which version the case goes over to.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveBody {
    /// The version: `name@version`.
    #[schema(max_length = 270, pattern = "^.+@[0-9]+$")]
    pub to: String,
    /// Where the case stands in it. `keep`: it keeps its start, and of the messages that would have come by now the last one comes at
    /// once. `elapsed`: it keeps its start, and what would have come by now is passed over. `restart`: the campaign begins now.
    pub how: MigrateHow,
    /// A remark for the timeline and the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(skip)
        .service(extend)
        .service(hold)
        .service(release)
        .service(migrate);
}

/// Passes over the next charge or the next message; never over the notice of the end.
#[utoipa::path(tag = "cases", request_body = SkipBody, responses((status = 200, description = "The case as it is now.", body = CaseJson)))]
#[post("/v1/cases/{id}/skip")]
async fn skip(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<SkipBody>,
) -> Result<HttpResponse, Problem> {
    let action = StaffAction::Skip { step: body.0.step };
    answer(&state, &caller, id, action, body.0.comment).await
}

/// Lets the campaign end later, and its notice with it: where that has left already, it comes once more with the new date.
///
/// An end may be put off to 60 days after the one that the campaign itself has.
#[utoipa::path(tag = "cases", request_body = ExtendBody, responses((status = 200, description = "The case as it is now.", body = CaseJson)))]
#[post("/v1/cases/{id}/extend")]
async fn extend(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<ExtendBody>,
) -> Result<HttpResponse, Problem> {
    let to = extend_to(body.0.days, body.0.until.as_deref())?;
    answer(&state, &caller, id, StaffAction::Extend { to }, body.0.comment).await
}

/// How much later a campaign is to end: exactly one of both forms.
pub(in crate::http) fn extend_to(days: Option<u16>, until: Option<&str>) -> Result<ExtendTo, Problem> {
    match (days, until) {
        (Some(days), None) => Ok(ExtendTo::Days(days)),
        (None, Some(until)) => Ok(ExtendTo::Until(wire::instant("until", until)?)),
        (Some(_), Some(_)) | (None, None) => Err(bad_field("give either `days` or `until`")),
    }
}

/// Does nothing until the case is released, because the customer disputes what is owed. The invoice is watched meanwhile.
#[utoipa::path(tag = "cases", request_body = inline(Option<ActBody>), responses((status = 200, description = "The case as it is now.", body = CaseJson)))]
#[post("/v1/cases/{id}/hold")]
async fn hold(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<ActBody>,
) -> Result<HttpResponse, Problem> {
    answer(&state, &caller, id, StaffAction::Hold, body.0.comment).await
}

/// Goes on with a case that was on hold; its end comes later by as many days as the hold lasted.
#[utoipa::path(tag = "cases", request_body = inline(Option<ActBody>), responses((status = 200, description = "The case as it is now.", body = CaseJson)))]
#[post("/v1/cases/{id}/release")]
async fn release(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<ActBody>,
) -> Result<HttpResponse, Problem> {
    answer(&state, &caller, id, StaffAction::Release, body.0.comment).await
}

/// Moves one case to another version of a campaign. `GET /v1/cases/{id}/forecast?campaign=` says before what would be planned.
#[utoipa::path(tag = "cases", request_body = MoveBody, responses((status = 200, description = "The case as it is now.", body = CaseJson)))]
#[post("/v1/cases/{id}/migrate")]
async fn migrate(
    state: web::Data<HttpState>,
    caller: Caller,
    id: web::Path<String>,
    body: JsonBody<MoveBody>,
) -> Result<HttpResponse, Problem> {
    let campaign = version(&state, &body.0.to).await?;
    let action = StaffAction::Migrate {
        campaign: Box::new(campaign),
        how: body.0.how,
    };
    answer(&state, &caller, id, action, body.0.comment).await
}

/// The version of a campaign that a text names.
pub(in crate::http) async fn version(state: &HttpState, name: &str) -> Result<Campaign, Problem> {
    let to: CampaignRef = name.parse().map_err(|error| bad_field(format!("to: {error}")))?;
    let found = match i32::try_from(to.version) {
        Ok(_) => campaigns::get(state.store.conn(), &to.name, to.version).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| Problem::not_found("there is no such version of a campaign to move to"))
}

fn bad_field(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", detail)
}
