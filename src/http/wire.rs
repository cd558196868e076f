//! The shapes of the API, apart from rows and domain types, converted explicitly. Unknown values are null, never missing.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::money::Money;

pub mod case;
pub mod history;

/// Money as the API prints it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Money)]
pub struct MoneyJson {
    /// The amount in the currency's minor unit.
    #[schema(example = 1999)]
    pub amount_minor: i64,
    /// The ISO 4217 code.
    #[schema(example = "EUR")]
    pub currency: String,
}

impl From<Money> for MoneyJson {
    fn from(money: Money) -> Self {
        Self {
            amount_minor: money.amount_minor,
            currency: money.currency.code().to_owned(),
        }
    }
}

/// An instant as the API prints it: RFC 3339, UTC.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, as = Instant, example = "2026-03-01T09:00:00Z")]
#[serde(transparent)]
pub struct Instant(pub Timestamp);

/// Reads an instant of a request.
pub(crate) fn instant(name: &str, text: &str) -> Result<Timestamp, super::error::Problem> {
    let bad = |_| {
        super::error::Problem::new(
            actix_web::http::StatusCode::UNPROCESSABLE_ENTITY,
            "bad_field",
            format!("{name} must be an RFC 3339 instant, such as 2026-03-01T00:00:00Z"),
        )
    };
    text.parse().map_err(bad)
}
