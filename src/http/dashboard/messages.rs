//! Every message in every language, as customers get them.

use actix_web::{HttpRequest, HttpResponse, get, web};
use minijinja::context;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};

use super::{Stop, session, shown};
use crate::domain::message::Message;
use crate::http::HttpState;
use crate::http::admin::templates::message;
use crate::mailer::Locale;
use crate::mailer::render::RenderError;

/// In which language.
#[derive(Deserialize)]
pub(super) struct Asked {
    locale: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    name: &'static str,
    whom: &'static str,
    subject: String,
    text: String,
}

#[get("/dashboard/messages")]
pub(super) async fn page(
    state: web::Data<HttpState>,
    request: HttpRequest,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    let visitor = session::anybody(&state, &request).await?;
    let locale = Locale::pick(asked.locale.as_deref(), None);
    let messages: Result<Vec<Shown>, RenderError> = Message::ALL
        .iter()
        .map(|message| {
            let written = state.engine.preview(*message, 0, locale)?;
            Ok(Shown {
                name: message.as_str(),
                whom: whom(*message),
                subject: written.subject,
                text: written.text,
            })
        })
        .collect();
    let context = context! {
        section => "messages",
        locale => locale.tag(),
        locales => Locale::tags().collect::<Vec<_>>(),
        messages => minijinja::Value::from(Serde(&messages?)),
    };
    Ok(shown("messages.html", &visitor, &context))
}

/// The HTML of a message, for the frame on the page; its own headers keep it from doing anything.
#[get("/dashboard/messages/mails/{name}")]
pub(super) async fn mail(
    state: web::Data<HttpState>,
    request: HttpRequest,
    name: web::Path<String>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Stop> {
    session::anybody(&state, &request).await?;
    let locale = Locale::pick(asked.locale.as_deref(), None);
    let written = state.engine.preview(message(&name)?, 0, locale)?;
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(written.html))
}

fn whom(message: Message) -> &'static str {
    if message.is_for_staff() {
        "to staff"
    } else if message.is_promotional() {
        "promotional"
    } else if message.is_dunning() {
        "asks for money, never sent after payment"
    } else {
        "to the customer"
    }
}
