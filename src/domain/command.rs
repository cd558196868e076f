//! What a decision asks for: the new case, the lines of its timeline, and the work to commit with them.

use jiff::Timestamp;
use serde_json::Value;

use super::case::{Case, OpenAttempt, Origin};
use super::ceiling::{Grounds, Rule};
use super::decide::shadow::Shadowed;
use super::decline::Decline;
use super::event::SeenAttempt;
use super::ids::AttemptId;
use super::instrument::Instrument;
use super::learning::model::Evidence;
use super::message::Message;
use super::money::Money;
use super::words::words;

words! {
    /// What a line of the timeline tells of.
    EntryKind {
        /// The case was opened.
        Opened = "opened",
        /// A failed attempt that is not ours was seen.
        AttemptSeen = "attempt_seen",
        /// The intent to charge was committed.
        AttemptStarted = "attempt_started",
        /// A charge of ours was answered, or resolved later.
        AttemptAnswered = "attempt_answered",
        /// The rest of the case was planned anew.
        Planned = "planned",
        /// A due effect was not carried out, and why.
        StoodBack = "stood_back",
        /// The payment method changed.
        MethodChanged = "method_changed",
        /// Contact data changed.
        ContactChanged = "contact_changed",
        /// The amount owed changed.
        AmountChanged = "amount_changed",
        /// A message was queued.
        NoticeQueued = "notice_queued",
        /// A message step was passed over.
        NoticeSkipped = "notice_skipped",
        /// A message left, failed, or was held back.
        NoticeEnded = "notice_ended",
        /// A person should look.
        Warned = "warned",
        /// Staff acted.
        Staff = "staff",
        /// The customer acted on the page behind the links in messages.
        Customer = "customer",
        /// The final action began.
        FinalAction = "final_action",
        /// The case ended.
        Closed = "closed",
        /// Money came after the case had ended without.
        LateRecovery = "late_recovery",
        /// Money was taken back after the recovery.
        Reversal = "reversal",
        /// Who was lost took out another subscription.
        WonBack = "won_back",
    }
}

words! {
    /// How an attempt stands.
    AttemptStatus {
        /// Sent, or about to be; not answered yet.
        Open = "open",
        /// It brought the money.
        Succeeded = "succeeded",
        /// The issuer or the provider said no.
        Declined = "declined",
        /// Certainly nothing was charged.
        NotSent = "not_sent",
        /// Nothing was owed any more when it arrived.
        NotNeeded = "not_needed",
        /// It got no clear answer, and the provider showed later that no charge was made.
        NotCharged = "not_charged",
        /// The answer contradicted the question.
        Mismatch = "mismatch",
        /// It could not be resolved in time; a person took over.
        Unresolved = "unresolved",
    }
}

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What it tells of.
    pub kind: EntryKind,
    /// One English sentence without personal data.
    pub text: String,
    /// The inputs and results behind it, without personal data.
    pub data: Value,
}

/// Work to commit together with the new state of the case.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Write the intent to charge, then charge.
    OpenAttempt {
        /// The attempt.
        attempt: OpenAttempt,
        /// Who wants it.
        origin: Origin,
    },
    /// Send an open attempt again, to the letter and under the same key.
    Resend {
        /// The attempt.
        attempt: OpenAttempt,
    },
    /// Record an attempt that somebody else made.
    RecordAttempt {
        /// The attempt.
        seen: SeenAttempt,
        /// Who made it.
        origin: Origin,
    },
    /// Record how an attempt of ours ended.
    CloseAttempt {
        /// The attempt.
        id: AttemptId,
        /// How it ended.
        status: AttemptStatus,
        /// The charge, where known.
        charge_id: Option<String>,
        /// Why it was declined.
        decline: Option<Decline>,
        /// What was charged, where it is known.
        instrument: Option<Instrument>,
    },
    /// Record that the ceiling refused or put off a charge that was wanted.
    Block {
        /// What would have been charged.
        instrument: Instrument,
        /// The rule.
        rule: Rule,
        /// When it may be made; none where it may not.
        until: Option<Timestamp>,
    },
    /// Carry out the final action at the provider.
    Finish,
    /// Queue a message.
    Notify {
        /// The message.
        message: Message,
        /// The step; a case receives each step at most once.
        step: String,
        /// When it is due.
        due_at: Timestamp,
    },
    /// Write to staff, where the service knows of any.
    TellStaff {
        /// The message.
        message: Message,
        /// The step; each of the staff receives each step at most once.
        step: String,
    },
    /// Hold back every message that makes sense only while the invoice is open and has not left.
    SupersedeNotices {
        /// Why.
        reason: Reason,
    },
    /// Book money that came after the case had ended without, or was taken back after the recovery.
    BookLate {
        /// What was booked: `late_recovery`, `refund` or `dispute`.
        kind: LateKind,
        /// How much.
        amount: Money,
    },
    /// Record that the customer, whose subscription was cancelled for this case, is back.
    WinBack {
        /// The new subscription.
        subscription_id: String,
        /// When it was paid for.
        at: Timestamp,
    },
    /// Keep what was seen, to learn from it.
    Learn(Evidence),
    /// Keep what a shadow would have planned.
    Shadow(Box<Shadowed>),
    /// Open a linked case for a recovery that was taken back.
    OpenReversal,
    /// Book by its name the charge behind a payment that was booked without.
    NamePayment {
        /// The charge.
        charge_id: String,
        /// The payment.
        amount: Money,
    },
    /// Book money that came for an invoice that was paid already.
    BookOverpayment {
        /// The charge.
        charge_id: String,
        /// How much.
        amount: Money,
    },
}

words! {
    /// Money moved after the case had ended.
    LateKind {
        /// Paid after the campaign had ended.
        LateRecovery = "late_recovery",
        /// Paid back after the recovery.
        Refund = "refund",
        /// Disputed after the recovery.
        Dispute = "dispute",
    }
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The case as it is now.
    pub case: Case,
    /// What to add to its timeline.
    pub entries: Vec<Entry>,
    /// What to commit with it.
    pub commands: Vec<Command>,
    /// What was asked for and not done, where all that is written is that it was refused.
    pub refused: Option<Refusal>,
}

/// A wish of staff that a rule forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of refusal it is.
    pub reason: Reason,
    /// The rule.
    pub rule: Rule,
    /// From when on the rule allows it; none where it never does.
    pub until: Option<Timestamp>,
}

/// The answer of the decider.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The case changes.
    Changed(Box<Change>),
    /// Nothing changes, and why.
    Ignored(Reason),
}

words! {
    /// Why an event changes nothing.
    Reason {
        /// The case has ended; its outcome is final.
        CaseClosed = "case_closed",
        /// A charge is under way; it is looked at again once it is answered.
        AttemptOpen = "attempt_open",
        /// Everything it tells is known.
        NothingNew = "nothing_new",
        /// It belongs to another attempt than the open one.
        OtherAttempt = "other_attempt",
        /// The final action is under way.
        FinalActionRunning = "final_action_running",
        /// The last decline forbids any charge of this payment method.
        NeverOnThisMethod = "never_on_this_method",
        /// The provider collects this invoice itself.
        ProviderCollects = "provider_collects",
        /// The case is not paused.
        NotPaused = "not_paused",
        /// The case waits for a person.
        NeedsPerson = "needs_person",
        /// The instant asked for is not in the future.
        NotInFuture = "not_in_future",
        /// The ceiling of the card networks forbids a charge now.
        Ceiling = "ceiling",
        /// The customer promised to pay later.
        Promised = "promised",
        /// The day promised is too late, too early, or one promise too many.
        PromiseRefused = "promise_refused",
        /// The customer wants no more reminders about this invoice.
        RemindersStopped = "reminders_stopped",
        /// No such step is planned.
        NothingToSkip = "nothing_to_skip",
        /// The step announces the end, and nobody is cut off without having been told.
        FinalNotice = "final_notice",
        /// The charge is one of a new payment method; it is made as soon as it may be.
        NewMethod = "new_method",
        /// The end asked for is not later than the present one.
        NotLater = "not_later",
        /// The end asked for lies further away than an end may be put off.
        TooFar = "too_far",
        /// The case is on hold: only its release lets it go on.
        OnHold = "on_hold",
        /// The case is not on hold.
        NotOnHold = "not_on_hold",
        /// No act can be taken back: none was made, or something has followed from it.
        NothingToUndo = "nothing_to_undo",
        /// The minute is over in which an act can be taken back.
        TooLate = "too_late",
    }
}

/// The surroundings of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The present instant.
    pub now: Timestamp,
    /// The campaign version that the case is pinned to.
    pub campaign: &'a super::campaign::Campaign,
    /// The version that only says beside it what it would plan, where there is one.
    pub shadow: Option<&'a super::campaign::Campaign>,
    /// The id that a new attempt would take.
    pub fresh_attempt: &'a AttemptId,
    /// What the ceiling judges by.
    pub grounds: Grounds<'a>,
    /// How long the provider's idempotency keys are safe to send again, in seconds (0.8 of their life).
    pub resend_secs: i64,
}
