//! Cases: seen, explained, and acted on.

use utoipa_actix_web::service_config::ServiceConfig;

use crate::domain::case::Case;
use crate::domain::ceiling::Grounds;
use crate::domain::instrument::History;
use crate::domain::learning::Learned;
use crate::http::HttpState;
use crate::http::error::Problem;
use crate::http::page;
use crate::store;

pub(in crate::http) mod act;
pub(in crate::http) mod asked;
pub(in crate::http) mod bulk;
mod explain;
mod forecast;
mod get;
mod list;
pub(in crate::http) mod open;
pub(in crate::http) mod plan;
pub(in crate::http) mod retry;
mod timeline;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(list::list)
        .service(open::open)
        .service(bulk::bulk)
        .service(get::get)
        .service(timeline::timeline)
        .service(explain::explain)
        .service(forecast::forecast)
        .service(retry::look);
    act::routes(config);
    plan::routes(config);
}

/// What the charges of a case are planned and judged by.
pub(in crate::http) fn grounds<'a>(
    state: &'a HttpState,
    case: &Case,
    learned: &'a Learned,
    history: &'a History,
) -> Grounds<'a> {
    Grounds {
        codes: state.engine.codes(&case.connection),
        learned,
        rules: state.engine.rules(),
        history,
    }
}

/// The case of a path.
pub(in crate::http) async fn find(state: &HttpState, id: String) -> Result<Case, Problem> {
    let id = page::known(id)?.into();
    let case = store::cases::find(state.store.conn(), &id).await?;
    case.ok_or_else(|| Problem::not_found("there is no such case"))
}
