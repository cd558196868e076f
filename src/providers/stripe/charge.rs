//! One charge, and what Stripe's answer to it means. Whatever is not certain is `Unknown`.

use std::time::Duration;

use reqwest::Method;

use super::client::{Answer, Client, Command, Lost};
use super::payment::{self, Charged};
use super::wire::{ApiError, Charge, Invoice, PaymentIntent, Ref, id_of};
use crate::domain::decline::{Decline, DeclineKind, Disposition};
use crate::domain::money::{Currency, Money};
use crate::domain::snapshot::PaymentStatus;
use crate::providers::{ChargeOutcome, ChargeRequest, ReadError, Receipt, Refusal};

/// How long to wait where another call holds the key or the invoice, and the provider does not say how long.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// How long the reads behind a charge's answer may take in all: charge and reads together stay below the lease.
const FOLLOW_UP_TIMEOUT: Duration = Duration::from_secs(20);

/// Error codes that ask for the customer.
const ASKS_CUSTOMER: [&str; 4] = [
    "authentication_required",
    "invoice_payment_intent_requires_action",
    "subscription_payment_intent_requires_action",
    "payment_intent_authentication_failure",
];

/// Asks Stripe to pay the invoice: a conditional operation, which an invoice that is already paid refuses.
pub(super) async fn charge(client: &Client, request: &ChargeRequest) -> ChargeOutcome {
    if request.amount.amount_minor <= 0 {
        return ChargeOutcome::NotSent {
            reason: "there is nothing to charge".to_owned(),
            needs_person: true,
            retry_after: None,
        };
    }
    let mut form = vec![("off_session", "true")];
    if let Some(payment_method) = &request.payment_method {
        form.push(("payment_method", payment_method));
    }
    let path = ["invoices", request.invoice_id.as_str(), "pay"];
    let command = Command {
        method: Method::POST,
        path: &path,
        form: &form,
        key: &request.key,
    };
    let answer = match client.send(command).await {
        Ok(answer) => answer,
        Err(Lost::NotSent(reason)) => {
            return ChargeOutcome::NotSent {
                reason: reason.to_owned(),
                needs_person: false,
                retry_after: None,
            };
        }
        Err(Lost::NoAnswer(reason)) => return unknown(reason, None),
    };
    if answer.is_success() {
        return match answer.json::<Invoice>() {
            Some(invoice) => carried_out(client, request, invoice).await,
            None => unknown(&format!("HTTP {} that cannot be read", answer.status), answer.wait()),
        };
    }
    match (answer.status, answer.error()) {
        (401 | 403, _) => not_sent(&answer, true),
        (400..500, Some(error)) => refused(client, &answer, error).await,
        _ => unknown(&answer.reason(), answer.wait()),
    }
}

/// A 2xx says that the call was carried out, not that money came: the invoice in the answer does.
async fn carried_out(client: &Client, request: &ChargeRequest, mut invoice: Invoice) -> ChargeOutcome {
    let Some(id) = invoice.id.as_deref() else {
        return unknown("the answer names no invoice", None);
    };
    if id != request.invoice_id {
        return ChargeOutcome::Mismatch {
            reason: "the answer is about another invoice".to_owned(),
        };
    }
    match invoice.status.as_deref() {
        Some("paid") => paid(client, request, &invoice).await,
        Some("void" | "uncollectible") => ChargeOutcome::NothingOwed,
        Some("open") => still_open(client, request, &mut invoice).await,
        _ => unknown("the invoice's status is missing or unknown", None),
    }
}

async fn paid(client: &Client, request: &ChargeRequest, invoice: &Invoice) -> ChargeOutcome {
    if invoice.paid_out_of_band == Some(true) {
        return ChargeOutcome::NothingOwed;
    }
    let currency = invoice
        .currency
        .as_deref()
        .and_then(|code| code.parse::<Currency>().ok());
    let (Some(currency), Some(amount_paid)) = (currency, invoice.amount_paid) else {
        return unknown("the paid invoice says no amount or currency", None);
    };
    let mismatch = |reason: String| ChargeOutcome::Mismatch { reason };
    let asked = request.amount;
    if currency != asked.currency {
        return mismatch(format!("asked for {}, paid in {currency}", asked.currency));
    }
    let remaining = invoice.amount_remaining.unwrap_or(0);
    if remaining != 0 {
        return mismatch(format!("the paid invoice still owes {remaining}"));
    }
    // What was paid in all may be more than we asked for where a part was paid before. Then the invoice's payments must
    // show one of our amount beside others; without that proof it is a wrong amount.
    if amount_paid != asked.amount_minor {
        match is_last_part(client, request, amount_paid).await {
            Some(true) => {}
            Some(false) => {
                return mismatch(format!("asked for {}, paid {amount_paid}", asked.amount_minor));
            }
            None => return unknown("the payments of the invoice cannot be read", None),
        }
    }
    ChargeOutcome::Succeeded(Receipt {
        invoice_id: request.invoice_id.clone(),
        amount_paid: Money::new(amount_paid, currency),
        charge_id: charge_of(invoice),
    })
}

/// Whether the invoice was paid in several parts that add up to `amount_paid`, one of them of the amount we asked for.
async fn is_last_part(client: &Client, request: &ChargeRequest, amount_paid: i64) -> Option<bool> {
    if amount_paid < request.amount.amount_minor {
        return Some(false);
    }
    let entries = in_time(payment::entries(client, &request.invoice_id)).await?;
    let parts: Vec<i64> = entries
        .iter()
        .filter(|entry| entry.status.as_deref() == Some("paid"))
        .filter_map(|entry| entry.amount_paid)
        .collect();
    let sum = parts.iter().try_fold(0_i64, |sum, part| sum.checked_add(*part));
    Some(parts.len() > 1 && sum == Some(amount_paid) && parts.contains(&request.amount.amount_minor))
}

fn charge_of(invoice: &Invoice) -> Option<String> {
    let of_intent = |intent: &Ref<PaymentIntent>| match intent {
        Ref::Object(intent) => id_of(intent.latest_charge.as_ref()),
        Ref::Id(_) => None,
    };
    id_of(invoice.charge.as_ref())
        .or_else(|| invoice.payment_intent.as_ref().and_then(of_intent))
        .or_else(|| {
            let payments = &invoice.payments.as_ref()?.data;
            payments
                .iter()
                .filter_map(|entry| entry.payment.as_ref())
                .find_map(|payment| {
                    id_of(payment.charge.as_ref()).or_else(|| payment.payment_intent.as_ref().and_then(of_intent))
                })
        })
}

/// The call was carried out and the invoice is still open: bank debits take days, and some cards want the customer. Only
/// a decline inside this very answer is one; what has to be read for could be an older one.
async fn still_open(client: &Client, request: &ChargeRequest, invoice: &mut Invoice) -> ChargeOutcome {
    let embedded = embedded_intent(invoice);
    let Some(payments) = in_time(payment::of_invoice(client, &request.invoice_id, invoice)).await else {
        return unknown("the invoice is still open and its payment cannot be read", None);
    };
    let Some(seen) = payments.newest else {
        return unknown("the invoice is still open without a payment", None);
    };
    match (seen.status, seen.decline) {
        (PaymentStatus::Processing, _) => ChargeOutcome::Processing {
            charge_id: seen.charge_id,
        },
        (PaymentStatus::RequiresAction, _) => ChargeOutcome::Declined(Refusal {
            decline: payment::authentication_required(),
            charge_id: seen.charge_id,
            payment_method: seen.payment_method,
            fingerprint: seen.fingerprint,
            card: seen.card,
            instrument: seen.instrument,
        }),
        (PaymentStatus::Failed, Some(decline)) if embedded => ChargeOutcome::Declined(Refusal {
            decline,
            charge_id: seen.charge_id,
            payment_method: seen.payment_method,
            fingerprint: seen.fingerprint,
            card: seen.card,
            instrument: seen.instrument,
        }),
        (status, _) => unknown(&format!("the invoice is still open and its payment {status}"), None),
    }
}

fn embedded_intent(invoice: &Invoice) -> bool {
    let payments = invoice.payments.as_ref().map_or(&[][..], |list| &list.data);
    let intents = payments
        .iter()
        .filter_map(|entry| entry.payment.as_ref()?.payment_intent.as_ref());
    invoice
        .payment_intent
        .iter()
        .chain(intents)
        .any(|intent| matches!(intent, Ref::Object(_)))
}

/// A 4xx in Stripe's own error shape.
async fn refused(client: &Client, answer: &Answer, error: ApiError) -> ChargeOutcome {
    let kind = error.kind.as_deref();
    let code = error.code.as_deref().unwrap_or_default();
    let busy = |answer: &Answer| unknown(&answer.reason(), Some(answer.wait().unwrap_or(BUSY_WAIT)));
    if answer.status == 429 {
        return unknown(&answer.reason(), answer.wait());
    }
    if matches!(code, "idempotency_key_in_use" | "lock_timeout") {
        return busy(answer);
    }
    if kind == Some("idempotency_error") && (answer.status != 409 || says(&error, &["same parameters"])) {
        return ChargeOutcome::Mismatch {
            reason: format!("{}: the key was used for another request", answer.reason()),
        };
    }
    if answer.status == 409 {
        return busy(answer);
    }
    if lacks_method(code, &error) {
        return without_method();
    }
    if is_decline(answer.status, &error) {
        return declined(client, error).await;
    }
    if is_settled(code, &error) {
        return ChargeOutcome::NothingOwed;
    }
    let is_validation = answer.status != 402 && matches!(kind, Some("invalid_request_error") | None);
    if is_validation && !answer.advises_retry() {
        not_sent(answer, true)
    } else {
        unknown(&answer.reason(), answer.wait())
    }
}

/// Whether there was nothing to charge: neither the request nor invoice, subscription or customer names a payment method.
fn lacks_method(code: &str, error: &ApiError) -> bool {
    const LACKING: [&str; 2] = ["no `default_payment_method` set", "no active card"];
    let default_is_missing = code == "resource_missing" && error.param.as_deref() == Some("default_payment_method");
    code == "missing" || default_is_missing || says(error, &LACKING)
}

/// No issuer was asked, but it is a decline all the same: only the customer can heal it.
fn without_method() -> ChargeOutcome {
    ChargeOutcome::Declined(Refusal {
        decline: Decline {
            kind: DeclineKind::InvalidAccount,
            disposition: Disposition::FixData,
            provider_code: Some("no_payment_method".to_owned()),
            network_code: None,
            advice_code: None,
        },
        charge_id: None,
        payment_method: None,
        fingerprint: None,
        card: None,
        instrument: None,
    })
}

fn is_decline(status: u16, error: &ApiError) -> bool {
    let asks_customer = error.code.as_deref().is_some_and(|code| ASKS_CUSTOMER.contains(&code));
    match error.kind.as_deref() {
        Some("card_error") => true,
        None if status == 402 => error.code.is_some() || error.decline_code.is_some(),
        _ => asks_customer || error.decline_code.is_some(),
    }
}

async fn declined(client: &Client, mut error: ApiError) -> ChargeOutcome {
    let intent = match error.payment_intent.take() {
        Some(Ref::Object(intent)) => Some(*intent),
        _ => None,
    };
    let charge_id = id_of(error.charge.as_ref())
        .or_else(|| id_of(intent.as_ref().and_then(|intent| intent.latest_charge.as_ref())));
    // Only the charge says what the network answered, or that the provider blocked it; without it the decline still holds.
    let charge: Option<Charge> = match &charge_id {
        Some(id) => in_time(client.read_optional(&["charges", id], &[])).await.flatten(),
        None => None,
    };
    let waits = intent.as_ref().and_then(|intent| intent.status.as_deref()) == Some("requires_action");
    let asks_customer = error.code.as_deref().is_some_and(|code| ASKS_CUSTOMER.contains(&code));
    let decline = if waits && !asks_customer && error.decline_code.is_none() {
        payment::authentication_required()
    } else {
        payment::decline(Some(&error), charge.as_ref())
    };
    let charged = Charged::of(intent.as_ref(), Some(&error), charge.as_ref());
    ChargeOutcome::Declined(Refusal {
        decline,
        charge_id,
        payment_method: charged.payment_method,
        fingerprint: charged.fingerprint,
        card: charged.card,
        instrument: charged.instrument,
    })
}

/// What a read that only helps to understand the answer brings; any failure counts as nothing.
async fn in_time<T>(read: impl Future<Output = Result<T, ReadError>>) -> Option<T> {
    tokio::time::timeout(FOLLOW_UP_TIMEOUT, read).await.ok()?.ok()
}

/// Stripe has no code of its own for every one of these, so the message must do.
fn is_settled(code: &str, error: &ApiError) -> bool {
    const SETTLED: [&str; 6] = [
        "already paid",
        "already been paid",
        "voided",
        "is void",
        "uncollectible",
        "no longer be paid",
    ];
    matches!(code, "invoice_already_paid" | "invoice_not_open") || says(error, &SETTLED)
}

fn says(error: &ApiError, phrases: &[&str]) -> bool {
    let message = error.message.as_deref().unwrap_or_default().to_lowercase();
    phrases.iter().any(|phrase| message.contains(phrase))
}

fn not_sent(answer: &Answer, needs_person: bool) -> ChargeOutcome {
    ChargeOutcome::NotSent {
        reason: answer.reason(),
        needs_person,
        retry_after: answer.wait(),
    }
}

fn unknown(reason: &str, retry_after: Option<Duration>) -> ChargeOutcome {
    ChargeOutcome::Unknown {
        reason: reason.to_owned(),
        retry_after,
    }
}
