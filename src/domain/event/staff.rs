//! What staff can ask for.

use jiff::Timestamp;

use crate::domain::approval::{Ask, Ruling, Weighty};
use crate::domain::campaign::Campaign;
use crate::domain::words::words;

/// What staff can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaffAction {
    /// Charge now.
    Retry,
    /// Do nothing until then.
    Pause {
        /// When the case goes on by itself.
        until: Timestamp,
    },
    /// Go on now; skipped steps are not replayed.
    Resume,
    /// Pass over the next charge, or the next message.
    Skip {
        /// Which of the two.
        step: SkipStep,
    },
    /// Let the campaign end later.
    Extend {
        /// How much later.
        to: ExtendTo,
    },
    /// Do nothing until staff lets it go on, because the customer disputes what is owed.
    Hold,
    /// Go on after a hold; the end moves by as long as the hold lasted.
    Release,
    /// End the chase, leave the invoice as it is.
    Stop,
    /// End the chase, because nothing of this customer is chased any more.
    Exclude,
    /// The money came another way.
    MarkPaid,
    /// Give the invoice up, at the provider too.
    WriteOff,
    /// Go on by another version of a campaign.
    Migrate {
        /// The version.
        campaign: Box<Campaign>,
        /// Where in it the case stands then.
        how: MigrateHow,
    },
    /// Only a remark.
    Note,
    /// Carry out an act that ends the case once the minute is over in which it can be undone.
    Soon(Weighty),
    /// Take the last act back.
    Undo,
    /// Have a second person approve an act.
    Ask(Box<Ask>),
    /// Approve what another person asked for, and do it.
    Approve(Box<Ruling>),
    /// Refuse what another person asked for.
    Refuse(Box<Ruling>),
}

words! {
    /// Which step of a case is passed over.
    SkipStep {
        /// The next charge that the campaign plans.
        Charge = "charge",
        /// The next message.
        Message = "message",
    }
}

/// How much later a campaign ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendTo {
    /// So many days later than it would.
    Days(u16),
    /// Not before this instant.
    Until(Timestamp),
}

words! {
    /// Where a case stands in the campaign that it is moved to.
    MigrateHow {
        /// The case keeps its start: the last of the messages that would have come by now comes at once.
        Keep = "keep",
        /// The case keeps its start, and what would have come by now is passed over.
        Elapsed = "elapsed",
        /// The campaign begins now; messages that the customer had are not sent again.
        Restart = "restart",
    }
}

impl StaffAction {
    /// The action as the API names it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Skip { .. } => "skip",
            Self::Extend { .. } => "extend",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Stop => "stop",
            Self::Exclude => "exclude",
            Self::MarkPaid => "mark-paid",
            Self::WriteOff => "write-off",
            Self::Migrate { .. } => "migrate",
            Self::Note => "notes",
            Self::Soon(act) => act.as_str(),
            Self::Undo => "undo",
            Self::Ask(_) => "approvals.ask",
            Self::Approve(_) => "approvals.approve",
            Self::Refuse(_) => "approvals.refuse",
        }
    }
}
