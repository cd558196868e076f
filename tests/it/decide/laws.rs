//! Whatever happens, in whatever order: the laws hold, nothing gets stuck, and every case ends.

use proptest::prelude::*;
use recoup::domain::calendar::secs_from;
use recoup::domain::case::{Case, Collector, State};
use recoup::domain::command::Command;
use recoup::domain::event::{Answer, Event, LookCause, StaffAction};

use super::desk::{DAY, Desk, HOUR, at, decline, snapshot};
use super::random::{Act, Jump, acts, kind};
use super::watch::Watch;

const CASES: u32 = 300;
const ACTS_MAX: usize = 60;
/// At most so many due looks in a row may pass without any progress in time.
const IDLE_LOOKS_MAX: u32 = 12;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn desk(kind_of: u8, zone: u8, collector: Collector, planned: bool) -> Desk {
    let now = at("2026-03-20T22:30:00Z");
    let zone = ["Europe/Berlin", "America/New_York", "Asia/Tokyo"][usize::from(zone)];
    Desk::open_with(kind(kind_of), zone, now, collector, |truth| {
        truth.provider_next_attempt_at = planned.then(|| secs_from(now, 3 * DAY));
    })
}

fn happen(desk: &mut Desk, watch: &mut Watch, acts: &[(Jump, Act)]) {
    for (jump, act) in acts {
        match (jump, desk.case.next_action()) {
            (Some(hours), _) => desk.later(i64::from(*hours) * HOUR),
            (None, Some(next)) => desk.now = next.at.max(desk.now),
            (None, None) => {}
        }
        let event = act.event(desk);
        watch.tell(desk, &event);
    }
}

/// The same invoice, still owed; the provider plans nothing and nobody intervenes.
fn owed(desk: &Desk) -> Event {
    let mut truth = snapshot(desk.case.decline.kind, desk.case.opened_at);
    truth.payment = None;
    Event::Looked {
        snapshot: Box::new(truth),
        cause: LookCause::Due,
    }
}

fn refusal(case: &Case) -> Event {
    let attempt = case.open_attempt().unwrap();
    Event::Answered {
        attempt: attempt.id.clone(),
        answer: Answer::Declined {
            decline: decline(case.decline.kind),
            charge_id: None,
            payment_method: attempt.payment_method.clone(),
            fingerprint: None,
            card: None,
            instrument: None,
        },
    }
}

/// One due look with all that the engine does after it.
fn work(desk: &mut Desk, watch: &mut Watch) {
    desk.now = desk.case.next_action().unwrap().at.max(desk.now);
    let event = owed(desk);
    watch.tell(desk, &event);
    let sent = |command: &Command| matches!(command, Command::OpenAttempt { .. } | Command::Resend { .. });
    if desk.last.iter().any(sent) {
        let event = refusal(&desk.case);
        watch.tell(desk, &event);
    } else if desk.last.contains(&Command::Finish) {
        watch.tell(desk, &Event::Finished);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_laws_hold_for_every_series_of_events(
        (kind_of, zone, ours, planned) in (0..12_u8, 0..3_u8, prop_oneof![4 => Just(true), 1 => Just(false)], prop_oneof![4 => Just(false), 1 => Just(true)]),
        acts in acts(ACTS_MAX),
    ) {
        let collector = if ours { Collector::Us } else { Collector::Provider };
        let mut desk = desk(kind_of, zone, collector, planned);
        let mut watch = Watch::default();
        happen(&mut desk, &mut watch, &acts);
    }

    #[test]
    fn a_due_look_always_gets_somewhere(kind_of in 0..12_u8, acts in acts(ACTS_MAX)) {
        let mut desk = desk(kind_of, 0, Collector::Us, false);
        let mut watch = Watch::default();
        happen(&mut desk, &mut watch, &acts);
        let mut idle = 0;
        for _ in 0..60 {
            let Some(next) = desk.case.next_action() else { break };
            desk.now = next.at.max(desk.now);
            let now = desk.now;
            work(&mut desk, &mut watch);
            let later = desk.case.next_action().is_none_or(|next| next.at > now);
            idle = if later { 0 } else { idle + 1 };
            prop_assert!(idle <= IDLE_LOOKS_MAX, "due for ever: {:#?}", desk.case);
        }
    }

    #[test]
    fn every_case_ends_once_the_provider_answers(kind_of in 0..12_u8, acts in acts(ACTS_MAX)) {
        let mut desk = desk(kind_of, 1, Collector::Us, false);
        let mut watch = Watch::default();
        happen(&mut desk, &mut watch, &acts);
        for _ in 0..200 {
            if desk.case.outcome().is_some() {
                return Ok(());
            }
            if desk.case.state == State::NeedsPerson {
                let event = Event::Staff { action: StaffAction::Resume, actor: "eve".to_owned(), comment: None };
                watch.tell(&mut desk, &event);
            }
            work(&mut desk, &mut watch);
        }
        prop_assert!(false, "no end: {:#?}", desk.case);
    }
}
