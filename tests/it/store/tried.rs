//! The word that stands for what was tried of a case, kept by the database itself.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use recoup::store::Store;
use sea_orm::{ConnectionTrait, Statement};

use super::samples::{case, open};
use crate::support::databases::each_database;

/// Statuses of attempts that have ended, the last two of which no case counts.
const ENDED: [&str; 7] = [
    "succeeded",
    "declined",
    "declined",
    "unresolved",
    "not_charged",
    "not_sent",
    "not_needed",
];
const SEED: u64 = 20_261_130;

/// An attempt as the test knows it: when it was made, its id, how it stands, and what it asked for.
type Known = (i64, String, &'static str, i64);

/// The word and the money, by its definition.
fn word(known: &[Known]) -> (String, i64) {
    let mut counted: Vec<&Known> = known
        .iter()
        .filter(|(_, _, status, _)| !status.starts_with("not_sent") && !status.starts_with("not_needed"))
        .collect();
    counted.sort();
    let last = counted.iter().rposition(|(_, _, status, _)| *status == "succeeded");
    let letters = counted
        .iter()
        .enumerate()
        .map(|(place, (_, _, status, minor))| match *status {
            "succeeded" if Some(place) == last => "s".to_owned(),
            "succeeded" => format!("s({minor})"),
            "declined" => "d".to_owned(),
            _ => "o".to_owned(),
        });
    let brought = counted.iter().filter(|(_, _, status, _)| *status == "succeeded");
    (letters.collect(), brought.map(|(_, _, _, minor)| minor).sum())
}

async fn stored(store: &Store, case: &str) -> (String, i64) {
    let sql = format!("SELECT tries, charged_minor FROM report_funnel WHERE case_id = '{case}'");
    let conn = store.conn();
    let row = conn
        .query_one_raw(Statement::from_string(conn.get_database_backend(), sql))
        .await
        .unwrap();
    row.map_or_else(Default::default, |row| {
        (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())
    })
}

#[test]
fn it_is_that_of_the_attempts_in_whatever_order_they_come_and_change() {
    println!("seed {SEED}");
    each_database(async |store| {
        let mut dice = SmallRng::seed_from_u64(SEED);
        for number in 0..12 {
            let case = case(number);
            let (id, began) = (case.id.to_string(), case.opened_at.as_millisecond());
            assert!(open(&store, &case).await.unwrap());
            let mut known: Vec<Known> = Vec::new();
            // Most attempts come one after the other, as they do in life; some are told of late.
            for step in 0..40 {
                let at = began
                    + if dice.random_bool(0.7) {
                        100 * step
                    } else {
                        dice.random_range(0..4_000)
                    };
                let (status, minor) = (*ENDED.choose(&mut dice).unwrap(), dice.random_range(0..5_000));
                let sql = match known.len() {
                    made if made < 8 && dice.random_bool(0.4) || made == 0 => {
                        let name = format!("att_{began:012x}{number:04x}{:016x}", dice.random::<u64>());
                        let open = !known.iter().any(|(_, _, status, _)| *status == "open") && dice.random_bool(0.6);
                        let status = if open { "open" } else { status };
                        let ended = if open { "NULL".to_owned() } else { at.to_string() };
                        known.push((at, name.clone(), status, minor));
                        format!(
                            "INSERT INTO attempts (id, connection, case_id, origin, status, amount_minor, currency, started_at, ended_at) \
                             VALUES ('{name}', 'stripe', '{id}', 'us', '{status}', {minor}, 'EUR', {at}, {ended})"
                        )
                    }
                    made => {
                        let last = made - 1;
                        let place = if dice.random_bool(0.6) {
                            last
                        } else {
                            dice.random_range(0..made)
                        };
                        let (started_at, name, stands, amount) = &mut known[place];
                        *stands = status;
                        if dice.random_bool(0.2) {
                            (*started_at, *amount) = (at, minor);
                        }
                        format!(
                            "UPDATE attempts SET status = '{status}', amount_minor = {amount}, started_at = {started_at}, ended_at = {at} \
                             WHERE case_id = '{id}' AND id = '{name}'"
                        )
                    }
                };
                store.conn().execute_unprepared(&sql).await.unwrap();
                assert_eq!(
                    stored(&store, &id).await,
                    word(&known),
                    "case {number}, step {step}: {known:?}"
                );
            }
        }
    });
}
