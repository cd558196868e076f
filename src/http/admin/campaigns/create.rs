//! `POST /v1/campaigns`

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post, web};
use jiff::Timestamp;
use serde::Deserialize;

use super::CampaignJson;
use crate::clock;
use crate::domain::campaign::{BadCampaign, Campaign, Fault};
use crate::domain::case::CampaignRef;
use crate::domain::ids::AuditId;
use crate::http::HttpState;
use crate::http::admin::publications::{self, PublicationJson};
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::{FieldError, Problem};
use crate::store::audit::{self, AuditRow};
use crate::store::publications::PublicationRow;
use crate::store::{StoreError, Tx, campaigns};

/// The code of the problem that a version is published already.
pub(in crate::http) const ALREADY_PUBLISHED: &str = "already_published";

/// A campaign to publish.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCampaignBody {
    /// The campaign as its TOML file.
    pub text: String,
}

/// Publishes a version of a campaign, which never changes afterwards: running cases keep theirs, and new cases take the
/// newest version of the first campaign that has a segment for them, or of `default`. What `recoup check` says of the file, the problem says here, with line and column.
///
/// With `desk.approval_to_publish` it answers 202, and the version waits for a second person at `/v1/publications`. A version that is
/// published already with the same content is 201 again without it, and with it the problem `already_published`: there is nothing to ask for.
#[utoipa::path(tag = "campaigns", request_body = CreateCampaignBody, responses(
    (status = 201, description = "The campaign.", body = CampaignJson),
    (status = 202, description = "It waits for a second person.", body = PublicationJson),
))]
#[post("/v1/campaigns")]
pub(in crate::http::admin) async fn create(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<CreateCampaignBody>,
) -> Result<HttpResponse, Problem> {
    Ok(match publish(&state, &caller, &body.0.text).await? {
        Published::Now(campaign) => HttpResponse::Created().json(CampaignJson::from(&*campaign)),
        Published::Asked(row) => {
            let now = state.engine.clock().now();
            HttpResponse::Accepted().json(PublicationJson::of(&row, now))
        }
    })
}

/// What became of a text that somebody publishes.
pub(in crate::http) enum Published {
    /// New cases take it.
    Now(Box<Campaign>),
    /// It waits for a second person.
    Asked(Box<PublicationRow>),
}

/// Publishes a text in the caller's name, or asks for a second person to do so.
pub(in crate::http) async fn publish(state: &HttpState, caller: &Caller, text: &str) -> Result<Published, Problem> {
    let now = state.engine.clock().now();
    let tx = state.store.begin().await?;
    let campaign = put(&tx, text, now).await?;
    if state.approval_to_publish {
        // What was put shows that it could be published; only the wish for it is kept.
        drop(tx);
        let tx = state.store.begin().await?;
        let version = CampaignRef::of(&campaign);
        if campaigns::get(tx.conn(), &version.name, version.version)
            .await?
            .is_some()
        {
            return Err(already_published(&version));
        }
        let asked = publications::ask(&tx, caller, (&campaign, text), now).await?;
        tx.commit().await?;
        return Ok(Published::Asked(Box::new(asked)));
    }
    let entry = AuditRow {
        id: AuditId::new(now.as_millisecond(), clock::entropy()),
        at: now,
        actor: caller.name.clone(),
        action: "campaigns.create".to_owned(),
        object: CampaignRef::of(&campaign).to_string(),
        comment: None,
    };
    audit::append(&tx, &entry).await?;
    tx.commit().await?;
    state.engine.hear_of_campaigns().await?;
    Ok(Published::Now(Box::new(campaign)))
}

/// Nobody's time is asked for what would change nothing.
fn already_published(version: &CampaignRef) -> Problem {
    let detail = format!("{version} is published already, with the same content: there is nothing to ask for");
    Problem::new(StatusCode::CONFLICT, ALREADY_PUBLISHED, detail)
}

/// Puts a text among the campaigns once it is looked over beside those that are there.
pub(in crate::http::admin) async fn put(tx: &Tx, text: &str, now: Timestamp) -> Result<Campaign, Problem> {
    let others = campaigns::list(tx.conn()).await?;
    let campaign = Campaign::review(text, &others).map_err(|BadCampaign(faults)| refused(&faults))?;
    match campaigns::publish(tx.conn(), &campaign, text, now).await {
        Ok(()) => Ok(campaign),
        Err(StoreError::Conflict(detail)) => Err(Problem::new(StatusCode::CONFLICT, "version_taken", detail)),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn refused(faults: &[Fault]) -> Problem {
    let error = |fault: &Fault| FieldError {
        line: fault.at.map(|at| at.line),
        column: fault.at.map(|at| at.column),
        detail: fault.what.clone(),
    };
    let detail = format!("the campaign has {} faults; errors lists them", faults.len());
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_campaign", detail)
        .with_errors(faults.iter().map(error).collect())
}
