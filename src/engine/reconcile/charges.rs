//! The provider's charges against our books.

use jiff::Timestamp;

use super::invoices::hint;
use super::{DAILY_SECS, READS_MAX, Ran, YOUNG_SECS};
use crate::domain::calendar::secs_from;
use crate::domain::command::{Command, Reason};
use crate::domain::event::Event;
use crate::domain::money::Money;
use crate::engine::handle::{ENGINE, Handled, handle};
use crate::engine::stretch::Stretch;
use crate::engine::{Connection, Inner};
use crate::providers::{ChargeSeen, ListError, ReadError};
use crate::store::StoreError;

/// How far back the charges are read each day, so that one that shows late is not missed.
const BACK_SECS: i64 = 3 * DAILY_SECS;

/// For how long the list is read again from where it was, for charges that wait for an attempt of ours: longer than any
/// attempt is in doubt.
const WAITED_FOR_SECS: i64 = 7 * DAILY_SECS;

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
    let mut all = Booked::default();
    for connection in inner.connections.values() {
        let booked = list(inner, connection, Stretch::new(from, to)).await?;
        all.found += booked.found;
        all.unread |= booked.unread;
        all.waits |= booked.waits;
    }
    let read_to = match (all.unread, all.waits) {
        (true, _) => read_to,
        // What waits must not make the list longer day by day.
        (false, true) => Some(read_to.map_or(since, |at| at.max(secs_from(now, -WAITED_FOR_SECS)))),
        (false, false) => Some(now),
    };
    let mark = match read_to {
        Some(read_to) => format!("{since} {read_to}"),
        None => since.to_string(),
    };
    Ok(Ran {
        found: all.found,
        mark,
        complete: !all.unread,
    })
}

/// What became of a list of charges.
#[derive(Default)]
struct Booked {
    /// How many were not on the books and were looked into, `READS_MAX` at most.
    looked_into: usize,
    /// How many were not on the books and should have been.
    found: u64,
    /// Some could not be asked after: soon again.
    unread: bool,
    /// Some belong to cases with an attempt that must end first: the next turns list them again, for a week at most.
    waits: bool,
}

/// What a charge that is not on the books turned out to be.
enum Looked {
    News,
    NoNews,
    Unread,
    Waits,
}

/// Books what one connection's list shows of a stretch.
async fn list(inner: &Inner, connection: &Connection, mut stretch: Stretch) -> Result<Booked, StoreError> {
    let mut booked = Booked::default();
    while let Some((from, until)) = stretch.piece() {
        match inner.unless_stopping(connection.provider.charges(from, until)).await {
            Ok(charges) => {
                book(inner, connection, &charges, &mut booked).await?;
                stretch.go_on();
            }
            Err(ListError::TooLong) if stretch.halve() => {}
            Err(ListError::Read(ReadError::NotFound)) => break,
            Err(error) => {
                tracing::warn!(connection = connection.name, %error, "the list of charges could not be read");
                booked.unread = true;
                break;
            }
        }
    }
    Ok(booked)
}

async fn book(
    inner: &Inner,
    connection: &Connection,
    charges: &[ChargeSeen],
    booked: &mut Booked,
) -> Result<(), StoreError> {
    let pairs: Vec<(String, String)> = charges
        .iter()
        .map(|charge| (charge.charge_id.clone(), charge.customer_id.clone()))
        .collect();
    let unknown = unbooked(inner, connection, &pairs).await?;
    let left = READS_MAX - booked.looked_into;
    if unknown.len() > left {
        // The days overlap, so what is left out today has its chance tomorrow.
        tracing::warn!(
            connection = connection.name,
            charges = unknown.len(),
            "more charges are not on the books than one turn looks into"
        );
    }
    let unknown = charges.iter().filter(|charge| unknown.contains(&charge.charge_id));
    for charge in unknown.take(left) {
        booked.looked_into += 1;
        match look_into(inner, connection, charge).await? {
            Looked::News => {
                tracing::error!(
                    connection = connection.name,
                    charge = charge.charge_id,
                    "a charge took money and was not on the books"
                );
                booked.found += 1;
            }
            Looked::NoNews => {}
            Looked::Unread => booked.unread = true,
            Looked::Waits => booked.waits = true,
        }
    }
    Ok(())
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

/// What a charge that is not on the books is.
async fn look_into(inner: &Inner, connection: &Connection, charge: &ChargeSeen) -> Result<Looked, StoreError> {
    let provider = &connection.provider;
    let mut invoice = charge.invoice_id.clone();
    if invoice.is_none() {
        let payment = charge.payment_id.as_deref();
        let asked = provider.invoice_of(payment, Some(&charge.charge_id));
        invoice = match inner.unless_stopping(asked).await {
            Ok(invoice) => invoice,
            Err(ReadError::NotFound) => None,
            Err(_) => return Ok(Looked::Unread),
        };
    }
    let Some(invoice) = invoice else {
        return Ok(Looked::NoNews);
    };
    let Some(id) = inner.storage.case_of_invoice(&connection.name, &invoice).await? else {
        return Ok(Looked::NoNews);
    };
    let snapshot = match inner.unless_stopping(provider.snapshot(&invoice)).await {
        Ok(snapshot) => snapshot,
        Err(ReadError::NotFound) => return Ok(Looked::NoNews),
        Err(_) => return Ok(Looked::Unread),
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
        return Ok(looked_by(&looked));
    }
    let event = Event::ChargeFound {
        charge_id: charge.charge_id.clone(),
        amount: charge.amount,
        invoice_total,
    };
    Ok(looked_by(&handle(inner, &id, event, ENGINE).await?))
}

/// News is what changed something beyond the name of money that was booked.
fn looked_by(handled: &Handled) -> Looked {
    let names = |command: &Command| matches!(command, Command::NamePayment { .. });
    match handled {
        Handled::Changed(change) if !change.commands.iter().any(names) => Looked::News,
        Handled::Ignored(Reason::AttemptOpen | Reason::FinalActionRunning) => Looked::Waits,
        Handled::Changed(_) | Handled::Ignored(_) | Handled::Gone => Looked::NoNews,
    }
}
