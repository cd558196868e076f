//! The rows that go with a change, command by command.

use serde_json::json;

use crate::domain::command::{Change, Command, Entry, EntryKind};
use crate::domain::ids::{AttemptId, BlockedId, EvidenceId, NotificationId};
use crate::domain::network::Network;
use crate::domain::taxonomy::UnknownCode;
use crate::engine::Inner;
use crate::store::changes::{AttemptEnd, Blocked, NewNotice, RowWrite};

/// Whether the worker that holds the claim has to do something after the commit.
pub fn is_carried_out(command: &Command) -> bool {
    match command {
        Command::OpenAttempt { .. } | Command::Resend { .. } | Command::Finish => true,
        Command::RecordAttempt { .. }
        | Command::CloseAttempt { .. }
        | Command::Notify { .. }
        | Command::TellStaff { .. }
        | Command::SupersedeNotices { .. }
        | Command::BookLate { .. }
        | Command::WinBack { .. }
        | Command::NamePayment { .. }
        | Command::BookOverpayment { .. }
        | Command::Learn(_)
        | Command::Shadow(_)
        | Command::Block { .. }
        | Command::OpenReversal => false,
    }
}

/// The row that a command asks for, where it asks for one.
pub fn row(inner: &Inner, command: &Command) -> Option<RowWrite> {
    Some(match command {
        Command::OpenAttempt { attempt, origin } => RowWrite::OpenAttempt(attempt.clone(), *origin),
        Command::RecordAttempt { seen, origin } => {
            let id = AttemptId::new(inner.now_ms(), inner.clock.entropy());
            RowWrite::RecordAttempt(id, seen.clone(), *origin)
        }
        Command::CloseAttempt {
            id,
            status,
            charge_id,
            decline,
            instrument,
        } => RowWrite::CloseAttempt(AttemptEnd {
            id: id.clone(),
            status: *status,
            charge_id: charge_id.clone(),
            decline: decline.clone(),
            instrument: instrument.clone(),
        }),
        Command::Block {
            instrument,
            rule,
            until,
        } => RowWrite::Block(Blocked {
            id: BlockedId::new(inner.now_ms(), inner.clock.entropy()),
            instrument: instrument.clone(),
            rule: *rule,
            until: *until,
        }),
        Command::Notify { message, step, due_at } => RowWrite::Queue(NewNotice {
            id: NotificationId::new(inner.now_ms(), inner.clock.entropy()),
            message: *message,
            step: step.clone(),
            due_at: *due_at,
            recipient: None,
        }),
        Command::SupersedeNotices { reason } => RowWrite::HoldBack(reason.as_str()),
        Command::BookLate { kind, amount } => RowWrite::BookLate(*kind, *amount),
        Command::WinBack { subscription_id, at } => RowWrite::WinBack(subscription_id.clone(), *at),
        Command::Learn(evidence) => {
            let id = EvidenceId::new(inner.now_ms(), inner.clock.entropy());
            RowWrite::See(id, evidence.clone())
        }
        Command::Shadow(both) => RowWrite::Shadow(both.clone()),
        Command::OpenReversal
        | Command::TellStaff { .. }
        | Command::Resend { .. }
        | Command::Finish
        | Command::NamePayment { .. }
        | Command::BookOverpayment { .. } => return None,
    })
}

/// What staff are written of a change, for each of their addresses, with the lines that say so.
pub fn to_staff(inner: &Inner, change: &Change) -> (Vec<Entry>, Vec<RowWrite>) {
    let (mut entries, mut rows) = (Vec::new(), Vec::new());
    if inner.staff.is_empty() {
        return (entries, rows);
    }
    for command in &change.commands {
        let Command::TellStaff { message, step } = command else {
            continue;
        };
        entries.push(Entry {
            kind: EntryKind::NoticeQueued,
            text: format!("The message {message} was queued."),
            data: json!({"message": message, "step": step, "addresses": inner.staff.len()}),
        });
        rows.extend(inner.staff.iter().zip(1..).map(|(address, nth)| {
            RowWrite::Queue(NewNotice {
                id: NotificationId::new(inner.now_ms(), inner.clock.entropy()),
                message: *message,
                // Each address has a step of its own.
                step: if nth == 1 {
                    step.clone()
                } else {
                    format!("{step} {nth}")
                },
                due_at: inner.now(),
                recipient: Some(address.clone()),
            })
        }));
    }
    (entries, rows)
}

/// The codes in the declines of a change's attempts that nobody knows.
pub fn unknown_codes(inner: &Inner, change: &Change) -> impl Iterator<Item = UnknownCode> {
    let case = &change.case;
    let card = case.memory.card.as_ref();
    let network = card.map_or(Network::Unknown, |card| Network::of_brand(&card.brand));
    let codes = inner.codes(&case.connection);
    let declines = change.commands.iter().filter_map(|command| match command {
        Command::RecordAttempt { seen, .. } => Some(&seen.decline),
        Command::CloseAttempt { decline, .. } => decline.as_ref(),
        Command::OpenAttempt { .. }
        | Command::Resend { .. }
        | Command::Finish
        | Command::Notify { .. }
        | Command::TellStaff { .. }
        | Command::SupersedeNotices { .. }
        | Command::BookLate { .. }
        | Command::WinBack { .. }
        | Command::NamePayment { .. }
        | Command::BookOverpayment { .. }
        | Command::Learn(_)
        | Command::Shadow(_)
        | Command::Block { .. }
        | Command::OpenReversal => None,
    });
    declines.flat_map(move |decline| codes.unknown(decline, network))
}
