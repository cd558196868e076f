//! What goes wrong: late news, lost answers, a provider that is away.

use jiff::SignedDuration;
use recoup::domain::outcome::{Outcome, RecoveredBy};
use recoup::sandbox::events::{Event, Snapshot};
use recoup::sandbox::{Delivery, Fault, Outcome as Charge, Shape};

use crate::support::story::{Story, tell, tell_in};

#[test]
fn paid_elsewhere_between_decision_and_charge() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T12:00:00Z").await;
        assert!(story.sandbox.pay_by_customer(&failed.invoice));
        // The webhooks of the payment never come, and the list of events is out of order; only the gate can know.
        story.sandbox.lose_webhooks();
        let (from, to) = (
            "2026-03-02T00:00:00Z".parse().unwrap(),
            "2026-03-04T00:00:00Z".parse().unwrap(),
        );
        story
            .sandbox
            .faults(|faults| faults.between("/v1/events", Fault::Error, from, to));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 closed           recovered customer
03-03 08:00 notice_queued    payment_received
03-03 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-02 12:00 the provider: Customer paid
");
    });
}

#[test]
fn an_unknown_outcome_that_was_a_payment() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story
            .sandbox
            .faults(|faults| faults.next(&format!("{}/pay", failed.invoice), Fault::CutAnswer, 1));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 stood_back       
03-03 08:00 attempt_answered succeeded
03-03 08:00 closed           recovered retry
03-03 08:00 notice_queued    payment_received
03-03 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 08:00 the provider: Api paid
");
        assert_eq!(story.sandbox.books().successes(&failed.invoice), 1);
    });
}

#[test]
fn an_unknown_outcome_that_was_no_payment() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story.sandbox.fail_next(&failed.invoice, "insufficient_funds");
        story
            .sandbox
            .faults(|faults| faults.next(&format!("{}/pay", failed.invoice), Fault::Refuse, 3));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 stood_back       
03-03 08:07 attempt_answered declined insufficient_funds
03-03 08:07 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 09:00 notice_queued    payment_failed
03-03 09:00 notice_ended     sent
03-05 08:00 attempt_started  schedule
03-05 08:00 attempt_answered succeeded
03-05 08:00 closed           recovered retry
03-05 08:00 notice_queued    payment_received
03-05 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 08:07 the provider: Api insufficient_funds
03-05 08:00 the provider: Api paid
");
        let books = story.sandbox.books();
        let keys: Vec<_> = books
            .charges_of(&failed.invoice)
            .filter_map(|entry| entry.idempotency_key.clone())
            .collect();
        assert_eq!(
            keys.len(),
            2,
            "one key for the attempt that was in doubt, one for the next"
        );
    });
}

#[test]
fn an_error_that_the_provider_repeats_for_ever_is_read_back_as_not_charged() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story
            .sandbox
            .faults(|faults| faults.next(&format!("{}/pay", failed.invoice), Fault::Error, 1));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 stood_back       
03-04 04:03 attempt_answered not_charged
03-04 04:03 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-04 04:03 notice_queued    payment_failed
03-04 04:03 notice_ended     sent
03-05 08:00 attempt_started  schedule
03-05 08:00 attempt_answered succeeded
03-05 08:00 closed           recovered retry
03-05 08:00 notice_queued    payment_received
03-05 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-05 08:00 the provider: Api paid
");
        assert_eq!(story.sandbox.books().successes(&failed.invoice), 1);
    });
}

#[test]
fn an_error_that_the_provider_repeats_for_ever_after_charging_is_ours_by_the_key_in_its_event() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story
            .sandbox
            .faults(|faults| faults.next(&format!("{}/pay", failed.invoice), Fault::ErrorAfter, 1));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 stood_back       
03-03 08:00 attempt_answered succeeded
03-03 08:00 closed           recovered retry
03-03 08:00 notice_queued    payment_received
03-03 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 08:00 the provider: Api paid
");
        let case = story.case(&failed.invoice).await;
        assert!(case.memory.paid_charge.is_some(), "the event names the charge too");
    });
}

#[test]
fn a_charge_that_the_provider_makes_ten_minutes_after_our_timeout() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story.sandbox.faults(|faults| {
            faults.next(
                &format!("{}/pay", failed.invoice),
                Fault::Late(SignedDuration::from_mins(10)),
                1,
            );
        });
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 stood_back       
03-03 08:10 attempt_answered succeeded
03-03 08:10 closed           recovered retry
03-03 08:10 notice_queued    payment_received
03-03 08:10 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 08:10 the provider: Api paid
");
        assert_eq!(story.sandbox.books().successes(&failed.invoice), 1);
    });
}

#[test]
fn the_provider_is_down_for_six_hours() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let (from, to) = (
            "2026-03-03T07:00:00Z".parse().unwrap(),
            "2026-03-03T13:00:00Z".parse().unwrap(),
        );
        story
            .sandbox
            .faults(|faults| faults.between("", Fault::Unavailable, from, to));
        story.advance("2026-04-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 stood_back       
03-03 13:03 attempt_started  schedule
03-03 13:03 attempt_answered succeeded
03-03 13:03 closed           recovered retry
03-03 13:03 notice_queued    payment_received
03-03 13:03 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 13:03 the provider: Api paid
");
    });
}

#[test]
fn a_lost_webhook_is_found_by_the_sweep() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        story.settle().await;
        let failed = story.failed_invoice("insufficient_funds");
        assert!(story.sandbox.lose_webhooks() > 0);
        story.advance("2026-03-02T09:29:00Z").await;
        assert!(!story.has_case(&failed.invoice).await);
        story.advance("2026-03-02T09:30:00Z").await;
        let case = story.case(&failed.invoice).await;
        assert_eq!(
            case.opened_at,
            "2026-03-02T08:30:00Z".parse().unwrap(),
            "dated by the failure, not by the news"
        );
        story.advance("2026-03-02T12:00:00Z").await;
        assert!(story.sandbox.pay_by_customer(&failed.invoice));
        assert!(story.sandbox.lose_webhooks() > 0);
        story.advance("2026-03-02T13:30:00Z").await;
        let outcome = story.case(&failed.invoice).await.outcome();
        assert_eq!(
            outcome,
            Some(Outcome::Recovered {
                by: RecoveredBy::Customer
            })
        );
    });
}

#[test]
fn every_order_of_failed_failed_paid_ends_alike() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        for order in orders {
            // The second failure and the payment are told of only after both happened, in any order, each twice.
            let failed = story.failed_invoice("insufficient_funds");
            story.sandbox.fail_next(&failed.invoice, "do_not_honor");
            assert!(!story.sandbox.pay_by_customer(&failed.invoice));
            assert!(story.sandbox.pay_by_customer(&failed.invoice));
            let events = late_events(story, &failed.invoice);
            assert_eq!(events.len(), 3);
            for index in order {
                story.deliver(&events[index]).await;
                story.deliver(&events[index]).await;
                story.settle().await;
            }
            assert!(
                !story.has_case(&failed.invoice).await,
                "{order:?}: what is paid when the news comes needs no case"
            );
        }
        for order in orders {
            // The first failure is told of at once; everything after it comes late, in any order.
            let failed = story.failed_invoice("insufficient_funds");
            let first = late_events(story, &failed.invoice);
            story.deliver(&first[0]).await;
            story.settle().await;
            assert!(!story.sandbox.world(|world| world.invoice(&failed.invoice).is_none()));
            story.sandbox.fail_next(&failed.invoice, "do_not_honor");
            assert!(!story.sandbox.pay_by_customer(&failed.invoice));
            assert!(story.sandbox.pay_by_customer(&failed.invoice));
            let events = late_events(story, &failed.invoice);
            for index in order {
                if let Some(event) = events.get(index) {
                    story.deliver(event).await;
                    story.settle().await;
                }
            }
            let case = story.case(&failed.invoice).await;
            assert_eq!(
                case.outcome(),
                Some(Outcome::Recovered {
                    by: RecoveredBy::Customer
                }),
                "{order:?}"
            );
            assert_eq!(story.subjects(&case.id).await.len(), 1, "{order:?}: only the receipt");
        }
    });
}

/// The invoice's failures and payments that wait for delivery, taken out of the queue.
fn late_events(story: &Story, invoice: &str) -> Vec<Event> {
    let kinds = ["invoice.payment_failed", "invoice.paid"];
    let events = story.sandbox.world(|world| world.events().to_vec());
    story.sandbox.lose_webhooks();
    events
        .into_iter()
        .filter(|event| kinds.contains(&event.kind))
        .filter(|event| matches!(&event.snapshot, Snapshot::Invoice(seen) if seen.id == invoice))
        .collect()
}

#[test]
fn nine_in_the_morning_stays_nine_when_the_clocks_change() {
    tell("2026-03-26T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let never = std::iter::repeat_n(Charge::decline("insufficient_funds"), 10);
        story.sandbox.script_outcomes(&failed.invoice, never);
        story.advance("2026-05-10T00:00:00Z").await;
        assert_eq!(story.diary(&failed.invoice).await, "
03-26 08:30 opened           insufficient_funds
03-26 08:30 planned          charges [03-27 08:00, 03-29 07:00, 04-02 07:00, 04-09 07:00] notice payment_failed 03-27 09:00
03-27 08:00 attempt_started  schedule
03-27 08:00 attempt_answered declined insufficient_funds
03-27 08:00 planned          charges [03-29 07:00, 04-02 07:00, 04-09 07:00] notice payment_failed 03-27 09:00
03-27 09:00 notice_queued    payment_failed
03-27 09:00 notice_ended     sent
03-29 07:00 attempt_started  schedule
03-29 07:00 attempt_answered declined insufficient_funds
03-29 07:00 planned          charges [04-02 07:00, 04-09 07:00] notice reminder 04-02 08:00
04-02 07:00 attempt_started  schedule
04-02 07:00 attempt_answered declined insufficient_funds
04-02 07:00 planned          charges [04-09 07:00] notice reminder 04-02 08:00
04-02 08:00 notice_queued    reminder
04-02 08:00 notice_ended     sent
04-09 07:00 attempt_started  schedule
04-09 07:00 attempt_answered declined insufficient_funds
04-09 07:00 planned          charges [] notice final_notice 04-13 08:00
04-13 08:00 notice_queued    final_notice
04-13 08:00 notice_ended     sent
04-16 08:00 final_action     cancel
04-16 08:00 closed           exhausted attempts_spent cancelled
04-16 08:00 notice_queued    subscription_ended
04-16 08:00 notice_ended     sent
03-26 08:30 the provider: Renewal insufficient_funds
03-27 08:00 the provider: Api insufficient_funds
03-29 07:00 the provider: Api insufficient_funds
04-02 07:00 the provider: Api insufficient_funds
04-09 07:00 the provider: Api insufficient_funds
");
    });
}

#[test]
fn two_replicas_never_charge_twice() {
    tell_in(Shape::New, "2026-03-02T08:30:00Z", &[], &async |story: &mut Story| {
        let second = story.replica().await;
        let failed: Vec<_> = (0..12).map(|_| story.failed_invoice("insufficient_funds")).collect();
        for day in 2..25 {
            story
                .sandbox
                .deliver_webhooks_as(Delivery {
                    duplicate: true,
                    shuffle: true,
                })
                .await;
            let to = format!("2026-03-{day:02}T12:00:00Z").parse().unwrap();
            story.clock.advance_to(to).unwrap();
            let (one, two) = tokio::join!(story.app.engine.tick(), second.engine.tick());
            one.unwrap();
            two.unwrap();
        }
        story.advance("2026-04-10T00:00:00Z").await;
        let books = story.sandbox.books();
        for one in &failed {
            assert_eq!(books.successes(&one.invoice), 1);
            assert_eq!(books.charges_of(&one.invoice).count(), 2);
            assert_eq!(story.case(&one.invoice).await.status().as_str(), "recovered");
        }
        second.stop().await.unwrap();
    });
}
