//! The inbox: events of providers, above all those that died.

use utoipa_actix_web::service_config::ServiceConfig;

mod list;
pub(in crate::http) mod rerun;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list::list).service(rerun::rerun);
}
