//! The model of the database against the true ones: what the model does in a world, SQLite and PostgreSQL do at the same
//! moment, under the same faults, and every answer and every row at the end must be equal. Where they differ they are right.

use std::thread;

use recoup::mailer::Templates;

use super::database::Mirror;
use super::run::{Play, Runner, start_of};
use super::state::State;
use crate::support::campaigns::days;
use crate::support::databases::each_url;

const SEEDS: u64 = 2;
const CASES: usize = 4;

fn mirrored(url: &str, seed: u64) -> Vec<String> {
    let alone = Play::of(seed, CASES).run(&Templates::new().unwrap());
    let runner = Runner::new(Play::of(seed, CASES), Templates::new().unwrap());
    let mirror = Mirror::new(url);
    mirror.campaign(&days(), start_of(seed));
    runner.world.lock().mirror = Some(mirror);
    let ended = runner.played();
    assert_eq!(ended.breach, None, "seed {seed}");
    let mut state = ended.state.lock();
    let State { db, mirror, .. } = &mut *state;
    let mirror = mirror.take().unwrap();
    mirror.compare(db);
    let differences = mirror.differences();
    mirror.close();
    assert_eq!(ended.hash, alone.hash, "a mirror changes nothing");
    assert!(!db.cases.is_empty(), "seed {seed} opened no case");
    differences
}

#[test]
fn the_model_answers_as_the_databases_do() {
    for seed in 0..SEEDS {
        each_url(&async |url: &str| {
            // The executor waits for the database, which a thread of the runtime must not do.
            let differences = thread::scope(|scope| scope.spawn(|| mirrored(url, seed)).join().unwrap());
            assert_eq!(
                differences.first(),
                None,
                "seed {seed}, {} differences",
                differences.len()
            );
        });
    }
}
