//! Planning: the timers that follow from where a case stands.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::calendar::written;
use crate::domain::campaign::Campaign;
use crate::domain::case::{Case, Collector, Trigger, Warning};
use crate::domain::ceiling::{Verdict, consulted, may_charge};
use crate::domain::command::{Entry, EntryKind, Moment};
use crate::domain::decline::{Decline, Disposition};
use crate::domain::instrument::Tried;
use crate::domain::schedule::{Charges, charges_after, next_notice, planned};

/// Takes a decline in as the case's present one; what counts from the first of its kind starts anew where it differs.
pub fn take_decline(case: &mut Case, decline: &Decline, now: Timestamp) {
    if case.decline.disposition != decline.disposition {
        case.memory.disposition_since = now;
    }
    if case.decline.kind != decline.kind {
        case.memory.kind_since = now;
    }
    case.decline = decline.clone();
    if decline.disposition == Disposition::Merchant {
        case.warn(Warning::MerchantFault);
    } else {
        case.unwarn(Warning::MerchantFault);
    }
}

/// Plans the next charge by the ladder, and the next message; says so in an entry, and what the ceiling refused of it.
pub fn replan(case: &mut Case, moment: &Moment<'_>, tried: &Tried) -> (Entry, Option<Verdict>) {
    let (campaign, now) = (moment.campaign, moment.now);
    let (charges, decision) = charges(case, moment, tried);
    let charges = match case.collector {
        Collector::Us => charges,
        Collector::Provider => Charges::default(),
    };
    case.timers.charge_at = charges.at.first().copied();
    case.timers.charge_trigger = charges.at.first().map(|_| Trigger::Schedule);
    plan_notice(case, campaign, now);
    let entry = planned(case, moment, &charges.at, &decision, tried);
    (entry, charges.refused)
}

/// The charges that remain, and how the next one is decided on, with all that it rests on; the arm is remembered.
fn charges(case: &mut Case, moment: &Moment<'_>, tried: &Tried) -> (Charges, Value) {
    let (campaign, grounds) = (moment.campaign, moment.grounds);
    let ladder = campaign.ladder(case.decline.kind);
    let Some(planned) = ladder.and_then(|ladder| ladder.planned.as_ref()) else {
        let charges = charges_after(case, campaign, moment.now, tried.clone(), grounds);
        return (charges, json!({"arm": "campaign", "propensity": "1", "seed": null}));
    };
    let (choice, chosen) = planned::arm(case, planned, grounds.learned);
    case.memory.choice = Some(choice);
    let after = case.memory.charges_from(moment.now);
    let first = planned::next(case, planned, choice, after, tried, grounds);
    let decision = json!({
        "arm": choice.arm,
        "propensity": choice.propensity,
        "seed": first.inputs.ask.seed,
        "chosen": chosen,
        "inputs": first.inputs,
        "decided": first.decided,
    });
    let charges = planned::from_first(case, planned, &first, tried.clone(), grounds);
    (charges, decision)
}

/// Plans the next message only.
pub fn plan_notice(case: &mut Case, campaign: &Campaign, now: Timestamp) {
    case.timers.notice = next_notice(case, campaign, now).map(|(step, at, overtaken)| {
        case.memory.steps_done.extend(overtaken);
        (step, at)
    });
}

/// The decision and its inputs, for the timeline and for `explain`.
fn planned(case: &Case, moment: &Moment<'_>, charges: &[Timestamp], decision: &Value, tried: &Tried) -> Entry {
    let at = case.timers.charge_at.unwrap_or(moment.now);
    let verdict = match may_charge(case, tried, false, at, moment.grounds) {
        Verdict::Allowed => json!({"verdict": "allowed"}),
        Verdict::NotBefore(at, rule) => json!({"verdict": "not_before", "at": at, "rule": rule}),
        Verdict::Never(rule) => json!({"verdict": "never", "rule": rule}),
    };
    let text = match (case.timers.charge_at, case.collector) {
        (Some(at), _) => format!(
            "After a decline for {} the next charge is planned for {}.",
            case.decline.kind,
            written(at)
        ),
        (None, Collector::Provider) => "The provider collects this invoice itself; we only write.".to_owned(),
        (None, Collector::Us) => match case.decline.disposition {
            Disposition::Retry => "No charge of the campaign remains; the case waits for the customer or its end.",
            Disposition::FixData => "No charge is planned: the payment data must change first.",
            Disposition::CustomerAction => "No charge is planned: the customer must confirm the payment.",
            Disposition::Never => "No charge is planned: this payment method must not be charged again.",
            Disposition::Merchant => "No charge is planned: the fault is ours and a person must look.",
        }
        .to_owned(),
    };
    let mut data = json!({
        "campaign": case.campaign,
        "kind": case.decline.kind,
        "disposition": case.decline.disposition,
        "ceiling": verdict,
        "rules": consulted(case, tried, false, at, moment.grounds),
        "charges": charges,
        "notice": case.timers.notice,
        "final_at": case.timers.final_at,
        "final_action": moment.campaign.ending.action,
    });
    if let (Value::Object(data), Value::Object(decision)) = (&mut data, decision) {
        data.extend(decision.clone());
    }
    Entry {
        kind: EntryKind::Planned,
        text,
        data,
    }
}

/// Plans one charge right now, for a new payment method or because staff asked; the planned one becomes one with it.
pub fn charge_now(case: &mut Case, trigger: Trigger, now: Timestamp) {
    // Who hurries the charge for a new payment method does not make it another: it is the method that brings the money.
    let planned = case.timers.charge_at.and(case.timers.charge_trigger);
    let hurried = planned.filter(|planned| *planned == Trigger::CardUpdate);
    case.timers.charge_at = Some(now);
    case.timers.charge_trigger = Some(hurried.unwrap_or(trigger));
    case.timers.hold_until = None;
}
