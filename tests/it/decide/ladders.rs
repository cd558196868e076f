//! The built-in campaign as a calendar in the customer's local time, for each kind of decline.

use recoup::domain::calendar::{secs_from, zone};
use recoup::domain::decline::{DeclineKind, Disposition};
use recoup::domain::forecast::forecast;
use recoup::domain::snapshot::Snapshot;

use super::desk::{DAY, Desk, HOUR, at, disposition, failed, grounds};

const ZONES: [&str; 3] = ["Europe/Berlin", "America/New_York", "Asia/Tokyo"];
/// More than any campaign of the default takes.
const STEPS_MAX: u32 = 60;

#[track_caller]
fn check(kind: DeclineKind, zone_name: &str, now: &str, calendar: &str) {
    let mut desk = Desk::open(kind, zone_name, now);
    desk.play(kind, STEPS_MAX);
    desk.expect(calendar);
}

#[test]
fn a_soft_decline_is_charged_at_nine_across_the_clock_change() {
    check(
        DeclineKind::InsufficientFunds,
        "Europe/Berlin",
        "2026-03-20T12:00:00Z",
        r#"03-21 09:00 charge schedule default
           03-21 10:00 notify payment_failed
           03-23 09:00 charge schedule default
           03-27 09:00 charge schedule default
           03-27 10:00 notify reminder
           04-03 09:00 charge schedule default
           04-07 10:00 notify final_notice
           04-10 10:00 finish
           04-10 10:00 notify subscription_ended
           04-10 10:00 {"kind":"exhausted","reason":"attempts_spent","then":"cancelled"}"#,
    );
    check(
        DeclineKind::DoNotHonor,
        "America/New_York",
        "2026-03-06T04:30:00Z",
        r#"03-06 09:00 charge schedule default
           03-06 10:00 notify payment_failed
           03-08 09:00 charge schedule default
           03-12 09:00 charge schedule default
           03-12 10:00 notify reminder
           03-19 09:00 charge schedule default
           03-23 10:00 notify final_notice
           03-26 10:00 finish
           03-26 10:00 notify subscription_ended
           03-26 10:00 {"kind":"exhausted","reason":"attempts_spent","then":"cancelled"}"#,
    );
    check(
        DeclineKind::Limit,
        "Asia/Tokyo",
        "2026-10-24T20:00:00Z",
        r#"10-26 09:00 charge schedule default
           10-26 10:00 notify payment_failed
           10-28 09:00 charge schedule default
           11-01 09:00 charge schedule default
           11-01 10:00 notify reminder
           11-08 09:00 charge schedule default
           11-12 10:00 notify final_notice
           11-15 10:00 finish
           11-15 10:00 notify subscription_ended
           11-15 10:00 {"kind":"exhausted","reason":"attempts_spent","then":"cancelled"}"#,
    );
}

#[test]
fn nine_in_berlin_is_another_instant_after_the_clock_change() {
    let charges = |now: &str| {
        let desk = Desk::open(DeclineKind::InsufficientFunds, "Europe/Berlin", now);
        let steps = forecast(&desk.case, &desk.campaign, grounds(), &[], desk.now);
        let charges = steps.iter().filter(|step| step.kind == "charge");
        charges.map(|step| step.at.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        charges("2026-03-26T12:00:00Z"),
        "2026-03-27T08:00:00Z 2026-03-29T07:00:00Z 2026-04-02T07:00:00Z 2026-04-09T07:00:00Z"
    );
    assert_eq!(
        charges("2026-10-22T22:30:00Z"),
        "2026-10-24T07:00:00Z 2026-10-26T08:00:00Z 2026-10-30T08:00:00Z 2026-11-06T08:00:00Z"
    );
}

#[test]
fn an_issuer_that_is_down_is_asked_within_hours() {
    check(
        DeclineKind::IssuerDown,
        "Europe/Berlin",
        "2026-03-28T12:00:00Z",
        r#"03-28 14:00 charge schedule default
           03-28 19:00 charge schedule default
           03-29 10:00 notify payment_failed
           03-29 14:00 charge schedule default
           04-04 10:00 notify reminder
           04-15 10:00 notify final_notice
           04-18 10:00 finish
           04-18 10:00 notify subscription_ended
           04-18 10:00 {"kind":"exhausted","reason":"attempts_spent","then":"cancelled"}"#,
    );
}

#[test]
fn who_must_act_is_written_to_and_not_charged() {
    let end = |reason: &str| {
        format!(
            r#"03-27 10:00 notify reminder
               04-07 10:00 notify final_notice
               04-10 10:00 finish
               04-10 10:00 notify subscription_ended
               04-10 10:00 {{"kind":"exhausted","reason":"{reason}","then":"cancelled"}}"#
        )
    };
    for (kind, first, reason) in [
        (
            DeclineKind::LostStolen,
            "03-20 15:00 notify update_payment_method",
            "terminal_decline",
        ),
        (
            DeclineKind::Revoked,
            "03-20 15:00 notify update_payment_method",
            "terminal_decline",
        ),
        (
            DeclineKind::Expired,
            "03-20 15:00 notify update_payment_method",
            "attempts_spent",
        ),
        (
            DeclineKind::AuthenticationRequired,
            "03-20 13:00 notify confirm_payment",
            "attempts_spent",
        ),
    ] {
        check(
            kind,
            "Europe/Berlin",
            "2026-03-20T12:00:00Z",
            &format!("{first}\n{}", end(reason)),
        );
    }
}

#[test]
fn a_fault_of_ours_costs_nobody_the_subscription() {
    check(
        DeclineKind::MerchantConfig,
        "Europe/Berlin",
        "2026-03-20T12:00:00Z",
        r#"04-10 10:00 {"kind":"exhausted","reason":"attempts_spent","then":"left_open"}"#,
    );
}

#[test]
fn every_kind_ends_in_every_zone_as_it_was_forecast() {
    for kind in DeclineKind::ALL {
        for zone_name in ZONES {
            for now in ["2026-03-05T20:00:00Z", "2026-03-27T23:30:00Z", "2026-10-23T04:15:00Z"] {
                let mut desk = Desk::open(*kind, zone_name, now);
                let tz = zone(zone_name);
                let line =
                    |at: jiff::Timestamp, what: &str| format!("{} {what}", tz.to_datetime(at).strftime("%m-%d %H:%M"));
                let steps = forecast(&desk.case, &desk.campaign, grounds(), &[], desk.now);
                let planned: Vec<String> = steps
                    .iter()
                    .map(|step| match (step.kind, step.message) {
                        ("charge", _) => line(step.at, "charge schedule default"),
                        (_, Some(message)) => line(step.at, &format!("notify {message}")),
                        (_, None) => line(step.at, "end"),
                    })
                    .collect();
                desk.play(*kind, STEPS_MAX);
                let closed = desk.case.closed_at.unwrap();
                let mut happened = std::mem::take(&mut desk.calendar);
                happened.retain(|line| !line.ends_with("finish") && !line.contains(" {") && !line.contains("_ended"));
                happened.push(line(closed, "end"));
                assert_eq!(happened, planned, "{kind} in {zone_name} from {now}");
                assert!(closed <= secs_from(at(now), 22 * DAY));
                assert_eq!(desk.case.memory.charges > 0, disposition(*kind) == Disposition::Retry);
            }
        }
    }
}

#[test]
fn two_messages_keep_their_distance_when_the_decline_changes() {
    let mut desk = Desk::open(DeclineKind::InsufficientFunds, "Europe/Berlin", "2026-03-20T12:00:00Z");
    desk.play_until(DeclineKind::InsufficientFunds, "2026-03-21T09:30:00Z");
    desk.truth.payment = Some(failed("ch_9", DeclineKind::Expired, desk.now));
    desk.hint().unwrap();
    desk.play_until(DeclineKind::Expired, "2026-03-27T00:00:00Z");
    desk.expect(
        "03-21 09:00 charge schedule default
         03-21 10:00 notify payment_failed
         03-21 10:30 seen customer
         03-22 06:00 notify update_payment_method",
    );
}

#[test]
fn a_blocked_card_waits_three_days_from_the_block() {
    let mut desk = Desk::open(DeclineKind::DoNotHonor, "Europe/Berlin", "2026-03-20T12:00:00Z");
    desk.due().unwrap();
    let mut blocked = super::desk::decline(DeclineKind::DoNotHonor);
    blocked.provider_code = Some("previously_declined_do_not_retry".to_owned());
    desk.answer(recoup::domain::event::Answer::Declined {
        decline: blocked,
        charge_id: None,
        payment_method: Some("pm_1".to_owned()),
        fingerprint: None,
        card: None,
        instrument: None,
    })
    .unwrap();
    assert_eq!(desk.case.timers.charge_at, Some(secs_from(desk.now, 72 * HOUR)));
}

#[test]
fn the_forecast_keeps_one_of_two_charges_that_come_close() {
    let mut desk = Desk::open(DeclineKind::InsufficientFunds, "Europe/Berlin", "2026-03-20T12:00:00Z");
    desk.now = at("2026-03-21T02:00:00Z");
    desk.new_card("pm_2", "fp_2", false).unwrap();
    let steps = forecast(&desk.case, &desk.campaign, grounds(), &[], desk.now);
    let charges: Vec<_> = steps
        .iter()
        .filter(|step| step.kind == "charge")
        .map(|step| step.at)
        .collect();
    desk.truth = with_default(desk.truth.clone(), "pm_2");
    let mut made = Vec::new();
    while desk.case.outcome().is_none() {
        desk.step(DeclineKind::InsufficientFunds);
        if desk.case.memory.last_charge_at == Some(desk.now) {
            made.push(desk.now);
        }
    }
    made.dedup();
    assert_eq!(made, charges);
    assert_eq!(charges.len(), 4);
}

fn with_default(mut snapshot: Snapshot, method: &str) -> Snapshot {
    snapshot.default_method = Some(super::desk::method(method, None));
    snapshot
}
