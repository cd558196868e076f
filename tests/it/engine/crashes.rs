//! Who dies, sleeps or is overtaken during a charge: one key, one charge, one answer.

use std::time::Duration;

use recoup::domain::case::State;
use recoup::engine::{CALLS_MAX, PLACES};
use recoup::sandbox::Outcome;
use recoup::store::Dialect;

use super::crew::{Charge, Crew, Read, kill, leased, play, run};
use crate::support::story::{Failed, Story};

const START: &str = "2026-03-02T08:30:00Z";
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);
/// When the first charge of `insufficient_funds` is due.
const CHARGE_DUE: &str = "2026-03-03T08:00:00Z";
/// The diary of one charge that brought the money, told once however often it was asked for.
const RECOVERED: &str = "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 attempt_answered succeeded
03-03 08:00 closed           recovered retry
03-03 08:00 notice_queued    payment_received
03-03 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 08:00 the provider: Api paid
";

/// A case whose first charge is due now.
async fn due(story: &Story) -> Failed {
    let failed = story.failed_invoice("insufficient_funds");
    story.advance("2026-03-02T12:00:00Z").await;
    story.clock.advance_to(CHARGE_DUE.parse().unwrap()).unwrap();
    failed
}

/// The worker stands where the order says; the answer is its tick.
async fn caught(crew: &Crew, order: Charge) -> tokio::task::JoinHandle<recoup::engine::TickReport> {
    crew.puppet.next_charge(order);
    let tick = crew.start_tick();
    crew.puppet.held(1).await;
    tick
}

fn check_one_charge(story: &Story, crew: &Crew, failed: &Failed) {
    let books = story.sandbox.books();
    let ours = books
        .charges_of(&failed.invoice)
        .filter_map(|entry| entry.idempotency_key.clone());
    let keys = crew.puppet.keys();
    assert_eq!(ours.collect::<Vec<_>>(), keys[..1], "one charge, under the first key");
    assert!(keys.iter().all(|key| *key == keys[0]), "never a second key");
}

#[test]
fn a_crash_after_the_intent_and_before_the_call() {
    play(START, &async |story: &mut Story| {
        let failed = due(story).await;
        let crew = Crew::new(story);
        let tick = caught(&crew, Charge::HoldBefore).await;
        assert!(matches!(
            story.case(&failed.invoice).await.state,
            State::Charging { .. }
        ));
        kill(tick).await;
        let idle = story.app.engine.tick().await.unwrap();
        assert_eq!(idle.cases, 0, "the lease of the dead still lives");
        assert_eq!(story.sandbox.faults(|faults| faults.count("charges")), 0);
        story.app.store.end_leases().await.unwrap();
        story.settle().await;
        assert_eq!(story.diary(&failed.invoice).await, RECOVERED);
        check_one_charge(story, &crew, &failed);
    });
}

#[test]
fn a_crash_after_the_call_and_before_the_record() {
    play(START, &async |story: &mut Story| {
        let failed = due(story).await;
        let crew = Crew::new(story);
        let once = [Outcome::decline("insufficient_funds")];
        story.sandbox.script_outcomes(&failed.invoice, once);
        let tick = caught(&crew, Charge::HoldAfter).await;
        kill(tick).await;
        story.app.store.end_leases().await.unwrap();
        story.settle().await;
        assert_eq!(story.sandbox.faults(|faults| faults.count("replays")), 1);
        let case = story.case(&failed.invoice).await;
        assert_eq!(
            story.attempts(&case.id).await,
            ["provider declined", "us declined"],
            "the stored answer counts once"
        );
        assert_eq!(case.attempts, 2);
        check_one_charge(story, &crew, &failed);
    });
}

#[test]
fn a_payment_answered_to_the_dead_is_not_asked_for_again() {
    play(START, &async |story: &mut Story| {
        let failed = due(story).await;
        let crew = Crew::new(story);
        let tick = caught(&crew, Charge::HoldAfter).await;
        kill(tick).await;
        // The webhook of the payment comes first, while nobody knows whether somebody is on the wire. It names the key of the
        // request that paid, which is the answer.
        story.settle().await;
        assert_eq!(story.diary(&failed.invoice).await, RECOVERED);
        story.app.store.end_leases().await.unwrap();
        story.settle().await;
        assert_eq!(story.diary(&failed.invoice).await, RECOVERED);
        assert_eq!(story.sandbox.faults(|faults| faults.count("replays")), 0);
        check_one_charge(story, &crew, &failed);
    });
}

#[test]
fn a_zombie_that_answers_after_the_resume_is_heard_once() {
    for (script, attempt) in [(None, "us succeeded"), (Some("insufficient_funds"), "us declined")] {
        play(START, &async |story: &mut Story| {
            let failed = due(story).await;
            if let Some(code) = script {
                story.sandbox.fail_next(&failed.invoice, code);
            }
            let crew = Crew::new(story);
            let tick = caught(&crew, Charge::HoldAfter).await;
            story.app.store.end_leases().await.unwrap();
            story.settle().await;
            let diary = story.diary(&failed.invoice).await;
            crew.puppet.go(1);
            tick.await.unwrap();
            story.settle().await;
            assert_eq!(story.diary(&failed.invoice).await, diary, "the late answer is no news");
            let case = story.case(&failed.invoice).await;
            assert_eq!(story.attempts(&case.id).await, ["provider declined", attempt]);
            check_one_charge(story, &crew, &failed);
        });
    }
}

#[test]
fn a_zombie_that_sends_after_the_resume_uses_the_same_key() {
    play(START, &async |story: &mut Story| {
        let failed = due(story).await;
        story.sandbox.fail_next(&failed.invoice, "insufficient_funds");
        let crew = Crew::new(story);
        let tick = caught(&crew, Charge::HoldBefore).await;
        story.app.store.end_leases().await.unwrap();
        story.settle().await;
        crew.puppet.go(1);
        tick.await.unwrap();
        story.settle().await;
        assert_eq!(story.sandbox.books().charges_of(&failed.invoice).count(), 2);
        assert_eq!(story.case(&failed.invoice).await.attempts, 2);
        check_one_charge(story, &crew, &failed);
    });
}

#[test]
fn an_answer_that_cannot_be_recorded_is_asked_for_again() {
    play(START, &async |story: &mut Story| {
        let failed = due(story).await;
        let crew = Crew::new(story);
        let tick = caught(&crew, Charge::HoldAfter).await;
        run(story, "ALTER TABLE attempts RENAME TO attempts_away").await;
        crew.puppet.go(1);
        tick.await.unwrap();
        run(story, "ALTER TABLE attempts_away RENAME TO attempts").await;
        assert_eq!(leased(story).await, 1, "the lease is left to run out");
        story.app.store.end_leases().await.unwrap();
        story.settle().await;
        assert_eq!(story.diary(&failed.invoice).await, RECOVERED);
        check_one_charge(story, &crew, &failed);
    });
}

#[test]
fn a_deadlock_before_the_commit_is_tried_again_at_once() {
    play(START, &async |story: &mut Story| {
        if story.app.store.dialect() == Dialect::Sqlite {
            return;
        }
        let failed = due(story).await;
        run(
            story,
            "CREATE SEQUENCE trips; CREATE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('trips') <= 2 THEN RAISE EXCEPTION 'as ordered' USING ERRCODE = '40P01'; END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER trip BEFORE UPDATE ON attempts FOR EACH ROW EXECUTE FUNCTION trip()",
        )
        .await;
        story.settle().await;
        assert_eq!(story.diary(&failed.invoice).await, RECOVERED);
        assert_eq!(story.sandbox.faults(|faults| faults.count("charges")), 1);
    });
}

#[test]
fn what_somebody_else_settled_during_the_read_is_let_go() {
    play(START, &async |story: &mut Story| {
        let failed = due(story).await;
        let crew = Crew::new(story);
        crew.puppet.next_read(Read::Hold);
        let tick = crew.start_tick();
        crew.puppet.held(1).await;
        assert!(story.sandbox.pay_by_customer(&failed.invoice));
        story.settle().await;
        crew.puppet.go(1);
        tick.await.unwrap();
        assert_eq!(leased(story).await, 0);
        assert_eq!(
            crew.puppet.keys(),
            <[String; 0]>::default(),
            "what is paid is not charged"
        );
        assert_eq!(story.case(&failed.invoice).await.status().as_str(), "recovered");
    });
}

#[test]
fn no_more_is_claimed_than_is_worked_on_and_a_stop_ends_the_claims() {
    play(START, &async |story: &mut Story| {
        let all: Vec<_> = (0..PLACES + 4)
            .map(|_| story.failed_invoice("insufficient_funds"))
            .collect();
        story.advance("2026-03-02T12:00:00Z").await;
        story.clock.advance_to(CHARGE_DUE.parse().unwrap()).unwrap();
        let crew = Crew::new(story);
        for _ in 0..PLACES {
            crew.puppet.next_charge(Charge::HoldBefore);
        }
        let tick = crew.start_tick();
        crew.puppet.held(u32::try_from(CALLS_MAX).unwrap()).await;
        // The calls may all be under way before the last places are taken. The others wait until a call may be made.
        let full = async { while u64::try_from(leased(story).await).unwrap() != PLACES {} };
        tokio::time::timeout(PATIENCE, full).await.unwrap();
        crew.engine.stop();
        crew.puppet.go(usize::try_from(PLACES).unwrap());
        assert_eq!(
            tick.await.unwrap().cases,
            PLACES,
            "what was under way is finished, nothing more is begun"
        );
        story.settle().await;
        let books = story.sandbox.books();
        for one in &all {
            assert_eq!(books.successes(&one.invoice), 1);
        }
    });
}
