//! Claims: no row is given twice, a lease that ends frees its row, and the next due instant is known.

use std::collections::HashSet;

use recoup::domain::case::{Case, State, Timers};
use recoup::domain::message::Message;
use recoup::domain::outcome::{Outcome, StoppedWhy};
use recoup::store::changes::CaseChange;
use recoup::store::{Store, StoreError, cases, inbox, notifications};
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::samples::{bare, case, case_id, ended, event, in_secs, insert, now, open, queue, save};
use crate::support::databases::each_database;

const ROWS: u32 = 60;
const RACERS: usize = 8;
const BATCH: u64 = 3;
const LEASE_SECS: u32 = 60;

/// Eight tasks empty the queue at the same time; every row must be given to exactly one of them.
async fn race<F>(store: &Store, claim: impl Fn(Store, String) -> F)
where
    F: Future<Output = Result<Vec<String>, StoreError>> + Send + 'static,
{
    let mut racers = Vec::new();
    for racer in 0..RACERS {
        let claims = (0..ROWS)
            .map(|_| claim(store.clone(), format!("racer {racer}")))
            .collect::<Vec<_>>();
        racers.push(tokio::spawn(async move {
            let mut won = Vec::new();
            for claim in claims {
                won.extend(claim.await.unwrap());
            }
            won
        }));
    }
    let mut given = Vec::new();
    for racer in racers {
        given.extend(racer.await.unwrap());
    }
    let rows: HashSet<_> = given.iter().collect();
    assert_eq!((given.len(), rows.len()), (ROWS as usize, ROWS as usize));
}

#[test]
fn eight_workers_never_get_the_same_case() {
    each_database(async |store| {
        let tx = store.begin().await.unwrap();
        for number in 1..=ROWS {
            insert(&tx, &case(number)).await.unwrap();
        }
        tx.commit().await.unwrap();
        race(&store, async |store: Store, owner: String| {
            let claims = cases::claim_due(&store, now(), BATCH, LEASE_SECS, &owner).await?;
            assert!(claims.len() <= 3);
            Ok(claims.into_iter().map(|claim| claim.id.to_string()).collect())
        })
        .await;
    });
}

#[test]
fn eight_workers_never_get_the_same_event() {
    each_database(async |store| {
        for number in 1..=ROWS {
            inbox::insert(&store, &event(number)).await.unwrap();
        }
        race(&store, async |store: Store, owner: String| {
            let rows = inbox::claim(&store, now(), BATCH, LEASE_SECS, &owner).await?;
            Ok(rows.into_iter().map(|row| row.id.to_string()).collect())
        })
        .await;
    });
}

#[test]
fn eight_workers_never_get_the_same_notification() {
    each_database(async |store| {
        let case = case(1);
        open(&store, &case).await.unwrap();
        let tx = store.begin().await.unwrap();
        for number in 1..=ROWS {
            let step = format!("step {number}");
            assert!(queue(&tx, number, &case, Message::Reminder, &step).await);
        }
        tx.commit().await.unwrap();
        race(&store, async |store: Store, owner: String| {
            let rows = notifications::claim_due(&store, now(), BATCH, LEASE_SECS, &owner).await?;
            Ok(rows.into_iter().map(|row| row.id.to_string()).collect())
        })
        .await;
    });
}

#[test]
fn only_open_cases_that_are_due_are_claimed_most_overdue_first() {
    each_database(async |store| {
        let stopped = Outcome::Stopped { why: StoppedWhy::Staff };
        open(&store, &ended(1, stopped)).await.unwrap();
        for (number, secs) in [(2, 20), (3, 10), (4, 31)] {
            let mut case = case(number);
            case.timers.charge_at = Some(in_secs(secs));
            open(&store, &case).await.unwrap();
        }
        let next_due = async |after| cases::next_due(&store, after).await.unwrap();
        assert_eq!(next_due(now()).await, Some(in_secs(10)));
        assert_eq!(next_due(in_secs(10)).await, Some(in_secs(20)));
        assert_eq!(next_due(in_secs(31)).await, None);
        assert_eq!(cases::claim_due(&store, now(), 9, LEASE_SECS, "a").await.unwrap(), []);
        let due = cases::claim_due(&store, in_secs(30), 9, LEASE_SECS, "a").await.unwrap();
        assert_eq!(
            due.iter().map(|claim| &claim.id).collect::<Vec<_>>(),
            [&case_id(3), &case_id(2)]
        );
        assert_eq!(due.iter().map(|claim| claim.fence).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(next_due(now()).await, Some(in_secs(10)), "leases do not count");
    });
}

#[test]
fn a_lease_ends_by_release_or_by_time_and_an_old_claim_frees_nothing() {
    each_database(async |store| {
        assert_eq!(cases::next_due(&store, now()).await.unwrap(), None);
        open(&store, &case(1)).await.unwrap();
        let claim = async |secs, owner| {
            let mut claims = cases::claim_due(&store, now(), 9, secs, owner).await.unwrap();
            claims.pop()
        };
        let first = claim(LEASE_SECS, "a").await.unwrap();
        assert_eq!(claim(LEASE_SECS, "b").await, None);

        store
            .conn()
            .execute_unprepared("UPDATE due_cases SET lease_until = 1")
            .await
            .unwrap();
        let second = claim(LEASE_SECS, "b").await.unwrap();
        assert_eq!((first.fence, second.fence), (1, 2));
        cases::release(&store, &first).await.unwrap();
        assert_eq!(claim(LEASE_SECS, "a").await, None);

        // Saving the case leaves the lease alone, unless its holder gives it back with it.
        let save = async |release| {
            let tx = store.begin().await.unwrap();
            let change = CaseChange {
                release,
                ..bare(&case(1), now())
            };
            cases::save(&tx, &[&change]).await.unwrap();
            tx.commit().await.unwrap();
        };
        save(None).await;
        save(Some(first.fence)).await;
        assert_eq!(claim(LEASE_SECS, "a").await, None);
        save(Some(second.fence)).await;
        let third = claim(LEASE_SECS, "a").await.unwrap();
        assert_eq!(third.fence, 3);

        cases::release(&store, &third).await.unwrap();
        assert_eq!(claim(0, "a").await.unwrap().fence, 4);
        assert!(claim(LEASE_SECS, "a").await.is_some(), "a lease of 0 s ends at once");
    });
}

#[test]
fn a_case_is_in_the_queue_as_long_as_it_is_open() {
    each_database(async |store| {
        let in_queue = async || {
            let sql = "SELECT due_at, fence FROM due_cases";
            let statement = Statement::from_string(store.conn().get_database_backend(), sql);
            let rows = store.conn().query_all_raw(statement).await.unwrap();
            let row = |row: &QueryResult| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
            rows.iter().map(row).collect::<Vec<(Option<i64>, i64)>>()
        };
        let keep = async |case: &Case| {
            let tx = store.begin().await.unwrap();
            save(&tx, case, now()).await.unwrap();
            tx.commit().await.unwrap();
        };
        let stopped = Outcome::Stopped { why: StoppedWhy::Staff };
        open(&store, &ended(2, stopped)).await.unwrap();
        assert_eq!(in_queue().await, [], "born closed");
        open(&store, &case(1)).await.unwrap();
        let claimed = cases::claim_due(&store, now(), 9, LEASE_SECS, "a").await.unwrap();
        assert_eq!(in_queue().await, [(Some(now().as_millisecond()), 1)]);

        // Nobody forgets how often it was claimed while nothing is planned.
        keep(&Case {
            state: State::NeedsPerson,
            timers: Timers::default(),
            ..case(1)
        })
        .await;
        assert_eq!(in_queue().await, [(None, 1)]);
        assert_eq!(cases::next_due(&store, in_secs(-1)).await.unwrap(), None);
        keep(&case(1)).await;
        assert_eq!(in_queue().await, [(Some(now().as_millisecond()), 1)]);

        keep(&ended(1, stopped)).await;
        assert_eq!(in_queue().await, []);
        cases::release(&store, &claimed[0]).await.unwrap();
    });
}
