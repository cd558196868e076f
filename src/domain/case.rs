//! A case: one invoice being chased, from its first failed automatic charge to exactly one outcome.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::campaign::FinalAction;
use super::decline::Decline;
use super::ids::{AttemptId, CaseId};
use super::instrument::Instrument;
use super::money::Money;
use super::outcome::{ExhaustedThen, Outcome, Status};
use super::snapshot::{InvoiceStatus, Snapshot};
use super::words::words;

pub use birth::{Birth, FirstDecline};
pub use campaign_ref::{BadCampaignRef, CampaignRef};
pub use memory::{Memory, Undo};
pub use warning::Warning;

mod birth;
mod campaign_ref;
mod memory;
mod warning;

words! {
    /// Who may charge an invoice; never both.
    Collector {
        /// Recoup.
        Us = "us",
        /// The provider's own retries.
        Provider = "provider",
    }
}

words! {
    /// Who made an attempt.
    Origin {
        /// Recoup, by its schedule.
        Us = "us",
        /// The provider, by its own schedule.
        Provider = "provider",
        /// The customer, on-session.
        Customer = "customer",
        /// Recoup, because staff asked for it.
        Staff = "staff",
    }
}

words! {
    /// Why a charge of ours is made.
    Trigger {
        /// The ladder of the campaign says so.
        Schedule = "schedule",
        /// A new or renewed payment method arrived.
        CardUpdate = "card_update",
        /// Staff asked for it.
        Staff = "staff",
    }
}

/// Where a case stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Its timers run.
    Active,
    /// The intent to charge is committed, the answer is awaited.
    Charging {
        /// The open attempt.
        attempt: OpenAttempt,
    },
    /// A charge was sent and it cannot be told whether it was made.
    InDoubt {
        /// The open attempt.
        attempt: OpenAttempt,
        /// How often the provider was asked since.
        asked: u32,
    },
    /// The provider took the charge and the answer takes days.
    Processing {
        /// The open attempt; none where somebody else made the charge.
        attempt: Option<OpenAttempt>,
        /// The charge, where the provider named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge_id: Option<String>,
    },
    /// Staff paused it, or holds it.
    Paused {
        /// When it goes on by itself; where it is on hold, when the invoice is read next.
        until: Timestamp,
        /// Since when it is on hold, where only staff lets it go on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held_since: Option<Timestamp>,
    },
    /// Only a person can say how to go on.
    NeedsPerson,
    /// The final action is being carried out.
    Ending {
        /// What is done at the provider.
        action: FinalAction,
        /// The outcome once it is done.
        outcome: Outcome,
        /// How often it was sent.
        sent: u32,
    },
    /// It ended.
    Closed {
        /// How.
        outcome: Outcome,
    },
}

/// The states of an open case, as the API names them.
pub const STATES_OPEN: &[&str] = &[
    "scheduled",
    "waiting",
    "charging",
    "in_doubt",
    "processing",
    "paused",
    "needs_person",
    "ending",
];

/// The attempt that is open, with what a second sending must repeat to the letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAttempt {
    /// Its id, which is the idempotency key.
    pub id: AttemptId,
    /// When the intent was committed.
    pub started_at: Timestamp,
    /// The amount we expect to be charged.
    pub amount: Money,
    /// The payment method passed along, if one was.
    pub payment_method: Option<String>,
    /// What is charged, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Instrument>,
    /// Why it is made.
    pub trigger: Trigger,
}

/// Whom to write to, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Where mails go.
    pub email: Option<String>,
    /// Where they go once that address refuses them.
    pub alternate: Option<String>,
    /// How mails greet.
    pub name: Option<String>,
    /// The preferred locale as the provider gave it.
    pub locale: Option<String>,
}

/// What is planned, as instants. Recovery has nothing to cancel: a closed case is never due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timers {
    /// The next charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_at: Option<Timestamp>,
    /// Why it is planned; meaningful with `charge_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge_trigger: Option<Trigger>,
    /// The next message, by the key of its step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<(String, Timestamp)>,
    /// The final action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_at: Option<Timestamp>,
    /// When the provider is asked again where the invoice stands, besides the freshness gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<Timestamp>,
    /// Nothing is done before this instant: the provider was out of reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_until: Option<Timestamp>,
}

/// One invoice being chased.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Our name for it.
    pub id: CaseId,
    /// The connection it came by.
    pub connection: String,
    /// The provider's name for the invoice.
    pub invoice_id: String,
    /// The provider's name for the subscription.
    pub subscription_id: Option<String>,
    /// The provider's name for the customer.
    pub customer_id: String,
    /// What is owed.
    pub amount_due: Money,
    /// Where it stands.
    pub state: State,
    /// The last decline.
    pub decline: Decline,
    /// The campaign it is pinned to.
    pub campaign: CampaignRef,
    /// Who may charge.
    pub collector: Collector,
    /// The first failed automatic charge, as we learned of it.
    pub opened_at: Timestamp,
    /// When it ended.
    pub closed_at: Option<Timestamp>,
    /// The customer's IANA time zone.
    pub zone: String,
    /// Whom to write to.
    pub contact: Contact,
    /// What is planned.
    pub timers: Timers,
    /// What a person should see.
    pub warnings: Vec<Warning>,
    /// Attempts known, whoever made them.
    pub attempts: u32,
    /// Messages queued.
    pub notifications: u32,
    /// The case that this one goes back to (a reversal of its recovery).
    pub reversal_of: Option<CaseId>,
    /// What it was when it was opened.
    pub birth: Birth,
    /// What it remembers.
    pub memory: Memory,
}

/// What happens next to a case, when, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NextAction {
    /// `charge`, `notify`, `final_action`, `check` (an open attempt), `look` (read the invoice) or `resume`.
    pub kind: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why, in a few words.
    pub why: String,
}

impl Case {
    /// What was paid of the invoice since it was last seen open, where it is paid now and the money came through the provider.
    pub fn paid_since(&self, snapshot: &Snapshot) -> Option<Money> {
        let paid = snapshot.amount_paid;
        let tells = snapshot.status == InvoiceStatus::Paid && !snapshot.paid_out_of_band;
        // The invoice of a reversal has been paid all along.
        if !tells || self.reversal_of.is_some() || paid.currency != self.amount_due.currency {
            return None;
        }
        let came = paid.amount_minor.saturating_sub(self.memory.paid_before_minor);
        (came > 0).then(|| Money::new(came, paid.currency))
    }

    /// Whether the customer lost the subscription for it.
    pub const fn lost_its_subscription(&self) -> bool {
        matches!(
            self.state,
            State::Closed {
                outcome: Outcome::Exhausted {
                    then: ExhaustedThen::Cancelled,
                    ..
                }
            }
        )
    }

    /// Whether more than its plan is another than `before`: whom it is about, what is owed, why it was declined, that it ended.
    /// Most steps only move the plan on.
    pub fn is_restated(&self, before: &Self) -> bool {
        let Self {
            // What it is born with.
            id: _,
            connection: _,
            invoice_id: _,
            collector: _,
            opened_at: _,
            reversal_of: _,
            birth: _,
            // Its plan.
            state: _,
            timers: _,
            warnings: _,
            attempts: _,
            notifications: _,
            memory,
            campaign,
            subscription_id,
            customer_id,
            amount_due,
            decline,
            closed_at,
            zone,
            contact,
        } = self;
        (subscription_id, customer_id, amount_due, decline)
            != (
                &before.subscription_id,
                &before.customer_id,
                &before.amount_due,
                &before.decline,
            )
            || (closed_at, zone, contact) != (&before.closed_at, &before.zone, &before.contact)
            || *campaign != before.campaign
            || memory.card != before.memory.card
    }

    /// When its campaign began: with the case, or when staff let it begin anew.
    pub fn campaign_since(&self) -> Timestamp {
        self.memory.restarted_at.unwrap_or(self.opened_at)
    }

    /// When its campaign ends by its plan; the end itself may have to wait for the message that announces it.
    pub fn planned_end(&self) -> Option<Timestamp> {
        self.memory.end_planned.or(self.timers.final_at)
    }

    /// The campaign that the case was opened with.
    pub fn opened_with(&self) -> &CampaignRef {
        self.memory.opened_with.as_ref().unwrap_or(&self.campaign)
    }

    /// Where its messages go: to the second address where there is no first one, or that one has refused them.
    pub fn address(&self) -> Option<&str> {
        let [first, second] = [&self.contact.email, &self.contact.alternate].map(Option::as_deref);
        if self.memory.address_bounced {
            second.or(first)
        } else {
            first.or(second)
        }
    }

    /// Since when staff holds it, where it is on hold.
    pub fn held_since(&self) -> Option<Timestamp> {
        match &self.state {
            State::Paused { held_since, .. } => *held_since,
            State::Active
            | State::Charging { .. }
            | State::InDoubt { .. }
            | State::Processing { .. }
            | State::NeedsPerson
            | State::Ending { .. }
            | State::Closed { .. } => None,
        }
    }

    /// How the case ended, if it did.
    pub fn outcome(&self) -> Option<Outcome> {
        match &self.state {
            State::Closed { outcome } => Some(*outcome),
            State::Active
            | State::Charging { .. }
            | State::InDoubt { .. }
            | State::Processing { .. }
            | State::Paused { .. }
            | State::NeedsPerson
            | State::Ending { .. } => None,
        }
    }

    /// Where it stands, in one word.
    pub fn status(&self) -> Status {
        self.outcome().map_or(Status::Open, Outcome::status)
    }

    /// The open attempt, if there is one.
    pub fn open_attempt(&self) -> Option<&OpenAttempt> {
        match &self.state {
            State::Charging { attempt } | State::InDoubt { attempt, .. } => Some(attempt),
            State::Processing { attempt, .. } => attempt.as_ref(),
            State::Active | State::Paused { .. } | State::NeedsPerson | State::Ending { .. } | State::Closed { .. } => {
                None
            }
        }
    }

    /// The state as the API names it.
    pub fn state_word(&self) -> &'static str {
        match &self.state {
            State::Active if self.timers.charge_at.is_some() => "scheduled",
            State::Active => "waiting",
            State::Charging { .. } => "charging",
            State::InDoubt { .. } => "in_doubt",
            State::Processing { .. } => "processing",
            State::Paused { .. } => "paused",
            State::NeedsPerson => "needs_person",
            State::Ending { .. } => "ending",
            State::Closed { .. } => "closed",
        }
    }

    /// What happens next, and when; nothing once the case is closed.
    pub fn next_action(&self) -> Option<NextAction> {
        let timers = &self.timers;
        let look = |why: &str| timers.look_at.map(|at| ("look", at, why.to_owned()));
        let next = match &self.state {
            State::Closed { .. } => None,
            State::Active => self.next_timer(),
            State::Charging { attempt } => Some((
                "check",
                attempt.started_at,
                "a charge was sent; its answer is awaited".to_owned(),
            )),
            State::InDoubt { .. } => look("a charge got no clear answer; the provider is asked again"),
            State::Processing { .. } => look("the provider is still working on a charge"),
            State::Paused {
                until,
                held_since: Some(_),
            } => Some((
                "look",
                *until,
                "on hold until staff releases it; the invoice is watched".to_owned(),
            )),
            State::Paused {
                until,
                held_since: None,
            } => Some(("resume", *until, "paused by staff".to_owned())),
            State::NeedsPerson => look("a person must decide; the invoice is watched meanwhile"),
            State::Ending { sent: 0, .. } => timers.look_at.map(|at| {
                (
                    "final_action",
                    at,
                    "staff ended it; until then that can be undone".to_owned(),
                )
            }),
            State::Ending { action, .. } => timers
                .look_at
                .map(|at| ("final_action", at, format!("final action: {action}"))),
        };
        next.map(|(kind, at, why)| NextAction {
            kind,
            at: timers.hold_until.map_or(at, |hold| at.max(hold)),
            why,
        })
    }

    fn next_timer(&self) -> Option<(&'static str, Timestamp, String)> {
        let timers = &self.timers;
        let charge = timers.charge_at.map(|at| {
            let why = match timers.charge_trigger {
                Some(Trigger::CardUpdate) => "a new payment method arrived".to_owned(),
                Some(Trigger::Staff) => "staff asked for a retry".to_owned(),
                Some(Trigger::Schedule) | None => {
                    format!("next retry of the campaign for {}", self.decline.kind)
                }
            };
            ("charge", at, why)
        });
        let notice = timers
            .notice
            .as_ref()
            .map(|(step, at)| ("notify", *at, format!("message step {step}")));
        let ends = match self.memory.end_planned {
            Some(_) => "the campaign ends, later than planned because its final notice had to wait",
            None => "the campaign ends",
        };
        let last = timers.final_at.map(|at| ("final_action", at, ends.to_owned()));
        let look = timers
            .look_at
            .map(|at| ("look", at, "the invoice is read again".to_owned()));
        // The order breaks ties: a charge that is due goes before a message that would announce it.
        [look, charge, notice, last]
            .into_iter()
            .flatten()
            .min_by_key(|(_, at, _)| *at)
    }

    /// What a charge of the case would go to, as far as it is known.
    pub fn instrument(&self) -> Instrument {
        let fresh = self
            .fresh_method()
            .then(|| self.memory.new_instrument.clone())
            .flatten();
        let known = fresh.or_else(|| self.memory.instrument.clone());
        known.unwrap_or_else(|| Instrument::of_case(&self.id))
    }

    /// Whether the customer brought a payment method that was not declined yet.
    pub fn fresh_method(&self) -> bool {
        self.memory
            .new_method
            .as_ref()
            .is_some_and(|method| !self.memory.declined_methods.contains(method))
    }

    /// Adds a warning once.
    pub fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Takes a warning back.
    pub fn unwarn(&mut self, warning: Warning) {
        self.warnings.retain(|have| *have != warning);
    }
}
