//! Who may use which route. A route under `/v1` without a rule is closed to everybody, and a test names it.

use actix_web::http::Method;

use crate::domain::role::Role;

/// The role that each route under `/v1` needs, by method and pattern.
pub const RULES: &[(&str, &str, Role)] = &[
    ("GET", "/v1/cases", Role::Viewer),
    ("POST", "/v1/cases", Role::Billing),
    ("POST", "/v1/cases/bulk", Role::Billing),
    ("GET", "/v1/cases/{id}", Role::Viewer),
    ("GET", "/v1/cases/{id}/timeline", Role::Viewer),
    ("GET", "/v1/cases/{id}/explain", Role::Viewer),
    ("GET", "/v1/cases/{id}/forecast", Role::Viewer),
    ("GET", "/v1/cases/{id}/retry", Role::Viewer),
    ("POST", "/v1/cases/{id}/retry", Role::Billing),
    ("POST", "/v1/cases/{id}/pause", Role::Billing),
    ("POST", "/v1/cases/{id}/resume", Role::Billing),
    ("POST", "/v1/cases/{id}/undo", Role::Billing),
    ("POST", "/v1/cases/{id}/skip", Role::Billing),
    ("POST", "/v1/cases/{id}/extend", Role::Billing),
    ("POST", "/v1/cases/{id}/hold", Role::Billing),
    ("POST", "/v1/cases/{id}/release", Role::Billing),
    ("POST", "/v1/cases/{id}/migrate", Role::Billing),
    ("POST", "/v1/cases/{id}/stop", Role::Billing),
    ("POST", "/v1/cases/{id}/mark-paid", Role::Billing),
    ("POST", "/v1/cases/{id}/write-off", Role::Billing),
    ("POST", "/v1/cases/{id}/notes", Role::Billing),
    ("GET", "/v1/inbox", Role::Billing),
    ("POST", "/v1/inbox/{id}/rerun", Role::Billing),
    ("GET", "/v1/notifications", Role::Viewer),
    ("GET", "/v1/courtesies", Role::Viewer),
    ("GET", "/v1/digests", Role::Marketing),
    ("GET", "/v1/reports/recovery", Role::Marketing),
    ("GET", "/v1/reports/definitions", Role::Marketing),
    ("GET", "/v1/reports/time", Role::Marketing),
    ("GET", "/v1/reports/churn", Role::Marketing),
    ("GET", "/v1/reports/answers", Role::Marketing),
    ("GET", "/v1/exports/cases", Role::Marketing),
    ("GET", "/v1/exports/attempts", Role::Marketing),
    ("GET", "/v1/reports/funnel", Role::Marketing),
    ("GET", "/v1/reports/attempts", Role::Marketing),
    ("GET", "/v1/reports/attribution", Role::Marketing),
    ("GET", "/v1/reports/ages", Role::Marketing),
    ("GET", "/v1/exchange-rates", Role::Marketing),
    ("POST", "/v1/exchange-rates", Role::Billing),
    ("GET", "/v1/active-subscriptions", Role::Marketing),
    ("POST", "/v1/active-subscriptions", Role::Billing),
    ("GET", "/v1/reports/uplift", Role::Marketing),
    ("GET", "/v1/reports/compliance", Role::Marketing),
    ("GET", "/v1/learning", Role::Billing),
    ("GET", "/v1/campaigns", Role::Viewer),
    ("GET", "/v1/campaigns/{name}", Role::Viewer),
    ("POST", "/v1/campaigns", Role::Admin),
    ("GET", "/v1/campaigns/{name}/shadow", Role::Marketing),
    ("POST", "/v1/campaigns/{name}/migrate", Role::Admin),
    ("GET", "/v1/standing/{customer_id}", Role::Viewer),
    ("GET", "/v1/approvals", Role::Billing),
    ("POST", "/v1/approvals/{id}/approve", Role::Billing),
    ("POST", "/v1/approvals/{id}/refuse", Role::Billing),
    ("GET", "/v1/exclusions", Role::Billing),
    ("POST", "/v1/exclusions", Role::Billing),
    ("POST", "/v1/exclusions/lift", Role::Billing),
    ("GET", "/v1/suppressions", Role::Billing),
    ("POST", "/v1/suppressions", Role::Billing),
    ("POST", "/v1/suppressions/lift", Role::Billing),
    ("GET", "/v1/templates", Role::Marketing),
    ("GET", "/v1/templates/{name}/preview", Role::Marketing),
    ("GET", "/v1/unknown-codes", Role::Viewer),
    ("GET", "/v1/test-clock", Role::Admin),
    ("POST", "/v1/test-clock/advance", Role::Admin),
    ("GET", "/v1/audit", Role::Admin),
    ("GET", "/v1/keys", Role::Admin),
    ("POST", "/v1/keys", Role::Admin),
    ("POST", "/v1/keys/{id}/revoke", Role::Admin),
    ("GET", "/v1/people", Role::Admin),
    ("POST", "/v1/people", Role::Admin),
    ("POST", "/v1/people/{id}/disable", Role::Admin),
];

/// The role that a route needs; nothing where there is no rule.
pub fn needed(method: &Method, pattern: &str) -> Option<Role> {
    RULES
        .iter()
        .find(|(verb, path, _)| *verb == method.as_str() && *path == pattern)
        .map(|(_, _, role)| *role)
}
