//! What reconciliation finds is decided like any other event, and the books follow from every change.

use recoup::domain::case::{State, Warning};
use recoup::domain::command::{Command, Reason};
use recoup::domain::decline::DeclineKind;
use recoup::domain::event::{Answer, Event, StaffAction};
use recoup::domain::ids::AttemptId;

use super::desk::{Desk, eur};

const KIND: DeclineKind = DeclineKind::InsufficientFunds;

fn found(charge: &str, minor: i64, total: i64) -> Event {
    Event::ChargeFound {
        charge_id: charge.to_owned(),
        amount: eur(minor),
        invoice_total: eur(total),
    }
}

fn open() -> Desk {
    Desk::open(KIND, "Europe/Berlin", "2026-03-20T12:00:00Z")
}

fn recovered(charge: Option<&str>) -> Desk {
    let mut desk = open();
    desk.due().unwrap();
    let charge_id = charge.map(str::to_owned);
    desk.answer(Answer::Succeeded { charge_id }).unwrap();
    desk.calendar.clear();
    desk
}

#[test]
fn a_second_charge_after_the_recovery_is_an_overpayment_and_told_once() {
    let mut desk = recovered(Some("ch_2"));
    assert_eq!(desk.tell(&found("ch_2", 1999, 1999)), Err(Reason::CaseClosed));
    desk.tell(&found("ch_3", 1999, 1999)).unwrap();
    assert_eq!(desk.tell(&found("ch_3", 1999, 1999)), Err(Reason::CaseClosed));
    desk.expect("03-21 09:00 overpaid 1999");
    assert!(desk.case.warnings.contains(&Warning::Overpaid));
}

#[test]
fn a_part_that_was_paid_before_is_no_overpayment() {
    let mut desk = recovered(Some("ch_2"));
    assert_eq!(desk.tell(&found("ch_1b", 1000, 2999)), Err(Reason::NothingNew));
    assert!(desk.case.warnings.is_empty());
}

#[test]
fn a_payment_without_a_name_gets_it_from_the_list_of_charges() {
    let mut desk = recovered(None);
    desk.tell(&found("ch_2", 1999, 1999)).unwrap();
    assert_eq!(desk.tell(&found("ch_2", 1999, 1999)), Err(Reason::CaseClosed));
    desk.expect("03-21 09:00 name ch_2");
    assert!(desk.case.warnings.is_empty());
}

#[test]
fn money_outside_the_provider_and_a_charge_are_two_payments() {
    let mut desk = open();
    desk.staff(StaffAction::MarkPaid).unwrap();
    desk.calendar.clear();
    desk.tell(&found("ch_2", 1999, 1999)).unwrap();
    desk.expect("03-20 13:00 overpaid 1999");
}

#[test]
fn a_charge_that_shows_after_the_end_is_late_money() {
    let mut desk = open();
    desk.staff(StaffAction::Stop).unwrap();
    desk.calendar.clear();
    desk.tell(&found("ch_2", 1999, 1999)).unwrap();
    assert_eq!(desk.tell(&found("ch_2", 1999, 1999)), Err(Reason::CaseClosed));
    desk.expect("03-20 13:00 book late_recovery 1999");
}

#[test]
fn a_charge_that_took_what_an_open_invoice_owes_stops_the_chase() {
    let mut desk = open();
    assert_eq!(desk.tell(&found("ch_2", 500, 1999)), Err(Reason::NothingNew));
    desk.tell(&found("ch_2", 1999, 1999)).unwrap();
    assert_eq!(desk.case.state, State::NeedsPerson);
    assert!(desk.case.warnings.contains(&Warning::BooksDisagree));
}

#[test]
fn a_stray_attempt_ends_and_a_person_looks() {
    let mut desk = open();
    let stray = AttemptId::new(0, 7);
    let event = Event::AttemptStray { attempt: stray.clone() };
    desk.tell(&event).unwrap();
    assert!(matches!(&desk.last[..], [Command::CloseAttempt { id, .. }, Command::TellStaff { .. }] if *id == stray));
    assert_eq!(desk.case.state, State::NeedsPerson);

    let mut desk = open();
    desk.due().unwrap();
    let attempt = desk.case.open_attempt().unwrap().id.clone();
    let event = Event::AttemptStray { attempt };
    assert_eq!(desk.tell(&event), Err(Reason::AttemptOpen), "it is waited for");
}

#[test]
fn what_fell_due_after_the_copy_is_not_written_again_and_still_charged() {
    let mut desk = open();
    let charge_at = desk.case.timers.charge_at;
    let (step, due) = desk.case.timers.notice.clone().unwrap();
    desk.now = due;
    desk.tell(&Event::Restored).unwrap();
    assert!(desk.case.memory.steps_done.contains(&step));
    assert!(desk.case.timers.notice.as_ref().is_none_or(|(_, at)| *at > due));
    assert_eq!(desk.case.timers.charge_at, charge_at);
    assert_eq!(desk.tell(&Event::Restored), Err(Reason::NothingNew));
    // The last word before the end may have left as well: it is not said twice, and the end does not wait for it.
    let end = desk.case.timers.final_at.unwrap();
    desk.now = end;
    desk.tell(&Event::Restored).unwrap();
    assert!(desk.case.memory.steps_done.contains(&"final_notice".to_owned()));
    desk.case.timers.charge_at = None;
    desk.due().unwrap();
    assert_eq!(desk.last.last(), Some(&Command::Finish));
}
