//! `recoup openapi`.

use crate::domain::campaign::schema;
use crate::http::{openapi, openapi_document};

/// What to print.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print the JSON Schema of campaign files instead.
    #[arg(long)]
    campaign_schema: bool,
}

/// Prints the OpenAPI document, or the schema of campaign files.
pub fn run(given: &Arguments) {
    if given.campaign_schema {
        print!("{}", schema::json_text());
    } else {
        print!("{}", openapi::json_text(&openapi_document()));
    }
}
