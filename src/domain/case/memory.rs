//! The memory of a case.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CampaignRef, OpenAttempt, State, Timers};
use crate::domain::event::CustomerAnswer;
use crate::domain::instrument::Instrument;
use crate::domain::learning::choice::Choice;
use crate::domain::learning::hazard::Features;
use crate::domain::snapshot::CardShown;

/// What a case remembers in order to decide; kept with the case as one document, which leaves out what is not known: it is
/// written at every step.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent fact about the case, not a state"
)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// When the present disposition was first seen; message steps count from here.
    pub disposition_since: Timestamp,
    /// When the present kind was first seen; hour ladders count from here.
    pub kind_since: Timestamp,
    /// The payment methods that were declined, oldest first.
    pub declined_methods: Vec<String>,
    /// The cards that must never be charged again for this invoice.
    pub barred_fingerprints: Vec<String>,
    /// The payment method that the customer brought during the chase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_method: Option<String>,
    /// What stands behind that payment method, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_instrument: Option<Instrument>,
    /// What the provider would charge, or what was charged last where it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Instrument>,
    /// The charges that are accounted for, oldest first.
    pub known_charges: Vec<String>,
    /// When our last attempt was answered without naming its charge; the next unknown charge up to then is ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nameless_answer_at: Option<Timestamp>,
    /// When our last charge was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_charge_at: Option<Timestamp>,
    /// The message steps that are done: sent, skipped, or overtaken.
    pub steps_done: Vec<String>,
    /// When the last message on the time line was queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_notice_at: Option<Timestamp>,
    /// Something happened during an open attempt: look again once it is answered.
    pub look_again: bool,
    /// The customer disputed a charge during an open attempt.
    pub disputed: bool,
    /// How often in a row the provider was out of reach.
    pub out_of_reach: u32,
    /// How often in a row a charge was planned and its call was not carried out.
    #[serde(default)]
    pub not_sent: u32,
    /// The payment method that our last charge went to, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_method: Option<String>,
    /// Our last attempt, where it was closed without knowing whether it brought money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unclear: Option<OpenAttempt>,
    /// When the open attempt was sent while the invoice was not known to be paid: a payment long after each of these
    /// instants is somebody else's.
    #[serde(default)]
    pub sent_at: Vec<Timestamp>,
    /// The customer's first address refuses our mail.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub address_bounced: bool,
    /// The customer wants no more reminders about this invoice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reminders_stopped: bool,
    /// How often the customer promised to pay.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub promises: u32,
    /// What would help the customer, in the customer's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<CustomerAnswer>,
    /// What was paid back of this invoice in all, in minor units of its currency.
    #[serde(default)]
    pub refunded_minor: i64,
    /// What of it was paid back during an open attempt, in minor units: settled once the attempt is answered.
    #[serde(default)]
    pub refund_pending_minor: i64,
    /// Charges we made (answered or not), which the ceiling counts.
    pub charges: u32,
    /// When the provider itself will charge next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_next_attempt_at: Option<Timestamp>,
    /// The card that was declined last, for mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardShown>,
    /// The arm that plans its charges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// What tells of the open attempt, where its answer is one to learn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Features>,
    /// What the case was worth to its arm once it had ended: 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<f64>,
    /// The customer's country, ISO 3166-1 alpha-2, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// What was bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The provider's page where the customer can pay or confirm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_url: Option<String>,
    /// What had been paid of the invoice when it was last seen open, in minor units of its currency.
    #[serde(default)]
    pub paid_before_minor: i64,
    /// The charge that brought the money, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_charge: Option<String>,
    /// The charges that brought money although the invoice was paid, oldest first.
    #[serde(default)]
    pub extra_charges: Vec<String>,
    /// Whether money came after the case had ended without.
    pub late_money: bool,
    /// How much that was, in minor units of its currency; nothing where the case was written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_minor: Option<i64>,
    /// Whether money was taken back after the recovery.
    pub reversed: bool,
    /// Whether the customer came back after the subscription had been cancelled for this case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub won_back: bool,
    /// When its campaign would have ended, where the end waits for the message that announces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_planned: Option<Timestamp>,
    /// The campaign it was opened with, where staff moved it to another one since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_with: Option<CampaignRef>,
    /// When staff let its campaign begin anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<Timestamp>,
    /// Until when staff passed over the charges of its campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped_until: Option<Timestamp>,
    /// How many of them there were.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub skipped: u32,
    /// How often the end was moved after it had been announced, so that it is announced again.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub announced_anew: u32,
    /// Its customer was excluded during an open attempt: it ends once that is answered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub excluded: bool,
    /// How it stood before the last act of staff, as long as nothing else has happened since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Box<Undo>>,
}

/// How a case stood before an act of staff.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// The act.
    pub act: String,
    /// Whose it was.
    pub actor: String,
    /// Until when it can be taken back.
    pub until: Timestamp,
    /// Where the case stood.
    pub state: State,
    /// What was planned.
    pub timers: Timers,
    /// The campaign that it was pinned to.
    pub campaign: CampaignRef,
    /// What it remembered.
    pub memory: Memory,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_none_yet(count: &u32) -> bool {
    *count == 0
}

impl Memory {
    /// What a case knows whose first decline was seen at `since`: nothing else yet.
    pub const fn since(since: Timestamp) -> Self {
        Self {
            disposition_since: since,
            kind_since: since,
            declined_methods: Vec::new(),
            barred_fingerprints: Vec::new(),
            new_method: None,
            new_instrument: None,
            instrument: None,
            known_charges: Vec::new(),
            nameless_answer_at: None,
            last_charge_at: None,
            steps_done: Vec::new(),
            last_notice_at: None,
            look_again: false,
            disputed: false,
            out_of_reach: 0,
            not_sent: 0,
            charged_method: None,
            unclear: None,
            sent_at: Vec::new(),
            address_bounced: false,
            reminders_stopped: false,
            promises: 0,
            answer: None,
            refunded_minor: 0,
            refund_pending_minor: 0,
            charges: 0,
            provider_next_attempt_at: None,
            card: None,
            choice: None,
            features: None,
            reward: None,
            country: None,
            description: None,
            pay_url: None,
            paid_before_minor: 0,
            paid_charge: None,
            extra_charges: Vec::new(),
            late_money: false,
            late_minor: None,
            reversed: false,
            won_back: false,
            end_planned: None,
            opened_with: None,
            restarted_at: None,
            skipped_until: None,
            skipped: 0,
            announced_anew: 0,
            excluded: false,
            undo: None,
        }
    }

    /// From when on its campaign may charge, at `now`: what staff passed over stays passed over.
    pub fn charges_from(&self, now: Timestamp) -> Timestamp {
        self.skipped_until.map_or(now, |skipped| skipped.max(now))
    }

    /// Whether the card of that stable name must never be charged again for this invoice; an unknown one may.
    pub fn bars(&self, fingerprint: Option<&str>) -> bool {
        fingerprint.is_some_and(|card| self.barred_fingerprints.iter().any(|barred| barred == card))
    }
}
