//! What banks answered lately, whichever card of theirs was charged.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sea_orm::QueryResult;
use serde::Serialize;

use super::newest;

use crate::domain::calendar::secs_from;
use crate::domain::decline::DeclineKind;
use crate::domain::instrument::{BANK_ANSWERS_MAX, BankAnswer, OUTAGE_SPAN_SECS};
use crate::store::bulk::{Column, Kind};
use crate::store::changes::Ask;
use crate::store::row::Row;
use crate::store::{StoreError, Tx};

const COLUMNS: [Column; 3] = [
    ("connection", Kind::Text),
    ("bank_group", Kind::Text),
    ("since", Kind::Int),
];

#[derive(Serialize)]
struct AskedBank<'a> {
    #[serde(flatten)]
    group: &'a Group,
    since: i64,
}

/// What the banks of these groups answered in the span before `now` in which an outage is looked for: of each its newest answers,
/// since an outage is told by those alone.
pub async fn banks(tx: &Tx, asked: &[Ask], now: Timestamp) -> Result<Vec<Bank>, StoreError> {
    let groups: BTreeSet<Group> = asked.iter().filter_map(Group::of).collect();
    let since = secs_from(now, -OUTAGE_SPAN_SECS).as_millisecond();
    let rows: Vec<AskedBank> = groups.iter().map(|group| AskedBank { group, since }).collect();
    let matching = "known.connection = asked.connection AND known.bank_group = asked.bank_group \
         AND known.at >= asked.since AND known.status IN ('succeeded', 'declined')";
    let sql = newest(tx, &COLUMNS, matching, BANK_ANSWERS_MAX);
    let mut answers: BTreeMap<Group, Vec<BankAnswer>> =
        groups.iter().map(|group| (group.clone(), Vec::new())).collect();
    for found in tx.read_rows(&sql, &COLUMNS, &rows).await? {
        let group = Group {
            connection: found.try_get("", "connection")?,
            bank_group: found.try_get("", "bank_group")?,
        };
        answers.entry(group).or_default().push(decode(&found)?);
    }
    Ok(answers
        .into_iter()
        .map(|(group, answers)| Bank { group, answers })
        .collect())
}

fn decode(found: &QueryResult) -> Result<BankAnswer, StoreError> {
    let instrument: String = found.try_get("", "instrument")?;
    let row = Row {
        table: "instrument_attempts",
        id: &instrument,
    };
    let kind: Option<String> = found.try_get("", "decline_kind")?;
    Ok(BankAnswer {
        at: row.instant("at", found.try_get("", "at")?)?,
        is_down: kind.as_deref() == Some(DeclineKind::IssuerDown.as_str()),
        instrument,
    })
}

/// What the bank of a group answered, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bank {
    /// Which one.
    pub group: Group,
    /// Its answers.
    pub answers: Vec<BankAnswer>,
}

/// The bank of a group at a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Group {
    /// The connection.
    pub connection: String,
    /// Its name, or what its cards have in common.
    pub bank_group: String,
}

impl Group {
    fn of(ask: &Ask) -> Option<Self> {
        Some(Self {
            connection: ask.connection.clone(),
            bank_group: ask.bank_group.clone()?,
        })
    }
}
