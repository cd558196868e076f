//! The page behind the links in messages, without a login: what failed, what happens next, and what the customer can do.
//!
//! Looking changes nothing, for mail scanners follow links. A forged link and one that is no longer good look the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, LOCATION};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use jiff::Timestamp;
use jiff::civil::Date;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::Serialize;

use super::dashboard::show::form;
use super::error::Problem;
use super::{HttpState, body};
use crate::domain::brand::text_on;
use crate::domain::calendar::zone;
use crate::domain::case::{Case, State};
use crate::domain::decide::customer::promise_days;
use crate::domain::decline::Disposition;
use crate::domain::event::{CustomerAction, CustomerAnswer};
use crate::engine::StaffError;
use crate::links::Purpose;
use crate::mailer::escape::write_escaped;
use crate::mailer::render::PageDays;
use crate::mailer::{Locale, MailContext};
use crate::store::{cases, funnel};

const PAGE: &str = include_str!("customer/page.html");
const STYLE: &str = include_str!("customer/style.css");
/// Sends the browser on: a redirect after a form would have to be allowed by the page's policy for every address there is.
const REFRESH: HeaderName = HeaderName::from_static("refresh");

/// The most bytes of a form that unsubscribes.
const ONE_CLICK_BYTES_MAX: usize = 4 * 1024;

/// The routes with their methods.
pub(super) const ROUTES: [(&str, &[&str]); 3] = [
    ("/p/style.css", &["GET"]),
    ("/p/{token}", &["GET", "POST"]),
    ("/p/{token}/{act}", &["POST"]),
];

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(style).service(show).service(unsubscribe).service(act);
}

#[get("/p/style.css")]
async fn style(state: web::Data<HttpState>) -> HttpResponse {
    let color = state.engine.brand().look.color.as_deref();
    let brand = color.map_or_else(String::new, |color| {
        format!(":root {{ --brand: {color}; --on-brand: {}; }}\n", text_on(color))
    });
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .body(format!("{brand}{STYLE}"))
}

/// What stands on the page.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a part of the page that is there or not"
)]
#[derive(Serialize)]
struct Page<'a> {
    lang: &'a str,
    company: &'a str,
    logo_url: Option<&'a str>,
    address: Option<&'a str>,
    support: Option<&'a str>,
    token: &'a str,
    /// The texts, as HTML.
    say: BTreeMap<&'a str, Value>,
    /// `open`, `closed`, or `gone` where the link is not good.
    is: &'static str,
    /// Whether the link is only to stop reminders.
    only_stop: bool,
    /// Whether it is only to get no more invitations.
    only_unsubscribe: bool,
    /// What was just done: `promised`, `stopped`, `answered`, `refused`, `unsubscribed`.
    done: Option<&'a str>,
    confirms: bool,
    pay_url: Option<&'a str>,
    next_try: bool,
    ends: bool,
    promise: Option<(Date, Date)>,
    promised: bool,
    reminders_stopped: bool,
    answer: Option<&'static str>,
    answers: Vec<&'static str>,
}

/// A case whose page somebody may see.
struct Seen {
    case: Case,
    purpose: Purpose,
    locale: &'static Locale,
    facts: MailContext,
    promise: Option<(Date, Date)>,
}

#[get("/p/{token}")]
async fn show(
    state: web::Data<HttpState>,
    request: HttpRequest,
    token: web::Path<String>,
    asked: web::Query<HashMap<String, String>>,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let Some(seen) = seen(&state, &token, now).await? else {
        return gone(&state, &request);
    };
    let done = asked.get("done").map(String::as_str);
    page(&state, &token, &seen, done)
}

/// Ends invitations by one click (RFC 8058): of a mail program, which sends a form that says no more than that, or of the page's button.
#[post("/p/{token}")]
async fn unsubscribe(
    state: web::Data<HttpState>,
    request: HttpRequest,
    token: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let now = state.engine.clock().now();
    let Some(seen) = seen(&state, &token, now).await? else {
        return gone(&state, &request);
    };
    if seen.purpose != Purpose::Unsubscribe {
        return Err(Problem::not_found("there is nothing of that name to do"));
    }
    body::read(request.headers(), &mut payload.into_inner(), ONE_CLICK_BYTES_MAX).await?;
    state.engine.unsubscribe(&seen.case).await?;
    page(&state, &token, &seen, Some("unsubscribed"))
}

#[post("/p/{token}/{act}")]
async fn act(
    state: web::Data<HttpState>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (token, act) = path.into_inner();
    let now = state.engine.clock().now();
    let Some(seen) = seen(&state, &token, now).await? else {
        return gone(&state, &request);
    };
    let fields = form(&request, payload).await?;
    let field = |name: &str| fields.get(name).map(String::as_str);
    let whole = seen.purpose == Purpose::Page;
    let (action, done) = match act.as_str() {
        "update" if whole => return update(&state, &seen, now).await,
        "stop" if seen.purpose != Purpose::Unsubscribe => (CustomerAction::StopReminders, "stopped"),
        "promise" if whole => match promise_of(&seen.case, field("on")) {
            Some(action) => (action, "promised"),
            None => return Ok(back(&token, "refused")),
        },
        "answer" if whole => match field("answer").and_then(|word| word.parse::<CustomerAnswer>().ok()) {
            Some(answer) => (CustomerAction::Answer(answer), "answered"),
            None => return Ok(back(&token, "")),
        },
        _ => return Err(Problem::not_found("there is nothing of that name to do")),
    };
    clicked(&state, &seen, now).await;
    match state.engine.customer(&seen.case.id, action).await {
        // Done before is done as well.
        Ok(_) => Ok(back(&token, done)),
        Err(StaffError::Refused(reason)) => {
            tracing::info!(case_id = %seen.case.id, %reason, act, "what a customer asked for was not done");
            Ok(back(&token, if done == "promised" { "refused" } else { done }))
        }
        Err(StaffError::Forbidden(_)) => unreachable!("no rule is asked about what customers do"),
        Err(StaffError::NotFound) => gone(&state, &request),
        Err(StaffError::Store(error)) => Err(error.into()),
    }
}

/// The case that a link is for, where it is good.
async fn seen(state: &HttpState, token: &str, now: Timestamp) -> Result<Option<Seen>, Problem> {
    let read = state.engine.links().and_then(|links| links.read(token, now));
    let Some((purpose, id)) = read else { return Ok(None) };
    let Some(case) = cases::find(state.store.conn(), &id).await? else {
        return Ok(None);
    };
    let Some(facts) = state.engine.facts(&case) else {
        return Ok(None);
    };
    let campaign = state.engine.campaign(&case.campaign).await?;
    Ok(Some(Seen {
        promise: promise_days(&case, &campaign, now),
        locale: state.engine.locale(&case),
        purpose,
        facts,
        case,
    }))
}

/// The end of the day that the customer named, where the customer lives.
fn promise_of(case: &Case, on: Option<&str>) -> Option<CustomerAction> {
    let day: Date = on?.parse().ok()?;
    let until = day.at(23, 59, 0, 0).to_zoned(zone(&case.zone)).ok()?.timestamp();
    Some(CustomerAction::Promise { until })
}

/// Notes for the funnel that the page was used. Whatever keeps that from being written keeps nobody from paying.
async fn clicked(state: &HttpState, seen: &Seen, now: Timestamp) {
    if let Err(error) = funnel::clicked(&state.store, &seen.case.id, now).await {
        tracing::warn!(case_id = %seen.case.id, %error, "that a customer used the page could not be noted");
    }
}

/// Makes the provider's page for payment data, and sends the browser there.
async fn update(state: &HttpState, seen: &Seen, now: Timestamp) -> Result<HttpResponse, Problem> {
    clicked(state, seen, now).await;
    let case = &seen.case;
    let connection = state.engine.connection(&case.connection);
    // Two clicks in one minute are one.
    let key = format!("{}-page-{}", case.id, now.as_second() / 60);
    let made = match connection {
        Some(connection) => connection.provider.update_link(&case.customer_id, &key).await,
        None => Ok(None),
    };
    let url = match made {
        Ok(Some(url)) => Some(url),
        Ok(None) => seen.facts.action_url.clone(),
        Err(error) => {
            tracing::warn!(case_id = %case.id, ?error, "the provider made no page for payment data");
            seen.facts.action_url.clone()
        }
    };
    let url = url.ok_or_else(Problem::provider_away)?;
    let words = state
        .engine
        .templates()
        .page(seen.locale, &seen.facts, &PageDays::default())?;
    let label = words.get("update").cloned().unwrap_or_default();
    let context = context! { lang => seen.locale.tag(), url => &url, label => Value::from_safe_string(label) };
    let html = render("onward.html", &context)?;
    Ok(HttpResponse::Ok()
        .insert_header((REFRESH, format!("0; url={url}")))
        .content_type("text/html; charset=utf-8")
        .body(html))
}

/// Back to the page, with GET.
fn back(token: &str, done: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, format!("/p/{token}?done={done}")))
        .finish()
}

fn page(state: &HttpState, token: &str, seen: &Seen, done: Option<&str>) -> Result<HttpResponse, Problem> {
    let Seen { case, facts, .. } = seen;
    let promised_until = match case.state {
        State::Paused {
            until,
            held_since: None,
        } if case.memory.promises > 0 => Some(until),
        _ => None,
    };
    let local = |at: Timestamp| at.to_zoned(zone(&case.zone)).date();
    let days = PageDays {
        promise_from: seen.promise.map(|(first, _)| first),
        promise_until: seen.promise.map(|(_, last)| last),
        promised_on: promised_until.map(local),
    };
    let texts = state.engine.templates().page(seen.locale, facts, &days)?;
    let brand = state.engine.brand();
    let known = ["promised", "stopped", "answered", "refused", "unsubscribed"];
    let page = Page {
        lang: seen.locale.tag(),
        company: &brand.company,
        logo_url: brand.look.logo_url.as_deref(),
        address: brand.look.address.as_deref(),
        support: brand.support.as_deref(),
        token,
        say: texts
            .into_iter()
            .map(|(key, text)| (key, Value::from_safe_string(text)))
            .collect(),
        is: if matches!(case.state, State::Closed { .. } | State::Ending { .. }) {
            "closed"
        } else {
            "open"
        },
        only_stop: seen.purpose == Purpose::Stop,
        only_unsubscribe: seen.purpose == Purpose::Unsubscribe,
        done: done.filter(|done| known.contains(done)),
        confirms: case.decline.disposition == Disposition::CustomerAction,
        pay_url: facts.action_url.as_deref(),
        next_try: facts.next_retry_at.is_some() && promised_until.is_none(),
        ends: facts.ends_at.is_some(),
        promise: seen.promise,
        promised: promised_until.is_some(),
        reminders_stopped: case.memory.reminders_stopped,
        answer: case.memory.answer.map(CustomerAnswer::as_str),
        answers: CustomerAnswer::ALL.iter().map(|answer| answer.as_str()).collect(),
    };
    let html = render("page.html", &Value::from(Serde(&page)))?;
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html))
}

/// The page of a link that is forged or no longer good, in the language that the browser asks for.
fn gone(state: &HttpState, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let wanted = request
        .headers()
        .get("accept-language")
        .and_then(|value| value.to_str().ok());
    let first = wanted.and_then(|list| list.split([',', ';']).next());
    let locale = Locale::pick(first, None);
    let brand = state.engine.brand();
    let words = state
        .engine
        .templates()
        .page(locale, &state.engine.no_facts(), &PageDays::default())?;
    let say: BTreeMap<&str, Value> = words
        .into_iter()
        .map(|(key, text)| (key, Value::from_safe_string(text)))
        .collect();
    let context = context! {
        lang => locale.tag(),
        company => &*brand.company,
        logo_url => brand.look.logo_url.as_deref(),
        address => brand.look.address.as_deref(),
        support => brand.support.as_deref(),
        say,
        is => "gone",
    };
    let html = render("page.html", &context)?;
    Ok(HttpResponse::build(StatusCode::NOT_FOUND)
        .content_type("text/html; charset=utf-8")
        .body(html))
}

/// The pages, parsed once.
static PAGES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.set_undefined_behavior(UndefinedBehavior::Strict);
    pages.set_formatter(write_escaped);
    pages.add_template("page.html", PAGE)?;
    pages.add_template("onward.html", ONWARD)?;
    Ok(pages)
});

fn render(name: &str, context: &Value) -> Result<String, Problem> {
    let written = match &*PAGES {
        Ok(pages) => pages
            .get_template(name)
            .and_then(|page| page.render(context))
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    written.map_err(|error| {
        tracing::error!(%error, name, "a page for a customer could not be made");
        Problem::internal()
    })
}

/// What is seen for the moment until the provider's page is there, or where a browser does not go by itself.
const ONWARD: &str = include_str!("customer/onward.html");
