//! What staff asks for. The ceiling stands above it.

use serde_json::{Value, json};

use super::Draft;
use super::close::{begin, close};
use super::migrate::migrate;
use crate::domain::approval::Weighty;
use crate::domain::calendar::written;
use crate::domain::case::{CampaignRef, State, Trigger};
use crate::domain::ceiling::{Verdict, may_charge};
use crate::domain::command::{Decision, EntryKind, Reason, Refusal};
use crate::domain::event::StaffAction;
use crate::domain::message::Message;
use crate::domain::mutant::alive;
use crate::domain::outcome::{Outcome, StoppedWhy};
use crate::domain::retry;
use crate::domain::schedule::step_at;

mod hold;
mod plan;
mod undo;

/// Why an action is not carried out.
enum No {
    /// The case does not allow it now; nothing is written.
    Now(Reason),
    /// A rule forbids it, which the timeline tells.
    Rule(Refusal),
}

impl From<Reason> for No {
    fn from(reason: Reason) -> Self {
        Self::Now(reason)
    }
}

/// Carries out a staff action, or refuses it with the reason.
pub fn act<'a>(mut draft: Draft<'a>, action: &'a StaffAction, actor: &str, comment: Option<&str>) -> Decision {
    match allowed(&draft, action) {
        Ok(()) => {}
        Err(No::Now(reason)) => return Decision::Ignored(reason),
        Err(No::Rule(refusal)) => return refused(draft, action, (actor, comment), refusal),
    }
    let (text, data) = told(&draft, action, actor, comment);
    draft.say(EntryKind::Staff, text, data);
    match action {
        StaffAction::Note | StaffAction::Ask(_) | StaffAction::Refuse(_) => draft.is_aside = true,
        StaffAction::Retry => weighty(&mut draft, Weighty::Retry),
        StaffAction::Pause { until } => {
            draft.case.state = State::Paused {
                until: *until,
                held_since: None,
            };
            draft.case.timers.look_at = None;
        }
        StaffAction::Resume => resume(&mut draft, actor),
        StaffAction::Skip { step } => plan::skip(&mut draft, *step),
        StaffAction::Extend { to } => plan::extend(&mut draft, *to),
        StaffAction::Hold => hold::hold(&mut draft),
        StaffAction::Release => hold::release(&mut draft),
        StaffAction::Migrate { campaign, how } => migrate(&mut draft, campaign, *how),
        StaffAction::Stop => weighty(&mut draft, Weighty::Stop),
        StaffAction::Exclude => exclude(&mut draft),
        StaffAction::MarkPaid => weighty(&mut draft, Weighty::MarkPaid),
        StaffAction::WriteOff => weighty(&mut draft, Weighty::WriteOff),
        StaffAction::Approve(ruling) => weighty(&mut draft, ruling.act),
        StaffAction::Soon(act) => match undo::ends(*act) {
            Some((action, outcome)) => undo::end_soon(&mut draft, action, outcome),
            None => weighty(&mut draft, *act),
        },
        StaffAction::Undo => undo::undo(&mut draft),
    }
    if can_be_undone(action) {
        undo::remember(&mut draft, action.as_str(), actor);
    }
    draft.done()
}

/// Whether an act can be taken back within a minute. What was approved by a second person was thought over.
fn can_be_undone(action: &StaffAction) -> bool {
    match action {
        StaffAction::Retry
        | StaffAction::Pause { .. }
        | StaffAction::Resume
        | StaffAction::Skip { .. }
        | StaffAction::Extend { .. }
        | StaffAction::Hold
        | StaffAction::Release
        | StaffAction::Migrate { .. }
        | StaffAction::Soon(_) => true,
        StaffAction::Stop
        | StaffAction::Exclude
        | StaffAction::MarkPaid
        | StaffAction::WriteOff
        | StaffAction::Note
        | StaffAction::Undo
        | StaffAction::Ask(_)
        | StaffAction::Approve(_)
        | StaffAction::Refuse(_) => false,
    }
}

/// Charges, or ends the case.
fn weighty(draft: &mut Draft<'_>, act: Weighty) {
    if let Some((action, outcome)) = undo::ends(act) {
        begin(draft, action, outcome);
    } else {
        draft.case.state = State::Active;
        draft.case.timers.look_at = None;
        draft.charge_now(Trigger::Staff);
    }
}

/// What the timeline says of an action.
fn told(draft: &Draft<'_>, action: &StaffAction, actor: &str, comment: Option<&str>) -> (String, Value) {
    let mut data = json!({"action": action.as_str(), "actor": actor, "comment": comment});
    let text = match action {
        StaffAction::Migrate { campaign, how } => {
            let (from, to) = (&draft.case.campaign, CampaignRef::of(campaign));
            let text = format!("{actor}: the campaign changes from {from} to {to} ({how}).");
            data["from"] = json!(from);
            data["to"] = json!(to);
            data["how"] = json!(how);
            text
        }
        StaffAction::Skip { step } => {
            data["step"] = json!(step);
            format!("{actor}: the next {step} is passed over.")
        }
        StaffAction::Pause { until } => {
            data["until"] = json!(until);
            format!("{actor}: paused until {}.", written(*until))
        }
        StaffAction::Exclude => format!("{actor}: the customer is excluded."),
        StaffAction::Note => format!("{actor} wrote a note."),
        StaffAction::Hold => format!("{actor}: on hold, because the customer disputes what is owed."),
        StaffAction::Undo => {
            let act = draft.case.memory.undo.as_ref().map_or("nothing", |undo| &undo.act);
            data["undone"] = json!(act);
            format!("{actor} took back: {act}.")
        }
        StaffAction::Ask(ask) => {
            data["approval"] = json!(ask.id);
            data["act"] = json!(ask.act);
            let until = written(ask.expires_at);
            format!(
                "{actor} asks for {}: a second person has to approve it by {until}.",
                ask.act
            )
        }
        StaffAction::Approve(ruling) => {
            data["approval"] = json!(ruling.id);
            data["act"] = json!(ruling.act);
            format!("{actor} approved what {} asked for: {}.", ruling.asked_by, ruling.act)
        }
        StaffAction::Refuse(ruling) => {
            data["approval"] = json!(ruling.id);
            data["act"] = json!(ruling.act);
            format!("{actor} refused what {} asked for: {}.", ruling.asked_by, ruling.act)
        }
        StaffAction::Retry
        | StaffAction::Resume
        | StaffAction::Extend { .. }
        | StaffAction::Release
        | StaffAction::Stop
        | StaffAction::MarkPaid
        | StaffAction::WriteOff
        | StaffAction::Soon(_) => format!("{actor}: {}.", action.as_str()),
    };
    (text, data)
}

fn allowed(draft: &Draft<'_>, action: &StaffAction) -> Result<(), No> {
    let stops_a_charge = alive("staff_stops_a_charge") && draft.case.open_attempt().is_some();
    match action {
        _ if stops_a_charge => return Ok(()),
        StaffAction::Note | StaffAction::Refuse(_) => return Ok(()),
        StaffAction::Undo => return undo::may_undo(draft).map_err(No::Now),
        StaffAction::Ask(ask) => return allowed(draft, &ask.act.action()),
        StaffAction::Approve(ruling) => return allowed(draft, &ruling.act.action()),
        StaffAction::Soon(act) => return allowed(draft, &act.action()),
        StaffAction::Retry
        | StaffAction::Pause { .. }
        | StaffAction::Resume
        | StaffAction::Skip { .. }
        | StaffAction::Extend { .. }
        | StaffAction::Hold
        | StaffAction::Release
        | StaffAction::Stop
        | StaffAction::Exclude
        | StaffAction::MarkPaid
        | StaffAction::WriteOff
        | StaffAction::Migrate { .. } => {}
    }
    if *action == StaffAction::Exclude && draft.case.memory.excluded {
        return Err(Reason::NothingNew.into());
    }
    if *action == StaffAction::Exclude && is_under_way(&draft.case.state) {
        return Ok(());
    }
    retry::stands_open(&draft.case.state)?;
    let held = draft.case.held_since().is_some();
    match action {
        StaffAction::Retry => retry_allowed(draft),
        StaffAction::Pause { .. } | StaffAction::Resume | StaffAction::Hold if held => Err(Reason::OnHold.into()),
        StaffAction::Pause { until } if *until <= draft.now() => Err(Reason::NotInFuture.into()),
        StaffAction::Pause { .. } if draft.case.state == State::NeedsPerson => Err(Reason::NeedsPerson.into()),
        StaffAction::Resume => match draft.case.state {
            State::Paused { .. } | State::NeedsPerson => Ok(()),
            State::Active
            | State::Charging { .. }
            | State::InDoubt { .. }
            | State::Processing { .. }
            | State::Ending { .. }
            | State::Closed { .. } => Err(Reason::NotPaused.into()),
        },
        StaffAction::Release if !held => Err(Reason::NotOnHold.into()),
        StaffAction::Skip { step } => plan::may_skip(draft, *step).map_err(No::Now),
        StaffAction::Extend { to } => plan::end_wanted(draft, *to).map(|_| ()).map_err(No::Now),
        StaffAction::Migrate { campaign, .. } if draft.case.campaign.is_of(campaign) => Err(Reason::NothingNew.into()),
        StaffAction::Pause { .. }
        | StaffAction::Hold
        | StaffAction::Release
        | StaffAction::Migrate { .. }
        | StaffAction::Stop
        | StaffAction::Exclude
        | StaffAction::MarkPaid
        | StaffAction::WriteOff
        | StaffAction::Note
        | StaffAction::Soon(_)
        | StaffAction::Undo
        | StaffAction::Ask(_)
        | StaffAction::Approve(_)
        | StaffAction::Refuse(_) => Ok(()),
    }
}

fn retry_allowed(draft: &Draft<'_>) -> Result<(), No> {
    retry::may_ask(&draft.case)?;
    let tried = draft.tried(draft.case.instrument());
    let fresh = draft.case.fresh_method();
    let refusal = match may_charge(&draft.case, &tried, fresh, draft.now(), draft.moment.grounds) {
        Verdict::Allowed => return Ok(()),
        Verdict::NotBefore(until, rule) => Refusal {
            reason: Reason::Ceiling,
            rule,
            until: Some(until),
        },
        Verdict::Never(rule) => Refusal {
            reason: Reason::NeverOnThisMethod,
            rule,
            until: None,
        },
    };
    Err(No::Rule(refusal))
}

/// Tells that staff asked for what a rule forbids. Nothing else changes.
fn refused(
    mut draft: Draft<'_>,
    action: &StaffAction,
    (actor, comment): (&str, Option<&str>),
    refusal: Refusal,
) -> Decision {
    draft.is_aside = true;
    let Refusal { reason, rule, until } = refusal;
    let verdict = until.map_or(Verdict::Never(rule), |until| Verdict::NotBefore(until, rule));
    draft.block(draft.case.instrument(), verdict);
    let when = until.map_or(String::new(), |until| format!(" before {}", written(until)));
    let text = format!("{actor}: {} was refused{when} by the rule {rule}.", action.as_str());
    let data = json!({"action": action.as_str(), "actor": actor, "comment": comment,
                      "why": reason, "rule": rule, "until": until});
    draft.say(EntryKind::StoodBack, text, data);
    match draft.done() {
        Decision::Changed(mut change) => {
            change.refused = Some(refusal);
            Decision::Changed(change)
        }
        Decision::Ignored(reason) => Decision::Ignored(reason),
    }
}

/// Ends the chase of an excluded customer; a charge that is under way is answered first.
fn exclude(draft: &mut Draft<'_>) {
    if is_under_way(&draft.case.state) {
        draft.case.memory.excluded = true;
    } else {
        close(draft, Outcome::Stopped { why: StoppedWhy::Staff });
    }
}

/// Whether a charge is under way, whoever made it.
fn is_under_way(state: &State) -> bool {
    match state {
        State::Charging { .. } | State::InDoubt { .. } | State::Processing { .. } => true,
        State::Active | State::Paused { .. } | State::NeedsPerson | State::Ending { .. } | State::Closed { .. } => {
            false
        }
    }
}

/// Goes on after a pause: what would have happened meanwhile is not replayed.
pub fn resume(draft: &mut Draft<'_>, actor: &str) {
    go_on(draft);
    if actor == "clock" {
        draft.say(EntryKind::Planned, "The pause is over.", json!({}));
    }
    draft.replan();
    super::late::settle(draft);
}

fn go_on(draft: &mut Draft<'_>) {
    draft.case.state = State::Active;
    draft.case.timers.look_at = None;
    skip_overdue(
        draft,
        "Messages that fell into the pause are not sent.",
        is_no_last_word,
    );
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
