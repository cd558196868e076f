//! `recoup openapi`.

use crate::http::{openapi, openapi_document};

/// Prints the OpenAPI document.
pub fn run() -> anyhow::Result<()> {
    print!("{}", openapi::json_text(&openapi_document()));
    Ok(())
}
