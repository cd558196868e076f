//! For how long what has ended is kept.

/// For how long the operator keeps what has ended; nothing says for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events and their bodies, in days after they came.
    pub inbox_days: Option<u16>,
    /// Timeline, attempts and messages of a case, in months after it was closed. The case itself and its books stay.
    pub closed_cases_months: Option<u16>,
}
