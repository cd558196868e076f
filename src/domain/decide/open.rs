//! Opening a case from what the provider says of an invoice.

use serde_json::json;

use super::plan::take_decline;
use super::timers;
use super::{Draft, look};
use crate::domain::calendar::{secs_from, zone};
use crate::domain::campaign::{Campaign, Facts};
use crate::domain::case::{Birth, CampaignRef, Case, Collector, Contact, FirstDecline, Memory, Origin, State, Timers};
use crate::domain::ceiling::Grounds;
use crate::domain::command::{Change, Command, Entry, EntryKind, Moment};
use crate::domain::decline::{Decline, DeclineKind, Disposition};
use crate::domain::event::{Opening, SeenAttempt};
use crate::domain::ids::{AttemptId, CaseId};
use crate::domain::outcome::{Outcome, StoppedWhy};
use crate::domain::schedule::final_at;
use crate::domain::snapshot::{InvoiceStatus, PaymentStatus, Snapshot, SubscriptionStatus};
use crate::domain::words::words;

/// A failure told of later than this is dated by its arrival: longer than any provider re-sends a webhook.
const LATE_NEWS_SECS: i64 = 3 * 24 * 3600;

words! {
    /// Why an invoice gets no case.
    NoCase {
        /// It is paid.
        Paid = "paid",
        /// It is a draft, void or given up.
        NotOwed = "not_owed",
        /// It is sent to the customer, not charged automatically.
        NotAutomatic = "not_automatic",
        /// Nothing remains to be paid.
        NothingDue = "nothing_due",
        /// No charge of it failed.
        NoFailure = "no_failure",
        /// It is the first of its subscription and the customer is still on-session.
        FirstPayment = "first_payment",
        /// Its subscription has ended.
        SubscriptionEnded = "subscription_ended",
        /// The customer disputes its charge.
        Disputed = "disputed",
    }
}

/// Opens a case for an invoice whose automatic charge failed, or says why it gets none.
pub fn open(id: CaseId, opening: &Opening, snapshot: &Snapshot, moment: &Moment<'_>) -> Result<Change, NoCase> {
    refuse(snapshot)?;
    let case = new_case(id, opening, snapshot, (moment.campaign, moment.now));
    let mut draft = Draft::new(&case, *moment);
    let decline = draft.case.decline.clone();
    let payment = snapshot.payment.as_ref();
    let (told, attempt) = first_failure(&draft.case, snapshot);
    draft.entries.push(told);
    draft.commands.push(attempt);
    take_decline(&mut draft.case, &decline, moment.now);
    look::absorb_facts(&mut draft, snapshot);
    timers::watch_provider_retries(&mut draft, snapshot);
    if payment.is_some_and(|payment| payment.status == PaymentStatus::Processing) {
        look::wait_for_processing(&mut draft, None, None);
    } else {
        draft.replan();
    }
    Ok(Change {
        case: draft.case,
        entries: draft.entries,
        commands: draft.commands,
        refused: None,
    })
}

/// What is told and recorded of the charge by which a case begins.
pub(super) fn first_failure(case: &Case, snapshot: &Snapshot) -> (Entry, Command) {
    let payment = snapshot.payment.as_ref();
    let seen = SeenAttempt {
        charge_id: payment.and_then(|payment| payment.charge_id.clone()),
        at: case.opened_at,
        amount: snapshot.amount_remaining,
        decline: case.decline.clone(),
        payment_method: case.memory.declined_methods.first().cloned(),
        instrument: payment.and_then(|payment| payment.instrument.clone()),
    };
    let told = Entry {
        kind: EntryKind::Opened,
        text: format!("The charge of {} failed: {}.", seen.amount, case.decline.kind),
        data: json!({"invoice": snapshot.invoice_id, "decline": case.decline, "campaign": case.campaign}),
    };
    let origin = Origin::Provider;
    (told, Command::RecordAttempt { seen, origin })
}

/// The case of an invoice whose customer is excluded: it is recorded and born closed, because nothing of it is chased.
pub fn open_excluded(
    id: CaseId,
    opening: &Opening,
    snapshot: &Snapshot,
    moment: &Moment<'_>,
) -> Result<Change, NoCase> {
    let opened = open(id, opening, snapshot, moment)?;
    let mut draft = Draft::new(&opened.case, *moment);
    let is_record = |command: &Command| matches!(command, Command::RecordAttempt { .. });
    draft.commands.extend(opened.commands.into_iter().filter(is_record));
    let is_told = |entry: &Entry| entry.kind == EntryKind::Opened;
    draft.entries.extend(opened.entries.into_iter().filter(is_told));
    draft.say(
        EntryKind::StoodBack,
        "The customer is excluded: nothing is charged and nothing is written.",
        json!({"why": "excluded"}),
    );
    let outcome = Outcome::Stopped { why: StoppedWhy::Staff };
    super::close::close(&mut draft, outcome);
    Ok(Change {
        case: draft.case,
        entries: draft.entries,
        commands: draft.commands,
        refused: None,
    })
}

/// What a snapshot tells campaigns of the case that may be opened at `at`.
pub fn facts(snapshot: &Snapshot, at: jiff::Timestamp) -> Facts<'_> {
    Facts {
        amount: snapshot.amount_remaining,
        country: snapshot.customer.country.as_deref(),
        kind: decline_of(snapshot).kind,
        traits: &snapshot.traits,
        at,
    }
}

pub(super) fn refuse(snapshot: &Snapshot) -> Result<(), NoCase> {
    match snapshot.status {
        InvoiceStatus::Paid => return Err(NoCase::Paid),
        InvoiceStatus::Draft | InvoiceStatus::Void | InvoiceStatus::Uncollectible => return Err(NoCase::NotOwed),
        InvoiceStatus::Open => {}
    }
    if !snapshot.automatic {
        return Err(NoCase::NotAutomatic);
    }
    if snapshot.amount_remaining.amount_minor <= 0 {
        return Err(NoCase::NothingDue);
    }
    if snapshot.payment.as_ref().is_some_and(|payment| payment.disputed) {
        return Err(NoCase::Disputed);
    }
    let failed = snapshot.payment.as_ref().is_some_and(|payment| {
        payment.decline.is_some() || matches!(payment.status, PaymentStatus::Failed | PaymentStatus::RequiresAction)
    });
    if !failed && !snapshot.attempted {
        return Err(NoCase::NoFailure);
    }
    match snapshot.subscription.as_ref().map(|subscription| subscription.status) {
        Some(SubscriptionStatus::Incomplete) => Err(NoCase::FirstPayment),
        Some(SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired) => Err(NoCase::SubscriptionEnded),
        Some(
            SubscriptionStatus::Active
            | SubscriptionStatus::Trialing
            | SubscriptionStatus::PastDue
            | SubscriptionStatus::Unpaid
            | SubscriptionStatus::Paused,
        )
        | None => Ok(()),
    }
}

/// The decline that a snapshot tells of. Where the provider gives none, the issuer gave no reason.
pub(super) fn decline_of(snapshot: &Snapshot) -> Decline {
    let payment = snapshot.payment.as_ref();
    let known = payment.and_then(|payment| payment.decline.clone());
    let confirm = payment.is_some_and(|payment| payment.status == PaymentStatus::RequiresAction);
    known.unwrap_or_else(|| decline_untold(confirm))
}

/// What a decline counts as of which only is known whether the customer has to confirm the payment.
pub fn decline_untold(confirm: bool) -> Decline {
    let (kind, disposition) = if confirm {
        (DeclineKind::AuthenticationRequired, Disposition::CustomerAction)
    } else {
        (DeclineKind::DoNotHonor, Disposition::Retry)
    };
    Decline {
        kind,
        disposition,
        provider_code: None,
        network_code: None,
        advice_code: None,
    }
}

/// The case of an invoice as it begins with the campaign at the instant `now`.
pub(super) fn new_case(
    id: CaseId,
    opening: &Opening,
    snapshot: &Snapshot,
    (campaign, now): (&Campaign, jiff::Timestamp),
) -> Case {
    let payment = snapshot.payment.as_ref();
    let opened_at = payment
        .and_then(|payment| payment.charged_at)
        .filter(|at| *at <= now && *at >= secs_from(now, -LATE_NEWS_SECS))
        .unwrap_or(now);
    let zone_name = snapshot.customer.local_zone().unwrap_or(&opening.default_zone);
    // A name that this binary's zone data does not know reads as UTC from here on, visibly.
    let zone_name = zone(zone_name).iana_name().unwrap_or("UTC").to_owned();
    let decline = decline_of(snapshot);
    Case {
        id,
        connection: opening.connection.clone(),
        invoice_id: snapshot.invoice_id.clone(),
        subscription_id: snapshot.subscription_id.clone(),
        customer_id: snapshot.customer_id.clone(),
        amount_due: snapshot.amount_remaining,
        state: State::Active,
        campaign: CampaignRef::of(campaign),
        collector: opening.collector,
        opened_at,
        closed_at: None,
        timers: Timers {
            final_at: Some(final_at(opened_at, campaign, &zone_name)),
            ..Timers::default()
        },
        zone: zone_name,
        contact: Contact::default(),
        warnings: Vec::new(),
        attempts: 1,
        notifications: 0,
        reversal_of: None,
        birth: birth(opening, snapshot, &decline, opened_at),
        memory: new_memory(snapshot, &decline, opened_at),
        decline,
    }
}

fn birth(opening: &Opening, snapshot: &Snapshot, decline: &Decline, opened_at: jiff::Timestamp) -> Birth {
    let charged = snapshot
        .payment
        .as_ref()
        .and_then(|payment| payment.instrument.as_ref());
    let instrument = charged.or_else(|| snapshot.instrument());
    let country = instrument
        .and_then(|instrument| instrument.country.as_ref())
        .or(snapshot.customer.country.as_ref());
    let traits = &snapshot.traits;
    let monthly = traits
        .monthly
        .filter(|monthly| monthly.currency == snapshot.amount_remaining.currency);
    Birth {
        day: Some(zone(&opening.default_zone).to_datetime(opened_at).date()),
        zone: Some(opening.default_zone.clone()),
        first: Some(FirstDecline::of(decline)),
        network: instrument.map(|instrument| instrument.network.to_string()),
        country: country.cloned(),
        funding: instrument
            .and_then(|instrument| instrument.funding)
            .map(|funding| funding.to_string()),
        plan: traits.plan.clone(),
        tenure_days: traits
            .since
            .map(|since| opened_at.duration_since(since).as_hours().max(0) / 24),
        monthly_minor: monthly.map(|monthly| monthly.amount_minor),
    }
}

fn new_memory(snapshot: &Snapshot, decline: &Decline, opened_at: jiff::Timestamp) -> Memory {
    let payment = snapshot.payment.as_ref();
    let declined = payment
        .and_then(|payment| payment.payment_method.clone())
        .or_else(|| snapshot.default_method.as_ref().map(|method| method.id.clone()));
    let barred = payment.and_then(|payment| payment.fingerprint.clone());
    Memory {
        paid_before_minor: snapshot.amount_paid.amount_minor,
        declined_methods: declined.into_iter().collect(),
        instrument: snapshot.instrument().cloned(),
        barred_fingerprints: barred
            .filter(|_| decline.disposition == Disposition::Never)
            .into_iter()
            .collect(),
        known_charges: payment
            .and_then(|payment| payment.charge_id.clone())
            .into_iter()
            .collect(),
        card: payment.and_then(|payment| payment.card.clone()),
        description: snapshot.description.clone(),
        country: snapshot.customer.country.clone(),
        pay_url: snapshot.pay_url.clone(),
        ..Memory::since(opened_at)
    }
}

/// A case as it would have been opened with another campaign: as it was when its first charge had failed, and planned anew.
pub fn opened_anew(case: &Case, campaign: &Campaign, fresh_attempt: &AttemptId, grounds: Grounds<'_>) -> Case {
    let mut anew = case.clone();
    let opened_at = case.opened_at;
    anew.state = State::Active;
    anew.collector = Collector::Us;
    anew.campaign = CampaignRef::of(campaign);
    anew.closed_at = None;
    anew.attempts = 1;
    anew.notifications = 0;
    anew.warnings.clear();
    anew.timers = Timers {
        final_at: Some(final_at(opened_at, campaign, &case.zone)),
        ..Timers::default()
    };
    anew.memory = Memory {
        instrument: case.memory.instrument.clone(),
        country: case.memory.country.clone(),
        ..Memory::since(opened_at)
    };
    if let Some(first) = &case.birth.first {
        anew.decline = Decline {
            kind: first.kind,
            disposition: first.disposition,
            provider_code: first.code.clone(),
            network_code: None,
            advice_code: None,
        };
    }
    let moment = Moment {
        now: opened_at,
        campaign,
        shadow: None,
        fresh_attempt,
        grounds,
        // Nothing is sent.
        resend_secs: 0,
    };
    let mut draft = Draft::new(&anew, moment);
    draft.replan();
    draft.case
}

/// The linked case of a recovery that the customer disputes: it is born closed, because a disputed charge is not chased.
pub fn open_reversal(id: CaseId, recovered: &Case, moment: &Moment<'_>) -> Change {
    let mut case = recovered.clone();
    case.id = id;
    case.reversal_of = Some(recovered.id.clone());
    case.opened_at = moment.now;
    case.state = State::Active;
    case.attempts = 0;
    case.notifications = 0;
    let mut draft = Draft::new(&case, *moment);
    draft.say(
        EntryKind::Opened,
        format!("The recovery of {} was taken back by a dispute.", recovered.id),
        json!({"reversal_of": recovered.id}),
    );
    super::close::close(
        &mut draft,
        Outcome::Stopped {
            why: StoppedWhy::Disputed,
        },
    );
    Change {
        case: draft.case,
        entries: draft.entries,
        commands: Vec::new(),
        refused: None,
    }
}

/// Whether the collector of a case is the provider.
pub(super) fn provider_collects(case: &Case) -> bool {
    match case.collector {
        Collector::Us => false,
        Collector::Provider => true,
    }
}
