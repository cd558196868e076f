//! `GET /v1/reports/churn`

use std::collections::BTreeMap;

use actix_web::{HttpResponse, get, web};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::asked;
use crate::domain::report::TooLarge;
use crate::domain::report::churn::{Assumed, DEFINITIONS, Month, churn as by_month};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::{active, rollups};

/// Which months to report of, and what is assumed of those who stay.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChurnQuery {
    /// First day on which cases ended. Eleven months before `to`'s month without it.
    #[param(example = "2026-01-01")]
    from: Option<String>,
    /// The day that ends the span, itself not included; tomorrow without it.
    #[param(example = "2026-04-01")]
    to: Option<String>,
    /// How much of the money is margin, in hundredths of a percent. With `monthly_churn_parts_per_10k` the report puts a value on
    /// what was saved.
    #[param(minimum = 0, maximum = 10_000, example = 8_000)]
    margin_parts_per_10k: Option<u32>,
    /// Which share of customers leaves in a month anyway, in hundredths of a percent.
    #[param(minimum = 1, maximum = 10_000, example = 300)]
    monthly_churn_parts_per_10k: Option<u32>,
    /// What a charge costs, in minor units of each currency.
    #[param(minimum = 0, maximum = 1_000_000, default = 0)]
    attempt_fee_minor: Option<i64>,
    /// What a message costs, in minor units of each currency.
    #[param(minimum = 0, maximum = 1_000_000, default = 0)]
    message_cost_minor: Option<i64>,
}

/// Customers lost to failed payments, and those kept.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChurnReport {
    /// The first day of the span.
    #[schema(value_type = String, format = Date)]
    pub from: Date,
    /// The day that ends it, itself not included.
    #[schema(value_type = String, format = Date)]
    pub to: Date,
    /// When it was computed.
    pub as_of: Instant,
    /// What each figure means.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub definitions: BTreeMap<&'static str, &'static str>,
    /// What was assumed to put a value on what was saved.
    pub assumed: Option<Assumed>,
    /// A row for each month in which cases ended.
    pub data: Vec<Month>,
}

/// What a fee or a price may come to at most, in minor units.
const PRICE_MAX: i64 = 1_000_000;
/// A whole, in hundredths of a percent.
const WHOLE: u32 = 10_000;

/// Says who was lost to failed payments and who was kept, by the month in which their cases ended.
#[utoipa::path(
    tag = "reports",
    params(ChurnQuery),
    responses((status = 200, description = "The report.", body = ChurnReport)),
)]
#[get("/v1/reports/churn")]
pub(in crate::http::admin) async fn churn(
    state: web::Data<HttpState>,
    query: web::Query<ChurnQuery>,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let [from, to] = asked::days([query.from.as_deref(), query.to.as_deref()], &asked::zones(&state), now)?;
    let assumed = assumed(&query)?;
    let data = months(&state, [from, to], assumed).await?;
    Ok(HttpResponse::Ok().json(ChurnReport {
        from,
        to,
        as_of: Instant(now),
        definitions: DEFINITIONS.into_iter().collect(),
        assumed,
        data,
    }))
}

/// The months of the cases that ended on the days `[from, to)`.
pub(in crate::http) async fn months(
    state: &HttpState,
    days: [Date; 2],
    assumed: Option<Assumed>,
) -> Result<Vec<Month>, Problem> {
    let conn = state.reports.conn();
    let cells = rollups::closed(conn, days).await?;
    let active = active::by_month(conn).await?;
    by_month(&cells, &active, assumed).map_err(|error: TooLarge| Problem::bad_request("bad_query", error.to_string()))
}

fn assumed(query: &ChurnQuery) -> Result<Option<Assumed>, Problem> {
    let bad = |text: &'static str| Err(Problem::bad_request("bad_query", text));
    let price = |price: Option<i64>| price.unwrap_or(0);
    let prices = [query.attempt_fee_minor, query.message_cost_minor].map(price);
    if prices.iter().any(|price| !(0..=PRICE_MAX).contains(price)) {
        return bad("attempt_fee_minor and message_cost_minor must lie between 0 and 1000000");
    }
    match (query.margin_parts_per_10k, query.monthly_churn_parts_per_10k) {
        (None, None) => Ok(None),
        (Some(margin), Some(leaving)) if margin <= WHOLE && (1..=WHOLE).contains(&leaving) => Ok(Some(Assumed {
            margin_parts_per_10k: margin,
            monthly_churn_parts_per_10k: leaving,
            attempt_fee_minor: prices[0],
            message_cost_minor: prices[1],
        })),
        (Some(_), Some(_)) => {
            bad("margin_parts_per_10k is at most 10000, monthly_churn_parts_per_10k between 1 and 10000")
        }
        (Some(_), None) | (None, Some(_)) => bad("margin_parts_per_10k and monthly_churn_parts_per_10k go together"),
    }
}
