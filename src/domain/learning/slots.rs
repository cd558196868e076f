//! The hours in which a charge may be made, as the customer's clock and calendar show them.

/// One hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// How many hours after the failure it begins.
    pub after: u16,
    /// The local hour, 0 to 23.
    pub hour: u8,
    /// The local weekday, Monday is 0.
    pub weekday: u8,
    /// The local day of the month, from 1.
    pub month_day: u8,
    /// How many days its month still has after it.
    pub before_month_end: u8,
    /// The share of people in that country who were paid on that day or the day before.
    pub payday: f64,
}
