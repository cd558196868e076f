//! The list of cases, with filters.

use actix_web::{HttpRequest, HttpResponse, get, web};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::{Stop, session, shown};
use crate::domain::decline::DeclineKind;
use crate::domain::outcome::Status;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::page::{Window, is_plain};
use crate::http::wire::case::CaseJson;
use crate::store::cases::{CaseFilter, list};

/// What the form above the list says; an empty field filters nothing.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filters {
    #[serde(default)]
    status: String,
    #[serde(default)]
    decline_kind: String,
    #[serde(default)]
    customer_id: String,
    #[serde(default)]
    invoice_id: String,
    #[serde(default)]
    cursor: String,
}

#[get("/dashboard/cases")]
pub(super) async fn cases(
    state: web::Data<HttpState>,
    request: HttpRequest,
    filters: web::Query<Filters>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Viewer).await?;
    let cursor = Some(filters.cursor.as_str()).filter(|cursor| !cursor.is_empty());
    let window = Window::of(None, cursor)?;
    let text = |text: &str| Some(text.trim().to_owned()).filter(|text| is_plain(text));
    let filter = CaseFilter {
        status: filters.status.parse().ok(),
        customer_id: text(&filters.customer_id),
        invoice_id: text(&filters.invoice_id),
        decline_kind: filters.decline_kind.parse().ok(),
        connection: None,
        cursor: window.after.clone().map(Into::into),
        limit: window.rows(),
    };
    let rows = list(state.store.conn(), &filter).await?;
    let page = window.page(
        rows,
        |case| case.id.as_str(),
        |case| CaseJson::of(case, visitor.caller.role),
    );
    let context = context! {
        section => "cases",
        cases => Value::from(Serde(&page.data)),
        next => page.next_cursor.map(|cursor| next_address(&filters, &cursor)),
        first => filters.cursor.is_empty(),
        filtered => filter.status.is_some() || filter.decline_kind.is_some()
            || filter.customer_id.is_some() || filter.invoice_id.is_some(),
        status => filters.status.as_str(),
        decline_kind => filters.decline_kind.as_str(),
        customer_id => filters.customer_id.as_str(),
        invoice_id => filters.invoice_id.as_str(),
        statuses => Status::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>(),
        decline_kinds => DeclineKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
    };
    Ok(shown("cases.html", &visitor, &context))
}

fn next_address(filters: &Filters, cursor: &str) -> String {
    let fields = [
        ("status", filters.status.as_str()),
        ("decline_kind", &filters.decline_kind),
        ("customer_id", &filters.customer_id),
        ("invoice_id", &filters.invoice_id),
        ("cursor", cursor),
    ];
    let mut query = Serializer::new(String::new());
    query.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
    format!("/dashboard/cases?{}", query.finish())
}
