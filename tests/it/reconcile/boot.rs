//! Who may act: not who slept, not who disagrees with the database about the time, and not with a lease that is too short.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::domain::campaign::FinalAction;
use recoup::domain::case::{Case, Collector};
use recoup::domain::ceiling::Rules;
use recoup::domain::learning::Policy;
use recoup::domain::outcome::Status;
use recoup::domain::snapshot::Snapshot;
use recoup::domain::taxonomy::Taxonomy;
use recoup::engine::{Brand, Connection, Engine, HEARTBEAT, Parts};
use recoup::mailer::{Mailer, Templates};
use recoup::providers::signature::BadSignature;
use recoup::providers::{
    ActionOutcome, Capabilities, ChargeOutcome, ChargeRequest, ListError, Malformed, NormalizedEvent, Provider,
    ReadError,
};
use recoup::sandbox::{Fault, Shape};
use recoup::store::{Store, settings};
use sea_orm::{ConnectionTrait, Statement};

use super::{all_drift, drift};
use crate::store::samples;
use crate::support::clocks::Wrong;
use crate::support::databases::each_database;
use crate::support::story::{Story, tell_in};

#[test]
fn who_slept_reconciles_before_it_acts() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let before = drift("invoices");
        let (paid, owed) = (
            story.failed_invoice("insufficient_funds"),
            story.failed_invoice("insufficient_funds"),
        );
        story.advance("2026-03-02T20:00:00Z").await;
        assert!(story.sandbox.pay_by_customer(&paid.invoice));
        story.sandbox.lose_webhooks();
        // Everybody is away for a day and a half; then somebody starts while the provider is out of reach.
        story.clock.advance_to("2026-03-04T08:00:00Z".parse().unwrap()).unwrap();
        let down = ("2026-03-04T00:00:00Z", "2026-03-04T09:00:00Z");
        story.sandbox.faults(|faults| {
            let (from, to) = (down.0.parse().unwrap(), down.1.parse().unwrap());
            faults.between("/v1/invoices", Fault::Unavailable, from, to);
        });
        let late = story.replica().await;
        late.engine.advance(story.now()).await.unwrap();
        assert!(late.engine.is_reconciling(), "it could not reconcile");
        let url = format!("http://{}/readyz", late.address);
        let ready = reqwest::get(url).await.unwrap();
        assert_eq!(ready.status(), 200);
        assert!(ready.text().await.unwrap().contains("reconciling"));
        assert_eq!(
            story.sandbox.books().successes(&owed.invoice),
            0,
            "a charge is due, and waits"
        );
        assert_eq!(story.letters().len(), 0);

        late.engine
            .advance("2026-03-04T09:30:00Z".parse().unwrap())
            .await
            .unwrap();
        assert!(!late.engine.is_reconciling());
        assert_eq!(story.case(&paid.invoice).await.status(), Status::Recovered);
        assert_eq!(story.case(&owed.invoice).await.status(), Status::Recovered);
        assert_eq!(story.sandbox.books().successes(&paid.invoice), 1);
        assert_eq!(story.sandbox.books().successes(&owed.invoice), 1);
        // The list of events told of the payment before the invoice was read.
        assert_eq!(drift("invoices"), before);
        late.stop().await.unwrap();
        story.settle().await;
    });
}

#[test]
fn one_invoice_of_many_that_cannot_be_read_at_once_holds_up_nobody() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let failed: Vec<_> = (0..12).map(|_| story.failed_invoice("insufficient_funds")).collect();
        story.advance("2026-03-02T20:00:00Z").await;
        story.clock.advance_to("2026-03-04T08:00:00Z".parse().unwrap()).unwrap();
        let path = format!("/v1/invoices/{}", failed[7].invoice);
        story.sandbox.faults(|faults| faults.next(&path, Fault::Unavailable, 2));
        let late = story.replica().await;
        late.engine.advance(story.now()).await.unwrap();
        assert!(!late.engine.is_reconciling(), "all were read in the end");
        late.stop().await.unwrap();
        story.settle().await;
        for one in &failed {
            assert_eq!(story.sandbox.books().successes(&one.invoice), 1);
        }
    });
}

#[test]
fn a_restart_under_the_test_clock_reconciles_nothing() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let before = all_drift();
        let failed = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T20:00:00Z").await;
        let again = story.replica().await;
        story
            .sandbox
            .faults(|faults| faults.next("/v1/", Fault::Unavailable, 1));
        again.engine.advance(story.now()).await.unwrap();
        assert!(!again.engine.is_reconciling());
        // The fault was not met: nobody asked the provider anything.
        story.sandbox.faults(recoup::sandbox::Faults::clear);
        again.stop().await.unwrap();
        story.advance("2026-03-04T00:00:00Z").await;
        assert_eq!(story.case(&failed.invoice).await.status(), Status::Recovered);
        assert_eq!(all_drift(), before);
    });
}

async fn claimed(store: &Store) -> i64 {
    let sql = "SELECT COUNT(*) FROM due_cases WHERE lease_until IS NOT NULL";
    let statement = Statement::from_string(store.conn().get_database_backend(), sql);
    let row = store.conn().query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

pub(super) fn parts(store: &Store, clock: Clock, connections: Vec<Connection>) -> Parts {
    Parts {
        staff: Vec::new(),
        mails_per_domain_per_minute: 0,
        learning: Policy::default(),
        rules: Rules::embedded(),
        storage: Arc::new(store.clone()),
        clock,
        connections,
        mailer: Arc::new(Mailer::new(None, None).unwrap()),
        templates: Templates::new().unwrap(),
        brand: Brand {
            company: "Acme".to_owned(),
            support: None,
            look: recoup::domain::brand::Look::default(),
            links: None,
        },
    }
}

#[test]
fn who_disagrees_with_the_database_about_the_time_does_not_act() {
    each_database(async |store| {
        for (off_secs, acts) in [(90, false), (-90, false), (20, true)] {
            let case = Case {
                id: samples::case_id(u32::try_from(off_secs + 1000).unwrap()),
                invoice_id: format!("in_{off_secs}"),
                ..samples::case(1)
            };
            samples::open(&store, &case).await.unwrap();
            settings::set(store.conn(), HEARTBEAT, &Clock::System.now().to_string())
                .await
                .unwrap();
            let clock = Clock::Simulated(Wrong::by_secs(off_secs));
            let engine = Engine::new(parts(&store, clock, Vec::new()));
            engine.tick().await.unwrap();
            assert_eq!(claimed(&store).await > 0, acts, "{off_secs} s off");
        }
    });
}

#[test]
fn who_was_wrong_about_the_time_does_not_take_the_database_for_an_older_copy() {
    each_database(async |store| {
        let wrong = Wrong::by_secs(0);
        // A provider that is asked nothing: reconciliation would read its events.
        let engine = Engine::new(parts(&store, Clock::Simulated(wrong.clone()), vec![slow(30)]));
        for secs in [0, 600, 0] {
            wrong.set(secs);
            engine.tick().await.unwrap();
            assert!(!engine.is_reconciling());
        }
    });
}

/// Whoever falls asleep between a look at the clock and the next, and wakes up an hour behind, writes that hour down nowhere:
/// to all others the database would look like an older copy of itself.
#[test]
fn who_wakes_up_with_another_clock_leaves_the_heartbeat_alone() {
    each_database(async |store| {
        let right = Wrong::by_secs(0);
        let other = Engine::new(parts(&store, Clock::Simulated(right.clone()), vec![slow(30)]));
        other.tick().await.unwrap();
        let heartbeat = async || {
            let kept = settings::get(store.conn(), HEARTBEAT).await.unwrap();
            kept.unwrap().parse::<Timestamp>().unwrap()
        };
        let begun = heartbeat().await;
        let mut beats = 0;
        for looks in 0.. {
            let clock = Wrong::after(looks, -3600);
            let sleeper = Engine::new(parts(&store, Clock::Simulated(clock.clone()), vec![slow(30)]));
            let before = heartbeat().await;
            sleeper.tick().await.unwrap();
            let after = heartbeat().await;
            assert!(before <= after, "it fell asleep after {looks} looks, and wrote {after}");
            beats += usize::from(before < after);
            if clock.is_right() {
                break;
            }
        }
        assert!(beats > 0 && begun < heartbeat().await, "who stays awake writes");
        // A clock that is a little behind is compared at once.
        right.set(-5);
        other.tick().await.unwrap();
        assert!(!other.is_reconciling());
    });
}

/// A provider of which nothing is asked but what it can do.
struct Slow(Duration);

#[async_trait]
impl Provider for Slow {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            idempotency_ttl: Duration::from_hours(24),
            call_timeout: self.0,
            livemode: None,
        }
    }

    fn codes(&self) -> &'static Taxonomy {
        &recoup::providers::stripe::declines::TABLE
    }

    fn verify(&self, _: Option<&str>, _: &[u8], _: Timestamp) -> Result<(), BadSignature> {
        unreachable!("nothing is asked of it")
    }

    fn normalize(&self, _: &[u8]) -> Result<NormalizedEvent, Malformed> {
        unreachable!("nothing is asked of it")
    }

    async fn snapshot(&self, _: &str) -> Result<Snapshot, ReadError> {
        unreachable!("nothing is asked of it")
    }

    async fn invoice_of(&self, _: Option<&str>, _: Option<&str>) -> Result<Option<String>, ReadError> {
        unreachable!("nothing is asked of it")
    }

    async fn events(&self, _: Timestamp, _: Timestamp) -> Result<Vec<Vec<u8>>, ListError> {
        unreachable!("nothing is asked of it")
    }

    async fn charge(&self, _: &ChargeRequest) -> ChargeOutcome {
        unreachable!("nothing is asked of it")
    }

    async fn finish(&self, _: FinalAction, _: &Snapshot, _: &str) -> ActionOutcome {
        unreachable!("nothing is asked of it")
    }

    async fn update_link(&self, _: &str, _: &str) -> Result<Option<String>, ReadError> {
        unreachable!("nothing is asked of it")
    }
}

fn slow(call_secs: u64) -> Connection {
    Connection {
        name: "slow".to_owned(),
        provider: Arc::new(Slow(Duration::from_secs(call_secs))),
        collector: Collector::Us,
        default_zone: "UTC".to_owned(),
        default_locale: "en".to_owned(),
    }
}

#[test]
fn a_lease_must_outlast_two_calls() {
    each_database(async |store| {
        for (call_secs, fits) in [(30, true), (45, true), (46, false), (600, false)] {
            let checked = parts(&store, Clock::System, vec![slow(call_secs)]).check();
            assert_eq!(checked.is_ok(), fits, "{call_secs}");
            if let Err(error) = checked {
                let told = error.to_string();
                assert!(told.contains("slow") && told.contains("LEASE_SECS"), "{told}");
            }
        }
    });
}
