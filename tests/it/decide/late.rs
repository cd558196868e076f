//! Disputes, refunds and money after the end: none is lost, none is booked twice.

use recoup::domain::calendar::secs_from;
use recoup::domain::case::{Collector, State};
use recoup::domain::command::{Command, Moment, Reason};
use recoup::domain::decide::open_reversal;
use recoup::domain::decline::DeclineKind;
use recoup::domain::event::{Answer, Event, StaffAction};
use recoup::domain::ids::{AttemptId, CaseId};
use recoup::domain::outcome::Outcome;

use super::desk::{DAY, Desk, RESEND_SECS, at, eur, grounds};

const KIND: DeclineKind = DeclineKind::InsufficientFunds;

fn refund(minor: i64) -> Event {
    Event::Refunded { amount: eur(minor) }
}

fn succeeded() -> Answer {
    Answer::Succeeded {
        charge_id: Some("ch_2".to_owned()),
    }
}

fn charging() -> Desk {
    let mut desk = Desk::open(KIND, "Europe/Berlin", "2026-03-20T12:00:00Z");
    desk.due().unwrap();
    desk.calendar.clear();
    desk
}

fn recovered() -> Desk {
    let mut desk = charging();
    desk.answer(succeeded()).unwrap();
    desk.calendar.clear();
    desk
}

#[test]
fn refunds_are_booked_by_what_is_new_and_a_dispute_takes_the_rest() {
    let mut desk = recovered();
    desk.tell(&refund(500)).unwrap();
    assert_eq!(desk.tell(&refund(500)), Err(Reason::CaseClosed));
    desk.tell(&refund(800)).unwrap();
    desk.tell(&Event::Disputed).unwrap();
    assert_eq!(desk.tell(&Event::Disputed), Err(Reason::CaseClosed));
    desk.expect(
        "03-21 09:00 book refund 500
         03-21 09:00 book refund 300
         03-21 09:00 book dispute 1199
         03-21 09:00 open reversal",
    );
}

#[test]
fn a_dispute_during_an_open_charge_is_not_lost() {
    let mut desk = charging();
    desk.tell(&Event::Disputed).unwrap();
    desk.answer(succeeded()).unwrap();
    desk.expect(
        r#"03-21 09:00 closed succeeded
           03-21 09:00 notify payment_received
           03-21 09:00 book dispute 1999
           03-21 09:00 open reversal
           03-21 09:00 {"by":"retry","kind":"recovered"}"#,
    );

    for answer in [
        Answer::Mismatch {
            reason: "other amount".to_owned(),
        },
        Answer::NothingOwed,
        Answer::NotSent {
            reason: "refused".to_owned(),
            needs_person: true,
            retry_after: None,
        },
    ] {
        let mut desk = charging();
        desk.tell(&Event::Disputed).unwrap();
        desk.answer(answer).unwrap();
        let end = desk.calendar.pop().unwrap();
        assert!(end.ends_with(r#"{"kind":"stopped","why":"disputed"}"#), "{end}");
    }
}

#[test]
fn a_refund_during_an_open_charge_is_not_lost() {
    let mut desk = charging();
    desk.tell(&refund(1999)).unwrap();
    desk.declines(KIND, Some("pm_1"));
    assert_eq!(
        desk.case.state,
        State::NeedsPerson,
        "nothing is charged until a person has decided"
    );

    let mut desk = charging();
    desk.tell(&refund(1999)).unwrap();
    desk.answer(succeeded()).unwrap();
    assert!(
        desk.calendar.iter().any(|line| line.ends_with("book refund 1999")),
        "{:?}",
        desk.calendar
    );
}

#[test]
fn a_refund_holds_a_planned_charge_until_a_person_has_decided() {
    let mut desk = Desk::open(KIND, "Europe/Berlin", "2026-03-20T12:00:00Z");
    desk.tell(&refund(100)).unwrap();
    let reason = Reason::NeedsPerson;
    assert!(desk.last.contains(&Command::SupersedeNotices { reason }));
    desk.due().unwrap();
    desk.due().unwrap();
    desk.expect("03-20 13:00 tell staff_person_needed");
    desk.staff(StaffAction::Resume).unwrap();
    assert_eq!(
        desk.tell(&refund(100)),
        Err(Reason::NothingNew),
        "the same refund, told again"
    );
    desk.play_until(KIND, "2026-03-28T00:00:00Z");
    desk.expect(
        "03-23 09:00 charge schedule default
         03-27 09:00 charge schedule default
         03-27 10:00 notify reminder",
    );
}

#[test]
fn a_reversal_is_born_closed_and_its_paid_invoice_is_no_late_recovery() {
    let mut desk = recovered();
    desk.tell(&Event::Disputed).unwrap();
    let fresh = AttemptId::new(0, 9);
    let moment = Moment {
        now: desk.now,
        campaign: &desk.campaign,
        shadow: None,
        fresh_attempt: &fresh,
        grounds: grounds(),
        resend_secs: RESEND_SECS,
    };
    desk.case = open_reversal(CaseId::new(0, 2), &desk.case, &moment).case;
    desk.paid();
    assert_eq!(desk.hint(), Err(Reason::CaseClosed));
}

#[test]
fn late_money_is_booked_once_and_so_is_what_is_taken_back_of_it() {
    let mut desk = Desk::open(KIND, "Europe/Berlin", "2026-03-20T12:00:00Z");
    desk.play(KIND, 60);
    desk.calendar.clear();
    assert_eq!(
        desk.tell(&refund(100)),
        Err(Reason::CaseClosed),
        "nothing of ours was taken back"
    );
    desk.now = secs_from(desk.now, DAY);
    desk.paid();
    desk.hint().unwrap();
    assert_eq!(desk.hint(), Err(Reason::CaseClosed));
    desk.tell(&refund(999)).unwrap();
    desk.tell(&Event::Disputed).unwrap();
    desk.expect(
        "04-11 10:00 book late_recovery 1999
         04-11 10:00 book refund 999
         04-11 10:00 book dispute 1000",
    );
}

#[test]
fn what_came_is_booked_and_not_what_was_owed_before_a_credit() {
    // A part was paid before the case began, and a credit makes the rest smaller before it is paid.
    let open = || {
        let mut desk = Desk::open_with(
            KIND,
            "Europe/Berlin",
            at("2026-03-20T12:00:00Z"),
            Collector::Us,
            |snapshot| {
                snapshot.amount_paid = eur(300);
            },
        );
        desk.calendar.clear();
        desk
    };
    let mut desk = open();
    desk.paid();
    desk.truth.amount_paid = eur(1300);
    desk.hint().unwrap();
    assert_eq!(desk.case.amount_due, eur(1000));
    assert!(matches!(desk.case.outcome(), Some(Outcome::Recovered { .. })));

    let mut desk = open();
    desk.play(KIND, 60);
    desk.calendar.clear();
    desk.paid();
    desk.truth.amount_paid = eur(1300);
    desk.hint().unwrap();
    assert_eq!(desk.case.amount_due, eur(1999), "what was given up stays");
    desk.tell(&Event::Disputed).unwrap();
    desk.expect(
        "04-10 10:00 book late_recovery 1000
         04-10 10:00 book dispute 1000",
    );
}
