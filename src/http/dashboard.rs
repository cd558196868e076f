//! The dashboard: pages for billing staff, made on the server, with one stylesheet and nothing from elsewhere. One page has a script,
//! and is whole without it.

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, ResponseError, get, web};
use minijinja::value::merge_maps;
use minijinja::{Value, context};

use super::error::Problem;
use crate::domain::role::Role;
use language::Language;
use session::Visitor;

mod audit;
mod bars;
mod bulk;
mod campaigns;
mod case;
mod cases;
mod chart;
mod churn;
mod curve;
mod desk;
mod feed;
mod figures;
pub(super) mod headers;
mod health;
mod inbox;
mod intervals;
mod language;
mod learning;
mod login;
mod me;
mod messages;
mod oidc;
mod overview;
mod people;
mod publications;
mod rates;
mod reports;
mod session;
pub(super) mod show;
mod views;
mod welcome;

pub(crate) use feed::Feeds;

/// The routes of the dashboard with their methods.
pub const ROUTES: [(&str, &[&str]); 53] = [
    ("/", &["GET"]),
    ("/dashboard", &["GET"]),
    ("/dashboard/style.css", &["GET"]),
    ("/dashboard/feed.js", &["GET"]),
    ("/dashboard/feed", &["GET"]),
    ("/dashboard/login", &["GET", "POST"]),
    ("/dashboard/logout", &["POST"]),
    ("/dashboard/oidc/start", &["GET"]),
    ("/dashboard/oidc/callback", &["GET"]),
    ("/dashboard/welcome/{token}", &["GET", "POST"]),
    ("/dashboard/me", &["GET", "POST"]),
    ("/dashboard/people", &["GET", "POST"]),
    ("/dashboard/people/{id}/{verb}", &["POST"]),
    ("/dashboard/keys", &["POST"]),
    ("/dashboard/keys/{id}/revoke", &["POST"]),
    ("/dashboard/language", &["POST"]),
    ("/dashboard/cases", &["GET"]),
    ("/dashboard/desk", &["GET"]),
    ("/dashboard/desk/approvals/{id}", &["POST"]),
    ("/dashboard/desk/invoices", &["POST"]),
    ("/dashboard/desk/exclusions/{verb}", &["POST"]),
    ("/dashboard/bulk", &["GET", "POST"]),
    ("/dashboard/views", &["POST"]),
    ("/dashboard/views/{id}", &["GET"]),
    ("/dashboard/views/{id}/forget", &["POST"]),
    ("/dashboard/campaigns", &["GET"]),
    ("/dashboard/campaigns/write", &["GET", "POST"]),
    ("/dashboard/publications/{id}", &["GET", "POST"]),
    ("/dashboard/inbox", &["GET"]),
    ("/dashboard/inbox/{id}", &["GET"]),
    ("/dashboard/inbox/{id}/rerun", &["POST"]),
    ("/dashboard/audit", &["GET"]),
    ("/dashboard/health", &["GET"]),
    ("/dashboard/learning", &["GET"]),
    ("/dashboard/reports", &["GET"]),
    ("/dashboard/reports/recovery.csv", &["GET"]),
    ("/dashboard/reports/funnel", &["GET"]),
    ("/dashboard/reports/funnel.csv", &["GET"]),
    ("/dashboard/reports/attempts", &["GET"]),
    ("/dashboard/reports/attempts.csv", &["GET"]),
    ("/dashboard/reports/churn", &["GET"]),
    ("/dashboard/reports/churn.csv", &["GET"]),
    ("/dashboard/reports/attribution", &["GET"]),
    ("/dashboard/reports/attribution.csv", &["GET"]),
    ("/dashboard/reports/ages", &["GET"]),
    ("/dashboard/reports/ages.csv", &["GET"]),
    ("/dashboard/reports/definitions", &["GET"]),
    ("/dashboard/reports/rates", &["GET", "POST"]),
    ("/dashboard/messages", &["GET"]),
    ("/dashboard/messages/mails/{name}", &["GET"]),
    ("/dashboard/cases/{id}", &["GET"]),
    ("/dashboard/cases/{id}/mails/{mail}", &["GET"]),
    ("/dashboard/cases/{id}/{verb}", &["POST"]),
];

const STYLE: &str = include_str!("dashboard/style.css");

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(front)
        .service(style)
        .service(overview::overview)
        .service(login::form)
        .service(login::login)
        .service(login::logout)
        .service(oidc::start)
        .service(oidc::callback)
        .service(welcome::form)
        .service(welcome::join)
        .service(me::form)
        .service(me::change)
        .service(people::list)
        .service(people::invite)
        .service(people::act_on)
        .service(people::create_key)
        .service(people::revoke_key)
        .service(desk::page)
        .service(desk::rule)
        .service(desk::put_in)
        .service(desk::exclude)
        .service(language::choose)
        .service(cases::show_list)
        .service(feed::script)
        .service(feed::follow)
        .service(bulk::result)
        .service(bulk::submit)
        .service(views::keep)
        .service(views::open)
        .service(views::forget)
        .service(campaigns::show_campaigns)
        .service(campaigns::write)
        .service(campaigns::submit)
        .service(publications::page)
        .service(publications::rule)
        .service(inbox::events)
        .service(inbox::event)
        .service(inbox::run_again)
        .service(audit::log)
        .service(health::health)
        .service(learning::page)
        .service(reports::page)
        .service(reports::file)
        .service(figures::funnel_page)
        .service(figures::funnel_file)
        .service(figures::attempts_page)
        .service(figures::attempts_file)
        .service(churn::page)
        .service(churn::file)
        .service(figures::attribution_page)
        .service(figures::attribution_file)
        .service(figures::ages_page)
        .service(figures::ages_file)
        .service(figures::definitions_page)
        .service(rates::show)
        .service(rates::upload)
        .service(messages::page)
        .service(messages::mail)
        .service(case::show_case)
        .service(case::mail)
        .service(case::acts::act_on);
}

#[get("/")]
async fn front() -> HttpResponse {
    to("/dashboard")
}

#[get("/dashboard/style.css")]
async fn style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(STYLE)
}

/// Why a page is not shown.
#[derive(Debug)]
enum Stop {
    /// Nobody is logged in.
    Login,
    /// Something is wrong.
    Problem(Problem),
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Login => f.write_str("nobody is logged in"),
            Self::Problem(problem) => problem.fmt(f),
        }
    }
}

impl ResponseError for Stop {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Login => StatusCode::SEE_OTHER,
            Self::Problem(problem) => problem.status,
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Login => to("/dashboard/login"),
            Self::Problem(problem) => {
                let mut response = HttpResponse::new(problem.status);
                response.extensions_mut().insert(Fault(problem.clone()));
                response
            }
        }
    }
}

/// What went wrong, until the gate makes a page of it: only there it is known who asked.
pub(super) struct Fault(Problem);

impl Fault {
    /// The page in the language of who asked.
    pub(super) fn page(&self, request: &HttpRequest) -> HttpResponse {
        let Self(problem) = self;
        let language = Language::of(request);
        let title = match problem.status {
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => language.say("That cannot be done"),
            StatusCode::FORBIDDEN => language.say("Not allowed"),
            StatusCode::NOT_FOUND => language.say("Not found"),
            StatusCode::CONFLICT => language.say("Not possible now"),
            StatusCode::PAYLOAD_TOO_LARGE => language.say("Too large"),
            StatusCode::TOO_MANY_REQUESTS => language.say("Too many requests"),
            StatusCode::SERVICE_UNAVAILABLE => language.say("Not available now"),
            _ => language.say("An error"),
        };
        let context = context! {
            language => language.as_str(),
            title,
            detail => &*problem.detail,
            code => &*problem.code,
        };
        page(problem.status, "error.html", None, &context)
    }
}

impl<E: Into<Problem>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

/// Sends the browser elsewhere, with GET.
fn to(address: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, address)).finish()
}

/// A page for `visitor`.
fn shown(template: &str, visitor: &Visitor, context: &Value) -> HttpResponse {
    page(StatusCode::OK, template, Some(visitor), context)
}

fn page(status: StatusCode, template: &str, visitor: Option<&Visitor>, context: &Value) -> HttpResponse {
    let language = visitor.map_or(Language::English, |visitor| visitor.language).as_str();
    let visitor = visitor.map(|visitor| {
        let role = visitor.caller.role;
        context! {
            name => visitor.caller.name.as_str(),
            role => role.as_str(),
            cases => role.allows(Role::Viewer),
            acts => visitor.acts(),
            billing => role.allows(Role::Billing),
            reports => role.allows(Role::Marketing),
            people => role.allows(Role::Admin),
            person => visitor.person.is_some(),
            demo => visitor.is_demo(),
            csrf => visitor.csrf.as_str(),
        }
    });
    // A page for nobody in particular says itself which language it is in.
    let whole = merge_maps([context! { language }, context.clone(), context! { visitor }]);
    match show::PAGES
        .get_template(template)
        .and_then(|template| template.render(whole))
    {
        Ok(html) => HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .body(html),
        Err(error) => {
            tracing::error!(%error, template, "a page could not be made");
            HttpResponse::InternalServerError()
                .content_type("text/plain; charset=utf-8")
                .body("This page could not be made.")
        }
    }
}
