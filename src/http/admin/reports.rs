//! Reports: aggregates without personal data.

pub(in crate::http) mod ages;
pub(super) mod answers;
pub(in crate::http) mod asked;
pub(in crate::http) mod attempts;
pub(in crate::http) mod attribution;
pub(in crate::http) mod churn;
pub(in crate::http) mod compared;
pub(super) mod compliance;
pub(super) mod definitions;
pub(in crate::http) mod funnel;
pub(in crate::http) mod recovery;
mod sheet;
mod table;
pub(in crate::http) mod time;
pub(in crate::http) mod uplift;
mod uplift_table;
