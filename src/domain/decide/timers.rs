//! What is due now on an active case whose invoice was just read.

use serde_json::json;

use super::announce::announce;
use super::close::{end_campaign, notify};
use super::plan::plan_notice;
use super::reach::queued_as;
use super::target::Target;
use super::{DAILY_SECS, Draft};
use crate::domain::calendar::{secs_from, written};
use crate::domain::case::{OpenAttempt, Origin, State, Trigger, Warning};
use crate::domain::ceiling::{Rule, Said, Verdict, consulted, may_charge};
use crate::domain::command::{Command, EntryKind};
use crate::domain::decline::Disposition;
use crate::domain::schedule::planned;
use crate::domain::snapshot::Snapshot;

/// How long after the provider's own planned attempt its result is looked for.
const AFTER_PROVIDER_SECS: i64 = 3600;

/// Remembers, shows and forgets that the provider plans retries of its own.
pub fn watch_provider_retries(draft: &mut Draft<'_>, snapshot: &Snapshot) {
    // A plan more than a day old was not carried out and says nothing of the future.
    let planned = snapshot
        .provider_next_attempt_at
        .filter(|at| *at >= draft.in_secs(-DAILY_SECS));
    draft.case.memory.provider_next_attempt_at = planned;
    if super::open::provider_collects(&draft.case) {
        return;
    }
    if let Some(at) = planned {
        let text = format!(
            "The provider plans its own charge for {}; we do not charge while it does. Switch its retries off.",
            written(at)
        );
        draft.warn(Warning::ProviderRetriesOn, text);
    } else {
        draft.case.unwarn(Warning::ProviderRetriesOn);
    }
}

/// Does what is due: a charge goes before the end, the end before a message, unless that has to announce it.
pub fn run(draft: &mut Draft<'_>, snapshot: &Snapshot) {
    let now = draft.now();
    if draft.case.timers.charge_at.is_some_and(|at| at <= now) {
        charge(draft, snapshot);
        if !matches!(draft.case.state, State::Active) {
            return;
        }
    }
    if draft.case.timers.final_at.is_some_and(|at| at <= now) {
        if !announce(draft) {
            end_campaign(draft, snapshot);
        }
        return;
    }
    plan_notice(&mut draft.case, draft.moment.campaign, now);
    notice(draft);
}

fn notice(draft: &mut Draft<'_>) {
    let now = draft.now();
    let Some((key, _)) = draft.case.timers.notice.clone().filter(|(_, at)| *at <= now) else {
        return;
    };
    let message = draft
        .moment
        .campaign
        .messages
        .iter()
        .find(|step| step.key == key)
        .map(|step| step.message);
    if let Some(message) = message {
        let step = queued_as(&draft.case, &key, message);
        notify(draft, message, &step);
        draft.case.memory.last_notice_at = Some(now);
    }
    plan_notice(&mut draft.case, draft.moment.campaign, now);
}

/// The charge that is due: made, put off, or given up.
fn charge(draft: &mut Draft<'_>, snapshot: &Snapshot) {
    let now = draft.now();
    let trigger = draft.case.timers.charge_trigger.unwrap_or(Trigger::Schedule);
    let planned_by_provider = draft.case.memory.provider_next_attempt_at;
    if let Some(at) = planned_by_provider {
        let until = secs_from(at.max(now), AFTER_PROVIDER_SECS);
        return put_off(draft, until, "the provider plans its own charge");
    }
    if snapshot
        .subscription
        .as_ref()
        .is_some_and(|subscription| subscription.collection_paused)
    {
        let until = draft.in_secs(DAILY_SECS);
        return put_off(draft, until, "collection of the subscription is paused at the provider");
    }
    // A renewal that names no payment method lifts what new data can heal, and nothing else.
    let healed = trigger == Trigger::CardUpdate && draft.case.decline.disposition != Disposition::Never;
    let fresh = healed || draft.case.fresh_method();
    let target = Target::of(&draft.case, snapshot);
    // A person who asks for a charge may know more of the bank than we do.
    if trigger != Trigger::Staff
        && let Some(until) = draft.moment.grounds.history.outage(&target.instrument.group(), now)
    {
        return put_off(draft, until, "the bank behind the card answers nobody at present");
    }
    let tried = draft.tried(target.instrument.clone());
    let verdict = match may_charge(&draft.case, &tried, fresh, now, draft.moment.grounds) {
        Verdict::Allowed if target.is_barred => Verdict::Never(Rule::TerminalDecline),
        verdict => verdict,
    };
    draft.block(target.instrument.clone(), verdict);
    match verdict {
        Verdict::Allowed => {
            let rules = consulted(&draft.case, &tried, fresh, now, draft.moment.grounds);
            open_attempt(draft, target, trigger, &rules);
        }
        Verdict::NotBefore(until, rule) => put_off(draft, until, rule.as_str()),
        Verdict::Never(rule) => give_up(draft, rule),
    }
}

fn give_up(draft: &mut Draft<'_>, rule: Rule) {
    draft.case.timers.charge_at = None;
    draft.case.timers.charge_trigger = None;
    let text = format!("The planned charge was given up: {rule}.");
    draft.say(EntryKind::StoodBack, text, json!({ "rule": rule }));
}

fn put_off(draft: &mut Draft<'_>, until: jiff::Timestamp, why: &str) {
    draft.case.timers.charge_at = Some(until);
    let text = format!("The planned charge was put off to {}: {why}.", written(until));
    draft.say(EntryKind::StoodBack, text, json!({"why": why, "until": until}));
}

fn open_attempt(draft: &mut Draft<'_>, target: Target, trigger: Trigger, rules: &[Said]) {
    let attempt = OpenAttempt {
        id: draft.moment.fresh_attempt.clone(),
        started_at: draft.now(),
        amount: draft.case.amount_due,
        payment_method: target.named,
        instrument: Some(target.instrument),
        trigger,
    };
    // A new payment method tells nothing of when the old one would have paid.
    let tells = draft.case.decline.disposition == Disposition::Retry && trigger != Trigger::CardUpdate;
    draft.case.memory.features = tells.then(|| planned::features(&draft.case, draft.now()));
    draft.case.state = State::Charging {
        attempt: attempt.clone(),
    };
    draft.case.timers.charge_at = None;
    draft.case.timers.charge_trigger = None;
    draft.case.attempts = draft.case.attempts.saturating_add(1);
    draft.case.memory.charges = draft.case.memory.charges.saturating_add(1);
    draft.case.memory.last_charge_at = Some(draft.now());
    draft.case.memory.sent_at = vec![draft.now()];
    draft.case.memory.charged_method = target.charged;
    draft.say(
        EntryKind::AttemptStarted,
        format!("A charge of {} is made ({trigger}).", attempt.amount),
        json!({"attempt": attempt.id, "amount": attempt.amount, "trigger": trigger,
               "payment_method": attempt.payment_method, "rules": rules}),
    );
    let origin = if trigger == Trigger::Staff {
        Origin::Staff
    } else {
        Origin::Us
    };
    draft.commands.push(Command::OpenAttempt { attempt, origin });
}
