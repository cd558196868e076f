//! What the engine counts. Labels are words of closed sets, so the series stay few.

use metrics::{counter, gauge, histogram};

use super::Inner;
use crate::clock::Stopwatch;
use crate::domain::command::{Change, Command, EntryKind};
use crate::domain::taxonomy::UnknownCode;
use crate::store::{StoreError, inbox};
use crate::telemetry::metric;

/// Counts what a committed change brought.
pub fn change(change: &Change) {
    for entry in &change.entries {
        match entry.kind {
            EntryKind::Opened => counter!(metric::CASES_OPENED).increment(1),
            EntryKind::StoodBack => counter!(metric::STOOD_BACK).increment(1),
            EntryKind::Closed => {
                let outcome = change.case.status().as_str();
                counter!(metric::CASES_CLOSED, "outcome" => outcome).increment(1);
            }
            EntryKind::AttemptSeen
            | EntryKind::AttemptStarted
            | EntryKind::AttemptAnswered
            | EntryKind::Planned
            | EntryKind::MethodChanged
            | EntryKind::ContactChanged
            | EntryKind::AmountChanged
            | EntryKind::NoticeQueued
            | EntryKind::NoticeSkipped
            | EntryKind::NoticeEnded
            | EntryKind::Warned
            | EntryKind::Staff
            | EntryKind::Customer
            | EntryKind::FinalAction
            | EntryKind::LateRecovery
            | EntryKind::WonBack
            | EntryKind::Reversal => {}
        }
    }
    for command in &change.commands {
        match command {
            Command::CloseAttempt { status, .. } => {
                counter!(metric::ATTEMPTS, "by" => "us", "result" => status.as_str()).increment(1);
            }
            Command::RecordAttempt { origin, .. } => {
                counter!(metric::ATTEMPTS, "by" => origin.as_str(), "result" => "declined").increment(1);
            }
            Command::Block { rule, .. } => counter!(metric::BLOCKED_CHARGES, "rule" => rule.as_str()).increment(1),
            Command::BookOverpayment { .. } => counter!(metric::OVERPAYMENTS).increment(1),
            Command::OpenAttempt { .. }
            | Command::Resend { .. }
            | Command::Finish
            | Command::Notify { .. }
            | Command::TellStaff { .. }
            | Command::SupersedeNotices { .. }
            | Command::BookLate { .. }
            | Command::WinBack { .. }
            | Command::NamePayment { .. }
            | Command::Learn(_)
            | Command::Shadow(_)
            | Command::OpenReversal => {}
        }
    }
}

/// Counts a decline's code that nobody knows. The sections are those of the files of codes, so the series stay few.
pub fn unknown_code(unknown: &UnknownCode) {
    counter!(metric::UNKNOWN_CODES, "section" => unknown.section.clone()).increment(1);
}

/// Records how long a call to the provider took.
pub fn call(watch: &Stopwatch, call: &'static str, result: &'static str) {
    histogram!(metric::PROVIDER_CALL, "call" => call, "result" => result).record(watch.elapsed().as_secs_f64());
}

/// Sets the gauges from what the database holds now.
pub async fn stock(inner: &Inner) -> Result<(), StoreError> {
    for (status, count) in inner.storage.count_events().await? {
        match status {
            inbox::InboxStatus::Pending | inbox::InboxStatus::Dead => {
                gauge!(metric::INBOX_WAITING, "status" => status.as_str()).set(exact(count));
            }
            inbox::InboxStatus::Processed | inbox::InboxStatus::Ignored => {}
        }
    }
    let counted = inner.storage.count_open().await?;
    for state in crate::domain::case::STATES_OPEN {
        let count = counted
            .iter()
            .find(|(seen, _)| seen == state)
            .map_or(0, |(_, count)| *count);
        gauge!(metric::CASES_OPEN, "state" => *state).set(exact(count));
    }
    Ok(())
}

/// A count as a gauge holds it: exact up to 2^32, which no table of ours will reach in one state.
fn exact(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
