//! The ledger: transfers between accounts, two entries each, written with the change that moves the money. It only grows:
//! the database refuses to change or remove an entry, and to book the same reference twice.

use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

use super::row::Row;
use super::{Store, StoreError, Tx};
use crate::domain::case::Case;
use crate::domain::ids::{CaseId, TransferId};
use crate::domain::ledger::{Account, Transfer, TransferKind};
use crate::domain::money::Money;

/// How the reference of an entry begins whose charge is on the books of another case.
pub const CONTESTED: &str = "contested:";
/// The most references that one statement asks for; SQLite takes some thousand values.
const ASKED_AT_ONCE: usize = 500;

/// One entry: its account was debited where the amount is above zero, else credited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The transfer it is half of.
    pub transfer_id: TransferId,
    /// The account.
    pub account: Account,
    /// The case.
    pub case_id: CaseId,
    /// The connection of the case.
    pub connection: String,
    /// The invoice of the case.
    pub invoice_id: String,
    /// Why.
    pub kind: TransferKind,
    /// How much, with its sign.
    pub amount: Money,
    /// What it is booked for: the provider's charge, or a name of ours.
    pub reference: String,
    /// When.
    pub booked_at: Timestamp,
}

/// Books a transfer of a case whose lock the caller holds. What was booked for that case before is not booked again. Where
/// the charge stands on the books of another case, the amount goes to suspense: the true answer is kept, and the check
/// of the books finds it.
pub async fn book(
    tx: &Tx,
    case: &Case,
    id: &TransferId,
    transfer: &Transfer,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut debit = transfer.debit;
    let mut reference = transfer.reference.clone().unwrap_or_else(|| id.to_string());
    if transfer.is_charge {
        let booked = owner(tx, &case.connection, &reference).await?;
        let closes = matches!(transfer.kind, TransferKind::Payment | TransferKind::LateRecovery);
        match booked {
            None => {}
            Some(other) if other == case.id.as_str() && !closes => return Ok(()),
            Some(other) => {
                tracing::error!(case_id = %case.id, other_case = other, charge = reference, "a charge is claimed twice");
                reference = format!("{CONTESTED}{reference}:{}", case.id);
                debit = Account::Suspense;
                // It would go from suspense to suspense.
                if transfer.credit == debit || owner(tx, &case.connection, &reference).await?.is_some() {
                    return Ok(());
                }
            }
        }
    }
    let minor = transfer.amount.amount_minor;
    let mut values: Vec<Value> = Vec::with_capacity(20);
    for (account, amount) in [(debit, minor), (transfer.credit, -minor)] {
        values.extend([
            id.as_str().into(),
            account.as_str().into(),
            case.connection.as_str().into(),
            case.id.as_str().into(),
            case.invoice_id.as_str().into(),
            transfer.kind.as_str().into(),
            amount.into(),
            transfer.amount.currency.code().into(),
            reference.as_str().into(),
            now.as_millisecond().into(),
        ]);
    }
    let backend = tx.conn().get_database_backend();
    tx.conn()
        .execute_raw(Statement::from_sql_and_values(backend, INSERT, values))
        .await?;
    Ok(())
}

const INSERT: &str = "INSERT INTO ledger (transfer_id, account, connection, case_id, invoice_id, kind, amount_minor, \
     currency, reference, booked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10), \
     ($11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";

/// The case on whose books a reference stands.
async fn owner(tx: &Tx, connection: &str, reference: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT case_id FROM ledger WHERE connection = $1 AND reference = $2 LIMIT 1";
    let backend = tx.conn().get_database_backend();
    let statement = Statement::from_sql_and_values(backend, sql, [connection.into(), reference.into()]);
    let row = tx.conn().query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}

/// The entries of a case, oldest first.
pub async fn by_case<C: ConnectionTrait>(conn: &C, case: &CaseId) -> Result<Vec<Entry>, StoreError> {
    let sql = "SELECT transfer_id, account, connection, case_id, invoice_id, kind, amount_minor, currency, reference, \
               booked_at FROM ledger WHERE case_id = $1 ORDER BY booked_at, transfer_id, account";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [case.as_str().into()]);
    let rows = conn.query_all_raw(statement).await?;
    rows.iter().map(decode).collect()
}

/// What was paid, while it was chased, for each case that was opened in `[from, to)`, in minor units.
pub async fn recovered<C: ConnectionTrait>(
    conn: &C,
    from: Timestamp,
    to: Timestamp,
) -> Result<HashMap<CaseId, i64>, StoreError> {
    let sql = "SELECT l.case_id, CAST(SUM(l.amount_minor) AS BIGINT) FROM ledger l JOIN cases c ON c.id = l.case_id \
               WHERE c.opened_at >= $1 AND c.opened_at < $2 AND l.kind = 'payment' AND l.account <> 'receivable' \
               GROUP BY l.case_id";
    let values = [from.as_millisecond().into(), to.as_millisecond().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let rows = conn.query_all_raw(statement).await?;
    let pair = |row: &QueryResult| {
        Ok((
            CaseId::from(row.try_get_by_index::<String>(0)?),
            row.try_get_by_index(1)?,
        ))
    };
    rows.iter().map(pair).collect()
}

/// Those of the charges that are not on the books while their customer has a case that is open or ended after `since`. Each
/// is named with its customer.
pub async fn unknown_charges(
    store: &Store,
    connection: &str,
    charges: &[(String, String)],
    since: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let since = format!("(closed_at IS NULL OR closed_at > {})", since.as_millisecond());
    let mut unknown = Vec::new();
    for asked in charges.chunks(ASKED_AT_ONCE) {
        let customers = asked.iter().map(|(_, customer)| customer.as_str());
        let known =
            format!("SELECT DISTINCT customer_id FROM cases WHERE connection = $1 AND {since} AND customer_id IN");
        let ours = among(store, &known, connection, customers).await?;
        let asked: Vec<&str> = asked
            .iter()
            .filter(|(_, customer)| ours.contains(customer))
            .map(|(charge, _)| charge.as_str())
            .collect();
        let known = "SELECT DISTINCT reference FROM ledger WHERE connection = $1 AND reference IN";
        let booked = among(store, known, connection, asked.iter().copied()).await?;
        let missing = asked
            .into_iter()
            .filter(|charge| !booked.iter().any(|known| known == charge));
        unknown.extend(missing.map(str::to_owned));
    }
    Ok(unknown)
}

async fn among<'a>(
    store: &Store,
    select: &str,
    connection: &str,
    asked: impl Iterator<Item = &'a str>,
) -> Result<Vec<String>, StoreError> {
    let mut values: Vec<Value> = vec![connection.into()];
    values.extend(asked.map(Value::from));
    if values.len() == 1 {
        return Ok(Vec::new());
    }
    let places: Vec<String> = (2..=values.len()).map(|place| format!("${place}")).collect();
    let sql = format!("{select} ({})", places.join(", "));
    let rows = store.query_many(&sql, values).await?;
    let first = |row: &QueryResult| Ok(row.try_get_by_index::<String>(0)?);
    rows.iter().map(first).collect()
}

fn decode(found: &QueryResult) -> Result<Entry, StoreError> {
    let text = |index: usize| found.try_get_by_index::<String>(index);
    let transfer_id = text(0)?;
    let row = Row {
        table: "ledger",
        id: &transfer_id,
    };
    Ok(Entry {
        account: row.word("account", &text(1)?)?,
        connection: text(2)?,
        case_id: CaseId::from(text(3)?),
        invoice_id: text(4)?,
        kind: row.word("kind", &text(5)?)?,
        amount: row.money(found.try_get_by_index(6)?, &text(7)?)?,
        reference: text(8)?,
        booked_at: row.instant("booked_at", found.try_get_by_index(9)?)?,
        transfer_id: TransferId::from(transfer_id.clone()),
    })
}
