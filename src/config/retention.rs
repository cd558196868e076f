//! `[retention]`: how long what has ended is kept.

use super::values::Values;
use crate::domain::retention::Retention;

/// A provider lists an event, and may send it again, for 30 days: until then it must be known as taken in.
const INBOX_DAYS_MIN: u16 = 35;

pub(super) fn read(values: &mut Values) -> Option<Retention> {
    let inbox_days = values.required("retention.inbox_days", |text| match text.parse() {
        Ok(0) => Ok(None),
        Ok(days) if days >= INBOX_DAYS_MIN => Ok(Some(days)),
        _ => Err(format!(
            "is no number of days from {INBOX_DAYS_MIN} to {}; write one, or 0 to keep events for ever",
            u16::MAX
        )),
    });
    let closed_cases_months = values.optional("retention.closed_cases_months", |text| match text.parse() {
        Ok(0) | Err(_) => Err(format!("is no number of months from 1 to {}; write one", u16::MAX)),
        Ok(months) => Ok(months),
    });
    Some(Retention {
        inbox_days: inbox_days?,
        closed_cases_months,
    })
}
