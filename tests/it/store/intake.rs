//! Group commit: what arrives together is written together, each event is answered for itself, and no answer is untrue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use recoup::clock;
use recoup::domain::ids::InboxId;
use recoup::store::inbox::intake::{BATCH_EVENTS_MAX, Intake, NotTaken, WAITING_EVENTS_MAX};
use recoup::store::inbox::{self, InboxStatus, NewInbox, Received};
use recoup::store::{Dialect, Store, StoreError, Tx};
use sea_orm::{ConnectionTrait, Statement};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

use super::samples::{event, now};
use crate::support::databases::{each_database, each_url};

/// The same event as it arrives again: with a row id of its own.
fn again(of: &NewInbox) -> NewInbox {
    NewInbox {
        id: InboxId::new(now().as_millisecond(), clock::entropy()),
        ..of.clone()
    }
}

/// Lets nobody write to the inbox until it is dropped.
async fn hold(store: &Store) -> Tx {
    let tx = store.begin().await.unwrap();
    if store.dialect() == Dialect::Postgres {
        let lock = "LOCK TABLE inbox IN EXCLUSIVE MODE";
        tx.conn().execute_unprepared(lock).await.unwrap();
    }
    tx
}

/// Sends the events in at the same time; the answers come in no order.
fn send(intake: &Arc<Intake>, events: impl IntoIterator<Item = NewInbox>) -> JoinSet<Result<Received, NotTaken>> {
    let mut sent = JoinSet::new();
    for event in events {
        let intake = Arc::clone(intake);
        sent.spawn(async move { intake.take(event).await });
    }
    sent
}

async fn rows(store: &Store) -> usize {
    inbox::list(store.conn(), None, None, 10_000).await.unwrap().len()
}

fn count<T: PartialEq>(answers: &[T], of: &T) -> usize {
    answers.iter().filter(|answer| *answer == of).count()
}

#[test]
fn an_event_that_arrives_many_times_at_once_is_accepted_once() {
    each_url(&async |url: &str| {
        let mut replicas = Vec::new();
        for _ in 0..3 {
            replicas.push(Store::connect(url, 4).await.unwrap());
        }
        replicas[0].migrate().await.unwrap();
        let intakes: Vec<Arc<Intake>> = replicas.iter().map(|store| Arc::new(Intake::start(store))).collect();
        for round in 0..20 {
            let mut sent = JoinSet::new();
            for number in 0..50 {
                let intake = Arc::clone(&intakes[number % 3]);
                // In every replica the two events come in another order.
                let event = again(&event(round * 2 + u32::from(number % 2 == 0)));
                sent.spawn(async move { intake.take(event).await });
            }
            let answers: Vec<_> = sent.join_all().await;
            assert_eq!(count(&answers, &Ok(Received::Accepted)), 2, "{answers:?}");
            assert_eq!(count(&answers, &Ok(Received::Duplicate)), 48, "{answers:?}");
        }
        assert_eq!(rows(&replicas[0]).await, 40);
        for replica in replicas {
            replica.close().await.unwrap();
        }
    });
}

#[test]
fn what_comes_while_a_write_is_under_way_is_written_together() {
    each_database(async |store| {
        let intake = Arc::new(Intake::start(&store));
        let held = hold(&store).await;
        let sent = send(&intake, (0..200).map(event));
        drop(held);
        let answers = sent.join_all().await;
        assert_eq!(count(&answers, &Ok(Received::Accepted)), 200, "{answers:?}");
        assert_eq!(rows(&store).await, 200);
        if store.dialect() == Dialect::Postgres {
            let sql = "SELECT COUNT(DISTINCT xmin::text) FROM inbox";
            let statement = Statement::from_string(sea_orm::DbBackend::Postgres, sql);
            let row = store.conn().query_one_raw(statement).await.unwrap().unwrap();
            let transactions: i64 = row.try_get_by_index(0).unwrap();
            assert!(transactions < 20, "{transactions} transactions for 200 events");
        }
    });
}

#[test]
fn one_of_fifty_that_can_never_be_written_takes_no_other_with_it() {
    each_database(async |store| {
        let intake = Arc::new(Intake::start(&store));
        let held = hold(&store).await;
        let poison = NewInbox {
            event_id: String::new(),
            ..event(48)
        };
        let dead = NewInbox {
            status: InboxStatus::Dead,
            reason: Some("no JSON".to_owned()),
            ..event(49)
        };
        let copy = again(&event(3));
        let sent = send(&intake, (0..47).map(event).chain([poison, dead.clone(), copy]));
        drop(held);
        let answers = sent.join_all().await;
        assert_eq!(count(&answers, &Ok(Received::Accepted)), 48, "{answers:?}");
        assert_eq!(count(&answers, &Ok(Received::Duplicate)), 1, "{answers:?}");
        let refused = |answer: &&Result<_, _>| matches!(answer, Err(NotTaken::Store(StoreError::Other(_))));
        assert_eq!(answers.iter().filter(refused).count(), 1, "{answers:?}");
        assert_eq!(rows(&store).await, 48);
        let kept = inbox::find(store.conn(), &dead.id).await.unwrap().unwrap();
        assert_eq!(kept.status, InboxStatus::Dead);
        assert_eq!(
            (kept.reason.as_deref(), kept.ended_at),
            (Some("no JSON"), Some(dead.received_at))
        );
    });
}

#[test]
fn a_full_queue_says_so_at_once_and_keeps_what_it_took() {
    each_database(async |store| {
        let intake = Arc::new(Intake::start(&store));
        let held = hold(&store).await;
        // As many as can wait, and two writers' hands full, and some more.
        let room = WAITING_EVENTS_MAX + 2 * BATCH_EVENTS_MAX;
        let mut sent = send(&intake, (0..u32::try_from(room + 40).unwrap()).map(event));
        let first = timeout(Duration::from_secs(2), sent.join_next()).await;
        let first = first.expect("a refusal does not wait").unwrap().unwrap();
        assert_eq!(first, Err(NotTaken::Full));
        drop(held);
        let mut answers = sent.join_all().await;
        answers.push(first);
        let accepted = count(&answers, &Ok(Received::Accepted));
        assert_eq!(accepted + count(&answers, &Err(NotTaken::Full)), answers.len());
        assert!(accepted >= WAITING_EVENTS_MAX, "{accepted}");
        assert_eq!(rows(&store).await, accepted);
    });
}

#[test]
fn a_waiter_that_went_away_harms_nobody() {
    each_database(async |store| {
        let intake = Arc::new(Intake::start(&store));
        let held = hold(&store).await;
        let mut gone = send(&intake, (0..20).map(event));
        let sent = send(&intake, (20..40).map(event));
        gone.shutdown().await;
        drop(held);
        let answers = sent.join_all().await;
        assert_eq!(count(&answers, &Ok(Received::Accepted)), 20, "{answers:?}");
        let once_more = send(&intake, (0..40).map(|number| again(&event(number))))
            .join_all()
            .await;
        assert!(once_more.iter().all(Result::is_ok), "{once_more:?}");
        assert_eq!(rows(&store).await, 40);
    });
}

#[test]
fn a_database_that_does_not_answer_is_unavailable_within_three_seconds() {
    each_database(async |store| {
        let intake = Intake::start(&store);
        let held = hold(&store).await;
        let silent = timeout(Duration::from_secs(3), intake.take(event(1))).await;
        let silent = silent.expect("an answer in time");
        assert!(
            matches!(silent, Err(NotTaken::Store(StoreError::Unavailable(_)))),
            "{silent:?}"
        );
        drop(held);
        assert_eq!(intake.take(event(2)).await, Ok(Received::Accepted));
    });
}

/// Stands between the service and its database. Once, the answer to whatever carries `marker` is not passed on: the
/// connection is cut when the database has given it.
async fn proxy(server: String, marker: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let armed = Arc::new(AtomicBool::new(true));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(pass(client, server, marker, Arc::clone(&armed)));
        }
    });
    port
}

async fn pass(mut client: TcpStream, mut server: TcpStream, marker: &'static [u8], armed: Arc<AtomicBool>) {
    let (mut asked, mut told) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut cut = false;
    loop {
        tokio::select! {
            Ok(read @ 1..) = client.read(&mut asked) => {
                let seen = asked[..read].windows(marker.len()).any(|window| window == marker);
                cut |= seen && armed.swap(false, Ordering::SeqCst);
                server.write_all(&asked[..read]).await.unwrap();
            }
            Ok(read @ 1..) = server.read(&mut told) => {
                if cut || client.write_all(&told[..read]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

/// Takes in what comes by a connection whose answer to this event is lost.
async fn losing_the_answer_to(marker: &'static [u8], url: &str, play: impl AsyncFnOnce(Intake)) {
    let Some(rest) = url.strip_prefix("postgres://") else {
        return;
    };
    let direct = Store::connect(url, 2).await.unwrap();
    direct.migrate().await.unwrap();
    let (user, rest) = rest.split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let port = proxy(server.to_owned(), marker).await;
    // In the clear, or the proxy could not read along.
    let url = format!("postgres://{user}@127.0.0.1:{port}/{database}&sslmode=disable");
    let store = Store::connect(&url, 2).await.unwrap();
    play(Intake::start(&store)).await;
    assert_eq!(rows(&direct).await, 2);
    store.close().await.unwrap();
    direct.close().await.unwrap();
}

#[test]
fn a_commit_whose_answer_was_lost_is_no_success_and_its_event_comes_again_as_a_duplicate() {
    each_url(&async |url: &str| {
        losing_the_answer_to(b"evt_1", url, async |intake| {
            let lost = timeout(Duration::from_secs(3), intake.take(event(1))).await;
            let lost = lost.expect("an answer in time");
            assert!(
                matches!(lost, Err(NotTaken::Store(StoreError::Unavailable(_)))),
                "{lost:?}"
            );
            assert_eq!(intake.take(again(&event(1))).await, Ok(Received::Duplicate));
            assert_eq!(intake.take(event(2)).await, Ok(Received::Accepted));
        })
        .await;
    });
}

#[test]
fn where_a_good_connection_broke_the_event_is_written_by_another_and_what_the_first_one_did_is_found() {
    each_url(&async |url: &str| {
        losing_the_answer_to(b"evt_2", url, async |intake| {
            assert_eq!(intake.take(event(1)).await, Ok(Received::Accepted));
            let found = timeout(Duration::from_secs(3), intake.take(event(2))).await;
            assert_eq!(found.expect("an answer in time"), Ok(Received::Duplicate));
        })
        .await;
    });
}
