//! What a case was when it was opened; reports tell cases apart by it.

use jiff::civil::Date;

use crate::domain::decline::{Decline, DeclineKind, Disposition};

/// What a case was when it was opened, as far as it was known. Nothing of it ever changes, so a case stays in its cohort and in its
/// group whatever becomes of it. A case of an older release has none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Birth {
    /// The IANA zone in which reports begin its days: that of the connection.
    pub zone: Option<String>,
    /// The day on which it was opened, in that zone.
    pub day: Option<Date>,
    /// Why the first charge failed.
    pub first: Option<FirstDecline>,
    /// The network that carried the first charge.
    pub network: Option<String>,
    /// The country of the bank behind it, else that of the customer: two capital letters.
    pub country: Option<String>,
    /// How the card is funded.
    pub funding: Option<String>,
    /// The plan, by the most readable of its names.
    pub plan: Option<String>,
    /// How many whole days the subscription had run.
    pub tenure_days: Option<i64>,
    /// What the subscription brings in a month, in minor units of the currency of the case.
    pub monthly_minor: Option<i64>,
}

/// The decline of the first charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstDecline {
    /// Its kind.
    pub kind: DeclineKind,
    /// What that kind allows.
    pub disposition: Disposition,
    /// The provider's code.
    pub code: Option<String>,
}

impl FirstDecline {
    /// What reports keep of a decline.
    pub fn of(decline: &Decline) -> Self {
        Self {
            kind: decline.kind,
            disposition: decline.disposition,
            code: decline.provider_code.clone(),
        }
    }
}
