//! The inbox: events of providers, above all those that died: why, what they say, and once more.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use super::{Stop, session, shown, to};
use crate::domain::ids::InboxId;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::inbox::rerun;
use crate::http::error::Problem;
use crate::http::page::{self, Window};
use crate::http::wire::history::InboxJson;
use crate::store::inbox::{self, InboxStatus};

/// Which events are shown; an empty field filters nothing.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    status: String,
    #[serde(default)]
    cursor: String,
    done: Option<String>,
    refused: Option<String>,
}

#[get("/dashboard/inbox")]
pub(super) async fn events(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let window = Window::of(None, Some(asked.cursor.as_str()).filter(|cursor| !cursor.is_empty()))?;
    let after = window.after.clone().map(Into::into);
    let status: Option<InboxStatus> = asked.status.parse().ok();
    let conn = state.store.conn();
    let rows = inbox::list(conn, status, after.as_ref(), window.rows()).await?;
    let page = window.page(rows, |row| row.id.as_str(), |row| InboxJson::from(row));
    let context = context! {
        section => "inbox",
        events => Value::from(Serde(&page.data)),
        next => page.next_cursor,
        first => asked.cursor.is_empty(),
        status => status.map_or("", InboxStatus::as_str),
        statuses => InboxStatus::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>(),
    };
    Ok(shown("inbox.html", &visitor, &context))
}

#[get("/dashboard/inbox/{id}")]
pub(super) async fn event(
    state: web::Data<HttpState>,
    request: HttpRequest,
    id: web::Path<String>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    let id = InboxId::from(page::known(id.into_inner())?);
    let row = inbox::find(state.store.conn(), &id).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no such event"))?;
    let context = context! {
        section => "inbox",
        event => Value::from(Serde(InboxJson::from(&row))),
        body => pretty(&row.body),
        done => asked.done.as_deref(),
        refused => asked.refused.as_deref(),
    };
    Ok(shown("event.html", &visitor, &context))
}

/// A body as people read it; nothing where it was kept for long enough.
fn pretty(body: &[u8]) -> Option<String> {
    let json: Result<serde_json::Value, _> = serde_json::from_slice(body);
    let pretty = json.and_then(|json| serde_json::to_string_pretty(&json));
    let text = pretty.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned());
    (!body.is_empty()).then_some(text)
}

/// Tries a dead event again; its page then says how it stands.
#[post("/dashboard/inbox/{id}/rerun")]
pub(super) async fn run_again(
    state: web::Data<HttpState>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Billing).await?;
    session::posted(&state, &request, payload).await?;
    match rerun::revive(&state, &visitor.caller, id.into_inner()).await {
        Ok(row) => Ok(to(&format!("/dashboard/inbox/{}?done=rerun", row.id))),
        Err(problem) if problem.code == rerun::NOT_DEAD => {
            let page = request.path().trim_end_matches("/rerun");
            Ok(to(&format!("{page}?refused={}", problem.code)))
        }
        Err(problem) => Err(problem.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_whatever_it_is() {
        assert_eq!(pretty(b"{\"a\":1}").as_deref(), Some("{\n  \"a\": 1\n}"));
        assert_eq!(pretty(b"not json").as_deref(), Some("not json"));
        assert_eq!(pretty(b"\xff").as_deref(), Some("\u{fffd}"));
        assert_eq!(pretty(b""), None);
    }
}
