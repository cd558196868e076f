//! A campaign: the versioned plan of a case.

use super::words::words;

words! {
    /// What is done at the provider when a campaign ends without money.
    FinalAction {
        /// The subscription is cancelled.
        Cancel = "cancel",
        /// Collection is paused.
        Pause = "pause",
        /// The invoice is marked uncollectible.
        MarkUncollectible = "mark_uncollectible",
        /// Nothing is done; the invoice stays open.
        LeaveOpen = "leave_open",
    }
}
