//! `GET /v1/standing/{customer_id}`

use actix_web::http::StatusCode;
use actix_web::http::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::domain::ids::CaseId;
use crate::domain::standing::{Standing, standing};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page;
use crate::http::wire::{Instant, MoneyJson};
use crate::links::Purpose;
use crate::store::cases::{self, CaseFilter};

/// More cases of one customer than anybody looks at: the newest ones count.
const CASES_MAX: u64 = 200;

/// How a customer's account stands.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct StandingJson {
    /// The provider's name for the customer.
    pub customer_id: String,
    /// How the account stands.
    pub standing: Standing,
    /// When the grace ends, where it stands in grace.
    pub grace_until: Option<Instant>,
    /// Since when it is suspended, where it is.
    pub suspended_since: Option<Instant>,
    /// The case behind it.
    #[schema(value_type = Option<String>)]
    pub case_id: Option<CaseId>,
    /// What is owed.
    pub amount_due: Option<MoneyJson>,
    /// Why the charge was declined, a sentence for the customer in the customer's language.
    pub reason: Option<String>,
    /// Where the customer pays.
    pub pay_url: Option<String>,
}

/// Tells how a customer's account stands: `good`, in `grace` or `suspended`, why, and where to pay. Ask with `If-None-Match` as
/// often as you like.
#[utoipa::path(tag = "standing", params(("customer_id" = String, Path, description = "The provider's name for the customer.")), responses((status = 200, description = "The standing; one that nobody knows of is good.", body = StandingJson), (status = 304, description = "It stands as the ETag says.")))]
#[get("/v1/standing/{customer_id}")]
pub(super) async fn get(
    state: web::Data<HttpState>,
    request: HttpRequest,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let customer_id = page::known(customer_id.into_inner())?;
    let filter = CaseFilter {
        customer_id: Some(customer_id.clone()),
        limit: CASES_MAX,
        ..CaseFilter::default()
    };
    let found = cases::list(state.store.conn(), &filter).await?;
    let account = standing(&found);
    let engine = &state.engine;
    let case = account.case;
    let page = case.and_then(|case| engine.links()?.url(Purpose::Page, &case.id, engine.clock().now()));
    let facts = case.and_then(|case| engine.facts(case));
    let at = |wanted| account.at.filter(|_| account.standing == wanted).map(Instant);
    let wording = facts.as_ref().and_then(|facts| facts.wording);
    let said = StandingJson {
        customer_id,
        standing: account.standing,
        grace_until: at(Standing::Grace),
        suspended_since: at(Standing::Suspended),
        case_id: case.map(|case| case.id.clone()),
        amount_due: case.map(|case| case.amount_due.into()),
        reason: case
            .zip(wording)
            .map(|(case, wording)| engine.locale(case).reason(wording).to_owned()),
        pay_url: page.clone().or_else(|| facts?.action_url),
    };
    // Each link to our page is another, though it leads to the same: the tag leaves it out.
    let lasting = serde_json::to_vec(&StandingJson {
        pay_url: None,
        ..said.clone()
    });
    let digest = Sha256::digest(lasting.map_err(|_| Problem::internal())?);
    let tag = format!("\"{}\"", hex::encode(&digest[..16]));
    let known = request
        .headers()
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let mut answer =
        if known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)) {
            HttpResponse::build(StatusCode::NOT_MODIFIED).finish()
        } else {
            HttpResponse::Ok().json(said)
        };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.headers_mut().insert(ETAG, tag);
    }
    Ok(answer)
}
