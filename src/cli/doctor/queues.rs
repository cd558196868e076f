//! What waits in the database, and whether anybody works on it.

use jiff::Timestamp;

use super::{Findings, Verdict};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::clock::Mode;
use crate::domain::calendar::secs_from;
use crate::engine::{HEARTBEAT, TEST_CLOCK, silent_since};
use crate::store::inbox::{self, InboxStatus};
use crate::store::{Oversight, Store, StoreError, cases, drift, settings};

/// A row that is due for longer stands still.
const STUCK_SECS: i64 = 900;
/// An attempt must not be open for longer without anybody knowing.
const ATTEMPT_SECS: i64 = 3600;
/// The heartbeat is written each minute.
const SILENCE_SECS: i64 = 300;
/// Our clock and the database's may differ by so much.
const SKEW_SECS: i64 = 60;
/// So many times the usual gap without an event is no chance any more, but a day without one may be.
const GAPS: i64 = 3;
const SILENT_SECS_MIN: i64 = 24 * 3600;
/// After so long with events that only the sweep brought, the door is taken for shut.
const DOOR_SECS: i64 = 2 * 3600;
/// The attempts that are counted at most.
const ATTEMPTS_MAX: u64 = 1000;

pub(super) async fn check(config: &Config, store: &Store, findings: &mut Findings) -> Result<(), StoreError> {
    let now = clocks(config, store, findings).await?;
    heartbeat(store, now, findings).await?;
    let overdue = store.overdue(secs_from(now, -STUCK_SECS)).await?;
    let says = format!(
        "rows overdue by a quarter of an hour: {} events, {} cases, {} messages",
        overdue.events, overdue.cases, overdue.mails
    );
    let stuck = overdue.total() > 0;
    findings.tell(
        "stuck rows",
        bad(stuck),
        says,
        "start a worker: `recoup serve`; else see its log",
    );
    let dead = inbox::counts(store.conn()).await?;
    let dead = dead.iter().find(|(status, _)| *status == InboxStatus::Dead);
    findings.count(
        "dead events",
        dead.map_or(0, |(_, count)| *count),
        "events were given up",
        "see them at the dashboard's inbox, mend the cause, and run them again",
    );
    let open = store.open_attempts(secs_from(now, -ATTEMPT_SECS), ATTEMPTS_MAX).await?;
    findings.count(
        "open attempts",
        open.len() as u64,
        "charges without a clear answer for more than an hour",
        "they are asked after by themselves; look for the charge at the provider if they stay",
    );
    let states = cases::open_by_state(store.conn()).await?;
    let people = states.iter().find(|(state, _)| state == "needs_person");
    findings.count(
        "people",
        people.map_or(0, |(_, count)| *count),
        "cases wait for a person",
        "see the cases with the state needs_person; their warnings say why",
    );
    events(store, now, findings).await
}

/// The present instant of the service, and whether the clocks agree.
async fn clocks(config: &Config, store: &Store, findings: &mut Findings) -> Result<Timestamp, StoreError> {
    let ours = Clock::System.now();
    if config.clock.mode == Mode::Test {
        let kept = settings::get(store.conn(), TEST_CLOCK).await?;
        let now = kept.and_then(|text| text.parse().ok()).or(config.clock.start);
        findings.tell(
            "clock",
            Verdict::Note,
            "the service runs on a test clock",
            "take `system` for real work",
        );
        return Ok(now.unwrap_or(ours));
    }
    let apart = ours.duration_since(store.database_now().await?).as_secs();
    let says = format!("our clock is {apart} s ahead of the database's");
    let mend = "set both clocks by NTP; nothing is charged or sent until they agree";
    findings.tell("clock", bad(apart.abs() > SKEW_SECS), says, mend);
    Ok(ours)
}

async fn heartbeat(store: &Store, now: Timestamp, findings: &mut Findings) -> Result<(), StoreError> {
    let beat = settings::get(store.conn(), HEARTBEAT).await?;
    let beat: Option<Timestamp> = beat.and_then(|text| text.parse().ok());
    let (verdict, says) = match beat {
        None => (Verdict::Note, "no worker was ever at work here".to_owned()),
        Some(beat) => {
            let silent = secs_from(beat, SILENCE_SECS) < now;
            (bad(silent), format!("the last worker was at work at {beat}"))
        }
    };
    let mend = "start a worker: `recoup serve`; one that reconciles first writes its heartbeat once it is done";
    findings.tell("worker", verdict, says, mend);
    Ok(())
}

async fn events(store: &Store, now: Timestamp, findings: &mut Findings) -> Result<(), StoreError> {
    for seen in drift::last_events(store).await? {
        let silent_secs = now.duration_since(seen.last_at).as_secs();
        let alarm_secs = seen.usual_gap_secs.saturating_mul(GAPS).max(SILENT_SECS_MIN);
        // The sweep brings what the door does not, so that the newest event alone says nothing of the door.
        let silent_since = silent_since(store, &seen.connection).await?;
        let shut = silent_since.is_some_and(|since| secs_from(since, DOOR_SECS) <= now);
        let only = silent_since.map_or_else(String::new, |since| {
            format!("; since {since} only the sweep has brought any")
        });
        let says = format!(
            "{}: the last event is of {}, usually one every {} s{only}",
            seen.connection, seen.last_at, seen.usual_gap_secs
        );
        let mend = "see at the provider whether the endpoint is enabled and reaches this service";
        findings.tell("webhooks", bad(shut || silent_secs > alarm_secs), says, mend);
    }
    Ok(())
}

fn bad(is_bad: bool) -> Verdict {
    if is_bad { Verdict::Bad } else { Verdict::Good }
}
