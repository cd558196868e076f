//! `recoup openapi`.

use crate::http::{openapi, openapi_document};

/// Prints the OpenAPI document.
pub fn run() {
    print!("{}", openapi::json_text(&openapi_document()));
}
