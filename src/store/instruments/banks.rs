//! What banks answered lately, whichever card of theirs was charged.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::calendar::secs_from;
use crate::domain::decline::DeclineKind;
use crate::domain::instrument::{BankAnswer, OUTAGE_SPAN_SECS};
use crate::store::bulk::{Column, Kind};
use crate::store::changes::Ask;
use crate::store::row::Row;
use crate::store::{StoreError, Tx};

const GROUPS: [Column; 2] = [("connection", Kind::Text), ("bank_group", Kind::Text)];

/// What the banks of these groups answered in the span before `now` in which an outage is looked for.
pub async fn banks(tx: &Tx, asked: &[Ask], now: Timestamp) -> Result<Vec<Bank>, StoreError> {
    let groups: BTreeSet<Group> = asked.iter().filter_map(Group::of).collect();
    if groups.is_empty() {
        return Ok(Vec::new());
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
    let banks = answers.into_iter().map(|(group, answers)| Bank { group, answers });
    Ok(banks.collect())
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
