//! A case as a row and back. The columns are what is queried or shown; the document holds what only the decider reads.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Serialize};

use crate::domain::calendar::zone;
use crate::domain::case::{Birth, CampaignRef, Case, Collector, Contact, FirstDecline, Memory, State, Timers, Warning};
use crate::domain::decline::{DeclineKind, Disposition};
use crate::domain::ids::CaseId;
use crate::domain::learning::arms::Arm;
use crate::domain::money::Currency;
use crate::domain::outcome::{Outcome, Status};
use crate::store::StoreError;
use crate::store::bulk::{Column, Kind};
use crate::store::entity::cases::Model;
use crate::store::row::{Codes, Row, to_json};

/// What the column `memory` holds. Every shape that was ever written must still be read.
#[derive(Serialize, Deserialize)]
struct Document<'a> {
    state: Cow<'a, State>,
    timers: Cow<'a, Timers>,
    memory: Cow<'a, Memory>,
}

/// The columns that a case is born with.
pub(super) const FIXED: [Column; 17] = [
    ("id", Kind::Text),
    ("connection", Kind::Text),
    ("invoice_id", Kind::Text),
    ("collector", Kind::Text),
    ("opened_at", Kind::Int),
    ("reversal_of", Kind::Text),
    ("report_zone", Kind::Text),
    ("cohort_day", Kind::Text),
    ("first_kind", Kind::Text),
    ("first_disposition", Kind::Text),
    ("first_code", Kind::Text),
    ("network", Kind::Text),
    ("bank_country", Kind::Text),
    ("funding", Kind::Text),
    ("plan", Kind::Text),
    ("tenure_days", Kind::Int),
    ("monthly_minor", Kind::Int),
];

/// The columns that change when more than its plan does.
pub(super) const SELDOM: [Column; 25] = [
    ("campaign_name", Kind::Text),
    ("campaign_version", Kind::Int),
    ("subscription_id", Kind::Text),
    ("customer_id", Kind::Text),
    ("amount_minor", Kind::Int),
    ("currency", Kind::Text),
    ("status", Kind::Text),
    ("decline_kind", Kind::Text),
    ("decline_disposition", Kind::Text),
    ("provider_code", Kind::Text),
    ("network_code", Kind::Text),
    ("advice_code", Kind::Text),
    ("closed_at", Kind::Int),
    ("closed_day", Kind::Text),
    ("recovered_weekday", Kind::Text),
    ("recovered_hour", Kind::Text),
    ("outcome_kind", Kind::Text),
    ("outcome_detail", Kind::Text),
    ("outcome_then", Kind::Text),
    ("zone", Kind::Text),
    ("contact_email", Kind::Text),
    ("contact_alternate", Kind::Text),
    ("contact_name", Kind::Text),
    ("contact_locale", Kind::Text),
    ("card_last4", Kind::Text),
];

/// The columns that move with its plan.
pub(super) const PLAN: [Column; 10] = [
    ("state", Kind::Text),
    ("next_action_at", Kind::Int),
    ("next_action_kind", Kind::Text),
    ("next_action_why", Kind::Text),
    ("attempts", Kind::Int),
    ("notifications", Kind::Int),
    ("warnings", Kind::Text),
    ("memory", Kind::Text),
    ("arm", Kind::Text),
    ("updated_at", Kind::Int),
];

/// A case as it is written whole: a field for each column.
#[derive(Serialize)]
pub(super) struct Record<'a> {
    id: &'a CaseId,
    connection: &'a str,
    invoice_id: &'a str,
    campaign_name: &'a str,
    campaign_version: u32,
    collector: Collector,
    opened_at: i64,
    reversal_of: Option<&'a CaseId>,
    report_zone: Option<&'a str>,
    cohort_day: Option<Date>,
    first_kind: Option<DeclineKind>,
    first_disposition: Option<Disposition>,
    first_code: Option<&'a str>,
    network: Option<&'a str>,
    bank_country: Option<&'a str>,
    funding: Option<&'a str>,
    plan: Option<&'a str>,
    tenure_days: Option<i64>,
    monthly_minor: Option<i64>,
    subscription_id: Option<&'a str>,
    customer_id: &'a str,
    amount_minor: i64,
    currency: Currency,
    status: Status,
    decline_kind: DeclineKind,
    decline_disposition: Disposition,
    provider_code: Option<&'a str>,
    network_code: Option<&'a str>,
    advice_code: Option<&'a str>,
    closed_at: Option<i64>,
    closed_day: Option<Date>,
    recovered_weekday: Option<String>,
    recovered_hour: Option<String>,
    outcome_kind: Option<&'static str>,
    outcome_detail: Option<&'static str>,
    outcome_then: Option<&'static str>,
    zone: &'a str,
    contact_email: Option<&'a str>,
    contact_alternate: Option<&'a str>,
    contact_name: Option<&'a str>,
    contact_locale: Option<&'a str>,
    card_last4: Option<&'a str>,
    state: &'static str,
    next_action_at: Option<i64>,
    next_action_kind: Option<&'static str>,
    next_action_why: Option<String>,
    attempts: u32,
    notifications: u32,
    warnings: String,
    memory: String,
    arm: Option<Arm>,
    updated_at: i64,
}

/// The plan of a case as it is written.
#[derive(Serialize)]
pub(super) struct Plan<'a> {
    id: &'a CaseId,
    state: &'static str,
    next_action_at: Option<i64>,
    next_action_kind: Option<&'static str>,
    next_action_why: Option<String>,
    attempts: u32,
    notifications: u32,
    warnings: String,
    memory: String,
    arm: Option<Arm>,
    updated_at: i64,
}

pub(super) fn encode_plan(case: &Case, now: Timestamp) -> Result<Plan<'_>, StoreError> {
    let next = case.next_action();
    let document = Document {
        state: Cow::Borrowed(&case.state),
        timers: Cow::Borrowed(&case.timers),
        memory: Cow::Borrowed(&case.memory),
    };
    Ok(Plan {
        id: &case.id,
        state: case.state_word(),
        next_action_at: next.as_ref().map(|next| next.at.as_millisecond()),
        next_action_kind: next.as_ref().map(|next| next.kind),
        next_action_why: next.map(|next| next.why),
        attempts: case.attempts,
        notifications: case.notifications,
        warnings: to_json(&case.warnings)?,
        memory: to_json(&document)?,
        arm: case.memory.choice.as_ref().map(|choice| choice.first_draw().arm),
        updated_at: now.as_millisecond(),
    })
}

pub(super) fn encode(case: &Case, now: Timestamp) -> Result<Record<'_>, StoreError> {
    let [outcome_kind, outcome_detail, outcome_then] = case.outcome().map_or([None; 3], words_of);
    let Case {
        decline,
        contact,
        birth,
        ..
    } = case;
    let first = birth.first.as_ref();
    let recovered = case.closed_at.filter(|_| case.status() == Status::Recovered);
    let recovered = recovered.map(|at| local(&case.zone, at));
    let plan = encode_plan(case, now)?;
    Ok(Record {
        id: &case.id,
        connection: &case.connection,
        invoice_id: &case.invoice_id,
        campaign_name: &case.campaign.name,
        campaign_version: case.campaign.version,
        collector: case.collector,
        opened_at: case.opened_at.as_millisecond(),
        reversal_of: case.reversal_of.as_ref(),
        report_zone: birth.zone.as_deref(),
        cohort_day: birth.day,
        first_kind: first.map(|first| first.kind),
        first_disposition: first.map(|first| first.disposition),
        first_code: first.and_then(|first| first.code.as_deref()),
        network: birth.network.as_deref(),
        bank_country: birth.country.as_deref(),
        funding: birth.funding.as_deref(),
        plan: birth.plan.as_deref(),
        tenure_days: birth.tenure_days,
        monthly_minor: birth.monthly_minor,
        subscription_id: case.subscription_id.as_deref(),
        customer_id: &case.customer_id,
        amount_minor: case.amount_due.amount_minor,
        currency: case.amount_due.currency,
        status: case.status(),
        decline_kind: decline.kind,
        decline_disposition: decline.disposition,
        provider_code: decline.provider_code.as_deref(),
        network_code: decline.network_code.as_deref(),
        advice_code: decline.advice_code.as_deref(),
        closed_at: case.closed_at.map(Timestamp::as_millisecond),
        closed_day: case
            .closed_at
            .zip(birth.zone.as_deref())
            .map(|(at, name)| local(name, at).date()),
        recovered_weekday: recovered.map(|at| at.weekday().to_monday_one_offset().to_string()),
        recovered_hour: recovered.map(|at| format!("{:02}", at.hour())),
        outcome_kind,
        outcome_detail,
        outcome_then,
        zone: &case.zone,
        contact_email: contact.email.as_deref(),
        contact_alternate: contact.alternate.as_deref(),
        contact_name: contact.name.as_deref(),
        contact_locale: contact.locale.as_deref(),
        card_last4: case.memory.card.as_ref().map(|card| card.last4.as_str()),
        state: plan.state,
        next_action_at: plan.next_action_at,
        next_action_kind: plan.next_action_kind,
        next_action_why: plan.next_action_why,
        attempts: plan.attempts,
        notifications: plan.notifications,
        warnings: plan.warnings,
        memory: plan.memory,
        arm: plan.arm,
        updated_at: plan.updated_at,
    })
}

pub(super) fn decode(model: Model) -> Result<Case, StoreError> {
    let row = Row {
        table: "cases",
        id: &model.id,
    };
    let Document { state, timers, memory } = row.json("memory", &model.memory)?;
    let warnings: Vec<Warning> = row.json("warnings", &model.warnings)?;
    let birth = birth(row, &model)?;
    let codes = Codes {
        provider: model.provider_code,
        network: model.network_code,
        advice: model.advice_code,
    };
    let case = Case {
        connection: model.connection,
        invoice_id: model.invoice_id,
        subscription_id: model.subscription_id,
        customer_id: model.customer_id,
        amount_due: row.money(model.amount_minor, &model.currency)?,
        state: state.into_owned(),
        decline: row.decline(&model.decline_kind, &model.decline_disposition, codes)?,
        campaign: CampaignRef {
            name: model.campaign_name,
            version: row.count("campaign_version", model.campaign_version)?,
        },
        collector: row.word("collector", &model.collector)?,
        opened_at: row.instant("opened_at", model.opened_at)?,
        closed_at: row.maybe_instant("closed_at", model.closed_at)?,
        zone: model.zone,
        contact: Contact {
            email: model.contact_email,
            alternate: model.contact_alternate,
            name: model.contact_name,
            locale: model.contact_locale,
        },
        timers: timers.into_owned(),
        warnings,
        attempts: row.count("attempts", model.attempts)?,
        notifications: row.count("notifications", model.notifications)?,
        reversal_of: model.reversal_of.map(CaseId::from),
        birth,
        memory: memory.into_owned(),
        id: CaseId::from(model.id.clone()),
    };
    // The columns are what reports and people see, the document is what decides: they must tell the same story.
    let columns = [
        model.outcome_kind.as_deref(),
        model.outcome_detail.as_deref(),
        model.outcome_then.as_deref(),
    ];
    if case.status().as_str() != model.status
        || case.state_word() != model.state
        || case.outcome().map_or([None; 3], words_of) != columns
    {
        return Err(row.corrupt("its columns and its document tell different stories"));
    }
    Ok(case)
}

fn local(zone_name: &str, at: Timestamp) -> DateTime {
    zone(zone_name).to_datetime(at)
}

fn birth(row: Row<'_>, model: &Model) -> Result<Birth, StoreError> {
    let first = match (&model.first_kind, &model.first_disposition) {
        (Some(kind), Some(disposition)) => Some(FirstDecline {
            kind: row.word("first_kind", kind)?,
            disposition: row.word("first_disposition", disposition)?,
            code: model.first_code.clone(),
        }),
        (None | Some(_), _) => None,
    };
    let day = |text: &String| text.parse().map_err(|_| row.corrupt("cohort_day: not a day"));
    Ok(Birth {
        zone: model.report_zone.clone(),
        day: model.cohort_day.as_ref().map(day).transpose()?,
        first,
        network: model.network.clone(),
        country: model.bank_country.clone(),
        funding: model.funding.clone(),
        plan: model.plan.clone(),
        tenure_days: model.tenure_days,
        monthly_minor: model.monthly_minor,
    })
}

/// The outcome that the three columns of a row spell.
pub(in crate::store) fn outcome(row: Row<'_>, columns: [Option<&str>; 3]) -> Result<Option<Outcome>, StoreError> {
    let [kind, detail, then] = columns;
    let Some(kind) = kind else { return Ok(None) };
    let missing = || row.corrupt("a word of its outcome is missing");
    let detail = detail.ok_or_else(missing)?;
    let outcome = match row.word::<Status>("outcome_kind", kind)? {
        Status::Open => return Err(row.corrupt("outcome_kind: an open case has no outcome")),
        Status::Recovered => Outcome::Recovered {
            by: row.word("outcome_detail", detail)?,
        },
        Status::Exhausted => Outcome::Exhausted {
            reason: row.word("outcome_detail", detail)?,
            then: row.word("outcome_then", then.ok_or_else(missing)?)?,
        },
        Status::Stopped => Outcome::Stopped {
            why: row.word("outcome_detail", detail)?,
        },
    };
    Ok(Some(outcome))
}

/// The columns `outcome_kind`, `outcome_detail` and `outcome_then`.
fn words_of(outcome: Outcome) -> [Option<&'static str>; 3] {
    let kind = Some(outcome.status().as_str());
    match outcome {
        Outcome::Recovered { by } => [kind, Some(by.as_str()), None],
        Outcome::Exhausted { reason, then } => [kind, Some(reason.as_str()), Some(then.as_str())],
        Outcome::Stopped { why } => [kind, Some(why.as_str()), None],
    }
}
