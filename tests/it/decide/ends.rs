//! Every way a case ends, and what keeps it open.

use recoup::domain::calendar::secs_from;
use recoup::domain::case::{State, Warning};
use recoup::domain::command::Command;
use recoup::domain::decline::DeclineKind;
use recoup::domain::event::{Answer, Event, StaffAction};
use recoup::domain::snapshot::{CancelReason, InvoiceStatus, PaymentStatus, Snapshot, SubscriptionStatus};

use super::desk::{DAY, Desk, HOUR, at, eur, failed};

const KIND: DeclineKind = DeclineKind::InsufficientFunds;

fn desk() -> Desk {
    Desk::open(KIND, "Europe/Berlin", "2026-03-20T12:00:00Z")
}

fn away() -> Event {
    Event::OutOfReach {
        reason: "down".to_owned(),
        retry_after: None,
        refused: false,
    }
}

#[track_caller]
fn ends(alter: impl Fn(&mut Snapshot), outcome: &str) {
    // By a hint, and by the gate before the charge.
    for due in [false, true] {
        let mut desk = desk();
        desk.later(HOUR);
        alter(&mut desk.truth);
        if due {
            desk.due().unwrap();
        } else {
            desk.hint().unwrap();
        }
        assert!(
            !desk.calendar.iter().any(|line| line.contains("charge")),
            "{:?}",
            desk.calendar
        );
        let end = desk.calendar.pop().unwrap();
        assert!(end.contains(outcome), "{end}");
    }
}

fn leave(truth: &mut Snapshot, reason: CancelReason) {
    let subscription = truth.subscription.as_mut().unwrap();
    subscription.status = SubscriptionStatus::Canceled;
    subscription.cancel_reason = Some(reason);
}

#[test]
fn what_the_invoice_says_ends_the_case_before_any_charge() {
    ends(|truth| truth.status = InvoiceStatus::Paid, r#""by":"customer""#);
    ends(
        |truth| {
            truth.status = InvoiceStatus::Paid;
            truth.paid_out_of_band = true;
        },
        r#""by":"out_of_band""#,
    );
    ends(|truth| truth.status = InvoiceStatus::Void, r#""why":"voided""#);
    ends(|truth| truth.amount_remaining = eur(0), r#""why":"voided""#);
    ends(
        |truth| truth.status = InvoiceStatus::Uncollectible,
        r#""why":"written_off""#,
    );
    ends(
        |truth| truth.payment.as_mut().unwrap().disputed = true,
        r#""why":"disputed""#,
    );
    ends(
        |truth| leave(truth, CancelReason::Requested),
        r#""why":"customer_cancelled""#,
    );
    ends(
        |truth| leave(truth, CancelReason::PaymentFailed),
        r#""then":"cancelled""#,
    );
    ends(
        |truth| {
            let subscription = truth.subscription.as_mut().unwrap();
            subscription.cancel_at_period_end = true;
            subscription.canceled_at = Some(at("2026-03-20T12:30:00Z"));
        },
        r#""why":"customer_cancelled""#,
    );
}

#[test]
fn an_unreachable_provider_keeps_the_case_open_and_it_ends_once_the_provider_is_back() {
    let mut desk = desk();
    while desk.now < secs_from(desk.case.opened_at, 30 * DAY) {
        desk.now = desk.case.next_action().unwrap().at.max(desk.now);
        desk.tell(&away()).unwrap();
    }
    desk.expect("");
    desk.play(KIND, 20);
    let told = desk.calendar.iter().any(|line| line.contains("notify final_notice"));
    assert!(told, "the end is announced first: {:?}", desk.calendar);
    assert!(desk.now <= secs_from(desk.case.opened_at, 34 * DAY));
    assert_eq!(
        desk.case.memory.charges, 1,
        "what fell into the outage becomes one charge"
    );
}

#[test]
fn a_final_action_is_sent_until_it_arrived_at_growing_intervals() {
    let mut desk = desk();
    desk.now = at("2026-04-12T00:00:00Z");
    desk.case.timers.charge_at = None;
    desk.case.memory.steps_done.push("final_notice".to_owned());
    desk.due().unwrap();
    let mut waits = Vec::new();
    for _ in 0..6 {
        desk.tell(&away()).unwrap();
        let next = desk.case.next_action().unwrap().at;
        waits.push(next.duration_since(desk.now).as_secs());
        desk.due().unwrap();
        assert!(desk.last.contains(&Command::Finish));
    }
    assert_eq!(waits, [60, 120, 240, 480, 960, 1920]);
    leave(&mut desk.truth, CancelReason::Requested);
    desk.tell(&away()).unwrap();
    desk.due().unwrap();
    assert!(desk.calendar.pop().unwrap().contains(r#""then":"cancelled""#));
}

#[test]
fn what_staff_writes_off_is_written_off_although_the_customer_leaves_meanwhile() {
    let mut desk = desk();
    desk.staff(StaffAction::WriteOff).unwrap();
    leave(&mut desk.truth, CancelReason::Requested);
    desk.due().unwrap();
    assert_eq!(desk.last, [Command::Finish]);
    desk.truth.status = InvoiceStatus::Uncollectible;
    desk.due().unwrap();
    assert!(desk.calendar.pop().unwrap().contains(r#""why":"written_off""#));
}

#[test]
fn a_case_that_was_about_to_end_when_its_invoice_went_missing_still_has_an_end() {
    let mut desk = desk();
    desk.staff(StaffAction::WriteOff).unwrap();
    desk.tell(&Event::InvoiceMissing).unwrap();
    assert_eq!(desk.case.state, State::NeedsPerson);
    desk.staff(StaffAction::Resume).unwrap();
    desk.play(KIND, 60);
    assert_eq!(desk.case.closed_at, Some(at("2026-04-10T08:00:00Z")));
}

#[test]
fn a_slow_charge_of_somebody_else_that_fails_is_taken_in_at_once() {
    let mut desk = desk();
    desk.later(HOUR);
    let mut payment = failed("ch_2", DeclineKind::LostStolen, desk.now);
    payment.status = PaymentStatus::Processing;
    payment.decline = None;
    desk.truth.payment = Some(payment);
    desk.hint().unwrap();
    desk.later(3 * DAY);
    desk.truth.payment = Some(failed("ch_2", DeclineKind::LostStolen, at("2026-03-20T13:00:00Z")));
    desk.hint().unwrap();
    assert_eq!(
        (desk.case.state.clone(), desk.case.timers.charge_at),
        (State::Active, None)
    );
    desk.expect("03-23 14:00 seen customer");
}

#[test]
fn a_slow_charge_that_succeeded_is_not_taken_for_declined_while_the_invoice_lags() {
    let mut desk = desk();
    desk.due().unwrap();
    desk.answer(recoup::domain::event::Answer::Processing { charge_id: None })
        .unwrap();
    let mut payment = failed("ch_2", KIND, desk.now);
    payment.status = PaymentStatus::Succeeded;
    payment.decline = None;
    desk.truth.payment = Some(payment);
    desk.due().unwrap();
    assert!(desk.case.open_attempt().is_some());
    desk.paid();
    desk.due().unwrap();
    assert!(desk.calendar.pop().unwrap().contains(r#""by":"retry""#));

    desk = self::desk();
    desk.due().unwrap();
    desk.answer(recoup::domain::event::Answer::Processing { charge_id: None })
        .unwrap();
    desk.truth.payment.as_mut().unwrap().status = PaymentStatus::Succeeded;
    while desk.case.open_attempt().is_some() {
        desk.due().unwrap();
    }
    assert_eq!(desk.case.state, State::NeedsPerson);
    assert_eq!(desk.now, at("2026-04-10T08:00:00Z"));
}

#[test]
fn what_somebody_else_pays_while_a_slow_charge_of_ours_is_under_way_is_not_taken_for_ours() {
    let mut desk = desk();
    desk.due().unwrap();
    desk.answer(Answer::Processing { charge_id: None }).unwrap();
    let mut payment = failed("ch_2", KIND, desk.now);
    payment.status = PaymentStatus::Processing;
    payment.decline = None;
    desk.truth.payment = Some(payment);
    desk.paid();
    desk.due().unwrap();
    assert!(desk.case.open_attempt().is_some(), "it may still bring money");
    desk.truth.payment = Some(failed("ch_2", KIND, desk.now));
    desk.due().unwrap();
    let end = desk.calendar.pop().unwrap();
    assert!(end.contains(r#""by":"customer""#), "{end}");
}

#[test]
fn a_payment_of_another_name_than_the_slow_charge_of_ours_is_somebody_elses() {
    for (named, by) in [("ch_2", "retry"), ("ch_9", "customer")] {
        let mut desk = desk();
        desk.due().unwrap();
        let charge_id = Some("ch_2".to_owned());
        desk.answer(Answer::Processing { charge_id }).unwrap();
        let mut payment = failed(named, KIND, desk.now);
        payment.status = PaymentStatus::Succeeded;
        payment.decline = None;
        desk.truth.payment = Some(payment);
        desk.paid();
        desk.due().unwrap();
        let end = desk.calendar.pop().unwrap();
        assert!(end.contains(&format!(r#""by":"{by}""#)), "{named}: {end}");
    }
}

#[test]
fn nobody_loses_a_subscription_where_no_charge_ever_got_through() {
    let mut desk = desk();
    while desk.case.outcome().is_none() {
        desk.due().unwrap();
        if desk.case.open_attempt().is_some() {
            desk.answer(Answer::NotSent {
                reason: "HTTP 403".to_owned(),
                needs_person: true,
                retry_after: None,
            })
            .unwrap();
            assert!(desk.case.warnings.contains(&Warning::ProviderRefuses));
        }
    }
    let end = desk.calendar.pop().unwrap();
    assert!(
        end.starts_with("04-10 10:")
            && end.ends_with(r#"{"kind":"exhausted","reason":"attempts_spent","then":"left_open"}"#),
        "{end}"
    );
    assert_eq!(desk.case.memory.charges, 0);
}
