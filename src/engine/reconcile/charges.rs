//! The provider's charges against our books.

use jiff::Timestamp;

use super::invoices::hint;
use super::{DAILY_SECS, READS_MAX, Ran, YOUNG_SECS};
use crate::domain::calendar::secs_from;
use crate::domain::command::Command;
use crate::domain::event::Event;
use crate::domain::money::Money;
use crate::engine::handle::{ENGINE, Handled, handle};
use crate::engine::{Connection, Inner};
use crate::providers::{ChargeSeen, ReadError};
use crate::store::StoreError;

/// How far back the charges are read each day, so that one that shows late is not missed.
const BACK_SECS: i64 = 3 * DAILY_SECS;

/// The customers of cases that ended longer ago are not asked after.
const CHASED_SECS: i64 = 30 * DAILY_SECS;

/// Charges of the last days that took money for an invoice of ours and are not on the books. One list a connection, then two
/// reads for each charge of a customer with a case that is not on the books.
pub(super) async fn unknown(inner: &Inner, mark: &str) -> Result<Ran, StoreError> {
    let now = inner.now();
    let since: Timestamp = mark.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(now);
    let read_to = mark.split(' ').nth(1).and_then(|text| text.parse().ok());
    // After a long silence everything since the last turn is read.
    let back = secs_from(read_to.map_or(now, |at: Timestamp| at.min(now)), -BACK_SECS);
    let (from, to) = (back.max(since), secs_from(now, -YOUNG_SECS));
    let (mut found, mut complete) = (0, true);
    if from < to {
        for connection in inner.connections.values() {
            match connection.provider.charges(from, to).await {
                Ok(charges) => {
                    let (drift, whole) = book(inner, connection, &charges).await?;
                    found += drift;
                    complete &= whole;
                }
                Err(ReadError::NotFound) => {}
                Err(error) => {
                    tracing::warn!(connection = connection.name, %error, "the list of charges could not be read");
                    complete = false;
                }
            }
        }
    }
    let read_to = if complete { Some(now) } else { read_to };
    let mark = match read_to {
        Some(read_to) => format!("{since} {read_to}"),
        None => since.to_string(),
    };
    Ok(Ran { found, mark, complete })
}

async fn book(inner: &Inner, connection: &Connection, charges: &[ChargeSeen]) -> Result<(u64, bool), StoreError> {
    let pairs: Vec<(String, String)> = charges
        .iter()
        .map(|charge| (charge.charge_id.clone(), charge.customer_id.clone()))
        .collect();
    let unknown = unbooked(inner, connection, &pairs).await?;
    if unknown.len() > READS_MAX {
        // The days overlap, so what is left out today has its chance tomorrow.
        tracing::warn!(
            connection = connection.name,
            charges = unknown.len(),
            "more charges are not on the books than one turn looks into"
        );
    }
    let (mut found, mut complete) = (0, true);
    let unknown = charges.iter().filter(|charge| unknown.contains(&charge.charge_id));
    for charge in unknown.take(READS_MAX) {
        match look_into(inner, connection, charge).await? {
            Some(true) => {
                tracing::error!(
                    connection = connection.name,
                    charge = charge.charge_id,
                    "a charge took money and was not on the books"
                );
                found += 1;
            }
            Some(false) => {}
            None => complete = false,
        }
    }
    Ok((found, complete))
}

/// Those of the charges that are not on the books although their customer is or was chased not long ago.
async fn unbooked(
    inner: &Inner,
    connection: &Connection,
    charges: &[(String, String)],
) -> Result<Vec<String>, StoreError> {
    let since = secs_from(inner.now(), -CHASED_SECS);
    inner.storage.unknown_charges(&connection.name, charges, since).await
}

/// Whether a charge that is not on the books should have been; nothing where that could not be asked.
async fn look_into(inner: &Inner, connection: &Connection, charge: &ChargeSeen) -> Result<Option<bool>, StoreError> {
    let provider = &connection.provider;
    let mut invoice = charge.invoice_id.clone();
    if invoice.is_none() {
        let payment = charge.payment_id.as_deref();
        invoice = match provider.invoice_of(payment, Some(&charge.charge_id)).await {
            Ok(invoice) => invoice,
            Err(ReadError::NotFound) => None,
            Err(_) => return Ok(None),
        };
    }
    let Some(invoice) = invoice else {
        return Ok(Some(false));
    };
    let Some(id) = inner.storage.case_of_invoice(&connection.name, &invoice).await? else {
        return Ok(Some(false));
    };
    let snapshot = match provider.snapshot(&invoice).await {
        Ok(snapshot) => snapshot,
        Err(ReadError::NotFound) => return Ok(Some(false)),
        Err(_) => return Ok(None),
    };
    let invoice_total = Money::new(
        snapshot
            .amount_paid
            .amount_minor
            .saturating_add(snapshot.amount_remaining.amount_minor),
        snapshot.amount_paid.currency,
    );
    let looked = handle(inner, &id, hint(snapshot), ENGINE).await?;
    let pair = [(charge.charge_id.clone(), charge.customer_id.clone())];
    if unbooked(inner, connection, &pair).await?.is_empty() {
        return Ok(Some(is_news(&looked)));
    }
    let event = Event::ChargeFound {
        charge_id: charge.charge_id.clone(),
        amount: charge.amount,
        invoice_total,
    };
    Ok(Some(is_news(&handle(inner, &id, event, ENGINE).await?)))
}

/// Whether something changed beyond the name of money that was booked.
fn is_news(handled: &Handled) -> bool {
    let names = |command: &Command| matches!(command, Command::NamePayment { .. });
    matches!(handled, Handled::Changed(change) if !change.commands.iter().any(names))
}
