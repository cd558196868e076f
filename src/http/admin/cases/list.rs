//! `GET /v1/cases`

use actix_web::{HttpResponse, get, web};
use serde::Deserialize;

use crate::domain::decline::DeclineKind;
use crate::domain::outcome::Status;
use crate::http::HttpState;
use crate::http::auth::Caller;
use crate::http::error::Problem;
use crate::http::page::{self, Page, Window};
use crate::http::wire::case::CaseJson;
use crate::store::cases::{self, CaseFilter};

/// Which cases to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CasesQuery {
    /// Only those that stand so.
    #[param(inline)]
    status: Option<Status>,
    /// Only those of this customer of the provider.
    customer_id: Option<String>,
    /// Only those of this invoice of the provider.
    invoice_id: Option<String>,
    /// Only those whose last decline is of this kind.
    #[param(inline)]
    decline_kind: Option<DeclineKind>,
    /// Only those that came by this connection.
    connection: Option<String>,
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists cases, newest first.
#[utoipa::path(tag = "cases", params(CasesQuery), responses((status = 200, description = "A page of cases.", body = Page<CaseJson>)))]
#[get("/v1/cases")]
pub(super) async fn list(
    state: web::Data<HttpState>,
    caller: Caller,
    query: web::Query<CasesQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let window = Window::of(query.limit, query.cursor.as_deref())?;
    let filter = CaseFilter {
        status: query.status,
        customer_id: page::plain("customer_id", query.customer_id)?,
        invoice_id: page::plain("invoice_id", query.invoice_id)?,
        decline_kind: query.decline_kind,
        connection: page::plain("connection", query.connection)?,
        cursor: window.after.clone().map(Into::into),
        limit: window.rows(),
    };
    let cases = cases::list(state.store.conn(), &filter).await?;
    let page = window.page(cases, |case| case.id.as_str(), |case| CaseJson::of(case, caller.role));
    Ok(HttpResponse::Ok().json(page))
}
