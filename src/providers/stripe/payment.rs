//! The newest payment of an invoice, from the payment intent and the charge, in both shapes.

use jiff::Timestamp;

use super::client::Client;
use super::declines::{self, RawDecline};
use super::instrument;
use super::wire::{
    ApiError, Bare, Card, Charge, Invoice, InvoicePayment, List, MethodDetails, PaymentIntent, Ref, id_of,
};
use crate::domain::decline::Decline;
use crate::domain::instrument::Instrument;
use crate::domain::snapshot::{CardShown, PaymentSeen, PaymentStatus};
use crate::providers::ReadError;

/// The payments of one invoice, as far as the provider tells.
pub(super) struct Payments {
    /// The newest payment.
    pub newest: Option<PaymentSeen>,
    /// The country of the card that it charged, as the provider writes it.
    pub card_country: Option<String>,
    /// Whether the payments themselves say that the invoice was settled by money that did not come through the provider.
    pub settled_elsewhere: bool,
}

/// Reads the invoice's newest payment. What the provider does not have is left out; any other failure fails the whole,
/// for half a payment could be taken for a failed one.
pub(super) async fn of_invoice(
    client: &Client,
    invoice_id: &str,
    invoice: &mut Invoice,
) -> Result<Payments, ReadError> {
    let mut intent = invoice.payment_intent.take();
    let mut charge = invoice.charge.take();
    let mut settled_elsewhere = false;
    if intent.is_none() && charge.is_none() {
        let entries = match invoice.payments.take() {
            Some(embedded) => embedded.data,
            None => entries(client, invoice_id).await?,
        };
        let is_paid = invoice.status.as_deref() == Some("paid");
        settled_elsewhere = is_paid && invoice.amount_paid.unwrap_or(0) > 0 && paid_elsewhere(&entries);
        if let Some(payment) = newest(entries, is_paid).and_then(|entry| entry.payment) {
            intent = payment.payment_intent;
            charge = payment.charge;
        }
    }
    let intent_id = id_of(intent.as_ref());
    let intent = match intent {
        Some(Ref::Object(object)) => Some(*object),
        Some(Ref::Id(id)) => client.read_optional(&["payment_intents", &id], &[]).await?,
        None => None,
    };
    let (newest, card_country) = seen(client, intent_id, intent, charge).await?;
    Ok(Payments {
        newest,
        card_country,
        settled_elsewhere,
    })
}

/// What ties payments to the invoice, newest first; none where the provider is older than that.
pub(super) async fn entries(client: &Client, invoice_id: &str) -> Result<Vec<InvoicePayment>, ReadError> {
    let query = [("invoice", invoice_id), ("limit", "100")];
    let list: Option<List<InvoicePayment>> = client.read_optional(&["invoice_payments"], &query).await?;
    let mut entries = list.unwrap_or_default().data;
    // A provider that does not know the filter must not hand us another invoice's payments.
    entries.retain(|entry| {
        entry
            .invoice
            .as_ref()
            .and_then(Ref::id)
            .is_none_or(|id| id == invoice_id)
    });
    Ok(entries)
}

/// The payment that tells most: for a paid invoice one that paid it, then the default one, then the newest.
fn newest(entries: Vec<InvoicePayment>, invoice_is_paid: bool) -> Option<InvoicePayment> {
    let rank = |entry: &InvoicePayment| {
        let status = entry.status.as_deref();
        (
            invoice_is_paid && status == Some("paid"),
            status != Some("canceled"),
            entry.is_default == Some(true),
            entry.created,
        )
    };
    let through_provider = |entry: &InvoicePayment| {
        entry
            .payment
            .as_ref()
            .is_some_and(|payment| payment.payment_intent.is_some() || payment.charge.is_some())
    };
    // The list comes newest first and `max_by_key` takes the last of equals.
    entries.into_iter().rev().filter(through_provider).max_by_key(rank)
}

/// Whether the invoice was settled, and none of the provider's own payments did it.
fn paid_elsewhere(entries: &[InvoicePayment]) -> bool {
    let own = |entry: &&InvoicePayment| {
        entry
            .payment
            .as_ref()
            .is_some_and(|payment| payment.payment_intent.is_some() || payment.charge.is_some())
    };
    let known_unpaid = |entry: &InvoicePayment| entry.status.as_deref().is_some_and(|status| status != "paid");
    !entries.is_empty() && entries.iter().filter(own).all(known_unpaid)
}

/// The payment and the country of the card that it charged.
async fn seen(
    client: &Client,
    intent_id: Option<String>,
    intent: Option<PaymentIntent>,
    charge: Option<Ref<Charge>>,
) -> Result<(Option<PaymentSeen>, Option<String>), ReadError> {
    let mut intent = intent;
    let error = intent.as_mut().and_then(|intent| intent.last_payment_error.take());
    let charge_ref = intent
        .as_mut()
        .and_then(|intent| intent.latest_charge.take())
        .or(charge);
    let charge_id = id_of(charge_ref.as_ref()).or_else(|| id_of(error.as_ref()?.charge.as_ref()));
    let charge: Option<Charge> = match (charge_ref, &charge_id) {
        (Some(Ref::Object(object)), _) => Some(*object),
        (_, Some(id)) => client.read_optional(&["charges", id], &[]).await?,
        (_, None) => None,
    };
    if intent.is_none() && charge.is_none() {
        return Ok((None, None));
    }
    let status = status(intent.as_ref(), charge.as_ref())?;
    let charged = Charged::of(intent.as_ref(), error.as_ref(), charge.as_ref());
    let payment = PaymentSeen {
        charge_id,
        payment_id: intent_id,
        status,
        charged_at: charge
            .as_ref()
            .and_then(|charge| Timestamp::from_second(charge.created?).ok()),
        decline: decline_at(status, error.as_ref(), charge.as_ref()),
        payment_method: charged.payment_method,
        fingerprint: charged.fingerprint,
        instrument: charged.instrument,
        card: charged.card,
        disputed: charge.as_ref().and_then(|charge| charge.disputed).unwrap_or(false),
        refunded_minor: charge.as_ref().map_or(0, refunded_minor),
    };
    Ok((Some(payment), charged.country))
}

/// Where the payment stands; an unknown word is no answer, for a guess could lead to a second charge.
fn status(intent: Option<&PaymentIntent>, charge: Option<&Charge>) -> Result<PaymentStatus, ReadError> {
    let word = intent
        .and_then(|intent| intent.status.as_deref())
        .or_else(|| charge?.status.as_deref());
    match word {
        Some("requires_payment_method" | "requires_confirmation" | "requires_source" | "failed") => {
            Ok(PaymentStatus::Failed)
        }
        Some("requires_action" | "requires_source_action") => Ok(PaymentStatus::RequiresAction),
        // Money that is held but not yet captured must not be charged again either.
        Some("processing" | "requires_capture" | "pending") => Ok(PaymentStatus::Processing),
        Some("succeeded") => Ok(PaymentStatus::Succeeded),
        Some("canceled") => Ok(PaymentStatus::Canceled),
        _ => Err(ReadError::Unavailable {
            reason: "the payment's status is missing or unknown".to_owned(),
            retry_after: None,
        }),
    }
}

/// What was paid back; a charge that says only that it was, was paid back whole.
fn refunded_minor(charge: &Charge) -> i64 {
    let whole = charge.amount.filter(|_| charge.refunded == Some(true));
    charge.amount_refunded.or(whole).unwrap_or(0)
}

fn decline_at(status: PaymentStatus, error: Option<&ApiError>, charge: Option<&Charge>) -> Option<Decline> {
    let charge_failed = charge.is_some_and(|charge| charge.status.as_deref() == Some("failed"));
    match status {
        PaymentStatus::Failed | PaymentStatus::Canceled => {
            (error.is_some() || charge_failed).then(|| decline(error, charge))
        }
        // An error beside it can only be older.
        PaymentStatus::RequiresAction => Some(authentication_required()),
        PaymentStatus::Processing | PaymentStatus::Succeeded => None,
    }
}

/// The decline for a payment that the customer must confirm.
pub(super) fn authentication_required() -> Decline {
    declines::decline(&RawDecline {
        code: Some("authentication_required"),
        ..RawDecline::default()
    })
}

/// The decline that an error and the charge's outcome tell of together.
pub(super) fn decline(error: Option<&ApiError>, charge: Option<&Charge>) -> Decline {
    let outcome = charge.and_then(|charge| charge.outcome.as_ref());
    let from_charge = charge.and_then(|charge| charge.payment_method_details.as_ref());
    let method = error.and_then(|error| error.payment_method.as_ref());
    let brand = |method: Option<&'_ MethodDetails>| method.and_then(|method| method.card.as_ref()?.brand.clone());
    let brand = brand(from_charge).or_else(|| brand(method));
    let failure_code = charge.and_then(|charge| charge.failure_code.as_deref());
    // An issuer's decline gives the decline code as the outcome's reason.
    let issuer_reason = outcome
        .filter(|outcome| outcome.kind.as_deref() == Some("issuer_declined"))
        .and_then(|outcome| outcome.reason.as_deref());
    declines::decline(&RawDecline {
        decline_code: error.and_then(|error| error.decline_code.as_deref()).or(issuer_reason),
        code: error.and_then(|error| error.code.as_deref()).or(failure_code),
        advice_code: error
            .and_then(|error| error.advice_code.as_deref())
            .or_else(|| outcome?.advice_code.as_deref()),
        network_code: error
            .and_then(|error| error.network_decline_code.as_deref())
            .or_else(|| outcome?.network_decline_code.as_deref()),
        network_advice_code: error
            .and_then(|error| error.network_advice_code.as_deref())
            .or_else(|| outcome?.network_advice_code.as_deref()),
        brand: brand.as_deref(),
        method: from_charge
            .and_then(|method| method.kind.as_deref())
            .or_else(|| method?.kind.as_deref()),
        outcome_reason: outcome.and_then(|outcome| outcome.reason.as_deref()),
        outcome_type: outcome.and_then(|outcome| outcome.kind.as_deref()),
    })
}

/// What was charged.
pub(super) struct Charged {
    /// The payment method.
    pub payment_method: Option<String>,
    /// The stable name of the card.
    pub fingerprint: Option<String>,
    /// The card or the bank account.
    pub instrument: Option<Instrument>,
    /// The card as mails may show it.
    pub card: Option<CardShown>,
    /// The country of the card's issuer.
    pub country: Option<String>,
}

impl Charged {
    /// Reads it from the charge, or else from the error, or else from the payment intent.
    pub fn of(intent: Option<&PaymentIntent>, error: Option<&ApiError>, charge: Option<&Charge>) -> Self {
        let method = error.and_then(|error| error.payment_method.as_ref());
        let from_charge = charge.and_then(|charge| charge.payment_method_details.as_ref());
        let card: Option<&Card> = from_charge
            .and_then(|details| details.card.as_ref())
            .or_else(|| method?.card.as_ref());
        let payment_method = charge
            .and_then(|charge| id_of::<Bare>(charge.payment_method.as_ref()))
            .or_else(|| method?.id.clone())
            .or_else(|| id_of(intent?.payment_method.as_ref()));
        let name = payment_method.as_deref();
        Self {
            instrument: match from_charge.or(method) {
                Some(details) => instrument::of_method(name, details),
                None => instrument::of_method(name, &MethodDetails::default()),
            },
            payment_method,
            fingerprint: card.and_then(|card| card.fingerprint.clone()),
            country: card.and_then(|card| card.country.clone()),
            card: card.and_then(|card| {
                Some(CardShown {
                    brand: card.brand.clone()?,
                    last4: card.last4.clone()?,
                })
            }),
        }
    }
}

/// Finds the invoice that a payment belongs to; see `Provider::invoice_of`.
pub(super) async fn invoice_of(
    client: &Client,
    payment_id: Option<&str>,
    charge_id: Option<&str>,
) -> Result<Option<String>, ReadError> {
    if let Some(payment_id) = payment_id
        && let Some(found) = invoice_of_intent(client, payment_id).await?
    {
        return Ok(Some(found));
    }
    let Some(charge_id) = charge_id else { return Ok(None) };
    let Some(charge) = client.read_optional::<Charge>(&["charges", charge_id], &[]).await? else {
        return Ok(None);
    };
    if let Some(invoice_id) = id_of(charge.invoice.as_ref()) {
        return Ok(Some(invoice_id));
    }
    match id_of(charge.payment_intent.as_ref()) {
        Some(intent_id) if Some(intent_id.as_str()) == payment_id => Ok(None),
        Some(intent_id) => invoice_of_intent(client, &intent_id).await,
        None => tied_invoice(client, "charge", charge_id).await,
    }
}

async fn invoice_of_intent(client: &Client, intent_id: &str) -> Result<Option<String>, ReadError> {
    if let Some(invoice_id) = tied_invoice(client, "payment_intent", intent_id).await? {
        return Ok(Some(invoice_id));
    }
    let intent: Option<PaymentIntent> = client.read_optional(&["payment_intents", intent_id], &[]).await?;
    Ok(intent.and_then(|intent| id_of(intent.invoice.as_ref())))
}

/// Asks what ties a payment intent or a charge to its invoice, the way it is since 2025-03-31.
async fn tied_invoice(client: &Client, kind: &str, id: &str) -> Result<Option<String>, ReadError> {
    let field = format!("payment[{kind}]");
    let query = [("payment[type]", kind), (field.as_str(), id)];
    let list: Option<List<InvoicePayment>> = client.read_optional(&["invoice_payments"], &query).await?;
    let is_asked = |entry: &InvoicePayment| {
        let payment = entry.payment.as_ref()?;
        let named = payment
            .payment_intent
            .as_ref()
            .and_then(Ref::id)
            .or_else(|| payment.charge.as_ref()?.id());
        (named == Some(id)).then(|| id_of(entry.invoice.as_ref())).flatten()
    };
    Ok(list.unwrap_or_default().data.iter().find_map(is_asked))
}
