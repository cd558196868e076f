//! `POST /v1/campaigns`

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post, web};
use serde::Deserialize;

use super::CampaignJson;
use crate::clock;
use crate::domain::campaign::{BadCampaign, Campaign, Fault};
use crate::domain::ids::AuditId;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::{FieldError, Problem};
use crate::store::audit::{self, AuditRow};
use crate::store::{StoreError, campaigns};

/// A campaign to publish.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCampaignBody {
    /// The campaign as its TOML file.
    pub text: String,
}

/// Publishes a version of a campaign, which never changes afterwards: running cases keep theirs, and new cases take the
/// newest version of the first campaign that has a segment for them, or of `default`. What `recoup check` says of the file, the problem says here, with line and column.
#[utoipa::path(tag = "campaigns", request_body = CreateCampaignBody, responses((status = 201, description = "The campaign.", body = CampaignJson)))]
#[post("/v1/campaigns")]
pub(in crate::http::admin) async fn create(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<CreateCampaignBody>,
) -> Result<HttpResponse, Problem> {
    let campaign = publish(&state, &caller, &body.0.text).await?;
    Ok(HttpResponse::Created().json(CampaignJson::from(&campaign)))
}

/// Publishes a text in the caller's name.
pub(in crate::http) async fn publish(state: &HttpState, caller: &Caller, text: &str) -> Result<Campaign, Problem> {
    let now = state.engine.clock().now();
    let tx = state.store.begin().await?;
    let others = campaigns::list(tx.conn()).await?;
    let campaign = Campaign::review(text, &others).map_err(|BadCampaign(faults)| refused(&faults))?;
    match campaigns::publish(tx.conn(), &campaign, text, now).await {
        Ok(()) => {}
        Err(StoreError::Conflict(detail)) => {
            return Err(Problem::new(StatusCode::CONFLICT, "version_taken", detail));
        }
        Err(error) => return Err(error.into()),
    }
    let entry = AuditRow {
        id: AuditId::new(now.as_millisecond(), clock::entropy()),
        at: now,
        actor: caller.name.clone(),
        action: "campaigns.create".to_owned(),
        object: format!("{}@{}", campaign.name, campaign.version),
        comment: None,
    };
    audit::append(&tx, &entry).await?;
    tx.commit().await?;
    state.engine.hear_of_campaigns().await?;
    Ok(campaign)
}

fn refused(faults: &[Fault]) -> Problem {
    let error = |fault: &Fault| FieldError {
        line: fault.at.map(|at| at.line),
        column: fault.at.map(|at| at.column),
        detail: fault.what.clone(),
    };
    let detail = format!("the campaign has {} faults; errors lists them", faults.len());
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_campaign", detail)
        .with_errors(faults.iter().map(error).collect())
}
