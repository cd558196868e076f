//! How often one customer is written to, about however many invoices.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::calendar::{hours_from, secs_from};

const DAY_SECS: i64 = 24 * 3600;

/// The most messages to one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Touches {
    /// How many, about all invoices together.
    pub most: u8,
    /// In how many days.
    pub within_days: u16,
    /// How many hours lie between two of them at least.
    pub apart_hours: u16,
}

impl Touches {
    /// From when on messages count that left before `now`.
    pub fn since(self, now: Timestamp) -> Timestamp {
        let days = secs_from(now, -DAY_SECS * i64::from(self.within_days));
        days.min(secs_from(now, -3600 * i64::from(self.apart_hours)))
    }

    /// When the next message may leave, where the customer was written to at these instants, oldest first. The last word before the
    /// end is only kept apart from others: nobody loses a subscription unannounced because of another invoice.
    pub fn next(self, before: &[Timestamp], last_word: bool) -> Option<Timestamp> {
        let apart = before.last().map(|at| hours_from(*at, self.apart_hours));
        let most = usize::from(self.most);
        let full = before.len().checked_sub(most).and_then(|first| before.get(first));
        let full = full.map(|at| secs_from(*at, DAY_SECS * i64::from(self.within_days)));
        apart.max(full.filter(|_| !last_word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(before: &[&str], last_word: bool) -> Option<String> {
        let touches = Touches {
            most: 2,
            within_days: 7,
            apart_hours: 48,
        };
        let before: Vec<Timestamp> = before.iter().map(|at| at.parse().unwrap()).collect();
        touches.next(&before, last_word).map(|at| at.to_string())
    }

    #[test]
    fn two_in_a_week_and_two_days_apart() {
        assert_eq!(next(&[], false), None);
        assert_eq!(
            next(&["2026-03-02T09:00:00Z"], false).as_deref(),
            Some("2026-03-04T09:00:00Z")
        );
        let two = ["2026-03-02T09:00:00Z", "2026-03-04T09:00:00Z"];
        assert_eq!(next(&two, false).as_deref(), Some("2026-03-09T09:00:00Z"));
        assert_eq!(next(&two, true).as_deref(), Some("2026-03-06T09:00:00Z"));
    }
}
