//! The questions of reconciliation: rows that stand still, leases that nobody can hold, books and chains that do not fit.

use jiff::Timestamp;
use migrations::chain::{self, Link};
use sea_orm::{ConnectionTrait, QueryResult};

use super::lease::lease_millis;
use super::ledger::CONTESTED;
use super::row::Row;
use super::{Dialect, Store, StoreError};
use crate::domain::ids::{AttemptId, CaseId, InboxId};

/// A lease that ended so many of its lengths ago was forgotten.
const FORGOTTEN_LEASES: i64 = 10;
/// How many entries of the audit log are checked with one statement.
const CHAIN_PAGE: i64 = 1000;

/// How many of the newest events tell the usual gap between two of them.
const EVENTS_COMPARED: i64 = 200;

/// The tables with leases, which of their rows wait, and which of those are due at `$1`. Each table has an index of what waits,
/// so that what has ended is not looked through.
const LEASED: [(&str, &str, &str); 5] = [
    ("due_cases", "true", "due_at <= $1"),
    ("inbox", "ended_at IS NULL", "next_at <= $1"),
    ("notifications", "status = 'pending'", "next_at <= $1"),
    ("courtesies", "status = 'pending'", "next_at <= $1"),
    ("digests", "status = 'pending'", "next_at <= $1"),
];

/// An attempt that stands open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSince {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its case.
    pub case_id: CaseId,
    /// When it was made.
    pub started_at: Timestamp,
}

/// An open case, as far as reading its invoice needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCase {
    /// The case.
    pub id: CaseId,
    /// The connection it came by.
    pub connection: String,
    /// Its invoice.
    pub invoice_id: String,
}

/// How many rows wait although they are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Events of the inbox.
    pub events: u64,
    /// Cases.
    pub cases: u64,
    /// Messages, those that are half sent included.
    pub mails: u64,
}

impl Overdue {
    /// All of them.
    pub fn total(self) -> u64 {
        self.events + self.cases + self.mails
    }
}

/// What is wrong with the books of one case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent finding, not a state"
)]
pub struct Faults {
    /// A transfer's entries do not add up to nothing.
    pub unbalanced: bool,
    /// The receivable is not what the case is owed.
    pub receivable: bool,
    /// The late money is not what the ledger says.
    pub late: bool,
    /// A charge of it is on the books of another case.
    pub contested: bool,
    /// It was paid more than once.
    pub overpaid: bool,
}

impl Faults {
    /// Whether the books themselves are wrong; an overpayment is rightly on them.
    pub fn any(self) -> bool {
        self.unbalanced || self.receivable || self.late || self.contested
    }
}

/// The check of some cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BooksPage {
    /// The cases with a fault.
    pub wrong: Vec<(CaseId, Faults)>,
    /// The last case of the page; nothing where there was none.
    pub last: Option<CaseId>,
}

/// When a connection's events came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastEvent {
    /// The connection.
    pub connection: String,
    /// When the last one came.
    pub last_at: Timestamp,
    /// How far the newest ones are apart on average, in seconds.
    pub usual_gap_secs: i64,
}

/// The check of the audit log's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCheck {
    /// How many entries hold together.
    pub length: i64,
    /// The last hash, in hexadecimal: kept elsewhere, it shows a chain that was written anew.
    pub head: String,
    /// What is wrong first, where something is.
    pub broken: Option<String>,
}

pub(super) async fn open_attempts(store: &Store, before: Timestamp, limit: u64) -> Result<Vec<OpenSince>, StoreError> {
    let sql = "SELECT id, case_id, started_at FROM attempts WHERE status = 'open' AND started_at < $1 \
               ORDER BY started_at, id LIMIT $2";
    let rows = store
        .query(sql, [before.as_millisecond().into(), capped(limit).into()])
        .await?;
    let read = |row: &QueryResult| {
        let id: String = row.try_get_by_index(0)?;
        let named = Row {
            table: "attempts",
            id: &id,
        };
        Ok(OpenSince {
            started_at: named.instant("started_at", row.try_get_by_index(2)?)?,
            case_id: CaseId::from(row.try_get_by_index::<String>(1)?),
            attempt: AttemptId::from(id.clone()),
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn open_cases(
    store: &Store,
    after: Option<&CaseId>,
    untouched_since: Timestamp,
    limit: u64,
) -> Result<Vec<OpenCase>, StoreError> {
    let sql = "SELECT id, connection, invoice_id FROM cases WHERE status = 'open' AND id > $1 AND updated_at <= $2 \
               ORDER BY id LIMIT $3";
    let after = after.map_or("", CaseId::as_str);
    let values = [
        after.into(),
        untouched_since.as_millisecond().into(),
        capped(limit).into(),
    ];
    let rows = store.query(sql, values).await?;
    let read = |row: &QueryResult| {
        Ok(OpenCase {
            id: CaseId::from(row.try_get_by_index::<String>(0)?),
            connection: row.try_get_by_index(1)?,
            invoice_id: row.try_get_by_index(2)?,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn overdue(store: &Store, before: Timestamp) -> Result<Overdue, StoreError> {
    let mut counts = [0; LEASED.len()];
    for (count, (table, waits, due)) in counts.iter_mut().zip(LEASED) {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE {waits} AND {due}");
        *count = number(store, &sql, [before.as_millisecond().into()]).await?;
    }
    let [cases, events, mails, courtesies, digests] = counts;
    Ok(Overdue {
        events,
        cases,
        mails: mails + courtesies + digests,
    })
}

pub(super) async fn free_leases(store: &Store, now: Timestamp, lease_secs: u32) -> Result<u64, StoreError> {
    let database = store.dialect.now_ms();
    let length = lease_millis(lease_secs);
    let mut kept_waiting = 0;
    for (table, waits, due) in LEASED {
        let (forgotten, longest) = (FORGOTTEN_LEASES * length, length);
        let held = format!(
            "lease_until IS NOT NULL AND (lease_until < {database} - {forgotten} OR lease_until > {database} + {longest})"
        );
        let waiting = format!("SELECT COUNT(*) FROM {table} WHERE {waits} AND {due} AND {held}");
        kept_waiting += number(store, &waiting, [now.as_millisecond().into()]).await?;
        // A message that is half sent keeps its lease: whoever buries it asks for that.
        let free = format!("UPDATE {table} SET lease_owner = NULL, lease_until = NULL WHERE {waits} AND {held}");
        store.conn().execute_raw(store.statement(&free, [])).await?;
    }
    Ok(kept_waiting)
}

pub(super) async fn check_books(store: &Store, after: Option<&CaseId>, limit: u64) -> Result<BooksPage, StoreError> {
    let values = [
        after.map_or("", CaseId::as_str).into(),
        capped(limit).into(),
        format!("{CONTESTED}%").into(),
    ];
    let mut page = BooksPage::default();
    for row in store.query(CHECK_BOOKS, values).await? {
        let id = CaseId::from(row.try_get_by_index::<String>(0)?);
        let mut figures = [0_i64; 7];
        for (index, figure) in figures.iter_mut().enumerate() {
            *figure = row.try_get_by_index(index + 1)?;
        }
        let [owed, unbalanced, receivable, over, late, contested, late_money] = figures;
        let faults = Faults {
            unbalanced: unbalanced != 0,
            receivable: receivable - over != owed,
            late: late != late_money,
            contested: contested != 0,
            overpaid: receivable < 0,
        };
        if faults != Faults::default() {
            page.wrong.push((id.clone(), faults));
        }
        page.last = Some(id);
    }
    Ok(page)
}

/// What each case is owed, and what its entries say. The linked case of a reversal has no entries.
const CHECK_BOOKS: &str = "WITH page AS (SELECT id, amount_minor, closed_at, reversal_of FROM cases WHERE id > $1 \
     ORDER BY id LIMIT $2), \
     moved AS (SELECT l.case_id, l.transfer_id, SUM(l.amount_minor) AS off, COUNT(*) AS entries, \
     SUM(CASE WHEN l.account = 'receivable' THEN l.amount_minor ELSE 0 END) AS receivable, \
     SUM(CASE WHEN l.account = 'receivable' AND l.kind = 'overpayment' THEN l.amount_minor ELSE 0 END) AS over, \
     SUM(CASE WHEN l.kind IN ('late_recovery', 'refund', 'dispute') AND l.amount_minor > 0 THEN l.amount_minor \
     ELSE 0 END) AS late, \
     SUM(CASE WHEN l.reference LIKE $3 THEN 1 ELSE 0 END) AS contested \
     FROM ledger l JOIN page ON page.id = l.case_id GROUP BY l.case_id, l.transfer_id), \
     sums AS (SELECT case_id, SUM(CASE WHEN off <> 0 OR entries <> 2 THEN 1 ELSE 0 END) AS unbalanced, \
     SUM(receivable) AS receivable, SUM(over) AS over, SUM(late) AS late, SUM(contested) AS contested \
     FROM moved GROUP BY case_id) \
     SELECT page.id, CAST(CASE WHEN closed_at IS NOT NULL OR reversal_of IS NOT NULL THEN 0 ELSE amount_minor END \
     AS BIGINT), CAST(COALESCE(unbalanced, 0) AS BIGINT), CAST(COALESCE(receivable, 0) AS BIGINT), \
     CAST(COALESCE(over, 0) AS BIGINT), CAST(COALESCE(late, 0) AS BIGINT), CAST(COALESCE(contested, 0) AS BIGINT), \
     CAST((SELECT COALESCE(SUM(m.amount_minor), 0) FROM late_money m WHERE m.case_id = page.id) AS BIGINT) \
     FROM page LEFT JOIN sums ON sums.case_id = page.id ORDER BY page.id";

pub(super) async fn events_received(
    store: &Store,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(String, u64)>, StoreError> {
    // The ids sort by their time of birth, and the index of the key holds them.
    let sql =
        "SELECT connection, COUNT(*) FROM inbox WHERE id > $1 AND id <= $2 GROUP BY connection ORDER BY connection";
    let bound = |at: Timestamp| InboxId::new(at.as_millisecond(), u128::MAX).to_string();
    let rows = store.query(sql, [bound(from).into(), bound(to).into()]).await?;
    let named = Row {
        table: "inbox",
        id: "count",
    };
    let read = |row: &QueryResult| {
        Ok((
            row.try_get_by_index(0)?,
            named.count("count", row.try_get_by_index(1)?)?,
        ))
    };
    rows.iter().map(read).collect()
}

/// The newest events of each connection: when the last one came, and how far they are apart. For people; no part of the port.
pub async fn last_events(store: &Store) -> Result<Vec<LastEvent>, StoreError> {
    let connections = store
        .query("SELECT DISTINCT connection FROM inbox ORDER BY connection", [])
        .await?;
    let mut seen = Vec::new();
    for row in connections {
        let connection: String = row.try_get_by_index(0)?;
        let sql = "SELECT MAX(received_at), MIN(received_at), COUNT(*) FROM (SELECT received_at FROM inbox \
                   WHERE connection = $1 ORDER BY id DESC LIMIT $2) AS newest";
        let rows = store
            .query(sql, [connection.as_str().into(), EVENTS_COMPARED.into()])
            .await?;
        let Some(row) = rows.first() else { continue };
        let (last, first): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let count: i64 = row.try_get_by_index(2)?;
        let named = Row {
            table: "inbox",
            id: &connection,
        };
        seen.push(LastEvent {
            last_at: named.instant("received_at", last)?,
            usual_gap_secs: last.saturating_sub(first) / 1000 / (count - 1).max(1),
            connection,
        });
    }
    Ok(seen)
}

pub(super) async fn check_chain(store: &Store) -> Result<ChainCheck, StoreError> {
    let sql = "SELECT c.seq, c.hash, a.id, a.at, a.actor, a.action, a.object, a.comment FROM audit_chain c \
               JOIN audit a ON a.id = c.audit_id WHERE c.seq > $1 ORDER BY c.seq LIMIT $2";
    let (mut length, mut last) = (0_i64, chain::START.to_vec());
    let broken = loop {
        let rows = store.query(sql, [length.into(), CHAIN_PAGE.into()]).await?;
        if rows.is_empty() {
            break None;
        }
        let Some(wrong) = follow(&rows, &mut length, &mut last)? else {
            continue;
        };
        break Some(wrong);
    };
    let broken = match broken {
        Some(broken) => Some(broken),
        None => unchained(store, length).await?,
    };
    Ok(ChainCheck {
        length,
        head: hex::encode(last),
        broken,
    })
}

/// Follows the chain over some entries; says what is wrong first.
fn follow(rows: &[QueryResult], length: &mut i64, last: &mut Vec<u8>) -> Result<Option<String>, StoreError> {
    for row in rows {
        let (seq, hash): (i64, Vec<u8>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let text = |index: usize| row.try_get_by_index::<String>(index);
        let (id, actor, action, object) = (text(2)?, text(4)?, text(5)?, text(6)?);
        let comment: Option<String> = row.try_get_by_index(7)?;
        let link = Link {
            id: &id,
            at: row.try_get_by_index(3)?,
            actor: &actor,
            action: &action,
            object: &object,
            comment: comment.as_deref(),
        };
        if seq != *length + 1 {
            return Ok(Some(format!("entry {} is missing", *length + 1)));
        }
        if link.hash(last)[..] != hash[..] {
            return Ok(Some(format!("entry {seq} ({id}) is not what was written")));
        }
        *length = seq;
        *last = hash;
    }
    Ok(None)
}

/// Entries outside of the chain, or links without an entry.
async fn unchained(store: &Store, length: i64) -> Result<Option<String>, StoreError> {
    let entries: u64 = number(store, "SELECT COUNT(*) FROM audit", []).await?;
    let links: u64 = number(store, "SELECT COUNT(*) FROM audit_chain", []).await?;
    let followed = u64::try_from(length).unwrap_or(0);
    Ok((entries != followed || links != followed)
        .then(|| format!("{entries} entries and {links} links, of which {followed} hold together")))
}

pub(super) async fn database_now(store: &Store) -> Result<Timestamp, StoreError> {
    let sql = format!("SELECT {}", store.dialect.now_ms());
    let millis: i64 = match store.query(&sql, []).await?.first() {
        Some(row) => row.try_get_by_index(0)?,
        None => 0,
    };
    let row = Row {
        table: "settings",
        id: "database time",
    };
    row.instant("now", millis)
}

/// PostgreSQL gives each database and each table a number that no copy by dump or template keeps; a file has the number of its
/// inode, which a file moved into its place does not have.
pub(super) async fn birthmark(store: &Store) -> Result<String, StoreError> {
    let sql = match store.dialect {
        Dialect::Postgres => {
            "SELECT CAST(d.oid AS TEXT) || '/' || CAST(CAST('settings'::regclass AS oid) AS TEXT) FROM pg_database d \
             WHERE d.datname = current_database()"
        }
        Dialect::Sqlite => "SELECT file FROM pragma_database_list WHERE name = 'main'",
    };
    let rows = store.query(sql, []).await?;
    let text: String = match rows.first() {
        Some(row) => row.try_get_by_index(0)?,
        None => String::new(),
    };
    Ok(match store.dialect {
        Dialect::Postgres => text,
        Dialect::Sqlite => inode(&text).await,
    })
}

#[cfg(unix)]
async fn inode(file: &str) -> String {
    use std::os::unix::fs::MetadataExt;
    let number = tokio::fs::metadata(file).await.map(|file| file.ino());
    number.map_or_else(|_| "-".to_owned(), |number| number.to_string())
}

#[cfg(not(unix))]
async fn inode(_: &str) -> String {
    "-".to_owned()
}

async fn number<const N: usize>(store: &Store, sql: &str, values: [sea_orm::Value; N]) -> Result<u64, StoreError> {
    let count: i64 = match store.query(sql, values).await?.first() {
        Some(row) => row.try_get_by_index(0)?,
        None => 0,
    };
    let row = Row {
        table: "drift",
        id: "count",
    };
    row.count("count", count)
}

fn capped(limit: u64) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
