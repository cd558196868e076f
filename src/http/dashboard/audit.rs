//! The audit log: who did what to which case, key or person.

use actix_web::{HttpRequest, HttpResponse, get, web};
use minijinja::value::Serde;
use minijinja::{Value, context};

use super::{Stop, session, shown};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::audit::AuditQuery;
use crate::http::admin::cases::asked::without_blanks;
use crate::http::page;

#[get("/dashboard/audit")]
pub(super) async fn log(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Admin).await?;
    let text = without_blanks(request.query_string(), &[]);
    let asked = web::Query::<AuditQuery>::from_query(&text).map_err(|bad| page::bad_query(&bad))?;
    let found = asked.page(&state).await?;
    let field = |text: &Option<String>| text.clone().unwrap_or_default();
    let filters = without_blanks(&text, &["cursor", "limit"]);
    let context = context! {
        section => "audit",
        entries => Value::from(Serde(&found.data)),
        next => found.next_cursor,
        first => asked.cursor.is_none(),
        actor => field(&asked.actor),
        action => field(&asked.action),
        object => field(&asked.object),
        filters,
    };
    Ok(shown("audit.html", &visitor, &context))
}
