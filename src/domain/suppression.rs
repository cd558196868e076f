//! Addresses that are not written to any more, and why.

use super::words::words;

words! {
    /// Why an address is not written to.
    SuppressionWhy {
        /// It refused our mail for good.
        Bounced = "bounced",
        /// Its owner called our mail spam.
        Complained = "complained",
        /// Its owner wants no more invitations.
        Unsubscribed = "unsubscribed",
        /// Staff said so.
        Staff = "staff",
    }
}

words! {
    /// Which messages an address gets no more.
    SuppressionScope {
        /// None at all.
        All = "all",
        /// None that advertises.
        Promotional = "promotional",
    }
}
