//! Charges without a clear answer: one key, one charge, and the truth in the end.

use recoup::domain::calendar::secs_from;
use recoup::domain::case::{State, Warning};
use recoup::domain::command::{Command, Reason};
use recoup::domain::decline::DeclineKind;
use recoup::domain::event::{Answer, Event};
use recoup::domain::snapshot::{PaymentSeen, PaymentStatus};

use super::desk::{DAY, Desk, HOUR, at, failed};

const KIND: DeclineKind = DeclineKind::InsufficientFunds;

fn unknown() -> Answer {
    Answer::Unknown {
        reason: "timeout".to_owned(),
        retry_after: None,
    }
}

fn not_sent(needs_person: bool) -> Answer {
    Answer::NotSent {
        reason: "refused".to_owned(),
        needs_person,
        retry_after: None,
    }
}

/// A case whose first planned charge, at 09:00, got no answer.
fn doubtful() -> Desk {
    let mut desk = Desk::open(KIND, "Europe/Berlin", "2026-03-20T12:00:00Z");
    desk.due().unwrap();
    desk.answer(unknown()).unwrap();
    desk.expect("03-21 09:00 charge schedule default");
    desk
}

fn away() -> Event {
    Event::OutOfReach {
        reason: "down".to_owned(),
        retry_after: None,
        refused: false,
    }
}

#[test]
fn a_charge_that_went_through_unheard_is_ours_where_the_key_says_so() {
    let mut desk = doubtful();
    let first = desk.attempt();
    desk.paid();
    desk.due().unwrap();
    assert_eq!(desk.last, [Command::Resend { attempt: first }]);
    desk.answer(Answer::Succeeded { charge_id: None }).unwrap();
    desk.expect(
        r#"03-21 09:01 resend
           03-21 09:01 closed succeeded
           03-21 09:01 notify payment_received
           03-21 09:01 {"by":"retry","kind":"recovered"}"#,
    );
}

#[test]
fn a_customer_who_pays_while_a_charge_is_in_doubt_is_credited() {
    let mut desk = doubtful();
    desk.paid();
    desk.due().unwrap();
    desk.answer(Answer::NothingOwed).unwrap();
    desk.due().unwrap();
    desk.expect(
        r#"03-21 09:01 resend
           03-21 09:01 closed not_needed
           03-21 09:01 notify payment_received
           03-21 09:01 {"by":"customer","kind":"recovered"}"#,
    );
}

#[test]
fn a_read_that_lags_behind_names_no_charge() {
    let mut desk = doubtful();
    let first = desk.attempt();
    // The read shows a slow payment of the day before, which had long failed when we charged.
    let slow = PaymentSeen {
        status: PaymentStatus::Processing,
        decline: None,
        ..failed("ch_slow", KIND, at("2026-03-20T12:30:00Z"))
    };
    let failed = desk.truth.payment.replace(slow);
    desk.due().unwrap();
    assert_eq!(desk.last, [], "nothing is sent by what such a read says");
    assert_eq!(desk.attempt(), first);
    // The next read knows what our charge did meanwhile, and the key says whose money it is.
    desk.truth.payment = failed;
    desk.paid();
    desk.due().unwrap();
    desk.answer(Answer::Succeeded { charge_id: None }).unwrap();
    desk.expect(
        r#"03-21 09:02 resend
           03-21 09:02 closed succeeded
           03-21 09:02 notify payment_received
           03-21 09:02 {"by":"retry","kind":"recovered"}"#,
    );
}

#[test]
fn a_slow_payment_that_began_after_the_charge_is_waited_for() {
    // The same where the key is too old to be asked: then an older one may well be the only one there is.
    for (later, charged_at) in [(0, "2026-03-21T08:00:10Z"), (20 * HOUR, "2026-03-20T12:30:00Z")] {
        let mut desk = doubtful();
        desk.truth.payment = Some(PaymentSeen {
            status: PaymentStatus::Processing,
            decline: None,
            ..failed("ch_slow", KIND, at(charged_at))
        });
        desk.later(later);
        desk.due().unwrap();
        assert!(matches!(desk.case.state, State::Processing { attempt: Some(_), .. }));
    }
}

#[test]
fn a_charge_that_was_declined_unheard_is_answered_under_the_same_key() {
    let mut desk = doubtful();
    let first = desk.attempt();
    desk.due().unwrap();
    assert_eq!(desk.last, [Command::Resend { attempt: first }]);
    desk.declines(KIND, Some("pm_1"));
    desk.play_until(KIND, "2026-03-24T00:00:00Z");
    desk.expect(
        "03-21 09:01 resend
         03-21 10:00 notify payment_failed
         03-23 09:00 charge schedule default",
    );
    assert_eq!((desk.case.memory.charges, desk.case.attempts), (2, 3));
}

#[test]
fn an_answer_that_denies_only_the_second_sending_does_not_free_the_key() {
    for refusal in [not_sent(false), not_sent(true)] {
        let mut desk = doubtful();
        let first = desk.attempt();
        desk.due().unwrap();
        desk.answer(refusal).unwrap();
        assert_eq!(
            desk.case.open_attempt(),
            Some(&first),
            "the first sending may have charged"
        );
        desk.paid();
        desk.due().unwrap();
        desk.answer(Answer::Succeeded { charge_id: None }).unwrap();
        let recovered = desk.calendar.pop().unwrap();
        assert!(
            recovered.ends_with(r#"{"by":"retry","kind":"recovered"}"#),
            "{recovered}"
        );
    }
}

#[test]
fn a_first_sending_that_never_left_is_made_anew_at_growing_intervals() {
    let mut desk = Desk::open(KIND, "Europe/Berlin", "2026-03-20T12:00:00Z");
    let mut waits = Vec::new();
    for _ in 0..8 {
        while desk.case.open_attempt().is_none() {
            desk.due().unwrap();
        }
        desk.answer(not_sent(false)).unwrap();
        let next = desk.case.timers.charge_at.unwrap();
        waits.push(next.duration_since(desk.now).as_secs());
    }
    assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    assert_eq!((desk.case.memory.charges, desk.case.attempts), (0, 1));
}

#[test]
fn after_the_life_of_the_key_the_books_decide() {
    let mut desk = doubtful();
    desk.later(20 * HOUR);
    desk.due().unwrap();
    desk.play_until(KIND, "2026-03-24T00:00:00Z");
    desk.expect(
        "03-22 05:00 closed not_charged
         03-22 05:00 notify payment_failed
         03-23 09:00 charge schedule default",
    );

    let mut desk = doubtful();
    desk.truth.payment = Some(failed("ch_2", DeclineKind::LostStolen, desk.now));
    desk.later(20 * HOUR);
    desk.due().unwrap();
    assert_eq!(desk.case.decline.kind, DeclineKind::LostStolen);
    assert_eq!(desk.case.attempts, 2, "it is ours, not somebody else's");
    assert_eq!(desk.case.memory.barred_fingerprints, ["fp_1"]);
}

#[test]
fn a_charge_that_shows_up_after_the_books_were_read_is_still_ours() {
    let mut desk = doubtful();
    let charged_at = desk.now;
    desk.later(20 * HOUR);
    desk.due().unwrap();
    desk.truth.payment = Some(failed("ch_2", DeclineKind::LostStolen, charged_at));
    desk.hint().unwrap();
    assert_eq!((desk.case.attempts, desk.case.timers.charge_at), (2, None));
}

#[test]
fn however_long_a_key_lives_three_days_are_enough() {
    let mut desk = doubtful();
    desk.resend_secs = i64::MAX;
    for _ in 0..200 {
        if desk.case.open_attempt().is_none() {
            break;
        }
        desk.due().unwrap();
        if desk.case.open_attempt().is_some() {
            desk.answer(unknown()).unwrap();
        }
    }
    assert_eq!(desk.case.state, State::Active);
    assert!(desk.now <= secs_from(desk.case.opened_at, 4 * DAY + HOUR));
}

#[test]
fn out_of_reach_for_three_days_a_person_takes_over_and_money_found_later_is_ours() {
    let mut desk = doubtful();
    let started = desk.attempt().started_at;
    while desk.case.open_attempt().is_some() {
        desk.now = desk.case.next_action().unwrap().at;
        desk.tell(&away()).unwrap();
    }
    assert!(desk.now >= secs_from(started, 72 * HOUR) && desk.now <= secs_from(started, 73 * HOUR));
    assert_eq!(desk.case.state, State::NeedsPerson);
    assert!(desk.case.warnings.contains(&Warning::AttemptUnresolved));
    desk.calendar.clear();
    desk.paid();
    desk.truth.paid_at = Some(started);
    desk.due().unwrap();
    assert!(
        desk.calendar[1].ends_with(r#"{"by":"retry","kind":"recovered"}"#),
        "{:?}",
        desk.calendar
    );
}

#[test]
fn a_true_answer_is_welcome_however_late() {
    let mut desk = doubtful();
    let first = desk.attempt().id;
    let success = Event::Answered {
        attempt: first,
        answer: Answer::Succeeded {
            charge_id: Some("ch_2".to_owned()),
        },
    };
    desk.later(20 * HOUR);
    desk.due().unwrap();

    let mut other = Desk::open(KIND, "Europe/Berlin", "2026-03-20T12:00:00Z");
    other.case = desk.case.clone();
    other.now = desk.now;
    other.tell(&success).unwrap();
    other.expect(
        r#"03-22 05:00 notify payment_received
           03-22 05:00 {"by":"retry","kind":"recovered"}"#,
    );

    desk.play(KIND, 60);
    desk.calendar.clear();
    desk.tell(&success).unwrap();
    desk.expect("04-10 10:00 book late_recovery 1999");
    assert_eq!(desk.tell(&success), Err(Reason::CaseClosed));
}

#[test]
fn a_late_success_waits_for_the_charge_that_is_open() {
    let mut desk = doubtful();
    let first = desk.attempt().id;
    desk.later(20 * HOUR);
    desk.due().unwrap();
    while desk.case.open_attempt().is_none() {
        desk.due().unwrap();
    }
    desk.calendar.clear();
    desk.tell(&Event::Answered {
        attempt: first,
        answer: Answer::Succeeded { charge_id: None },
    })
    .unwrap();
    desk.answer(Answer::NothingOwed).unwrap();
    desk.paid();
    desk.truth.paid_at = Some(secs_from(desk.now, -2 * DAY));
    desk.due().unwrap();
    desk.expect(
        r#"03-23 09:00 closed not_needed
           03-23 09:00 notify payment_received
           03-23 09:00 {"by":"retry","kind":"recovered"}"#,
    );
}

#[test]
fn a_hint_does_not_ask_again_before_the_provider_wants_to_be_asked() {
    let mut desk = Desk::open(KIND, "Europe/Berlin", "2026-03-20T12:00:00Z");
    desk.due().unwrap();
    desk.answer(Answer::Unknown {
        reason: "HTTP 429".to_owned(),
        retry_after: Some(std::time::Duration::from_mins(30)),
    })
    .unwrap();
    desk.later(60);
    desk.hint().unwrap();
    desk.due().unwrap();
    desk.expect(
        "03-21 09:00 charge schedule default
         03-21 09:30 resend",
    );
    desk.answer(unknown()).unwrap();
    desk.later(10);
    desk.hint().unwrap();
    desk.due().unwrap();
    desk.expect("03-21 09:30 resend");
}
