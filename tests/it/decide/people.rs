//! Staff, and a provider that has plans of its own.

use recoup::domain::calendar::secs_from;
use recoup::domain::case::{Collector, Warning};
use recoup::domain::command::Reason;
use recoup::domain::decline::DeclineKind;
use recoup::domain::event::{Event, StaffAction};
use recoup::domain::message::Message;

use super::desk::{DAY, Desk, HOUR, at, failed};

const KIND: DeclineKind = DeclineKind::InsufficientFunds;

fn desk() -> Desk {
    Desk::open(KIND, "Europe/Berlin", "2026-03-20T12:00:00Z")
}

#[test]
fn what_falls_into_a_pause_is_not_made_up_for() {
    let mut desk = desk();
    let until = at("2026-03-28T12:00:00Z");
    desk.staff(StaffAction::Pause { until }).unwrap();
    desk.play(KIND, 60);
    desk.expect(
        r#"04-03 09:00 charge schedule default
           04-07 10:00 notify final_notice
           04-10 10:00 finish
           04-10 10:00 notify subscription_ended
           04-10 10:00 {"kind":"exhausted","reason":"attempts_spent","then":"cancelled"}"#,
    );
}

#[test]
fn a_pause_beyond_the_end_ends_the_case_once_that_was_announced() {
    let mut desk = desk();
    let until = at("2026-05-01T12:00:00Z");
    desk.staff(StaffAction::Pause { until }).unwrap();
    desk.play(KIND, 60);
    assert_eq!(desk.case.closed_at, Some(at("2026-05-04T08:00:00Z")));
    assert!(desk.calendar[0].contains("notify final_notice"), "{:?}", desk.calendar);
    assert_eq!(desk.calendar.len(), 4, "{:?}", desk.calendar);
}

#[test]
fn staff_may_resume_early_and_not_pause_into_the_past() {
    let mut desk = desk();
    let now = desk.now;
    assert_eq!(desk.staff(StaffAction::Pause { until: now }), Err(Reason::NotInFuture));
    assert_eq!(desk.staff(StaffAction::Resume), Err(Reason::NotPaused));
    let until = secs_from(now, 9 * DAY);
    desk.staff(StaffAction::Pause { until }).unwrap();
    desk.later(4 * DAY);
    desk.staff(StaffAction::Resume).unwrap();
    desk.play_until(KIND, "2026-03-28T00:00:00Z");
    desk.expect(
        "03-27 09:00 charge schedule default
         03-27 10:00 notify reminder",
    );
}

#[test]
fn a_retry_by_staff_does_not_eat_the_ladder() {
    let mut desk = desk();
    desk.play_until(KIND, "2026-03-25T12:00:00Z");
    desk.calendar.clear();
    desk.staff(StaffAction::Retry).unwrap();
    desk.play_until(KIND, "2026-04-04T00:00:00Z");
    desk.expect(
        "03-25 13:00 charge staff default
         03-27 09:00 charge schedule default
         03-27 10:00 notify reminder
         04-03 09:00 charge schedule default",
    );
}

#[test]
fn the_charge_of_a_new_card_is_not_staff_s_because_they_hurry_it() {
    let mut desk = desk();
    desk.later(HOUR);
    desk.new_card("pm_2", "fp_2", false).unwrap();
    desk.staff(StaffAction::Retry).unwrap();
    desk.due().unwrap();
    desk.expect(
        "03-20 14:00 later payment_method_updated
         03-20 14:00 charge card_update pm_2",
    );
}

#[test]
fn a_retry_by_staff_survives_news_of_another_failure() {
    let mut desk = desk();
    desk.later(HOUR);
    desk.staff(StaffAction::Retry).unwrap();
    desk.truth.payment = Some(failed("ch_9", KIND, desk.now));
    desk.due().unwrap();
    desk.expect(
        "03-20 14:00 seen customer
         03-20 14:00 charge staff default",
    );
}

#[test]
fn no_retry_by_staff_where_the_ceiling_or_the_provider_stands_above() {
    for kind in [
        DeclineKind::LostStolen,
        DeclineKind::Expired,
        DeclineKind::AuthenticationRequired,
    ] {
        let mut desk = Desk::open(kind, "Europe/Berlin", "2026-03-20T12:00:00Z");
        assert_eq!(desk.staff(StaffAction::Retry), Err(Reason::NeverOnThisMethod));
    }
    let now = at("2026-03-20T12:00:00Z");
    let mut desk = Desk::open_with(KIND, "UTC", now, Collector::Provider, |_| {});
    assert_eq!(desk.staff(StaffAction::Retry), Err(Reason::ProviderCollects));
}

#[test]
fn where_the_provider_retries_we_do_not() {
    let now = at("2026-03-20T12:00:00Z");
    let mut desk = Desk::open_with(KIND, "Europe/Berlin", now, Collector::Us, |truth| {
        truth.provider_next_attempt_at = Some(at("2026-03-22T06:00:00Z"));
    });
    assert!(desk.case.warnings.contains(&Warning::ProviderRetriesOn));
    desk.play_until(KIND, "2026-03-22T06:30:00Z");
    desk.expect("03-21 10:00 notify payment_failed");
    // The last retry of the provider: it plans none any more, and we go on.
    desk.truth.provider_next_attempt_at = None;
    desk.truth.payment = Some(failed("ch_2", KIND, at("2026-03-22T06:00:00Z")));
    desk.hint().unwrap();
    assert!(!desk.case.warnings.contains(&Warning::ProviderRetriesOn));
    desk.play_until(KIND, "2026-03-24T00:00:00Z");
    desk.expect(
        "03-22 07:30 seen provider
         03-23 09:00 charge schedule default",
    );
}

#[test]
fn what_the_provider_collects_is_its_own_recovery() {
    let now = at("2026-03-20T12:00:00Z");
    let planned = at("2026-03-22T06:00:00Z");
    for (paid_at, by) in [(planned, "provider_retry"), (at("2026-03-21T06:00:00Z"), "customer")] {
        let mut desk = Desk::open_with(KIND, "Europe/Berlin", now, Collector::Provider, |truth| {
            truth.provider_next_attempt_at = Some(planned);
        });
        desk.now = paid_at;
        desk.paid();
        desk.truth.provider_next_attempt_at = None;
        desk.hint().unwrap();
        let end = desk.calendar.pop().unwrap();
        assert!(end.contains(&format!(r#"{{"by":"{by}""#)), "{end}");
    }
}

/// The address refused a mail: that one of this case, or one of another case.
fn bounced(notice: Option<(Message, String)>) -> Event {
    Event::Bounced {
        address: "ada@example.com".to_owned(),
        notice,
    }
}

#[test]
fn a_new_address_is_written_to_although_the_old_one_bounced() {
    let mut desk = desk();
    desk.tell(&bounced(Some((Message::PaymentFailed, "payment_failed".to_owned()))))
        .unwrap();
    desk.truth.customer.email = Some("new@example.com".to_owned());
    desk.hint().unwrap();
    desk.play_until(KIND, "2026-03-22T00:00:00Z");
    desk.expect(
        "03-20 13:00 tell staff_mail_bounced
         03-21 09:00 charge schedule default
         03-21 10:00 notify payment_failed",
    );
}

#[test]
fn staff_are_called_once_a_day_and_only_about_the_case_that_the_mail_was_about() {
    let mut desk = desk();
    desk.tell(&bounced(None)).unwrap();
    desk.expect("");
    for _ in 0..2 {
        desk.tell(&Event::InvoiceMissing).unwrap();
        desk.staff(StaffAction::Resume).unwrap();
    }
    desk.expect("03-20 13:00 tell staff_person_needed");
    desk.later(DAY);
    desk.tell(&Event::InvoiceMissing).unwrap();
    desk.expect("03-21 13:00 tell staff_person_needed");
}
