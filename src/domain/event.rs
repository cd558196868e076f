//! What can happen to a case.

use std::time::Duration;

use jiff::Timestamp;

use super::case::{Collector, Contact};
use super::decline::Decline;
use super::ids::AttemptId;
use super::instrument::Instrument;
use super::message::Message;
use super::money::Money;
use super::snapshot::{CardShown, Snapshot};
use super::words::words;

pub use staff::{ExtendTo, MigrateHow, SkipStep, StaffAction};

mod staff;

words! {
    /// Why the provider was asked where the invoice stands.
    LookCause {
        /// A webhook hinted at a change. Somebody else may be at work on the case at the same time.
        Hint = "hint",
        /// The case was due; the asker holds its lease, so nobody else is at work on it.
        Due = "due",
    }
}

/// The answer to one of our charges, as far as the case is concerned.
#[expect(
    clippy::large_enum_variant,
    reason = "an answer lives for one decision and is never kept in numbers"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The invoice is paid by it.
    Succeeded {
        /// The charge, where the answer names it.
        charge_id: Option<String>,
    },
    /// The issuer or the provider said no.
    Declined {
        /// Why.
        decline: Decline,
        /// The charge, where the answer names it.
        charge_id: Option<String>,
        /// The payment method that was charged.
        payment_method: Option<String>,
        /// The stable name of the card.
        fingerprint: Option<String>,
        /// The card as mails may show it.
        card: Option<CardShown>,
        /// What was charged.
        instrument: Option<Instrument>,
    },
    /// It is under way for days.
    Processing {
        /// The charge, where the answer names it.
        charge_id: Option<String>,
    },
    /// Nothing is owed any more; somebody else was faster.
    NothingOwed,
    /// Certainly nothing was charged.
    NotSent {
        /// Why.
        reason: String,
        /// Whether a person must look.
        needs_person: bool,
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
    /// It cannot be told.
    Unknown {
        /// Why.
        reason: String,
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The answer contradicts the question.
    Mismatch {
        /// What differs.
        reason: String,
    },
}

words! {
    /// What would help a customer, as the page behind the links in messages asks.
    CustomerAnswer {
        /// The failure was not known.
        Forgot = "forgot",
        /// There is no money at the moment.
        NoMoney = "no_money",
        /// Another way to pay is needed.
        Method = "method",
        /// Something about the invoice is wrong.
        Wrong = "wrong",
        /// The subscription is no longer wanted.
        Leaving = "leaving",
        /// Something else.
        Other = "other",
    }
}

/// What a customer does on the page behind the links in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerAction {
    /// Promises to pay by then: until then nothing is charged and nothing is written.
    Promise {
        /// When the case goes on by itself.
        until: Timestamp,
    },
    /// Wants no more reminders about this invoice; charges go on.
    StopReminders,
    /// Says what would help.
    Answer(CustomerAnswer),
}

/// What happened to a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The provider was asked where the invoice stands.
    Looked {
        /// What it said.
        snapshot: Box<Snapshot>,
        /// Why it was asked.
        cause: LookCause,
    },
    /// The provider could not be asked.
    OutOfReach {
        /// Why, without secrets.
        reason: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
        /// Whether it refused our credentials.
        refused: bool,
    },
    /// The provider says there is no such invoice.
    InvoiceMissing,
    /// A charge of ours was answered.
    Answered {
        /// The attempt.
        attempt: AttemptId,
        /// The answer.
        answer: Answer,
    },
    /// The final action was carried out.
    Finished,
    /// The final action was refused for good.
    FinishRefused {
        /// Why, without secrets.
        reason: String,
    },
    /// The customer has a new or renewed payment method.
    MethodChanged {
        /// The payment method, where the provider names it.
        payment_method: Option<String>,
        /// The stable name of the card.
        fingerprint: Option<String>,
        /// What stands behind it, as far as the event tells.
        instrument: Option<Instrument>,
        /// Whether it is a known one with new data.
        renewed: bool,
        /// When that happened at the provider, where it is told.
        at: Option<Timestamp>,
    },
    /// The customer's address, name or locale changed.
    ContactChanged {
        /// The present contact.
        contact: Contact,
        /// The present IANA zone, where the customer or the country tells it.
        zone: Option<String>,
    },
    /// The customer disputes a charge of the invoice.
    Disputed,
    /// Money of the invoice was paid back.
    Refunded {
        /// How much in all.
        amount: Money,
    },
    /// An address refuses our mail for good.
    Bounced {
        /// The address.
        address: String,
        /// The message that was refused, and its step, where it may go to another address now.
        notice: Option<(Message, String)>,
    },
    /// The message that announces the end cannot leave yet.
    FinalNoticeWaits {
        /// Its step.
        step: String,
        /// When it is tried again.
        until: Timestamp,
    },
    /// Staff says that an address can be written to again.
    Reachable {
        /// The address.
        address: String,
    },
    /// The customer did something on the page behind the links in messages.
    Customer(CustomerAction),
    /// The customer, whose subscription was lost, took out another one and paid for it.
    Subscribed {
        /// The new subscription.
        subscription_id: String,
        /// When it was paid for.
        at: Timestamp,
    },
    /// The provider shows a charge of the invoice that took money and stands nowhere in our books. The invoice was read,
    /// and brought to the case, just before.
    ChargeFound {
        /// The charge.
        charge_id: String,
        /// What it took, less what was paid back.
        amount: Money,
        /// What the invoice asks for in all, paid or not.
        invoice_total: Money,
    },
    /// The books hold something about the case that cannot be right.
    BooksDisagree {
        /// What, in words and without personal data.
        what: String,
    },
    /// An attempt stands open that is not the open one of the case.
    AttemptStray {
        /// The attempt.
        attempt: AttemptId,
    },
    /// The database is an older copy of itself: what fell due since then was done, and is not known here.
    Restored,
    /// Staff asks for something.
    Staff {
        /// What.
        action: StaffAction,
        /// Who: the name of the API key.
        actor: String,
        /// The remark given with it.
        comment: Option<String>,
    },
}

impl Event {
    /// Whether the case was read because it was due.
    pub const fn is_due_look(&self) -> bool {
        matches!(
            self,
            Self::Looked {
                cause: LookCause::Due,
                ..
            }
        )
    }
}

/// A customer's new subscription, whose first invoice was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// The customer.
    pub customer_id: String,
    /// The subscription.
    pub subscription_id: String,
}

/// What is needed to open a case, besides the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The connection.
    pub connection: String,
    /// Who may charge.
    pub collector: Collector,
    /// The zone where neither the customer nor the country tells it.
    pub default_zone: String,
}

/// An attempt that somebody else made, or that opened the case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAttempt {
    /// The charge, where known.
    pub charge_id: Option<String>,
    /// When it was made.
    pub at: Timestamp,
    /// The amount.
    pub amount: Money,
    /// Why it was declined.
    pub decline: Decline,
    /// The payment method.
    pub payment_method: Option<String>,
    /// What was charged, where it is known.
    pub instrument: Option<Instrument>,
}
