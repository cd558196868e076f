//! An act of staff can be taken back within a minute, as long as nothing else has happened to the case since. Acts that end a case
//! can be taken back only where they were asked for with that minute before them: an outcome is final.

use serde_json::json;

use crate::domain::approval::Weighty;
use crate::domain::campaign::FinalAction;
use crate::domain::case::{State, Timers, Undo};
use crate::domain::command::{Command, EntryKind, Reason};
use crate::domain::decide::Draft;
use crate::domain::outcome::{Outcome, RecoveredBy, StoppedWhy};

/// For how long an act can be taken back.
pub const UNDO_SECS: i64 = 60;

/// Remembers how the case stood before an act, where nothing of it leaves the house with its commit.
pub(super) fn remember(draft: &mut Draft<'_>, act: &str, actor: &str) {
    let is_kept_inside = |command: &Command| matches!(command, Command::Block { .. } | Command::Shadow(_));
    if draft.case.outcome().is_some() || !draft.commands.iter().all(is_kept_inside) {
        return;
    }
    let before = draft.before;
    let mut memory = before.memory.clone();
    memory.undo = None;
    draft.case.memory.undo = Some(Box::new(Undo {
        act: act.to_owned(),
        actor: actor.to_owned(),
        until: draft.in_secs(UNDO_SECS),
        state: before.state.clone(),
        timers: before.timers.clone(),
        campaign: before.campaign.clone(),
        memory,
    }));
}

/// Whether there is an act that can be taken back.
pub(super) fn may_undo(draft: &Draft<'_>) -> Result<(), Reason> {
    match &draft.case.memory.undo {
        None => Err(Reason::NothingToUndo),
        Some(undo) if undo.until <= draft.now() => Err(Reason::TooLate),
        Some(_) => Ok(()),
    }
}

/// Lets the case stand as it did before the last act.
pub(super) fn undo(draft: &mut Draft<'_>) {
    let Some(undo) = draft.case.memory.undo.take() else {
        return;
    };
    let Undo {
        state,
        timers,
        campaign,
        memory,
        ..
    } = *undo;
    draft.case.state = state;
    draft.case.timers = timers;
    draft.case.campaign = campaign;
    draft.case.memory = memory;
}

/// Ends the case once the minute is over in which that can be taken back. Until then nothing is charged and nothing is written.
pub(super) fn end_soon(draft: &mut Draft<'_>, action: FinalAction, outcome: Outcome) {
    let at = draft.in_secs(UNDO_SECS);
    draft.case.state = State::Ending {
        action,
        outcome,
        sent: 0,
    };
    draft.case.timers = Timers {
        look_at: Some(at),
        final_at: draft.case.timers.final_at,
        ..Timers::default()
    };
    draft.say(
        EntryKind::FinalAction,
        "It takes effect in a minute; until then it can be undone.",
        json!({"action": action, "outcome": outcome, "at": at}),
    );
}

/// What an act that ends the case does at the provider, and the outcome then; nothing for one that does not end it.
pub(super) fn ends(act: Weighty) -> Option<(FinalAction, Outcome)> {
    match act {
        Weighty::Retry => None,
        Weighty::Stop => Some((FinalAction::LeaveOpen, Outcome::Stopped { why: StoppedWhy::Staff })),
        Weighty::MarkPaid => Some((
            FinalAction::LeaveOpen,
            Outcome::Recovered {
                by: RecoveredBy::OutOfBand,
            },
        )),
        Weighty::WriteOff => Some((
            FinalAction::MarkUncollectible,
            Outcome::Stopped {
                why: StoppedWhy::WrittenOff,
            },
        )),
    }
}
