//! The queue of the cases: a narrow row for each open one, so that a claim moves little and the case stays where it is.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::Serialize;

use crate::domain::ids::CaseId;
use crate::store::bulk::{self, Column, Kind};
use crate::store::changes::CaseChange;
use crate::store::lease::{Queue, decoded};
use crate::store::row::Row;
use crate::store::{Store, StoreError, Tx};

/// The right to work on a case until the lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The case.
    pub id: CaseId,
    /// The number of this claim; a later claim of the same case has a higher one.
    pub fence: i64,
    /// The connection it came by.
    pub connection: String,
    /// Its invoice.
    pub invoice_id: String,
}

const COLUMNS: [Column; 4] = [
    ("case_id", Kind::Text),
    ("connection", Kind::Text),
    ("invoice_id", Kind::Text),
    ("due_at", Kind::Int),
];
const MOVES: [Column; 3] = [
    ("case_id", Kind::Text),
    ("due_at", Kind::Int),
    ("given_back", Kind::Int),
];

/// A case in the queue.
#[derive(Serialize)]
struct Place<'a> {
    case_id: &'a CaseId,
    connection: &'a str,
    invoice_id: &'a str,
    due_at: Option<i64>,
    /// The number of the claim that ends.
    given_back: Option<i64>,
}

impl<'a> Place<'a> {
    fn of(change: &'a CaseChange) -> Self {
        let case = &change.case;
        Self {
            case_id: &case.id,
            connection: &case.connection,
            invoice_id: &case.invoice_id,
            due_at: case.next_action().map(|next| next.at.as_millisecond()),
            given_back: change.release,
        }
    }
}

/// Puts new cases into the queue; those that were born closed are never due.
pub(super) async fn join(tx: &Tx, new: &[&CaseChange]) -> Result<(), StoreError> {
    let open = new.iter().filter(|change| change.case.closed_at.is_none());
    let places: Vec<_> = open.map(|change| Place::of(change)).collect();
    let sql = format!(
        "INSERT INTO due_cases ({}) SELECT {} FROM {} WHERE true",
        bulk::names(&COLUMNS),
        bulk::values(&COLUMNS),
        tx.new_rows(&COLUMNS)
    );
    tx.write_rows(&sql, &COLUMNS, &places).await?;
    Ok(())
}

/// Moves changed cases to when they are due now, gives their claims back unless somebody else holds the case by now, and
/// takes those that closed out of the queue.
pub(super) async fn follow(tx: &Tx, changes: &[&CaseChange]) -> Result<(), StoreError> {
    let (open, closed): (Vec<&CaseChange>, Vec<&CaseChange>) =
        changes.iter().partition(|change| change.case.closed_at.is_none());
    let held = "due_cases.fence = new.given_back";
    let sql = format!(
        "UPDATE due_cases SET due_at = new.due_at, \
         lease_owner = CASE WHEN {held} THEN NULL ELSE lease_owner END, \
         lease_until = CASE WHEN {held} THEN NULL ELSE lease_until END \
         FROM {} WHERE due_cases.case_id = new.case_id AND (due_cases.due_at IS DISTINCT FROM new.due_at OR {held})",
        tx.new_rows(&MOVES)
    );
    let places: Vec<_> = open.into_iter().map(Place::of).collect();
    tx.write_rows(&sql, &MOVES, &places).await?;
    let sql = format!(
        "DELETE FROM due_cases WHERE case_id IN (SELECT new.case_id FROM {})",
        tx.new_rows(&COLUMNS[..1])
    );
    let places: Vec<_> = closed.into_iter().map(Place::of).collect();
    tx.write_rows(&sql, &COLUMNS[..1], &places).await?;
    Ok(())
}

/// Claims at most `limit` open cases that are due at `now`, most overdue first.
pub async fn claim_due(
    store: &Store,
    now: Timestamp,
    limit: u64,
    lease_secs: u32,
    owner: &str,
) -> Result<Vec<Claim>, StoreError> {
    let rows = DUE.claim(store, now, limit, lease_secs, owner).await?;
    let mut claimed = decoded(&rows, |row| Ok(Claimed::from_query_result(row, "")?));
    claimed.sort_by(|a, b| (a.due_at, &a.case_id).cmp(&(b.due_at, &b.case_id)));
    Ok(claimed.into_iter().map(Claimed::claim).collect())
}

/// Gives a claim back. A claim that somebody else holds by now stays as it is.
pub async fn release(store: &Store, claim: &Claim) -> Result<(), StoreError> {
    let sql = "UPDATE due_cases SET lease_owner = NULL, lease_until = NULL WHERE case_id = $1 AND fence = $2";
    let _turn = store.turn().await?;
    let statement = store.statement(sql, [claim.id.as_str().into(), claim.fence.into()]);
    store.conn().execute_raw(statement).await?;
    Ok(())
}

/// The earliest instant after `now` at which something falls due: a case, a row of the inbox, a message. Leases do
/// not count.
pub async fn next_due(store: &Store, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT MIN(due_at) FROM (\
         SELECT MIN(due_at) AS due_at FROM due_cases WHERE due_at > $1 \
         UNION ALL SELECT MIN(next_at) FROM inbox WHERE ended_at IS NULL AND next_at > $1 \
         UNION ALL SELECT MIN(next_at) FROM notifications WHERE status = 'pending' AND next_at > $1 \
         UNION ALL SELECT MIN(next_at) FROM courtesies WHERE status = 'pending' AND next_at > $1 \
         UNION ALL SELECT MIN(next_at) FROM digests WHERE status = 'pending' AND next_at > $1) AS dues";
    let rows = store.query(sql, [now.as_millisecond().into()]).await?;
    let millis = match rows.first() {
        Some(row) => row.try_get_by_index::<Option<i64>>(0)?,
        None => None,
    };
    let row = Row {
        table: "due_cases",
        id: "next due",
    };
    row.maybe_instant("due_at", millis)
}

const DUE: Queue = Queue {
    table: "due_cases",
    key: "case_id",
    part: None,
    due: "due_at <= $1",
    order: "due_at, case_id",
    also_set: ", fence = fence + 1",
    returning: "case_id, due_at, fence, connection, invoice_id",
};

#[derive(FromQueryResult)]
struct Claimed {
    case_id: String,
    due_at: i64,
    fence: i64,
    connection: String,
    invoice_id: String,
}

impl Claimed {
    fn claim(self) -> Claim {
        Claim {
            id: CaseId::from(self.case_id),
            fence: self.fence,
            connection: self.connection,
            invoice_id: self.invoice_id,
        }
    }
}
