//! A case as a row and back. The columns are what is queried or shown; the document holds what only the decider reads.

use jiff::Timestamp;
use sea_orm::ActiveValue::{NotSet, Set};
use serde::{Deserialize, Serialize};

use crate::domain::case::{CampaignRef, Case, Contact, Memory, State, Timers, Warning};
use crate::domain::ids::CaseId;
use crate::domain::outcome::{Outcome, Status};
use crate::store::StoreError;
use crate::store::entity::cases::{ActiveModel, Model};
use crate::store::row::{Codes, Row, to_json};

/// What the column `memory` holds. Every shape that was ever written must still be read.
#[derive(Serialize, Deserialize)]
struct Document {
    state: State,
    timers: Timers,
    memory: Memory,
}

pub(super) fn encode(case: &Case, now: Timestamp) -> Result<ActiveModel, StoreError> {
    let [outcome_kind, outcome_detail, outcome_then] = case.outcome().map_or([None; 3], words_of);
    let next = case.next_action();
    let document = Document {
        state: case.state.clone(),
        timers: case.timers.clone(),
        memory: case.memory.clone(),
    };
    Ok(ActiveModel {
        id: Set(case.id.to_string()),
        connection: Set(case.connection.clone()),
        invoice_id: Set(case.invoice_id.clone()),
        subscription_id: Set(case.subscription_id.clone()),
        customer_id: Set(case.customer_id.clone()),
        amount_minor: Set(case.amount_due.amount_minor),
        currency: Set(case.amount_due.currency.to_string()),
        status: Set(case.status().to_string()),
        state: Set(case.state_word().to_owned()),
        decline_kind: Set(case.decline.kind.to_string()),
        decline_disposition: Set(case.decline.disposition.to_string()),
        provider_code: Set(case.decline.provider_code.clone()),
        network_code: Set(case.decline.network_code.clone()),
        advice_code: Set(case.decline.advice_code.clone()),
        campaign_name: Set(case.campaign.name.clone()),
        campaign_version: Set(case.campaign.version.into()),
        collector: Set(case.collector.to_string()),
        opened_at: Set(case.opened_at.as_millisecond()),
        closed_at: Set(case.closed_at.map(Timestamp::as_millisecond)),
        outcome_kind: Set(outcome_kind.map(str::to_owned)),
        outcome_detail: Set(outcome_detail.map(str::to_owned)),
        outcome_then: Set(outcome_then.map(str::to_owned)),
        next_action_at: Set(next.as_ref().map(|next| next.at.as_millisecond())),
        next_action_kind: Set(next.as_ref().map(|next| next.kind.to_owned())),
        next_action_why: Set(next.map(|next| next.why)),
        attempts: Set(case.attempts.into()),
        notifications: Set(case.notifications.into()),
        zone: Set(case.zone.clone()),
        contact_email: Set(case.contact.email.clone()),
        contact_name: Set(case.contact.name.clone()),
        contact_locale: Set(case.contact.locale.clone()),
        reversal_of: Set(case.reversal_of.as_ref().map(CaseId::to_string)),
        warnings: Set(to_json(&case.warnings)?),
        memory: Set(to_json(&document)?),
        lease_owner: NotSet,
        lease_until: NotSet,
        fence: NotSet,
        updated_at: Set(now.as_millisecond()),
    })
}

pub(super) fn decode(model: Model) -> Result<Case, StoreError> {
    let row = Row {
        table: "cases",
        id: &model.id,
    };
    let Document { state, timers, memory } = row.json("memory", &model.memory)?;
    let warnings: Vec<Warning> = row.json("warnings", &model.warnings)?;
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
        state,
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
            name: model.contact_name,
            locale: model.contact_locale,
        },
        timers,
        warnings,
        attempts: row.count("attempts", model.attempts)?,
        notifications: row.count("notifications", model.notifications)?,
        reversal_of: model.reversal_of.map(CaseId::from),
        memory,
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
