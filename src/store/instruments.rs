//! The ledger of attempts by instrument, which has no expiry, and the charges that the ceiling did not allow.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use serde::Serialize;

use super::attempts::Words;
use super::bulk::{Column as Field, Kind};
use super::changes::{Ask, AttemptEnd, Blocked};
use super::row::{Codes, Row};
use super::{Dialect, StoreError, Tx, bulk};
use crate::domain::calendar::secs_from;
use crate::domain::case::{Case, OpenAttempt, Origin};
use crate::domain::ceiling::{Rule, Rules};
use crate::domain::command::AttemptStatus;
use crate::domain::decline::DeclineKind;
use crate::domain::event::SeenAttempt;
use crate::domain::ids::{AttemptId, BlockedId, CaseId};
use crate::domain::instrument::{BankAnswer, Funding, History, Instrument, OUTAGE_SPAN_SECS, PastAttempt};
use crate::domain::money::Money;
use crate::domain::network::Network;
use crate::domain::report::compliance::{Audit, Compliance, LedgerRow};

/// How many attempts on one instrument are read at most, the newest: the rules count to 35 at most.
const NEWEST_MAX: i64 = 256;
/// How many instruments an audit reads at once.
const PAGE: u64 = 500;

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
const GROUPS: [Field; 2] = [("connection", Kind::Text), ("bank_group", Kind::Text)];
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
    let sql = format!(
        "SELECT * FROM (SELECT known.*, ROW_NUMBER() OVER (\
           PARTITION BY known.connection, known.instrument ORDER BY known.at DESC, known.id DESC) AS nth \
         FROM (SELECT DISTINCT new.connection, new.instrument FROM {}) AS asked \
         JOIN instrument_attempts AS known ON known.connection = asked.connection AND known.instrument = asked.instrument\
         ) AS newest WHERE nth <= {NEWEST_MAX} ORDER BY at, id",
        tx.new_rows(&ASKED)
    );
    for found in tx.read_rows(&sql, &ASKED, asked).await? {
        let connection: String = found.try_get("", "connection")?;
        let history = histories.entry(connection).or_default();
        history.push(found.try_get("", "instrument")?, decode(&found)?);
    }
    Ok(histories)
}

/// What the banks of these groups answered in the span before `now` in which an outage is looked for.
pub async fn banks(
    tx: &Tx,
    asked: &[Ask],
    now: Timestamp,
    histories: &mut HashMap<String, History>,
) -> Result<(), StoreError> {
    let groups: BTreeSet<Group> = asked.iter().filter_map(Group::of).collect();
    if groups.is_empty() {
        return Ok(());
    }
    let mut answers: BTreeMap<Group, Vec<BankAnswer>> =
        groups.iter().map(|group| (group.clone(), Vec::new())).collect();
    let since = secs_from(now, -OUTAGE_SPAN_SECS).as_millisecond();
    let sql = format!(
        "SELECT known.connection, known.bank_group, known.instrument, known.at, known.decline_kind FROM {} \
         JOIN instrument_attempts AS known ON known.connection = new.connection AND known.bank_group = new.bank_group \
         WHERE known.at >= {since} AND known.status IN ('succeeded', 'declined') ORDER BY known.at, known.id",
        tx.new_rows(&GROUPS)
    );
    let rows: Vec<&Group> = groups.iter().collect();
    for found in tx.read_rows(&sql, &GROUPS, &rows).await? {
        let group = Group {
            connection: found.try_get("", "connection")?,
            bank_group: found.try_get("", "bank_group")?,
        };
        let instrument: String = found.try_get("", "instrument")?;
        let row = Row {
            table: "instrument_attempts",
            id: &instrument,
        };
        let kind: Option<String> = found.try_get("", "decline_kind")?;
        answers.entry(group).or_default().push(BankAnswer {
            at: row.instant("at", found.try_get("", "at")?)?,
            is_down: kind.as_deref() == Some(DeclineKind::IssuerDown.as_str()),
            instrument,
        });
    }
    for (group, answers) in answers {
        histories
            .entry(group.connection)
            .or_default()
            .know_bank(group.bank_group, answers);
    }
    Ok(())
}

/// The bank of a group at a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Group {
    connection: String,
    bank_group: String,
}

impl Group {
    fn of(ask: &Ask) -> Option<Self> {
        Some(Self {
            connection: ask.connection.clone(),
            bank_group: ask.bank_group.clone()?,
        })
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

/// Everything that was tried before `to` on the next instruments, in the order of their names, that were charged from `from` on.
/// The rows of one instrument stand together, oldest first; the last ones tell where the next page begins.
pub async fn page<C: ConnectionTrait>(
    conn: &C,
    (from, to): (Timestamp, Timestamp),
    after: Option<(&str, &str)>,
    instruments: u64,
) -> Result<Vec<LedgerRow>, StoreError> {
    let sql = "SELECT known.* FROM (SELECT DISTINCT connection, instrument FROM instrument_attempts \
           WHERE at >= $1 AND at < $2 AND (connection, instrument) > ($3, $4) \
           ORDER BY connection, instrument LIMIT $5) AS asked \
         JOIN instrument_attempts AS known ON known.connection = asked.connection AND known.instrument = asked.instrument \
         WHERE known.at < $2 ORDER BY known.connection, known.instrument, known.at, known.id";
    let (connection, instrument) = after.unwrap_or_default();
    let values = [
        from.as_millisecond().into(),
        to.as_millisecond().into(),
        connection.into(),
        instrument.into(),
        i64::try_from(instruments).unwrap_or(i64::MAX).into(),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.query_all_raw(statement).await?.iter().map(decode_row).collect()
}

fn decode_row(found: &QueryResult) -> Result<LedgerRow, StoreError> {
    let id: String = found.try_get("", "id")?;
    let row = Row {
        table: "instrument_attempts",
        id: &id,
    };
    Ok(LedgerRow {
        connection: found.try_get("", "connection")?,
        instrument: Instrument {
            key: found.try_get("", "instrument")?,
            network: row.word("network", &found.try_get::<String>("", "network")?)?,
            country: found.try_get("", "country")?,
            funding: row.maybe_word("funding", found.try_get::<Option<String>>("", "funding")?.as_deref())?,
            // Only its group is kept, and no rule asks for it.
            bank: None,
        },
        attempt: decode(found)?,
        known_at: row.maybe_instant("known_at", found.try_get("", "known_at")?)?,
    })
}

/// How many charges a rule did not allow, and on which network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedCount {
    /// The network.
    pub network: Network,
    /// The rule.
    pub rule: Rule,
    /// Whether they may be made later.
    pub put_off: bool,
    /// How many.
    pub count: u64,
}

/// The charges that the ceiling did not allow in `[from, to)`.
pub async fn blocked<C: ConnectionTrait>(
    conn: &C,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<BlockedCount>, StoreError> {
    let sql = "SELECT network, rule, until IS NOT NULL AS put_off, COUNT(*) AS count FROM blocked_attempts \
         WHERE at >= $1 AND at < $2 GROUP BY network, rule, until IS NOT NULL ORDER BY network, rule, put_off";
    let values = [from.as_millisecond().into(), to.as_millisecond().into()];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    let decode = |found: &QueryResult| {
        let row = Row {
            table: "blocked_attempts",
            id: "count",
        };
        Ok(BlockedCount {
            network: row.word("network", &found.try_get::<String>("", "network")?)?,
            rule: row.word("rule", &found.try_get::<String>("", "rule")?)?,
            put_off: found.try_get("", "put_off")?,
            count: row.count("count", found.try_get("", "count")?)?,
        })
    };
    conn.query_all_raw(statement).await?.iter().map(decode).collect()
}

/// Audits what was charged in `[from, to)`; `seen` is told how many instruments were gone through.
pub async fn audit<C: ConnectionTrait>(
    conn: &C,
    rules: &Rules,
    span: (Timestamp, Timestamp),
    mut seen: impl FnMut(u64),
) -> Result<Compliance, StoreError> {
    let mut audit = Audit::new(rules, span.0);
    let mut last: Option<(String, String)> = None;
    loop {
        let after = last
            .as_ref()
            .map(|(connection, key)| (connection.as_str(), key.as_str()));
        let rows = page(conn, span, after, PAGE).await?;
        let Some(end) = rows.last() else { break };
        last = Some((end.connection.clone(), end.instrument.key.clone()));
        let same = |a: &LedgerRow, b: &LedgerRow| a.connection == b.connection && a.instrument.key == b.instrument.key;
        for rows in rows.chunk_by(same) {
            audit.instrument(rows);
            seen(1);
        }
    }
    for blocked in blocked(conn, span).await? {
        audit.block(blocked.network, blocked.rule, blocked.put_off, blocked.count);
    }
    Ok(audit.done())
}
