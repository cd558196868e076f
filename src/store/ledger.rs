//! The ledger: transfers between accounts, two entries each, written with the change that moves the money. It only grows:
//! the database refuses to change or remove an entry, and to book the same reference twice.

use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};
use serde::Serialize;
use serde_json::json;

use super::bulk::{Column, Kind};
use super::row::Row;
use super::{Store, StoreError, Tx, bulk};
use crate::domain::case::Case;
use crate::domain::ids::{CaseId, TransferId};
use crate::domain::ledger::{Account, Transfer, TransferKind};
use crate::domain::money::{Currency, Money};

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

/// Books transfers of cases whose locks the caller holds, in this order. What was booked for a case before is not booked
/// again. Where the charge stands on the books of another case, the amount goes to suspense: the true answer is kept, and
/// the check of the books finds it.
pub async fn book(tx: &Tx, booked: &[(&Case, &TransferId, &Transfer, Timestamp)]) -> Result<(), StoreError> {
    let mut owners = owners(tx, booked).await?;
    let mut rows = Vec::with_capacity(2 * booked.len());
    for (case, id, transfer, at) in booked {
        let Some((debit, reference)) = place(&mut owners, case, id, transfer) else {
            continue;
        };
        let minor = transfer.amount.amount_minor;
        for (account, amount_minor) in [(debit, minor), (transfer.credit, -minor)] {
            rows.push(NewEntry {
                transfer_id: id,
                account,
                connection: &case.connection,
                case_id: &case.id,
                invoice_id: &case.invoice_id,
                kind: transfer.kind,
                amount_minor,
                currency: transfer.amount.currency,
                reference: reference.clone(),
                booked_at: at.as_millisecond(),
            });
        }
    }
    let sql = format!(
        "INSERT INTO ledger ({}) SELECT {} FROM {}",
        bulk::names(&COLUMNS),
        bulk::values(&COLUMNS),
        tx.new_rows(&COLUMNS)
    );
    tx.write_rows(&sql, &COLUMNS, &rows).await?;
    Ok(())
}

const COLUMNS: [Column; 10] = [
    ("transfer_id", Kind::Text),
    ("account", Kind::Text),
    ("connection", Kind::Text),
    ("case_id", Kind::Text),
    ("invoice_id", Kind::Text),
    ("kind", Kind::Text),
    ("amount_minor", Kind::Int),
    ("currency", Kind::Text),
    ("reference", Kind::Text),
    ("booked_at", Kind::Int),
];

/// An entry as it is written.
#[derive(Serialize)]
struct NewEntry<'a> {
    transfer_id: &'a TransferId,
    account: Account,
    connection: &'a str,
    case_id: &'a CaseId,
    invoice_id: &'a str,
    kind: TransferKind,
    amount_minor: i64,
    currency: Currency,
    reference: String,
    booked_at: i64,
}

/// The case on whose books a reference of a connection stands.
type Owners = HashMap<(String, String), CaseId>;

/// Which account is debited, and under which reference; nothing where the transfer stands on the books already.
fn place(owners: &mut Owners, case: &Case, id: &TransferId, transfer: &Transfer) -> Option<(Account, String)> {
    let reference = transfer.reference.clone().unwrap_or_else(|| id.to_string());
    if !transfer.is_charge {
        return Some((transfer.debit, reference));
    }
    let key = (case.connection.clone(), reference);
    let closes = matches!(transfer.kind, TransferKind::Payment | TransferKind::LateRecovery);
    match owners.get(&key) {
        None => {
            owners.insert(key.clone(), case.id.clone());
            Some((transfer.debit, key.1))
        }
        Some(other) if *other == case.id && !closes => None,
        Some(other) => {
            tracing::error!(case_id = %case.id, other_case = %other, charge = key.1, "a charge is claimed twice");
            let contested = (case.connection.clone(), contested(&key.1, case));
            // It would go from suspense to suspense.
            if transfer.credit == Account::Suspense || owners.contains_key(&contested) {
                return None;
            }
            owners.insert(contested.clone(), case.id.clone());
            Some((Account::Suspense, contested.1))
        }
    }
}

fn contested(reference: &str, case: &Case) -> String {
    format!("{CONTESTED}{reference}:{}", case.id)
}

/// The cases on whose books the references stand that charges would be booked for.
async fn owners(tx: &Tx, booked: &[(&Case, &TransferId, &Transfer, Timestamp)]) -> Result<Owners, StoreError> {
    const ASKED: [Column; 2] = [("connection", Kind::Text), ("reference", Kind::Text)];
    let mut asked = Vec::new();
    for (case, id, transfer, _) in booked.iter().filter(|(_, _, transfer, _)| transfer.is_charge) {
        let reference = transfer.reference.clone().unwrap_or_else(|| id.to_string());
        for reference in [contested(&reference, case), reference] {
            asked.push(json!({"connection": case.connection, "reference": reference}));
        }
    }
    let sql = format!(
        "SELECT ledger.connection, ledger.reference, ledger.case_id FROM {} \
         JOIN ledger ON ledger.connection = new.connection AND ledger.reference = new.reference",
        tx.new_rows(&ASKED)
    );
    let mut owners = Owners::new();
    for row in tx.read_rows(&sql, &ASKED, &asked).await? {
        let key = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        owners.insert(key, CaseId::from(row.try_get_by_index::<String>(2)?));
    }
    Ok(owners)
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
    paid(conn, "c.opened_at >= $1 AND c.opened_at < $2", [from, to]).await
}

/// The same for each case that was opened before `opened` and was paid from `booked` on.
pub async fn recovered_since<C: ConnectionTrait>(
    conn: &C,
    opened: Timestamp,
    booked: Timestamp,
) -> Result<HashMap<CaseId, i64>, StoreError> {
    let cases = "c.opened_at < $1 AND l.case_id IN (SELECT case_id FROM ledger WHERE booked_at >= $2)";
    paid(conn, cases, [opened, booked]).await
}

async fn paid<C: ConnectionTrait>(
    conn: &C,
    cases: &str,
    bounds: [Timestamp; 2],
) -> Result<HashMap<CaseId, i64>, StoreError> {
    let sql = format!(
        "SELECT l.case_id, CAST(SUM(l.amount_minor) AS BIGINT) FROM ledger l JOIN cases c ON c.id = l.case_id \
         WHERE {cases} AND l.kind = 'payment' AND l.account <> 'receivable' GROUP BY l.case_id"
    );
    let values = bounds.map(|at| at.as_millisecond().into());
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
