//! `GET /v1/templates` and `GET /v1/templates/{name}/preview`

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};

use crate::domain::message::Message;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page::{self, Page};
use crate::mailer::Locale;

/// A message that can be sent.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TemplateJson {
    /// Its name.
    pub name: Message,
    /// Whether it asks for money: such a message never leaves after payment.
    pub dunning: bool,
    /// Whether it advertises: such a message can be unsubscribed from by one click.
    pub promotional: bool,
    /// Whether it goes to billing staff instead of the customer.
    pub staff: bool,
    /// How often a campaign may send it in one case, since no subject comes twice.
    pub times: usize,
    /// The languages it is there in.
    pub locales: Vec<&'static str>,
}

/// Lists the messages. There are few: the answer is one page.
#[utoipa::path(tag = "templates", responses((status = 200, description = "All of them.", body = Page<TemplateJson>)))]
#[get("/v1/templates")]
pub(super) async fn list() -> HttpResponse {
    let row = |message: &Message| TemplateJson {
        name: *message,
        dunning: message.is_dunning(),
        promotional: message.is_promotional(),
        staff: message.is_for_staff(),
        times: message.times(),
        locales: Locale::tags().collect(),
    };
    HttpResponse::Ok().json(Page {
        data: Message::ALL.iter().map(row).collect(),
        next_cursor: None,
    })
}

/// How to show it.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// The language: a tag such as `de`, or one that falls back to it, such as `de-AT`. English without it.
    locale: Option<String>,
    /// The first message of its kind in a case, the second, and so on; they differ in their subject.
    #[param(minimum = 1, maximum = 30)]
    nth: Option<u8>,
}

/// A message as a customer would get it, with made-up facts and the brand that is configured.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PreviewJson {
    /// The message.
    pub name: Message,
    /// The language it is written in.
    pub locale: &'static str,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML.
    pub html: String,
}

/// Shows a message.
#[utoipa::path(tag = "templates", params(("name" = Message, Path, description = "The message."), PreviewQuery), responses((status = 200, description = "The message.", body = PreviewJson)))]
#[get("/v1/templates/{name}/preview")]
pub(super) async fn preview(
    state: web::Data<HttpState>,
    name: web::Path<String>,
    query: web::Query<PreviewQuery>,
) -> Result<HttpResponse, Problem> {
    let message = message(&page::known(name.into_inner())?)?;
    let locale = Locale::pick(query.locale.as_deref(), None);
    let nth = usize::from(query.nth.unwrap_or(1)).saturating_sub(1);
    let shown = state.engine.preview(message, nth, locale)?;
    Ok(HttpResponse::Ok().json(PreviewJson {
        name: message,
        locale: shown.locale,
        subject: shown.subject,
        text: shown.text,
        html: shown.html,
    }))
}

/// The message of a name.
pub(in crate::http) fn message(name: &str) -> Result<Message, Problem> {
    name.parse().map_err(|_| Problem::not_found("there is no such message"))
}
