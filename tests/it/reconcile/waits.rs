//! Charges that are not on the books, of cases with an attempt of ours that must end first.

use std::sync::Arc;

use jiff::SignedDuration;
use recoup::clock::Clock;
use recoup::domain::case::{Case, State, Warning};
use recoup::domain::outcome::Status;
use recoup::engine::Engine;
use recoup::store::{Store, campaigns, cases, ledger};

use super::account::Account;
use super::boot::parts;
use crate::decide::desk::at;
use crate::support::campaigns::days;
use crate::support::databases::each_database;

/// A service that chases the account's one invoice since the morning of 3 March, beside somebody who charges as well.
struct Stage {
    store: Store,
    engine: Engine,
    account: Arc<Account>,
}

impl Stage {
    /// On the 4th we charge, and the provider needs its time; on the 5th somebody else takes the money at once.
    async fn new(store: &Store) -> Self {
        let account = Account::with_failed_invoice("2026-03-02T09:00:00Z");
        let clock = Clock::test(at("2026-03-02T08:30:00Z"));
        campaigns::put(store.conn(), &days(), clock.now()).await.unwrap();
        let stage = Self {
            engine: Engine::new(parts(store, clock, vec![account.connection()])),
            store: store.clone(),
            account,
        };
        stage.day(4).await;
        assert!(matches!(
            stage.case().await.state,
            State::Processing { attempt: Some(_), .. }
        ));
        let made_at = at("2026-03-05T12:00:00Z");
        stage.account.books().charge_by_another("ch_extra", made_at);
        stage
    }

    /// Lets every day up to this one pass, until its evening.
    async fn day(&self, day: i64) {
        let evening = at("2026-03-01T20:00:00Z") + SignedDuration::from_hours(24 * (day - 1));
        while self.engine.clock().now() < evening {
            let next = self.engine.clock().now() + SignedDuration::from_hours(24);
            self.engine.advance(next.min(evening)).await.unwrap();
        }
    }

    async fn case(&self) -> Case {
        let conn = self.store.conn();
        let id = cases::by_invoice(conn, "stripe", "in_1").await.unwrap();
        cases::find(conn, &id.unwrap()).await.unwrap().unwrap()
    }

    /// The longest stretch for which the list of charges was read, in days.
    fn longest_list_days(&self) -> i64 {
        let asked = self.account.books().asked("charges");
        let longest = asked.iter().map(|(from, to)| to.duration_since(*from)).max();
        longest.unwrap().as_hours() / 24
    }
}

#[test]
fn a_charge_waits_longer_than_three_days_for_the_attempt_that_is_open() {
    each_database(async |store| {
        let stage = Stage::new(&store).await;
        stage.day(13).await;
        assert!(matches!(
            stage.case().await.state,
            State::Processing { attempt: Some(_), .. }
        ));
        stage.account.books().settle("2026-03-13T21:00:00Z");
        stage.day(16).await;
        let case = stage.case().await;
        assert_eq!(
            (case.status(), &case.warnings[..]),
            (Status::Recovered, &[Warning::Overpaid][..])
        );
        let booked = ledger::by_case(store.conn(), &case.id).await.unwrap();
        assert!(booked.iter().any(|entry| entry.reference == "ch_extra"));
    });
}

#[test]
fn what_waits_makes_the_list_of_charges_a_week_longer_and_no_more() {
    each_database(async |store| {
        let stage = Stage::new(&store).await;
        stage.day(25).await;
        // A week, the day until the next turn, and the three days of every turn, but for some minutes.
        assert_eq!(stage.longest_list_days(), 10);
        let (from, to) = *stage.account.books().asked("charges").last().unwrap();
        assert_eq!(
            to.duration_since(from).as_hours() / 24,
            3,
            "what left the list is waited for no more"
        );
    });
}
