//! `POST /v1/cases`: staff puts an invoice in by hand.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post, web};
use serde::Deserialize;

use super::act::remark;
use crate::domain::case::Case;
use crate::domain::decide::NoCase;
use crate::engine::NotPutIn;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::body::JsonBody;
use crate::http::error::Problem;
use crate::http::page;
use crate::http::wire::case::CaseJson;
use crate::providers::ReadError;

/// Which invoice.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenBody {
    /// The connection that it belongs to.
    #[schema(min_length = 1, max_length = 255)]
    pub connection: String,
    /// The provider's id of it.
    #[schema(min_length = 1, max_length = 255)]
    pub invoice_id: String,
    /// A remark for the timeline and the audit.
    #[schema(max_length = 2000)]
    pub comment: Option<String>,
}

/// Puts an invoice in by hand: it is read at the provider, and chased where it is owed, its charge failed and it has no case yet.
#[utoipa::path(tag = "cases", request_body = OpenBody, responses((status = 201, description = "The new case.", body = CaseJson)))]
#[post("/v1/cases")]
pub(super) async fn open(
    state: web::Data<HttpState>,
    caller: Caller,
    body: JsonBody<OpenBody>,
) -> Result<HttpResponse, Problem> {
    let OpenBody {
        connection,
        invoice_id,
        comment,
    } = body.0;
    let case = put_in(&state, &caller, &connection, &invoice_id, comment.as_deref()).await?;
    Ok(HttpResponse::Created().json(CaseJson::of(&case, caller.role)))
}

/// Puts an invoice in, in the caller's name.
pub(in crate::http) async fn put_in(
    state: &HttpState,
    caller: &Caller,
    connection: &str,
    invoice_id: &str,
    comment: Option<&str>,
) -> Result<Case, Problem> {
    let comment = remark(comment)?;
    if !page::is_plain(invoice_id) || !state.engine.has_connection(connection) {
        return Err(unprocessable(
            "connection and invoice_id must name a connection and an invoice",
        ));
    }
    let done = state.engine.put_in(connection, invoice_id, &caller.name, comment).await;
    done.map_err(|error| match error {
        NotPutIn::NoConnection => unprocessable("there is no such connection"),
        NotPutIn::Chased(id) => refused("already_chased", format!("the invoice has the case {id}")),
        NotPutIn::Excluded => refused("excluded", "the customer is excluded: lift that first"),
        NotPutIn::None(reason) => refused(reason.as_str(), why(reason)),
        NotPutIn::Read(ReadError::NotFound) => refused("unknown_to_provider", "the provider knows no such invoice"),
        NotPutIn::Read(ReadError::Refused(_) | ReadError::Unavailable { .. }) => Problem::provider_away(),
        NotPutIn::Store(error) => error.into(),
    })
}

fn why(reason: NoCase) -> &'static str {
    match reason {
        NoCase::Paid => "the invoice is paid",
        NoCase::NotOwed => "the invoice is a draft, void or given up",
        NoCase::NotAutomatic => "the invoice is sent to the customer and not charged automatically",
        NoCase::NothingDue => "nothing of the invoice remains to be paid",
        NoCase::NoFailure => "no charge of the invoice has failed",
        NoCase::FirstPayment => {
            "the invoice is the first of its subscription, and the customer is still at the checkout"
        }
        NoCase::SubscriptionEnded => "the subscription of the invoice has ended",
        NoCase::Disputed => "the customer disputes the charge of the invoice",
    }
}

fn refused(code: &'static str, detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, detail)
}

fn unprocessable(detail: &'static str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", detail)
}
