//! What a shadow version would decide of a case, beside what was decided.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::plan;
use crate::domain::campaign::Campaign;
use crate::domain::case::{CampaignRef, Case};
use crate::domain::command::Moment;
use crate::domain::instrument::Tried;
use crate::domain::schedule::final_at;
use crate::domain::words::words;

words! {
    /// In what a shadow's plan differs.
    Differs {
        /// The next charge.
        Charge = "charge",
        /// The next message, or its instant.
        Message = "message",
        /// The end.
        End = "end",
    }
}

/// What a version plans of a case at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Plan {
    /// The next charge.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub charge_at: Option<Timestamp>,
    /// The next message, by the key of its step.
    pub step: Option<String>,
    /// When that is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub step_at: Option<Timestamp>,
    /// The final action.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub final_at: Option<Timestamp>,
}

/// Two plans of one case at one instant: the live one, which counts, and the shadow's, which is only kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The campaign, in the version of the shadow.
    pub shadow: CampaignRef,
    /// What was decided.
    pub live: Plan,
    /// What the shadow would have decided.
    pub other: Plan,
}

impl Plan {
    /// In what another plan differs.
    pub fn differs(&self, other: &Self) -> Vec<Differs> {
        let message = (&self.step, self.step_at) != (&other.step, other.step_at);
        let told = [
            (Differs::Charge, self.charge_at != other.charge_at),
            (Differs::Message, message),
            (Differs::End, self.final_at != other.final_at),
        ];
        told.into_iter()
            .filter(|(_, differs)| *differs)
            .map(|(word, _)| word)
            .collect()
    }

    /// What is planned of a case.
    pub fn of(case: &Case) -> Self {
        let notice = case.timers.notice.as_ref();
        Self {
            charge_at: case.timers.charge_at,
            step: notice.map(|(step, _)| step.clone()),
            step_at: notice.map(|(_, at)| *at),
            // That the end waits for its notice is no plan.
            final_at: case.planned_end(),
        }
    }
}

/// Plans `before` by the shadow, as it has just been planned by its own campaign to become `after`.
pub(super) fn beside(before: Case, after: &Case, shadow: &Campaign, moment: &Moment<'_>, tried: &Tried) -> Shadowed {
    let mut case = before;
    case.timers.final_at = Some(final_at(case.campaign_since(), shadow, &case.zone));
    case.memory.end_planned = None;
    let moment = Moment {
        campaign: shadow,
        ..*moment
    };
    plan::replan(&mut case, &moment, tried);
    Shadowed {
        shadow: CampaignRef::of(shadow),
        live: Plan::of(after),
        other: Plan::of(&case),
    }
}
