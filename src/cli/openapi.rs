//! `recoup openapi`.

use crate::http;

/// Prints the OpenAPI document.
pub fn run() -> anyhow::Result<()> {
    print!("{}", http::openapi_text());
    Ok(())
}
