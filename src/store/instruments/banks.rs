//! What banks answered lately, whichever card of theirs was charged.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use crate::domain::calendar::secs_from;
use crate::domain::decline::DeclineKind;
use crate::domain::instrument::{BANK_ANSWERS_MAX as NEWEST_MAX, BankAnswer, OUTAGE_SPAN_SECS};
use crate::store::changes::Ask;
use crate::store::row::Row;
use crate::store::{StoreError, Tx};

/// What the banks of these groups answered in the span before `now` in which an outage is looked for: of each its newest answers,
/// since an outage is told by those alone.
pub async fn banks(tx: &Tx, asked: &[Ask], now: Timestamp) -> Result<Vec<Bank>, StoreError> {
    let groups: BTreeSet<Group> = asked.iter().filter_map(Group::of).collect();
    let since = secs_from(now, -OUTAGE_SPAN_SECS).as_millisecond();
    let sql = format!(
        "SELECT instrument, at, decline_kind FROM instrument_attempts \
         WHERE connection = $1 AND bank_group = $2 AND at >= $3 AND status IN ('succeeded', 'declined') \
         ORDER BY at DESC, id DESC LIMIT {NEWEST_MAX}"
    );
    let mut banks = Vec::new();
    for group in groups {
        let values = [
            group.connection.as_str().into(),
            group.bank_group.as_str().into(),
            since.into(),
        ];
        let statement = Statement::from_sql_and_values(tx.dialect().backend(), &sql, values);
        let rows = tx.conn().query_all_raw(statement).await?;
        let answers: Result<Vec<BankAnswer>, StoreError> = rows.iter().rev().map(decode).collect();
        banks.push(Bank {
            group,
            answers: answers?,
        });
    }
    Ok(banks)
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
