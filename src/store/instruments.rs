//! The ledger of attempts by instrument, which has no expiry, and the charges that the ceiling did not allow.

use std::collections::HashMap;

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use serde::Serialize;

use super::attempts::Words;
use super::bulk::{Column as Field, Kind};
use super::changes::{Ask, AttemptEnd, Blocked};
use super::row::{Codes, Row};
use super::{Dialect, StoreError, Tx, bulk};
use crate::domain::case::{Case, OpenAttempt, Origin};
use crate::domain::command::AttemptStatus;
use crate::domain::event::SeenAttempt;
use crate::domain::ids::{AttemptId, BlockedId, CaseId};
use crate::domain::instrument::{Funding, History, Instrument, PastAttempt};
use crate::domain::money::Money;
use crate::domain::network::Network;

pub use audit::audit;
pub use banks::{Bank, Group, banks};

mod audit;
mod banks;

/// How many attempts on one instrument are read at most, the newest: the rules count to 35 at most.
const NEWEST_MAX: u32 = 256;

/// The columns of an attempt, in the order of `Record`.
const COLUMNS: [Field; 19] = [
    ("id", Kind::Text),
    ("connection", Kind::Text),
    ("instrument", Kind::Text),
    ("network", Kind::Text),
    ("country", Kind::Text),
    ("funding", Kind::Text),
    ("bank_group", Kind::Text),
    ("case_id", Kind::Text),
    ("origin", Kind::Text),
    ("at", Kind::Int),
    ("amount_minor", Kind::Int),
    ("currency", Kind::Text),
    ("status", Kind::Text),
    ("known_at", Kind::Int),
    ("decline_kind", Kind::Text),
    ("decline_disposition", Kind::Text),
    ("provider_code", Kind::Text),
    ("network_code", Kind::Text),
    ("advice_code", Kind::Text),
];
/// What its end sets.
const ENDS: [Field; 13] = [
    ("id", Kind::Text),
    ("instrument", Kind::Text),
    ("network", Kind::Text),
    ("country", Kind::Text),
    ("funding", Kind::Text),
    ("bank_group", Kind::Text),
    ("status", Kind::Text),
    ("known_at", Kind::Int),
    ("decline_kind", Kind::Text),
    ("decline_disposition", Kind::Text),
    ("provider_code", Kind::Text),
    ("network_code", Kind::Text),
    ("advice_code", Kind::Text),
];
const BLOCKED: [Field; 8] = [
    ("id", Kind::Text),
    ("connection", Kind::Text),
    ("instrument", Kind::Text),
    ("network", Kind::Text),
    ("case_id", Kind::Text),
    ("at", Kind::Int),
    ("rule", Kind::Text),
    ("until", Kind::Int),
];
const ASKED: [Field; 2] = [("connection", Kind::Text), ("instrument", Kind::Text)];

#[derive(Serialize)]
struct Record<'a> {
    id: &'a AttemptId,
    connection: &'a str,
    #[serde(flatten)]
    on: On<'a>,
    case_id: &'a CaseId,
    origin: Origin,
    at: i64,
    #[serde(flatten)]
    amount: Money,
    status: AttemptStatus,
    /// When its end was written down here; none while it is open.
    known_at: Option<i64>,
    #[serde(flatten)]
    decline: Words<'a>,
}

/// The columns of the instrument.
#[derive(Default, Serialize)]
struct On<'a> {
    instrument: Option<&'a str>,
    network: Option<Network>,
    country: Option<&'a str>,
    funding: Option<Funding>,
    bank_group: Option<String>,
}

impl<'a> From<&'a Instrument> for On<'a> {
    fn from(instrument: &'a Instrument) -> Self {
        Self {
            instrument: Some(&instrument.key),
            network: Some(instrument.network),
            country: instrument.country.as_deref(),
            funding: instrument.funding,
            bank_group: Some(instrument.group()),
        }
    }
}

#[derive(Serialize)]
struct End<'a> {
    id: &'a AttemptId,
    #[serde(flatten)]
    on: On<'a>,
    status: AttemptStatus,
    known_at: i64,
    #[serde(flatten)]
    decline: Words<'a>,
}

/// Notes intents to charge.
pub async fn open(tx: &Tx, opened: &[(&Case, &OpenAttempt, Origin)]) -> Result<(), StoreError> {
    let named: Vec<Instrument> = opened
        .iter()
        .map(|(case, attempt, _)| known(attempt.instrument.as_ref(), case))
        .collect();
    let rows = opened
        .iter()
        .zip(&named)
        .map(|((case, attempt, origin), named)| Record {
            id: &attempt.id,
            connection: &case.connection,
            on: On::from(named),
            case_id: &case.id,
            origin: *origin,
            at: attempt.started_at.as_millisecond(),
            amount: attempt.amount,
            status: AttemptStatus::Open,
            known_at: None,
            decline: Words::default(),
        });
    note(tx, &rows.collect::<Vec<_>>()).await
}

/// Notes attempts that somebody else made.
pub async fn record(
    tx: &Tx,
    recorded: &[(&AttemptId, &Case, &SeenAttempt, Origin, Timestamp)],
) -> Result<(), StoreError> {
    let named: Vec<Instrument> = recorded
        .iter()
        .map(|(_, case, seen, ..)| known(seen.instrument.as_ref(), case))
        .collect();
    let rows = recorded
        .iter()
        .zip(&named)
        .map(|((id, case, seen, origin, now), named)| Record {
            id,
            connection: &case.connection,
            on: On::from(named),
            case_id: &case.id,
            origin: *origin,
            at: seen.at.as_millisecond(),
            amount: seen.amount,
            status: AttemptStatus::Declined,
            known_at: Some(now.as_millisecond()),
            decline: Words::from(&seen.decline),
        });
    note(tx, &rows.collect::<Vec<_>>()).await
}

fn known(instrument: Option<&Instrument>, case: &Case) -> Instrument {
    instrument.cloned().unwrap_or_else(|| Instrument::of_case(&case.id))
}

async fn note(tx: &Tx, rows: &[Record<'_>]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO instrument_attempts ({}) SELECT {} FROM {}",
        bulk::names(&COLUMNS),
        bulk::values(&COLUMNS),
        tx.new_rows(&COLUMNS)
    );
    tx.write_rows(&sql, &COLUMNS, rows).await?;
    Ok(())
}

/// Notes how attempts ended; where only the answer told what was charged, the attempt moves there.
pub async fn close(tx: &Tx, closed: &[(&CaseId, &AttemptEnd, Timestamp)]) -> Result<(), StoreError> {
    let rows = closed.iter().map(|(_, end, at)| End {
        id: &end.id,
        on: end.instrument.as_ref().map(On::from).unwrap_or_default(),
        status: end.status,
        known_at: at.as_millisecond(),
        decline: end.decline.as_ref().map(Words::from).unwrap_or_default(),
    });
    let named = ENDS[1..6].iter().map(|(name, _)| {
        format!("{name} = CASE WHEN new.instrument IS NULL THEN instrument_attempts.{name} ELSE new.{name} END")
    });
    let sql = format!(
        "UPDATE instrument_attempts SET {}, {} FROM {} \
         WHERE instrument_attempts.id = new.id AND instrument_attempts.status = 'open'",
        named.collect::<Vec<_>>().join(", "),
        bulk::assignments(&ENDS[6..]),
        tx.new_rows(&ENDS)
    );
    tx.write_rows(&sql, &ENDS, &rows.collect::<Vec<_>>()).await?;
    Ok(())
}

#[derive(Serialize)]
struct BlockedRecord<'a> {
    id: &'a BlockedId,
    connection: &'a str,
    instrument: &'a str,
    network: Network,
    case_id: &'a CaseId,
    at: i64,
    rule: &'static str,
    until: Option<i64>,
}

/// Notes charges that the ceiling did not allow.
pub async fn block(tx: &Tx, blocked: &[(&Case, &Blocked, Timestamp)]) -> Result<(), StoreError> {
    let rows = blocked.iter().map(|(case, blocked, at)| BlockedRecord {
        id: &blocked.id,
        connection: &case.connection,
        instrument: &blocked.instrument.key,
        network: blocked.instrument.network,
        case_id: &case.id,
        at: at.as_millisecond(),
        rule: blocked.rule.as_str(),
        until: blocked.until.map(Timestamp::as_millisecond),
    });
    let sql = format!(
        "INSERT INTO blocked_attempts ({}) SELECT {} FROM {}",
        bulk::names(&BLOCKED),
        bulk::values(&BLOCKED),
        tx.new_rows(&BLOCKED)
    );
    tx.write_rows(&sql, &BLOCKED, &rows.collect::<Vec<_>>()).await?;
    Ok(())
}

/// Keeps everybody else from charging these instruments until the transaction ends, so that two invoices never share the last
/// place that a rule leaves. The caller holds the locks of its cases; all take these in the same order.
pub async fn lock(tx: &Tx, asked: &[Ask]) -> Result<(), StoreError> {
    let asked: Vec<&Ask> = asked.iter().filter(|ask| ask.may_charge).collect();
    if asked.is_empty() || tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let sql = format!(
        "SELECT pg_advisory_xact_lock(name) FROM (\
         SELECT DISTINCT hashtextextended(new.connection || ' ' || new.instrument, 0) AS name FROM {} ORDER BY name) AS names",
        tx.new_rows(&ASKED)
    );
    tx.read_rows(&sql, &ASKED, &asked).await?;
    Ok(())
}

/// What was tried on the instruments, by connection.
pub async fn read(tx: &Tx, asked: &[Ask]) -> Result<HashMap<String, History>, StoreError> {
    let mut histories = HashMap::new();
    if asked.is_empty() {
        return Ok(histories);
    }
    for ask in asked {
        let history: &mut History = histories.entry(ask.connection.clone()).or_default();
        history.know(ask.instrument.clone());
    }
    let sql = newest(
        tx,
        &ASKED,
        "known.connection = asked.connection AND known.instrument = asked.instrument",
        NEWEST_MAX,
    );
    for found in tx.read_rows(&sql, &ASKED, asked).await? {
        let connection: String = found.try_get("", "connection")?;
        let history = histories.entry(connection).or_default();
        history.push(found.try_get("", "instrument")?, decode(&found)?);
    }
    Ok(histories)
}

/// The newest attempts that match each of the asked rows, at most so many for each, oldest first. The two databases have
/// their own way to walk an index once for each row and to stop: a join over all of them would read the whole ledger.
fn newest(tx: &Tx, columns: &[Field], matching: &str, most: impl std::fmt::Display) -> String {
    let asked = format!(
        "(SELECT DISTINCT {} FROM {}) AS asked",
        bulk::names(columns),
        tx.new_rows(columns)
    );
    let known = |what: &str| {
        format!(
            "SELECT {what} FROM instrument_attempts AS known WHERE {matching} \
             ORDER BY known.at DESC, known.id DESC LIMIT {most}"
        )
    };
    match tx.dialect() {
        Dialect::Postgres => format!(
            "SELECT newest.* FROM {asked} CROSS JOIN LATERAL ({}) AS newest ORDER BY newest.at, newest.id",
            known("known.*")
        ),
        Dialect::Sqlite => format!(
            "SELECT newest.* FROM {asked} JOIN instrument_attempts AS newest ON newest.id IN ({}) \
             ORDER BY newest.at, newest.id",
            known("known.id")
        ),
    }
}

/// What was tried on instruments of a connection.
pub async fn history<C: ConnectionTrait>(conn: &C, connection: &str, keys: &[String]) -> Result<History, StoreError> {
    let sql = format!(
        "SELECT * FROM instrument_attempts WHERE connection = $1 AND instrument = $2 ORDER BY at DESC, id DESC LIMIT {NEWEST_MAX}"
    );
    let mut history = History::default();
    for key in keys {
        history.know(key.clone());
        let values = [connection.into(), key.as_str().into()];
        let statement = Statement::from_sql_and_values(conn.get_database_backend(), &sql, values);
        for found in conn.query_all_raw(statement).await?.iter().rev() {
            history.push(key.clone(), decode(found)?);
        }
    }
    Ok(history)
}

fn decode(found: &QueryResult) -> Result<PastAttempt, StoreError> {
    let text = |column| found.try_get::<Option<String>>("", column);
    let id: String = found.try_get("", "id")?;
    let row = Row {
        table: "instrument_attempts",
        id: &id,
    };
    let codes = Codes {
        provider: text("provider_code")?,
        network: text("network_code")?,
        advice: text("advice_code")?,
    };
    let decline = match (text("decline_kind")?, text("decline_disposition")?) {
        (Some(kind), Some(disposition)) => Some(row.decline(&kind, &disposition, codes)?),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(row.corrupt("half a decline")),
    };
    Ok(PastAttempt {
        at: row.instant("at", found.try_get("", "at")?)?,
        case_id: CaseId::from(found.try_get::<String>("", "case_id")?),
        origin: row.word("origin", &found.try_get::<String>("", "origin")?)?,
        amount: row.money(
            found.try_get("", "amount_minor")?,
            &found.try_get::<String>("", "currency")?,
        )?,
        status: row.word("status", &found.try_get::<String>("", "status")?)?,
        decline,
        id: Some(AttemptId::from(id.clone())),
    })
}
