//! The headers that keep browsers in check.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};

/// Our own pages: one stylesheet, forms to ourselves, frames of ourselves (the preview of a mail); no script at all.
const PAGES: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'";
/// The overview has one script of ours, which follows our own feed.
const OVERVIEW: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// The preview of a mail, which is made of what customers are called: no script, no form, an origin of its own.
const MAIL: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; \
     frame-ancestors 'self'; base-uri 'none'";
/// The page for customers: the same, and the merchant's own logo.
const CUSTOMER: &str = "default-src 'none'; style-src 'self'; img-src https: data:; form-action 'self'; frame-ancestors 'none'; \
     base-uri 'none'";
/// Swagger UI needs its own scripts and sets styles on elements.
const DOCS: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// Everything else is data and loads nothing.
const DATA: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Browsers that were here once ask by TLS alone for a year, and for names below ours too, which could set cookies for us.
const BY_TLS_ONLY: &str = "max-age=31536000; includeSubDomains";

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// Sets the headers of an answer by the path that was asked for, and by whether others reach us by TLS. What a provider is told of its
/// webhooks is read by no browser.
pub(in crate::http) fn guard(headers: &mut HeaderMap, path: &str, by_tls: bool) {
    if path.starts_with("/webhooks/") {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        return;
    }
    let is_page = path == "/" || path == "/dashboard" || path.starts_with("/dashboard/");
    let is_mail = is_page && path.contains("/mails/");
    let is_customers = path.starts_with("/p/");
    let policy = match path {
        _ if is_mail => MAIL,
        "/dashboard" => OVERVIEW,
        _ if is_page => PAGES,
        _ if is_customers => CUSTOMER,
        _ if path == "/docs" || path.starts_with("/docs/") => DOCS,
        _ => DATA,
    };
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    if by_tls && (is_page || is_customers) {
        set(STRICT_TRANSPORT_SECURITY, BY_TLS_ONLY);
    }
    set(CONTENT_SECURITY_POLICY, policy);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, if is_mail { "SAMEORIGIN" } else { "DENY" });
    // With `no-referrer` browsers would send `Origin: null` with our own forms, and the origin check could not tell them
    // from foreign ones. `same-origin` tells other sites no more.
    set(REFERRER_POLICY, if is_page { "same-origin" } else { "no-referrer" });
    // What an app asks for again and again may be kept, if it asks each time whether it still holds.
    let may_keep = path.starts_with("/v1/standing/");
    set(CACHE_CONTROL, if may_keep { "private, no-cache" } else { "no-store" });
    set(CROSS_ORIGIN_OPENER_POLICY, "same-origin");
    set(CROSS_ORIGIN_RESOURCE_POLICY, "same-origin");
    set(
        PERMISSIONS_POLICY,
        "camera=(), geolocation=(), microphone=(), payment=()",
    );
}
