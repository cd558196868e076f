//! The list of cases: searched, filtered, sorted; kept as views; and what is chosen from it for one act.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, get, web};
use minijinja::value::{Serde, merge_maps};
use minijinja::{Value, context};
use url::form_urlencoded::Serializer;

use super::session::{self, Visitor};
use super::{Stop, page, views};
use crate::domain::decline::DeclineKind;
use crate::domain::outcome::Status;
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::admin::cases::asked::{CasesQuery, state_words, without_blanks};
use crate::http::admin::cases::bulk::BulkAction;
use crate::http::error::Problem;
use crate::http::wire::case::CaseJson;
use crate::store::campaigns;
use crate::store::cases::{self, COUNTED_MAX, Sort};

/// The fields of a list's address that belong to one look at it, and not to the list.
const PASSING: [&str; 4] = ["cursor", "limit", "done", "view"];

#[get("/dashboard/cases")]
pub(super) async fn show_list(state: web::Data<HttpState>, request: HttpRequest) -> Result<HttpResponse, Stop> {
    let visitor = session::visitor(&state, &request, Role::Viewer).await?;
    // What was left empty filters nothing, and what the page was asked to report is none of the list's business.
    let text = without_blanks(request.query_string(), &["done", "view"]);
    let asked = CasesQuery::read(&text);
    let list = without_blanks(&text, &PASSING);
    let (status, found) = match listed(&state, &visitor, &asked).await {
        Ok(found) => (StatusCode::OK, found),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            let nothing = context! { cases => (), count => 0, next => (), fault => &*problem.detail };
            (problem.status, nothing)
        }
        Err(problem) => return Err(problem.into()),
    };
    let asked = asked.unwrap_or_default();
    let head = context! {
        section => "cases",
        picks => visitor.acts(),
        first => asked.cursor.is_none(),
        filtered => !list.is_empty(),
        more => has_more(&asked),
        list,
        asked => shown_again(&asked),
        views => views::shown(&state, &visitor).await?,
        done => done(request.query_string()),
        counted_max => COUNTED_MAX,
        bulk_actions => BulkAction::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>(),
    };
    let whole = merge_maps([found, head, choices(&state).await?]);
    Ok(page(status, "cases.html", Some(&visitor), &whole))
}

/// The part of the list that is shown.
async fn listed(state: &HttpState, visitor: &Visitor, asked: &Result<CasesQuery, Problem>) -> Result<Value, Problem> {
    let asked = asked.as_ref().map_err(Clone::clone)?;
    let window = asked.window()?;
    let filter = asked.filter(&window)?;
    let conn = state.store.conn();
    let rows = cases::list(conn, &filter).await?;
    let role = visitor.caller.role;
    let page = window.page(rows, |case| case.id.as_str(), |case| CaseJson::of(case, role));
    Ok(context! {
        cases => Value::from(Serde(&page.data)),
        next => page.next_cursor,
        count => cases::count(conn, &filter).await?,
        fault => (),
    })
}

/// Whether more is asked than the fields that always show.
fn has_more(asked: &CasesQuery) -> bool {
    let texts = [
        &asked.campaign,
        &asked.connection,
        &asked.customer_id,
        &asked.invoice_id,
    ];
    let spans = [
        &asked.opened_from,
        &asked.opened_to,
        &asked.amount_from,
        &asked.amount_to,
    ];
    texts.iter().chain(&spans).any(|field| field.is_some()) || asked.state.is_some()
}

/// What the fields of the form show.
fn shown_again(asked: &CasesQuery) -> Value {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    context! {
        q => text(&asked.q),
        status => asked.status.map_or("", Status::as_str),
        state => text(&asked.state),
        decline_kind => asked.decline_kind.map_or("", DeclineKind::as_str),
        customer_id => text(&asked.customer_id),
        invoice_id => text(&asked.invoice_id),
        campaign => text(&asked.campaign),
        connection => text(&asked.connection),
        needs_person => asked.needs_person == Some(true),
        opened_from => text(&asked.opened_from),
        opened_to => text(&asked.opened_to),
        amount_from => text(&asked.amount_from),
        amount_to => text(&asked.amount_to),
        sort => asked.sort.unwrap_or(Sort::Newest).as_str(),
    }
}

/// What can be chosen from.
async fn choices(state: &HttpState) -> Result<Value, Problem> {
    let campaigns = campaigns::versions(state.store.conn()).await?;
    let mut campaigns: Vec<String> = campaigns.into_iter().map(|campaign| campaign.name).collect();
    campaigns.sort_unstable();
    campaigns.dedup();
    Ok(context! {
        statuses => Status::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>(),
        states => state_words().collect::<Vec<_>>(),
        decline_kinds => DeclineKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        sorts => Sort::ALL.iter().map(|sort| sort.as_str()).collect::<Vec<_>>(),
        connections => state.engine.zones().into_keys().collect::<Vec<_>>(),
        campaigns,
    })
}

/// What the page was asked to report.
fn done(query: &str) -> Option<String> {
    let mut fields = url::form_urlencoded::parse(query.as_bytes());
    fields
        .find(|(name, _)| name == "done")
        .map(|(_, word)| word.into_owned())
}

/// The address of the list with these filters.
pub(super) fn address(list: &str, more: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(list.to_owned());
    for (name, value) in more {
        query.append_pair(name, value);
    }
    match query.finish().as_str() {
        "" => "/dashboard/cases".to_owned(),
        query => format!("/dashboard/cases?{}", query.trim_start_matches('&')),
    }
}
