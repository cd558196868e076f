//! The API under `/v1`: one folder per noun, one file per verb. Keys and roles are checked before, by the gate.

use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

mod active_subscriptions;
pub(super) mod approvals;
pub(super) mod audit;
pub(super) mod campaigns;
pub(super) mod cases;
mod courtesies;
mod digests;
pub(super) mod exchange_rates;
pub(super) mod exclusions;
mod exports;
pub(super) mod inbox;
pub(super) mod keys;
pub(super) mod learning;
mod notifications;
mod people;
pub(super) mod publications;
pub(super) mod reports;
mod standing;
mod suppressions;
pub(super) mod templates;
mod test_clock;
mod unknown_codes;

/// The body of a POST that takes none: empty, or `{}`.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoBody {}

pub(super) fn routes(config: &mut ServiceConfig) {
    cases::routes(config);
    inbox::routes(config);
    config
        .service(notifications::list)
        .service(courtesies::list)
        .service(digests::list)
        .service(reports::recovery::recovery)
        .service(reports::definitions::definitions)
        .service(reports::time::time)
        .service(reports::churn::churn)
        .service(reports::funnel::funnel)
        .service(reports::attempts::attempts)
        .service(reports::attribution::attribution)
        .service(reports::ages::ages)
        .service(reports::answers::answers)
        .service(exports::cases)
        .service(exports::attempts)
        .service(active_subscriptions::list)
        .service(active_subscriptions::upload)
        .service(exchange_rates::list)
        .service(exchange_rates::upload)
        .service(reports::uplift::uplift)
        .service(reports::compliance::compliance)
        .service(campaigns::list::list)
        // Before the one that takes any name.
        .service(campaigns::rehearse::rehearse)
        .service(campaigns::get::get)
        .service(campaigns::create::create)
        .service(campaigns::migrate::migrate)
        .service(campaigns::shadow::shadow)
        .service(publications::list)
        .service(publications::approve)
        .service(publications::refuse)
        .service(standing::get)
        .service(suppressions::list)
        .service(suppressions::add)
        .service(suppressions::lift)
        .service(approvals::list)
        .service(approvals::approve)
        .service(approvals::refuse)
        .service(exclusions::list)
        .service(exclusions::add)
        .service(exclusions::lift)
        .service(templates::list)
        .service(templates::preview)
        .service(test_clock::get)
        .service(test_clock::advance)
        .service(audit::list)
        .service(learning::get)
        .service(unknown_codes::list);
    keys::routes(config);
    people::routes(config);
}
