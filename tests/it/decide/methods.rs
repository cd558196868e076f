//! New, renewed and barred payment methods, at the best and at the worst moment.

use recoup::domain::case::{Collector, State};
use recoup::domain::command::Reason;
use recoup::domain::decline::DeclineKind;
use recoup::domain::event::{Answer, Event, StaffAction};

use super::desk::{DAY, Desk, HOUR, at, decline, failed, method, visa};

const KIND: DeclineKind = DeclineKind::InsufficientFunds;

fn desk(kind: DeclineKind) -> Desk {
    Desk::open(kind, "Europe/Berlin", "2026-03-20T12:00:00Z")
}

fn nameless(kind: DeclineKind) -> Answer {
    Answer::Declined {
        decline: decline(kind),
        charge_id: None,
        payment_method: None,
        fingerprint: None,
        card: None,
        instrument: None,
    }
}

#[test]
fn a_new_card_is_charged_at_once_whatever_the_old_one_was_declined_for() {
    for kind in DeclineKind::ALL {
        let mut desk = desk(*kind);
        desk.later(HOUR / 2);
        desk.new_card("pm_2", "fp_2", false).unwrap();
        while desk.case.open_attempt().is_none() {
            desk.due().unwrap();
        }
        desk.answer(Answer::Succeeded { charge_id: None }).unwrap();
        let charge = desk.calendar.iter().find(|line| line.contains("charge")).unwrap();
        assert_eq!(charge, "03-20 13:30 charge card_update pm_2");
        assert!(desk.calendar.last().unwrap().contains(r#"{"by":"card_update""#));
    }
}

#[test]
fn a_new_default_that_only_a_look_shows_is_charged_too() {
    let mut desk = desk(DeclineKind::Expired);
    desk.later(HOUR);
    desk.truth.default_method = Some(method("pm_2", None));
    desk.hint().unwrap();
    desk.due().unwrap();
    desk.expect(
        "03-20 14:00 later payment_method_updated
         03-20 14:00 charge card_update default",
    );
}

#[test]
fn a_card_that_comes_during_a_charge_is_charged_after_it_even_where_the_answer_names_no_card() {
    let mut desk = desk(KIND);
    desk.due().unwrap();
    desk.new_card("pm_2", "fp_2", false).unwrap();
    desk.answer(nameless(KIND)).unwrap();
    desk.due().unwrap();
    desk.answer(nameless(KIND)).unwrap();
    desk.play_until(KIND, "2026-03-28T00:00:00Z");
    desk.expect(
        "03-21 09:00 charge schedule default
         03-21 09:00 later payment_method_updated
         03-21 09:00 charge card_update pm_2
         03-21 10:00 notify payment_failed
         03-23 09:00 charge schedule pm_2
         03-27 09:00 charge schedule pm_2
         03-27 10:00 notify reminder",
    );
}

#[test]
fn a_card_that_comes_while_the_case_waits_is_charged_when_it_goes_on() {
    let mut desk = desk(KIND);
    let until = at("2026-03-25T12:00:00Z");
    desk.staff(StaffAction::Pause { until }).unwrap();
    desk.new_card("pm_2", "fp_2", false).unwrap();
    desk.due().unwrap();
    desk.due().unwrap();
    desk.expect(
        "03-20 13:00 later payment_method_updated
         03-25 13:00 charge card_update pm_2",
    );

    let mut desk = self::desk(KIND);
    desk.tell(&Event::InvoiceMissing).unwrap();
    desk.new_card("pm_2", "fp_2", false).unwrap();
    assert_eq!(desk.case.state, State::NeedsPerson);
    desk.staff(StaffAction::Resume).unwrap();
    desk.due().unwrap();
    desk.expect(
        "03-20 13:00 tell staff_person_needed
         03-20 13:00 later payment_method_updated
         03-20 13:00 charge card_update pm_2",
    );

    let mut desk = self::desk(KIND);
    desk.due().unwrap();
    desk.answer(Answer::Processing { charge_id: None }).unwrap();
    desk.new_card("pm_2", "fp_2", false).unwrap();
    desk.truth.payment = Some(failed("ch_2", KIND, desk.now));
    desk.hint().unwrap();
    desk.due().unwrap();
    desk.expect(
        "03-21 09:00 charge schedule default
         03-21 09:00 later payment_method_updated
         03-21 09:00 charge card_update pm_2",
    );
}

#[test]
fn no_new_card_after_the_end_nor_where_the_provider_collects() {
    let mut desk = desk(KIND);
    desk.staff(StaffAction::WriteOff).unwrap();
    assert_eq!(desk.new_card("pm_2", "fp_2", false), Err(Reason::FinalActionRunning));
    desk.tell(&Event::Finished).unwrap();
    assert_eq!(desk.new_card("pm_2", "fp_2", false), Err(Reason::CaseClosed));

    let now = at("2026-03-20T12:00:00Z");
    let mut desk = Desk::open_with(KIND, "Europe/Berlin", now, Collector::Provider, |_| {});
    desk.new_card("pm_2", "fp_2", false).unwrap();
    desk.play(KIND, 60);
    assert!(
        !desk.calendar.iter().any(|line| line.contains("charge")),
        "{:?}",
        desk.calendar
    );
}

#[test]
fn a_renewed_card_is_charged_once_more() {
    let mut desk = desk(DeclineKind::Expired);
    desk.later(DAY);
    desk.new_card("pm_1", "fp_1", true).unwrap();
    desk.due().unwrap();
    desk.expect("03-21 13:00 charge card_update default");
    desk.declines(DeclineKind::Expired, Some("pm_1"));
    assert_eq!(desk.case.timers.charge_at, None);

    let mut desk = self::desk(DeclineKind::LostStolen);
    let renewed = Event::MethodChanged {
        payment_method: None,
        fingerprint: None,
        instrument: None,
        renewed: true,
        at: None,
    };
    assert_eq!(
        desk.tell(&renewed),
        Err(Reason::NothingNew),
        "it could be the stolen card"
    );
}

#[test]
fn a_stolen_card_stays_barred_under_whatever_name_it_comes_back() {
    let mut desk = desk(DeclineKind::LostStolen);
    desk.new_card("pm_2", "fp_1", false).unwrap();
    desk.truth.default_method = Some(method("pm_2", None));
    desk.hint().unwrap();
    assert_eq!(desk.case.timers.charge_at, None);

    let mut desk = self::desk(DeclineKind::LostStolen);
    desk.truth.default_method = Some(method("pm_2", None));
    desk.hint().unwrap();
    assert!(
        desk.case.timers.charge_at.is_some(),
        "the look does not tell which card it is"
    );
    desk.new_card("pm_2", "fp_1", false).unwrap();
    assert_eq!(desk.case.timers.charge_at, None, "the event does");
}

#[test]
fn a_new_card_that_proves_stolen_before_its_charge_is_not_charged() {
    let mut desk = desk(KIND);
    desk.later(HOUR);
    desk.new_card("pm_2", "fp_2", false).unwrap();
    desk.truth.default_method = Some(method("pm_2", None));
    let mut payment = failed("ch_2", DeclineKind::LostStolen, desk.now);
    payment.payment_method = Some("pm_2".to_owned());
    payment.fingerprint = Some("fp_2".to_owned());
    payment.instrument = Some(visa("fp_2"));
    desk.truth.payment = Some(payment);
    desk.due().unwrap();
    desk.expect(
        "03-20 14:00 later payment_method_updated
         03-20 14:00 seen customer",
    );
    assert_eq!(desk.case.timers.charge_at, None);
}

#[test]
fn a_stolen_card_under_a_new_name_that_only_a_look_shows_is_not_charged() {
    let mut desk = desk(DeclineKind::LostStolen);
    desk.later(HOUR);
    desk.truth.default_method = Some(method("pm_2", Some("fp_1")));
    desk.due().unwrap();
    assert_eq!((desk.case.fresh_method(), desk.case.timers.charge_at), (false, None));
    desk.play(DeclineKind::LostStolen, 60);
    assert!(
        !desk.calendar.iter().any(|line| line.contains("charge")),
        "{:?}",
        desk.calendar
    );
}

#[test]
fn news_of_a_renewed_card_that_come_again_after_it_was_charged_charge_nothing() {
    let mut desk = desk(DeclineKind::Expired);
    desk.later(HOUR);
    let renewed = Event::MethodChanged {
        payment_method: None,
        fingerprint: None,
        instrument: None,
        renewed: true,
        at: Some(desk.now),
    };
    desk.later(HOUR);
    desk.tell(&renewed).unwrap();
    desk.due().unwrap();
    desk.declines(DeclineKind::AuthenticationRequired, Some("pm_1"));
    desk.later(HOUR);
    assert_eq!(desk.tell(&renewed), Err(Reason::NothingNew));
    assert_eq!(desk.case.timers.charge_at, None);
    let again = Event::MethodChanged {
        payment_method: None,
        fingerprint: None,
        instrument: None,
        renewed: true,
        at: Some(desk.now),
    };
    desk.tell(&again).unwrap();
    assert!(desk.case.timers.charge_at.is_some(), "renewed once more");
}

#[test]
fn a_new_default_that_proves_to_be_the_stolen_card_is_not_charged() {
    let mut desk = desk(DeclineKind::LostStolen);
    desk.later(HOUR);
    // The event does not tell which card it is, the look of the charge does.
    let nameless = Event::MethodChanged {
        payment_method: Some("pm_2".to_owned()),
        fingerprint: None,
        instrument: None,
        renewed: false,
        at: None,
    };
    desk.tell(&nameless).unwrap();
    desk.truth.default_method = Some(method("pm_2", Some("fp_1")));
    desk.due().unwrap();
    desk.expect("03-20 14:00 later payment_method_updated");
    assert_eq!(desk.case.timers.charge_at, None);
    // A card of its own is charged all the same.
    desk.truth.default_method = Some(method("pm_3", Some("fp_3")));
    desk.hint().unwrap();
    desk.due().unwrap();
    desk.expect(
        "03-20 14:00 later payment_method_updated
         03-20 14:00 charge card_update default",
    );
}

#[test]
fn a_default_that_is_barred_is_charged_by_no_ladder() {
    let mut desk = desk(KIND);
    // On-session the customer tries another copy of the default card, and it is reported stolen.
    let mut payment = failed("ch_2", DeclineKind::LostStolen, desk.now);
    payment.payment_method = Some("pm_9".to_owned());
    desk.truth.payment = Some(payment);
    desk.due().unwrap();
    desk.play_until(DeclineKind::LostStolen, "2026-03-28T00:00:00Z");
    desk.expect(
        "03-21 09:00 seen customer
         03-21 11:00 notify update_payment_method",
    );
}

#[test]
fn beside_a_barred_default_the_newer_card_is_charged_or_none() {
    let mut desk = desk(DeclineKind::LostStolen);
    desk.new_card("pm_2", "fp_2", false).unwrap();
    desk.due().unwrap();
    desk.declines(KIND, Some("pm_2"));
    desk.truth.default_method = Some(method("pm_3", Some("fp_1")));
    desk.due().unwrap();
    desk.expect(
        "03-20 13:00 later payment_method_updated
         03-20 13:00 charge card_update pm_2
         03-21 09:00 charge schedule pm_2",
    );

    let mut desk = self::desk(DeclineKind::LostStolen);
    desk.truth.default_method = None;
    let mut payment = failed("ch_2", KIND, desk.now);
    payment.payment_method = Some("pm_9".to_owned());
    payment.fingerprint = Some("fp_9".to_owned());
    payment.instrument = Some(visa("fp_9"));
    desk.truth.payment = Some(payment);
    desk.hint().unwrap();
    assert!(desk.case.timers.charge_at.is_some());
    desk.truth.default_method = Some(method("pm_3", Some("fp_1")));
    desk.due().unwrap();
    desk.expect(
        "03-20 13:00 seen customer
         03-21 09:00 blocked terminal_decline",
    );
    assert_eq!(desk.case.timers.charge_at, None);
}
