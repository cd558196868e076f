//! What a list of cases is asked: the query of the API and of the page alike, so that an address of the one works at the other.

use actix_web::web;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use url::form_urlencoded::{Serializer, parse};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::domain::case::STATES_OPEN;
use crate::domain::decline::DeclineKind;
use crate::domain::outcome::Status;
use crate::domain::search::{Figure, Sought};
use crate::http::error::Problem;
use crate::http::page::{self, Window};
use crate::store::cases::{CaseFilter, Sort};

/// The only state that is none of an open case.
const CLOSED: &str = "closed";

/// Which cases to list, and how.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CasesQuery {
    /// Only those that this finds: an id of customer, invoice, subscription or case, an address, an amount such as `19.99` or
    /// `19.99 EUR`, or the last four digits of the card that was declined. It is compared whole.
    pub q: Option<String>,
    /// Only those that stand so.
    #[param(inline)]
    pub status: Option<Status>,
    /// Only those in this state.
    #[param(schema_with = states)]
    pub state: Option<String>,
    /// Only those of this customer of the provider.
    pub customer_id: Option<String>,
    /// Only those of this invoice of the provider.
    pub invoice_id: Option<String>,
    /// Only those whose last decline is of this kind.
    #[param(inline)]
    pub decline_kind: Option<DeclineKind>,
    /// Only those of this campaign, whatever its version.
    pub campaign: Option<String>,
    /// Only those that came by this connection.
    pub connection: Option<String>,
    /// Only open ones that a person has to look at: they wait for one, or carry a warning.
    pub needs_person: Option<bool>,
    /// Only those opened on this day of UTC or later.
    #[param(format = Date)]
    pub opened_from: Option<String>,
    /// Only those opened on this day of UTC or before.
    #[param(format = Date)]
    pub opened_to: Option<String>,
    /// Only those of at least this amount, such as `100` in whatever currency, or `100 EUR`.
    pub amount_from: Option<String>,
    /// Only those of at most this amount.
    pub amount_to: Option<String>,
    /// How they are sorted; a list by amount is one of a currency where an amount names it.
    #[param(inline)]
    pub sort: Option<Sort>,
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u64>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl CasesQuery {
    /// Reads the query of an address; a form sends what was left empty, too.
    pub(in crate::http) fn read(text: &str) -> Result<Self, Problem> {
        let query = web::Query::<Self>::from_query(&without_blanks(text, &[]));
        Ok(query.map_err(|bad| page::bad_query(&bad))?.into_inner())
    }

    /// Which part of the list is asked for.
    pub(in crate::http) fn window(&self) -> Result<Window, Problem> {
        Window::of(self.limit, self.cursor.as_deref())
    }

    /// The filter, for the part of the list that the window shows.
    pub(in crate::http) fn filter(&self, window: &Window) -> Result<CaseFilter, Problem> {
        let text = |name, text: &Option<String>| page::plain(name, text.clone());
        let state = self.state.clone();
        if let Some(odd) = state.as_deref().filter(|word| !is_state(word)) {
            return Err(bad(format!("there is no state {odd}")));
        }
        Ok(CaseFilter {
            status: self.status,
            state,
            customer_id: text("customer_id", &self.customer_id)?,
            invoice_id: text("invoice_id", &self.invoice_id)?,
            decline_kind: self.decline_kind,
            campaign: text("campaign", &self.campaign)?,
            connection: text("connection", &self.connection)?,
            needs_person: self.needs_person == Some(true),
            opened: [
                midnight("opened_from", self.opened_from.as_deref(), 0)?,
                midnight("opened_to", self.opened_to.as_deref(), 1)?,
            ],
            amount: [
                figure("amount_from", self.amount_from.as_deref())?,
                figure("amount_to", self.amount_to.as_deref())?,
            ],
            sought: text("q", &self.q)?.as_deref().and_then(Sought::of),
            sort: self.sort,
            cursor: window.after.clone().map(Into::into),
            limit: window.rows(),
        })
    }
}

/// The words of the states, those of open cases first.
pub(in crate::http) fn state_words() -> impl Iterator<Item = &'static str> {
    STATES_OPEN.iter().copied().chain([CLOSED])
}

/// The query without what is empty and without fields of these names.
pub(in crate::http) fn without_blanks(text: &str, names: &[&str]) -> String {
    let fields = parse(text.as_bytes()).filter(|(name, value)| !value.trim().is_empty() && !names.contains(&&**name));
    let mut query = Serializer::new(String::new());
    for (name, value) in fields {
        query.append_pair(&name, value.trim());
    }
    query.finish()
}

fn is_state(word: &str) -> bool {
    state_words().any(|state| state == word)
}

fn states() -> utoipa::openapi::schema::Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(state_words()))
        .build()
}

fn bad(detail: String) -> Problem {
    Problem::bad_request("bad_query", detail)
}

/// The midnight with which a day of UTC begins, or one so many days after it.
fn midnight(name: &str, text: Option<&str>, days: i64) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let instant = || {
        let day: Date = text.parse().ok()?;
        let day = day.checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let instant = instant().ok_or_else(|| bad(format!("{name} must be a day, such as 2026-03-01")))?;
    Ok(Some(instant))
}

fn figure(name: &str, text: Option<&str>) -> Result<Option<Figure>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let odd = || bad(format!("{name} must be an amount, such as 19.99 or 19.99 EUR"));
    Figure::of(text).map(Some).ok_or_else(odd)
}
