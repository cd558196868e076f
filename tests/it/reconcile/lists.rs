//! The provider's lists where they are longer than one answer can hold, and where the process is to stop while it reads one.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use recoup::clock::Clock;
use recoup::engine::Engine;
use recoup::store::{Store, campaigns, cases, settings};
use sea_orm::{ConnectionTrait, Statement};

use super::account::Account;
use super::boot::parts;
use crate::decide::desk::at;
use crate::support::campaigns::days;
use crate::support::databases::each_database;

const START: &str = "2026-03-02T08:30:00Z";
/// Far longer than the end of a round takes, so that only what waits for a list runs into it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service that begins to work at `START`, and its provider's account.
async fn begin(store: &Store) -> (Engine, Arc<Account>) {
    let account = Account::with_failed_invoice("2026-03-02T09:00:00Z");
    let clock = Clock::test(at(START));
    campaigns::put(store.conn(), &days(), clock.now()).await.unwrap();
    let engine = Engine::new(parts(store, clock, vec![account.connection()]));
    engine.tick().await.unwrap();
    (engine, account)
}

/// So many things, made one after the other at this distance.
fn one_every(secs: i64, count: i64, from: &str) -> impl Iterator<Item = Timestamp> {
    let from = at(from);
    (0..count).map(move |number| from + SignedDuration::from_secs(number * secs))
}

async fn number(store: &Store, sql: &str) -> i64 {
    let statement = Statement::from_string(store.conn().get_database_backend(), sql);
    let row = store.conn().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// How far the list of events was read.
async fn swept_to(store: &Store) -> Timestamp {
    let kept = settings::get(store.conn(), "sweep:stripe").await.unwrap().unwrap();
    at(kept.split(' ').next().unwrap())
}

async fn has_case(store: &Store, invoice: &str) -> bool {
    cases::by_invoice(store.conn(), "stripe", invoice)
        .await
        .unwrap()
        .is_some()
}

#[test]
fn a_list_of_events_that_does_not_end_is_read_in_halves() {
    each_database(async |store| {
        let (engine, account) = begin(&store).await;
        // A quiet night, and in the middle of it a storm of which a list holds no more than eight seconds.
        let (quiet, storm) = (
            one_every(60, 300, "2026-03-02T09:00:00Z"),
            one_every(1, 90, "2026-03-02T12:00:00Z"),
        );
        account.books().events = quiet.chain(storm).collect();
        account.books().holds = 10;
        engine.clock().advance_to(at("2026-03-02T14:30:00Z")).unwrap();
        engine.tick().await.unwrap();
        assert_eq!(
            number(&store, "SELECT COUNT(*) FROM inbox").await,
            390,
            "each is there, and once"
        );
        assert_eq!(swept_to(&store).await, at("2026-03-02T14:30:00Z"));
        let asked = account.books().asked("events").len();
        assert!(
            asked < 250,
            "{asked} lists: the storm makes no short pieces of the night"
        );
        // Nobody else brought any of it, and no border between two pieces makes it look otherwise.
        let silent = recoup::engine::silent_since(&store, "stripe").await.unwrap();
        assert_eq!(silent, Some(at(START)));
    });
}

#[test]
fn what_was_read_before_a_list_broke_off_is_not_read_again() {
    each_database(async |store| {
        let (engine, account) = begin(&store).await;
        account.books().events = one_every(60, 300, "2026-03-02T09:00:00Z").collect();
        // More in one second than a list holds: there the halving ends.
        let same = std::iter::repeat_n(at("2026-03-02T13:00:30Z"), 60);
        account.books().events.extend(same);
        account.books().holds = 50;
        engine.clock().advance_to(at("2026-03-02T15:30:00Z")).unwrap();
        engine.tick().await.unwrap();
        let read_to = swept_to(&store).await;
        assert!(
            (at("2026-03-02T12:59:00Z")..=at("2026-03-02T13:00:30Z")).contains(&read_to),
            "{read_to}"
        );
        account.books().holds = 100;
        engine.advance(at("2026-03-02T15:40:00Z")).await.unwrap();
        assert_eq!(swept_to(&store).await, at("2026-03-02T15:40:00Z"));
        assert_eq!(number(&store, "SELECT COUNT(*) FROM inbox").await, 360);
    });
}

#[test]
fn lists_of_charges_and_invoices_that_do_not_end_are_read_in_halves_as_well() {
    each_database(async |store| {
        let (engine, account) = begin(&store).await;
        // Others owe money too: since years, and most of them since this morning.
        let old = one_every(86_400, 300, "2025-02-01T09:00:00Z");
        let new = one_every(60, 150, "2026-03-02T06:00:00Z");
        account.books().others = old.chain(new).collect();
        account.books().holds = 20;
        engine.advance(at("2026-03-03T08:35:00Z")).await.unwrap();
        assert!(has_case(&store, "in_1").await, "the newest are looked into first");
        let invoices = account.books().asked("invoices");
        assert_eq!(
            invoices[0],
            (Timestamp::UNIX_EPOCH, at("2026-03-03T08:35:00Z")),
            "however old"
        );

        for (number, made_at) in (0..).zip(one_every(600, 200, "2026-03-03T09:00:00Z")) {
            account.books().charge_by_another(&format!("ch_{number}"), made_at);
            account.books().charges.last_mut().unwrap().customer_id = "cus_other".to_owned();
        }
        account
            .books()
            .charge_by_another("ch_extra", at("2026-03-03T10:00:00Z"));
        // Ours was slow, and came as well.
        account.books().settle("2026-03-04T07:00:00Z");
        engine.advance(at("2026-03-04T08:35:00Z")).await.unwrap();
        let warned = number(&store, "SELECT COUNT(*) FROM cases WHERE warnings LIKE '%overpaid%'").await;
        assert_eq!(warned, 1, "it is found among two hundred of others");
    });
}

#[test]
fn who_is_to_stop_waits_for_no_list() {
    let lists = [
        ("events", "2026-03-02T09:31:00Z"),
        ("invoices", "2026-03-03T08:35:00Z"),
        ("charges", "2026-03-03T08:35:00Z"),
        ("invoice", "2026-03-03T08:35:00Z"),
    ];
    for (hangs, due) in lists {
        each_database(async |store| {
            let (engine, account) = begin(&store).await;
            account.books().hangs = Some(hangs);
            engine.clock().advance_to(at(due)).unwrap();
            let round = tokio::spawn({
                let engine = engine.clone();
                async move { engine.tick().await }
            });
            let hanging = tokio::time::timeout(PATIENCE, account.hanging.acquire()).await;
            assert!(hanging.is_ok(), "nobody asks for {hangs}");
            engine.stop();
            let ended = tokio::time::timeout(PATIENCE, round).await;
            assert!(matches!(ended, Ok(Ok(Ok(_)))), "it waits for {hangs}");
            if hangs == "events" {
                assert_eq!(swept_to(&store).await, at(START), "the next process reads it again");
            }
        });
    }
}

#[test]
fn who_is_to_stop_takes_no_long_list_in() {
    each_database(async |store| {
        let (engine, account) = begin(&store).await;
        account.books().events = one_every(10, 100, "2026-03-02T09:00:00Z").collect();
        account.books().stops = Some(engine.clone());
        engine.clock().advance_to(at("2026-03-02T09:31:00Z")).unwrap();
        engine.tick().await.unwrap();
        assert_eq!(number(&store, "SELECT COUNT(*) FROM inbox").await, 1);
        assert_eq!(
            swept_to(&store).await,
            at(START),
            "the next process takes in what is left"
        );
        // The two know each other.
        account.books().stops = None;
    });
}
