//! From what a file told of an invoice to what became of it.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::{FailedCharge, Failure, History, Known, Subscribed, Told};
use crate::domain::case::{Birth, Origin};
use crate::domain::decide::decline_untold;
use crate::domain::decide::past::{PastEnd, PastInvoice};
use crate::domain::event::SeenAttempt;
use crate::domain::money::{Currency, Money};
use crate::domain::outcome::{ExhaustedThen, RecoveredBy, StoppedWhy};
use crate::domain::snapshot::{
    CancelReason, CustomerSeen, PaymentSeen, Snapshot, SubscriptionSeen, SubscriptionStatus,
};
use crate::providers::stripe::payment::authentication_required;
use crate::providers::stripe::read::{description, known_country};
use crate::providers::stripe::wire::{Invoice, id_of};

/// How far a charge and the event of its invoice lie apart at most.
const APART: SignedDuration = SignedDuration::from_secs(60);

/// The first invoice of a subscription, whose customer is still at the checkout.
const FIRST: &str = "subscription_create";

impl Failure {
    /// How many automatic charges the invoice had seen by then.
    fn count(&self) -> i64 {
        self.invoice.attempt_count.unwrap_or(0)
    }

    fn next_at(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.invoice.next_payment_attempt?).ok()
    }

    /// What is owed; whoever took the event in has seen that it says so.
    fn amount(&self) -> Option<Money> {
        amount(&self.invoice)
    }
}

/// What an invoice is owed, where it says so.
pub(super) fn amount(invoice: &Invoice) -> Option<Money> {
    let paid = invoice.amount_paid.unwrap_or(0);
    let due = || Some(invoice.amount_due?.saturating_sub(paid));
    let currency = invoice.currency.as_deref()?.parse().ok()?;
    Some(Money::new(invoice.amount_remaining.or_else(due)?, currency))
}

impl Known {
    /// Puts the failures in order, and takes together what tells of the same charge.
    pub(super) fn settle(&mut self) {
        self.failures.sort_by_key(|failure| (failure.at, failure.count()));
        self.failures.dedup_by(|later, earlier| {
            let same = later.count() == earlier.count() && later.at.duration_since(earlier.at) <= APART;
            earlier.confirm |= same && later.confirm;
            same
        });
    }
}

/// What belongs to invoices, by their ids.
#[derive(Default)]
pub(super) struct Ties {
    charges: HashMap<String, Vec<FailedCharge>>,
    intents: HashMap<String, Vec<String>>,
}

/// The charge that paid an invoice, as far as other events tell of it.
struct Paying {
    charge_id: Option<String>,
    /// Whether the file would name it: it tells of charges that came through, and of the payment intent to which this one would belong.
    would_be_known: bool,
}

impl Ties {
    /// What is told of the charge that paid an invoice, by the charges that came through.
    fn paying(&self, invoice: &str, through: &HashMap<String, String>) -> Paying {
        let intents = self.intents.get(invoice).map(Vec::as_slice).unwrap_or_default();
        let by_intent = || intents.iter().find_map(|intent| through.get(intent));
        Paying {
            charge_id: through.get(invoice).or_else(by_intent).cloned(),
            would_be_known: !through.is_empty() && !intents.is_empty(),
        }
    }
}

impl History {
    /// Gives each failed charge its invoice, as far as that can be told.
    pub(super) fn tie_charges(&mut self) -> Ties {
        let mut told = HashMap::<(String, i64, Currency), Vec<(Timestamp, &String)>>::new();
        for (id, known) in &self.invoices {
            for failure in &known.failures {
                let customer = id_of(failure.invoice.customer.as_ref());
                if let Some((customer, amount)) = customer.zip(failure.amount()) {
                    let key = (customer, amount.amount_minor, amount.currency);
                    told.entry(key).or_default().push((failure.at, id));
                }
            }
        }
        let by_moment = |charge: &FailedCharge| {
            let (customer, amount) = charge.customer_id.clone().zip(charge.amount)?;
            let key = (customer, amount.amount_minor, amount.currency);
            let near = told.get(&key)?.iter();
            let near = near.filter(|(at, _)| at.duration_since(charge.at).abs() <= APART);
            let mut invoices: BTreeSet<&String> = near.map(|(_, id)| *id).collect();
            let only = invoices.pop_first()?;
            invoices.is_empty().then(|| only.clone())
        };
        for charge in &mut self.failed {
            let by_intent = charge.intent_id.as_ref().and_then(|intent| self.intents.get(intent));
            let known = charge.invoice_id.take().or_else(|| by_intent.cloned());
            charge.invoice_id = known.or_else(|| by_moment(charge));
            if let (Some(intent), Some(invoice)) = (&charge.intent_id, &charge.invoice_id) {
                self.intents.insert(intent.clone(), invoice.clone());
            }
        }
        self.failed.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        self.failed.dedup_by(|later, earlier| later.id == earlier.id);
        let mut ties = Ties::default();
        for charge in std::mem::take(&mut self.failed) {
            if let Some(invoice) = charge.invoice_id.clone() {
                ties.charges.entry(invoice).or_default().push(charge);
            }
        }
        for (intent, invoice) in std::mem::take(&mut self.intents) {
            ties.intents.entry(invoice).or_default().push(intent);
        }
        ties
    }

    /// Says what became of an invoice, or why that is not known.
    pub(super) fn judge(&self, id: String, known: Known, ties: &mut Ties, told: &mut Told) {
        let Some(first) = known.failures.first() else { return };
        if first.count() > 1 {
            told.begun_before.push(id);
            return;
        }
        let subscription = first.invoice.subscription_id();
        let subscribed = subscription.as_ref().and_then(|id| self.subscriptions.get(id));
        let Some((ended_at, end)) = end(&known, &ties.paying(&id, &self.paying), subscribed) else {
            told.under_way.push(id);
            return;
        };
        let traits = subscribed.map(|known| known.traits.clone()).unwrap_or_default();
        let mut charges = ties.charges.remove(&id).unwrap_or_default();
        let mut seen_until = first.count();
        let mut attempts = Vec::new();
        for failure in known.failures {
            let charge = take_nearest(&mut charges, failure.at);
            let is_automatic = attempts.is_empty() || failure.count() > seen_until;
            seen_until = seen_until.max(failure.count());
            told.without_reason += u64::from(charge.is_none() && !failure.confirm);
            attempts.push((failure, charge, is_automatic));
        }
        let mut attempts = attempts.into_iter();
        let Some((first, charge, _)) = attempts.next() else {
            return;
        };
        let failed_at = charge.as_ref().map_or(first.at, |charge| charge.at);
        let Some(first) = snapshot(&id, first, charge, failed_at) else {
            return;
        };
        let mut later: Vec<(SeenAttempt, Origin)> = attempts
            .map(|(failure, charge, is_automatic)| {
                let origin = if is_automatic {
                    Origin::Provider
                } else {
                    Origin::Customer
                };
                (seen(&first, &failure, charge), origin)
            })
            .collect();
        // No event of the invoice tells of them: the customer made them.
        later.extend(
            charges
                .into_iter()
                .map(|charge| (tried(&first, charge), Origin::Customer)),
        );
        later.retain(|(seen, _)| failed_at < seen.at && seen.at <= ended_at);
        later.sort_by_key(|(seen, _)| seen.at);
        told.invoices.push(PastInvoice {
            first: Snapshot { traits, ..first },
            also: Birth::default(),
            failed_at,
            later,
            ended_at,
            end,
        });
    }
}

/// When and how an invoice ended: by what came first, and else by the last automatic charge, where none was to follow it.
fn end(known: &Known, paying: &Paying, subscribed: Option<&Subscribed>) -> Option<(Timestamp, PastEnd)> {
    let (first, last) = (known.failures.first()?, known.failures.last()?);
    let retries_over = last.next_at().is_none();
    let paid = known.paid.as_ref().map(|paid| {
        let before = known.failures.iter().rev().find(|failure| failure.at <= paid.at);
        let planned = before.and_then(Failure::next_at);
        let charge_id = paid.charge_id.clone().or_else(|| paying.charge_id.clone());
        let elsewhere = paid.out_of_band.unwrap_or(charge_id.is_none() && paying.would_be_known);
        let by = match planned {
            _ if elsewhere => RecoveredBy::OutOfBand,
            Some(planned) if paid.at >= planned => RecoveredBy::ProviderRetry,
            Some(_) | None => RecoveredBy::Customer,
        };
        let charge_id = charge_id.filter(|_| !elsewhere);
        (paid.at, PastEnd::Paid { by, charge_id })
    });
    let cancelled = subscribed.and_then(|known| known.ended).map(|(at, reason)| {
        let end = match reason {
            Some(CancelReason::PaymentFailed) => PastEnd::Exhausted {
                then: ExhaustedThen::Cancelled,
            },
            Some(CancelReason::PaymentDisputed) => stopped(StoppedWhy::Disputed),
            Some(CancelReason::Requested) | None => stopped(StoppedWhy::CustomerCancelled),
        };
        (at, end)
    });
    let voided = known.voided_at.map(|at| (at, stopped(StoppedWhy::Voided)));
    let given_up = known.uncollectible_at.map(|at| {
        let then = ExhaustedThen::Uncollectible;
        let end = if retries_over {
            PastEnd::Exhausted { then }
        } else {
            stopped(StoppedWhy::WrittenOff)
        };
        (at, end)
    });
    let ends = [paid, cancelled, voided, given_up].into_iter().flatten();
    let first_end = ends.filter(|(at, _)| *at >= first.at).min_by_key(|(at, _)| *at);
    first_end.or_else(|| {
        let unpaid_at = subscribed
            .and_then(|known| known.unpaid_at)
            .filter(|at| *at >= first.at);
        let unpaid = |at| {
            let then = ExhaustedThen::Unpaid;
            (at, PastEnd::Exhausted { then })
        };
        let then = ExhaustedThen::LeftOpen;
        let left = retries_over.then_some((last.at, PastEnd::Exhausted { then }));
        unpaid_at.map(unpaid).or(left)
    })
}

fn stopped(why: StoppedWhy) -> PastEnd {
    PastEnd::Stopped { why }
}

fn take_nearest(charges: &mut Vec<FailedCharge>, at: Timestamp) -> Option<FailedCharge> {
    let apart = |charge: &FailedCharge| charge.at.duration_since(at).abs();
    let near = charges.iter().enumerate().filter(|(_, charge)| apart(charge) <= APART);
    let nearest = near.min_by_key(|(_, charge)| apart(charge)).map(|(nth, _)| nth)?;
    Some(charges.remove(nearest))
}

/// The invoice as it stood once its first charge had failed. Addresses and names are left where they are.
fn snapshot(id: &str, failure: Failure, charge: Option<FailedCharge>, failed_at: Timestamp) -> Option<Snapshot> {
    let amount = failure.amount()?;
    let Failure {
        mut invoice, confirm, ..
    } = failure;
    let subscription_id = invoice.subscription_id();
    let status = if invoice.billing_reason.as_deref() == Some(FIRST) {
        SubscriptionStatus::Incomplete
    } else {
        SubscriptionStatus::PastDue
    };
    let subscription = subscription_id.is_some().then_some(SubscriptionSeen {
        status,
        canceled_at: None,
        cancel_at_period_end: false,
        cancel_reason: None,
        collection_paused: false,
    });
    let country = charge
        .as_ref()
        .and_then(|charge| known_country(charge.charged.country.clone()));
    let customer_id = id_of(invoice.customer.as_ref())?;
    let bare = Snapshot::failed(id.to_owned(), customer_id, amount);
    Some(Snapshot {
        subscription_id,
        amount_paid: Money::new(invoice.amount_paid.unwrap_or(0), amount.currency),
        automatic: invoice.collection_method.as_deref() != Some("send_invoice"),
        description: description(&mut invoice),
        payment: Some(payment(charge, confirm, failed_at)),
        subscription,
        customer: CustomerSeen {
            country,
            ..CustomerSeen::default()
        },
        ..bare
    })
}

fn payment(charge: Option<FailedCharge>, confirm: bool, failed_at: Timestamp) -> PaymentSeen {
    let nothing = PaymentSeen {
        decline: confirm.then(authentication_required),
        ..PaymentSeen::failed(failed_at)
    };
    match charge {
        None => nothing,
        Some(charge) => PaymentSeen {
            charge_id: Some(charge.id),
            payment_id: charge.intent_id,
            decline: Some(charge.decline),
            payment_method: charge.charged.payment_method,
            fingerprint: charge.charged.fingerprint,
            instrument: charge.charged.instrument,
            card: charge.charged.card,
            ..nothing
        },
    }
}

/// A later charge that failed, as its invoice tells of it.
fn seen(first: &Snapshot, failure: &Failure, charge: Option<FailedCharge>) -> SeenAttempt {
    let amount = failure.amount().unwrap_or(first.amount_remaining);
    match charge {
        Some(charge) => SeenAttempt {
            amount,
            ..tried(first, charge)
        },
        None => SeenAttempt {
            charge_id: None,
            at: failure.at,
            amount,
            decline: decline_untold(failure.confirm),
            payment_method: None,
            instrument: None,
        },
    }
}

/// A later charge that failed, as it tells of itself.
fn tried(first: &Snapshot, charge: FailedCharge) -> SeenAttempt {
    SeenAttempt {
        charge_id: Some(charge.id),
        at: charge.at,
        amount: charge.amount.unwrap_or(first.amount_remaining),
        decline: charge.decline,
        payment_method: charge.charged.payment_method,
        instrument: charge.charged.instrument,
    }
}
