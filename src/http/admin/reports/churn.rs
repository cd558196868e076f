//! `GET /v1/reports/churn`

use std::collections::BTreeMap;

use actix_web::http::header::Accept;
use actix_web::{HttpResponse, get, web};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::asked;
use super::sheet::{self, percent, shown};
use crate::domain::report::TooLarge;
use crate::domain::report::churn::{Assumed, DEFINITIONS, Month, Monthly, churn as by_month};
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::wire::Instant;
use crate::store::{active, rollups, win_back};

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

/// Says who was lost to failed payments, who of them came back, and who was kept, by the month in which their cases ended.
///
/// `Accept: text/csv` gives a line per month and currency.
#[utoipa::path(
    tag = "reports",
    params(ChurnQuery),
    responses((status = 200, description = "The report.", content(
        (ChurnReport = "application/json"),
        (String = "text/csv"),
    ))),
)]
#[get("/v1/reports/churn")]
pub(in crate::http::admin) async fn churn(
    state: web::Data<HttpState>,
    query: web::Query<ChurnQuery>,
    accept: Option<web::Header<Accept>>,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let [from, to] = asked::days([query.from.as_deref(), query.to.as_deref()], &asked::zones(&state), now)?;
    let assumed = assumed(
        [query.margin_parts_per_10k, query.monthly_churn_parts_per_10k],
        [query.attempt_fee_minor, query.message_cost_minor],
    )?;
    if accept.is_some_and(|accept| asked::wants_csv(&accept.0)) {
        return as_csv(&state, [from, to], assumed).await;
    }
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
    let won_back = win_back::by_month(conn, days).await?;
    let active = active::by_month(conn).await?;
    by_month(&cells, &won_back, &active, assumed)
        .map_err(|error: TooLarge| Problem::bad_request("bad_query", error.to_string()))
}

/// What is assumed: margin and share of those who leave, both in hundredths of a percent, and the price of a charge and of a message,
/// both in minor units.
pub(in crate::http) fn assumed(
    [margin, leaving]: [Option<u32>; 2],
    prices: [Option<i64>; 2],
) -> Result<Option<Assumed>, Problem> {
    let bad = |text: &'static str| Err(Problem::bad_request("bad_query", text));
    let prices = prices.map(|price| price.unwrap_or(0));
    if prices.iter().any(|price| !(0..=PRICE_MAX).contains(price)) {
        return bad("attempt_fee_minor and message_cost_minor must lie between 0 and 1000000");
    }
    match (margin, leaving) {
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

/// The columns of the file; what stands before `currency` is that of all currencies of the month.
const HEAD: [&str; 21] = [
    "from",
    "to",
    "month",
    "involuntary",
    "won_back",
    "unpaid",
    "voluntary_in_dunning",
    "recovered",
    "active_at_start",
    "involuntary_percent",
    "involuntary_net_percent",
    "voluntary_in_dunning_percent",
    "currency",
    "monthly_lost_minor",
    "monthly_won_back_minor",
    "monthly_saved_minor",
    "attempts",
    "messages",
    "value_of_saved_minor",
    "cost_minor",
    "return_in_hundredths",
];

/// The report as a file.
pub(in crate::http) async fn as_csv(
    state: &HttpState,
    days: [Date; 2],
    assumed: Option<Assumed>,
) -> Result<HttpResponse, Problem> {
    let [from, to] = days.map(|day| day.to_string());
    let line = |month: &Month, (currency, money): (&String, &Monthly)| {
        vec![
            from.clone(),
            to.clone(),
            month.month.clone(),
            month.involuntary.to_string(),
            month.won_back.to_string(),
            month.unpaid.to_string(),
            month.voluntary_in_dunning.to_string(),
            month.recovered.to_string(),
            shown(month.active_at_start),
            percent(month.involuntary_rate.as_ref()),
            percent(month.involuntary_net_rate.as_ref()),
            percent(month.voluntary_in_dunning_rate.as_ref()),
            currency.clone(),
            money.monthly_lost_minor.to_string(),
            money.monthly_won_back_minor.to_string(),
            money.monthly_saved_minor.to_string(),
            money.attempts.to_string(),
            money.messages.to_string(),
            shown(money.value.map(|value| value.saved_minor)),
            shown(money.value.map(|value| value.cost_minor)),
            shown(money.value.and_then(|value| value.return_parts_per_100)),
        ]
    };
    let months = months(state, days, assumed).await?;
    let mut lines = Vec::new();
    for month in &months {
        lines.extend(month.money.iter().map(|money| line(month, money)));
    }
    sheet::file("churn", &HEAD, lines)
}
