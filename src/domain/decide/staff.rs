//! What staff asks for. The ceiling stands above it.

use serde_json::{Value, json};

use super::Draft;
use super::close::{begin, close};
use super::migrate::migrate;
use crate::domain::campaign::FinalAction;
use crate::domain::case::{CampaignRef, State, Trigger};
use crate::domain::ceiling::{Verdict, may_charge};
use crate::domain::command::{Decision, EntryKind, Reason};
use crate::domain::event::StaffAction;
use crate::domain::message::Message;
use crate::domain::mutant::alive;
use crate::domain::outcome::{Outcome, RecoveredBy, StoppedWhy};
use crate::domain::schedule::step_at;

/// Carries out a staff action, or refuses it with the reason.
pub fn act<'a>(mut draft: Draft<'a>, action: &'a StaffAction, actor: &str, comment: Option<&str>) -> Decision {
    if let Err(reason) = allowed(&draft, action) {
        return Decision::Ignored(reason);
    }
    let (text, data) = told(&draft, action, actor, comment);
    draft.say(EntryKind::Staff, text, data);
    match action {
        StaffAction::Note => {}
        StaffAction::Retry => {
            draft.case.state = State::Active;
            draft.case.timers.look_at = None;
            draft.charge_now(Trigger::Staff);
        }
        StaffAction::Pause { until } => {
            draft.case.state = State::Paused { until: *until };
            draft.case.timers.look_at = None;
        }
        StaffAction::Resume => resume(&mut draft, actor),
        StaffAction::Migrate { campaign, how } => migrate(&mut draft, campaign, *how),
        StaffAction::Stop => close(&mut draft, Outcome::Stopped { why: StoppedWhy::Staff }),
        StaffAction::MarkPaid => close(
            &mut draft,
            Outcome::Recovered {
                by: RecoveredBy::OutOfBand,
            },
        ),
        StaffAction::WriteOff => {
            let outcome = Outcome::Stopped {
                why: StoppedWhy::WrittenOff,
            };
            begin(&mut draft, FinalAction::MarkUncollectible, outcome);
        }
    }
    draft.done()
}

/// What the timeline says of an action.
fn told(draft: &Draft<'_>, action: &StaffAction, actor: &str, comment: Option<&str>) -> (String, Value) {
    let mut data = json!({"action": action.as_str(), "actor": actor, "comment": comment});
    let StaffAction::Migrate { campaign, how } = action else {
        return (format!("{actor}: {}.", action.as_str()), data);
    };
    let (from, to) = (&draft.case.campaign, CampaignRef::of(campaign));
    let text = format!("{actor}: the campaign changes from {from} to {to} ({how}).");
    data["from"] = json!(from);
    data["to"] = json!(to);
    data["how"] = json!(how);
    (text, data)
}

fn allowed(draft: &Draft<'_>, action: &StaffAction) -> Result<(), Reason> {
    let stops_a_charge = alive("staff_stops_a_charge") && draft.case.open_attempt().is_some();
    if *action == StaffAction::Note || stops_a_charge {
        return Ok(());
    }
    match &draft.case.state {
        State::Closed { .. } => return Err(Reason::CaseClosed),
        State::Ending { .. } => return Err(Reason::FinalActionRunning),
        State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => return Err(Reason::AttemptOpen),
        State::Active | State::Paused { .. } | State::NeedsPerson => {}
    }
    match action {
        StaffAction::Retry => retry_allowed(draft),
        StaffAction::Pause { until } if *until <= draft.now() => Err(Reason::NotInFuture),
        StaffAction::Pause { .. } if draft.case.state == State::NeedsPerson => Err(Reason::NeedsPerson),
        StaffAction::Resume => match draft.case.state {
            State::Paused { .. } | State::NeedsPerson => Ok(()),
            State::Active
            | State::Charging { .. }
            | State::InDoubt { .. }
            | State::Processing { .. }
            | State::Ending { .. }
            | State::Closed { .. } => Err(Reason::NotPaused),
        },
        StaffAction::Migrate { campaign, .. } if draft.case.campaign.is_of(campaign) => Err(Reason::NothingNew),
        StaffAction::Pause { .. }
        | StaffAction::Migrate { .. }
        | StaffAction::Stop
        | StaffAction::MarkPaid
        | StaffAction::WriteOff
        | StaffAction::Note => Ok(()),
    }
}

fn retry_allowed(draft: &Draft<'_>) -> Result<(), Reason> {
    if super::open::provider_collects(&draft.case) || draft.case.memory.provider_next_attempt_at.is_some() {
        return Err(Reason::ProviderCollects);
    }
    let tried = draft.tried(draft.case.instrument());
    let fresh = draft.case.fresh_method();
    match may_charge(&draft.case, &tried, fresh, draft.now(), draft.moment.grounds) {
        Verdict::Allowed => Ok(()),
        Verdict::NotBefore(..) => Err(Reason::Ceiling),
        Verdict::Never(_) => Err(Reason::NeverOnThisMethod),
    }
}

/// Goes on after a pause: what would have happened meanwhile is not replayed.
pub fn resume(draft: &mut Draft<'_>, actor: &str) {
    draft.case.state = State::Active;
    draft.case.timers.look_at = None;
    skip_overdue(
        draft,
        "Messages that fell into the pause are not sent.",
        is_no_last_word,
    );
    if actor == "clock" {
        draft.say(EntryKind::Planned, "The pause is over.", json!({}));
    }
    draft.replan();
    super::late::settle(draft);
}

/// Whether a message may be passed over: nobody is cut off without having been told.
pub fn is_no_last_word(message: Message) -> bool {
    message != Message::FinalNotice
}

/// Passes over those messages that are overdue and may be passed over; says whether there were any.
pub fn skip_overdue(draft: &mut Draft<'_>, why: &str, may_be: impl Fn(Message) -> bool) -> bool {
    let now = draft.now();
    let campaign = draft.moment.campaign;
    let overdue: Vec<String> = campaign
        .messages
        .iter()
        .filter(|step| step.is_for(&draft.case.decline) && may_be(step.message))
        .filter(|step| !draft.case.memory.steps_done.contains(&step.key))
        .filter(|step| step_at(&draft.case, campaign, step) <= now)
        .map(|step| step.key.clone())
        .collect();
    let any = !overdue.is_empty();
    if any {
        draft.say(EntryKind::NoticeSkipped, why, json!({"steps": overdue}));
    }
    draft.case.memory.steps_done.extend(overdue);
    any
}
