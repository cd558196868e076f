//! The definition of every figure that a report shows, as data: read by people, by programs, and by the test that holds each view of
//! the database against the report.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// What a figure means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its stable name; where `view` is set, also that of the view of the database.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// What it is counted in.
    pub unit: String,
    /// How it is computed.
    pub formula: String,
    /// What is counted.
    pub numerator: String,
    /// What it is divided by; none where it is no rate.
    pub denominator: Option<String>,
    /// By which date a case belongs to a span.
    pub cohort: String,
    /// What is not in it.
    pub left_out: String,
    /// The reports that show it, each with the field.
    pub found_at: Vec<String>,
    /// Whether the database has a view of this name, with the columns `month`, `connection`, `currency`, `numerator`, `denominator`.
    pub view: bool,
}

static ALL: LazyLock<Vec<Definition>> =
    LazyLock::new(|| serde_json::from_str(include_str!("definitions.json")).expect("the file is read by a test"));

/// All of them.
pub fn all() -> &'static [Definition] {
    &ALL
}
