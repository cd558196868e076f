//! `GET /v1/unknown-codes`

use actix_web::{HttpResponse, get, web};
use serde::Serialize;

use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page::{LIMIT_MAX, Page};
use crate::http::wire::Instant;
use crate::store::unknown_codes::{self, UnknownCodeRow};

/// A code of a decline that Recoup does not know. Such a decline counts as `do_not_honor` and is charged at most twice.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = UnknownCode)]
pub struct UnknownCodeJson {
    /// The connection it came by.
    pub connection: String,
    /// Whose code it is: `provider`, a network such as `visa`, or the advice of one.
    pub section: String,
    /// The code.
    pub code: String,
    /// When it was seen first.
    pub first_seen: Instant,
    /// When it was seen last.
    pub last_seen: Instant,
    /// How many declines had it.
    pub count: u64,
}

impl From<&UnknownCodeRow> for UnknownCodeJson {
    fn from(row: &UnknownCodeRow) -> Self {
        Self {
            connection: row.connection.clone(),
            section: row.section.clone(),
            code: row.code.clone(),
            first_seen: Instant(row.first_seen),
            last_seen: Instant(row.last_seen),
            count: row.count,
        }
    }
}

/// Lists the codes of declines that Recoup does not know, those seen last first. There are few: the answer is one page.
#[utoipa::path(tag = "declines", responses((status = 200, description = "At most 200 of them.", body = Page<UnknownCodeJson>)))]
#[get("/v1/unknown-codes")]
pub(super) async fn list(state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let codes = unknown_codes::list(state.store.conn(), LIMIT_MAX).await?;
    Ok(HttpResponse::Ok().json(Page {
        data: codes.iter().map(UnknownCodeJson::from).collect(),
        next_cursor: None,
    }))
}
