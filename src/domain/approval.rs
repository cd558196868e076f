//! Acts that wait for a second person, because they give up or charge more than one person may by themselves.

use jiff::Timestamp;

use super::event::StaffAction;
use super::ids::ApprovalId;
use super::money::Money;
use super::words::words;

/// How long a second person has to decide; then whoever asked asks anew, for the case has moved on.
pub const EXPIRES_HOURS: u16 = 72;

words! {
    /// The acts that may need a second person: they give money up, or charge it.
    Weighty {
        /// Charge now.
        Retry = "retry",
        /// End the chase.
        Stop = "stop",
        /// Say that the money came another way.
        MarkPaid = "mark-paid",
        /// Give the invoice up.
        WriteOff = "write-off",
    }
}

words! {
    /// Where an approval stands.
    ApprovalStatus {
        /// It waits for a second person.
        Pending = "pending",
        /// A second person approved it, and it was done.
        Approved = "approved",
        /// A second person refused it.
        Refused = "refused",
        /// Nobody decided in time.
        Expired = "expired",
    }
}

impl ApprovalStatus {
    /// Where something stands at `now` that stands so in its row and can be decided until `expires_at`.
    #[must_use]
    pub fn at(self, expires_at: Timestamp, now: Timestamp) -> Self {
        match self {
            Self::Pending if expires_at <= now => Self::Expired,
            Self::Pending | Self::Approved | Self::Refused | Self::Expired => self,
        }
    }
}

impl Weighty {
    /// The act of that weight, where an act may need a second person.
    pub const fn of(action: &StaffAction) -> Option<Self> {
        match action {
            StaffAction::Retry => Some(Self::Retry),
            StaffAction::Stop => Some(Self::Stop),
            StaffAction::MarkPaid => Some(Self::MarkPaid),
            StaffAction::WriteOff => Some(Self::WriteOff),
            StaffAction::Soon(act) => Some(*act),
            StaffAction::Pause { .. }
            | StaffAction::Resume
            | StaffAction::Skip { .. }
            | StaffAction::Extend { .. }
            | StaffAction::Hold
            | StaffAction::Release
            | StaffAction::Exclude
            | StaffAction::Migrate { .. }
            | StaffAction::Note
            | StaffAction::Undo
            | StaffAction::Ask(_)
            | StaffAction::Approve(_)
            | StaffAction::Refuse(_) => None,
        }
    }

    /// The act itself.
    pub const fn action(self) -> StaffAction {
        match self {
            Self::Retry => StaffAction::Retry,
            Self::Stop => StaffAction::Stop,
            Self::MarkPaid => StaffAction::MarkPaid,
            Self::WriteOff => StaffAction::WriteOff,
        }
    }
}

/// Whether an amount needs a second person: it is above the one that stands for its currency. A currency that is not named needs none.
pub fn is_needed(above: &[Money], amount: Money) -> bool {
    let mut limits = above.iter().filter(|limit| limit.currency == amount.currency);
    limits.any(|limit| amount.amount_minor > limit.amount_minor)
}

/// Somebody asks for an act that a second person has to approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The approval.
    pub id: ApprovalId,
    /// The act.
    pub act: Weighty,
    /// The id of the key or person that asks.
    pub asker_id: String,
    /// Until when it can be decided.
    pub expires_at: Timestamp,
}

/// A second person decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The approval.
    pub id: ApprovalId,
    /// The act.
    pub act: Weighty,
    /// The name of who asked.
    pub asked_by: String,
    /// The id of the key or person that decides.
    pub ruler_id: String,
}
