//! The ways that cases took: the stages that they reached, the charges that they took, and the day of their end.

use std::collections::BTreeMap;

use jiff::civil::Date;
use sea_orm::{ConnectionTrait, QueryResult};

use super::{ENDED, NO_DAY, PATHS, Question, TRIES, first_day, read};
use crate::domain::money::Currency;
use crate::domain::outcome::Status;
use crate::domain::report::attempts::{AttemptCell, ChargedCell};
use crate::domain::report::funnel::{Path, Stage};
use crate::domain::report::{By, Cut, EndedCell, Sum};
use crate::store::row::Row;
use crate::store::{Dialect, StoreError, scans};

/// Which of the ended cases were recovered.
const RECOVERED: &str = "status = 'recovered'";
/// The digits of a path, in their order.
const STAGES: [Stage; 5] = [
    Stage::RecoveredSilently,
    Stage::WrittenTo,
    Stage::Delivered,
    Stage::Clicked,
    Stage::CardChanged,
];

/// A row of an answer: the day, the value, connection, currency and two more keys, then three sums.
struct Found<'a> {
    found: &'a QueryResult,
    by: By,
}

impl Found<'_> {
    fn text(&self, index: usize) -> Result<String, StoreError> {
        Ok(self.found.try_get_by_index(index)?)
    }

    fn value(&self) -> Result<String, StoreError> {
        match self.by {
            By::Connection => self.text(2),
            By::Outcome => self.text(4),
            _ => self.text(1),
        }
    }

    fn currency(&self) -> Result<Currency, StoreError> {
        let word = self.text(3)?;
        let row = Row {
            table: PATHS.table,
            id: &word,
        };
        row.word("currency", &word)
    }

    fn status(&self) -> Result<Status, StoreError> {
        let word = self.text(4)?;
        let row = Row {
            table: ENDED.table,
            id: &word,
        };
        row.word("status", &word)
    }

    fn day(&self, index: usize) -> Result<Date, StoreError> {
        let day = self.text(index)?;
        let row = Row {
            table: ENDED.table,
            id: &day,
        };
        day.parse().map_err(|_| row.corrupt("day: not a day"))
    }

    /// A sum, after so many keys.
    fn sum(&self, keys: usize, nth: usize) -> Result<i64, StoreError> {
        Ok(self.found.try_get_by_index(2 + keys + nth)?)
    }

    fn cases(&self, keys: usize) -> Result<u64, StoreError> {
        Ok(self.sum(keys, 0)?.max(0).unsigned_abs())
    }
}

/// The ways that the cases of the span took.
pub async fn paths<C: ConnectionTrait>(conn: &C, days: [Date; 2], by: By) -> Result<Vec<Path>, StoreError> {
    let rows = read(conn, &PATHS, &Question::opened(days, by, NO_DAY)).await?;
    let keys = PATHS.keys.len();
    let path = |found: &QueryResult| {
        let row = Found { found, by };
        let (status, path) = (row.text(4)?, row.text(5)?);
        let reached = path.chars().zip(STAGES).filter(|(digit, _)| *digit == '1');
        let mut stages: Vec<Stage> = reached.map(|(_, stage)| stage).collect();
        let recovered = status == "recovered";
        if recovered {
            stages.push(Stage::Paid);
        }
        let cases = row.cases(keys)?;
        Ok(Path {
            value: row.value()?,
            currency: row.currency()?,
            stages,
            open: if status == "open" { cases } else { 0 },
            all: Sum {
                cases,
                amount_minor: row.sum(keys, 1)?,
            },
            recovered_minor: if recovered { row.sum(keys, 2)? } else { 0 },
        })
    };
    rows.iter().map(path).collect()
}

/// The cases of the span with the charges that they took, and these by their number within the case.
pub async fn charges<C: ConnectionTrait>(
    conn: &C,
    days: [Date; 2],
    by: By,
) -> Result<(Vec<ChargedCell>, Vec<AttemptCell>), StoreError> {
    let keys = TRIES.keys.len();
    let mut all = Vec::new();
    let mut numbers: BTreeMap<(String, Currency, u32), AttemptCell> = BTreeMap::new();
    for found in &read(conn, &TRIES, &Question::opened(days, by, NO_DAY)).await? {
        let row = Found { found, by };
        let (value, currency) = (row.value()?, row.currency()?);
        let (status, cases) = (row.text(4)?, row.cases(keys)?);
        let tries = tries(&row.text(5)?)?;
        let mut left_minor = row.sum(keys, 1)?;
        let last = tries.iter().rposition(|attempt| attempt.letter == 's');
        for (place, attempt) in tries.iter().enumerate() {
            let minor = match attempt.minor {
                _ if Some(place) == last => left_minor,
                Some(minor) => minor.saturating_mul(cases.cast_signed()),
                None => 0,
            };
            left_minor -= minor;
            let number = u32::try_from(place + 1).unwrap_or(u32::MAX);
            let cell = numbers.entry((value.clone(), currency, number));
            let cell = cell.or_insert_with(|| AttemptCell::none(value.clone(), currency, number));
            cell.attempts += cases;
            cell.succeeded += if attempt.letter == 's' { cases } else { 0 };
            cell.declined += if attempt.letter == 'd' { cases } else { 0 };
            cell.succeeded_minor = cell.succeeded_minor.saturating_add(minor);
        }
        let of = |word: &str| if status == word { cases } else { 0 };
        all.push(ChargedCell {
            recovered: of("recovered"),
            open: of("open"),
            // An open case counts those that stand in its books; of a closed one the history may be gone.
            attempts: match status.as_str() {
                "open" => cases * tries.len() as u64,
                _ => row.sum(keys, 2)?.max(0).unsigned_abs(),
            },
            value,
            currency,
            cases,
        });
    }
    Ok((all, numbers.into_values().collect()))
}

/// An attempt of `report_funnel.tries`.
struct Tried {
    letter: char,
    /// What it brought, where another one succeeded after it.
    minor: Option<i64>,
}

/// The attempts that a word stands for, first to last.
fn tries(word: &str) -> Result<Vec<Tried>, StoreError> {
    let row = Row {
        table: TRIES.table,
        id: word,
    };
    let mut tries: Vec<Tried> = Vec::new();
    let mut rest = word;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        let mut minor = None;
        if let Some(opened) = rest.strip_prefix('(') {
            let (digits, after) = opened
                .split_once(')')
                .ok_or_else(|| row.corrupt("tries: a bracket stays open"))?;
            minor = Some(digits.parse().map_err(|_| row.corrupt("tries: not an amount"))?);
            rest = after;
        }
        tries.push(Tried { letter, minor });
    }
    Ok(tries)
}

/// The recovered cases of the span, by the day of their recovery: from the roll-up where it has them, else by a look at each case.
pub async fn recovered<C: ConnectionTrait>(conn: &C, days: [Date; 2], cut: Cut) -> Result<Vec<EndedCell>, StoreError> {
    if cut.by.dimension() != By::None.dimension() {
        return scans::recovered(conn, days, cut).await;
    }
    let day = first_day(cut.cohort, Dialect::of(conn.get_database_backend()));
    let question = Question {
        of: RECOVERED,
        ..Question::opened(days, cut.by, day)
    };
    by_end(conn, &question, cut.by).await
}

/// The ended cases of the span, by the days of their opening and of their end.
pub async fn ended<C: ConnectionTrait>(conn: &C, days: [Date; 2]) -> Result<Vec<EndedCell>, StoreError> {
    by_end(conn, &Question::opened(days, By::None, "day"), By::None).await
}

async fn by_end<C: ConnectionTrait>(conn: &C, question: &Question, by: By) -> Result<Vec<EndedCell>, StoreError> {
    let keys = ENDED.keys.len();
    let cell = |found: &QueryResult| {
        let row = Found { found, by };
        Ok(EndedCell {
            day: row.day(0)?,
            ended_day: row.day(5)?,
            status: row.status()?,
            value: row.value()?,
            currency: row.currency()?,
            cases: row.cases(keys)?,
            recovered_minor: row.sum(keys, 1)?,
            reversed_minor: row.sum(keys, 2)?,
        })
    };
    let rows = read(conn, &ENDED, question).await?;
    rows.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_tells_what_each_attempt_brought_but_for_the_last() {
        let told = |word| {
            let tries = tries(word).ok()?;
            Some(
                tries
                    .into_iter()
                    .map(|attempt| (attempt.letter, attempt.minor))
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(told(""), Some(vec![]));
        let twice = vec![('d', None), ('s', Some(4_900)), ('o', None), ('s', None)];
        assert_eq!(told("ds(4900)os"), Some(twice));
        assert_eq!(told("ds(49"), None);
        assert_eq!(told("s(x)s"), None);
    }
}
