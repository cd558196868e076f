//! `[learning]`: what the operator decides of how charges are planned.

use super::values::Values;
use crate::domain::learning::Policy;
use crate::domain::learning::plan::Terms;

/// More would take from most customers what was learned.
const HOLDOUT_PERCENT_MAX: u8 = 50;

pub(super) fn read(values: &mut Values) -> Option<Policy> {
    let holdout_percent = values.required("learning.holdout_percent", |text| match text.parse() {
        Ok(percent) if percent <= HOLDOUT_PERCENT_MAX => Ok(percent),
        _ => Err(format!(
            "is no share from 0 to {HOLDOUT_PERCENT_MAX} percent; write one"
        )),
    });
    Some(Policy {
        holdout_percent: holdout_percent?,
        terms: Terms::default(),
    })
}
