//! Invoices of the time before Recoup: what is known of them makes a case that is born closed, so that reports begin with a past.

use jiff::Timestamp;

use super::close::{exhausted_reason, told};
use super::look::attempt_seen;
use super::open::{NoCase, first_failure, new_case, refuse};
use super::plan::take_decline;
use crate::domain::campaign::Campaign;
use crate::domain::case::{Birth, Case, Origin, State, Timers};
use crate::domain::command::{Command, Entry};
use crate::domain::event::{Opening, SeenAttempt};
use crate::domain::ids::CaseId;
use crate::domain::outcome::{ExhaustedThen, Outcome, RecoveredBy, StoppedWhy};
use crate::domain::snapshot::Snapshot;

/// The campaign that cases of the time before Recoup are pinned to. It takes no new case, for it has no segment.
pub const CAMPAIGN: &str = include_str!("past.toml");

/// An invoice whose first charge failed before Recoup was there, and whose end is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastInvoice {
    /// How it stood once its first charge had failed.
    pub first: Snapshot,
    /// When that was.
    pub failed_at: Timestamp,
    /// What is known of it besides; it counts where the invoice itself does not tell.
    pub also: Birth,
    /// The charges after it that failed, oldest first, and who made them.
    pub later: Vec<(SeenAttempt, Origin)>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub end: PastEnd,
}

/// How an invoice of the past ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PastEnd {
    /// It was paid.
    Paid {
        /// Whose doing that was.
        by: RecoveredBy,
        /// The charge that paid it, where it is known.
        charge_id: Option<String>,
    },
    /// It was not paid, and nobody charged it any more.
    Exhausted {
        /// What became of the subscription or invoice.
        then: ExhaustedThen,
    },
    /// The chase became pointless.
    Stopped {
        /// Why.
        why: StoppedWhy,
    },
}

/// A case of the past, with all that is written of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The case.
    pub case: Case,
    /// The lines of its timeline, each with its own instant.
    pub lines: Vec<(Timestamp, Entry)>,
    /// What to record with it.
    pub commands: Vec<Command>,
}

/// The case of an invoice of the past; or why it has none, by the rules that hold for the present. Nothing is planned, learned or
/// written to anybody.
pub fn past(id: CaseId, opening: &Opening, invoice: &PastInvoice, campaign: &Campaign) -> Result<Past, NoCase> {
    refuse(&invoice.first)?;
    let mut case = new_case(id, opening, &invoice.first, (campaign, invoice.failed_at));
    add(&mut case.birth, &invoice.also);
    let (opened, attempt) = first_failure(&case, &invoice.first);
    let mut lines = vec![(case.opened_at, opened)];
    let mut commands = vec![attempt];
    for (seen, origin) in &invoice.later {
        take_decline(&mut case, &seen.decline, seen.at);
        case.attempts = case.attempts.saturating_add(1);
        case.memory.known_charges.extend(seen.charge_id.clone());
        lines.push((seen.at, attempt_seen(seen, *origin)));
        commands.push(Command::RecordAttempt {
            seen: seen.clone(),
            origin: *origin,
        });
    }
    let outcome = match &invoice.end {
        PastEnd::Paid { by, charge_id } => {
            case.memory.paid_charge.clone_from(charge_id);
            Outcome::Recovered { by: *by }
        }
        PastEnd::Exhausted { then } => Outcome::Exhausted {
            reason: exhausted_reason(&case),
            then: *then,
        },
        PastEnd::Stopped { why } => Outcome::Stopped { why: *why },
    };
    case.state = State::Closed { outcome };
    case.closed_at = Some(invoice.ended_at);
    case.timers = Timers::default();
    case.warnings.clear();
    lines.push((invoice.ended_at, told(outcome)));
    Ok(Past { case, lines, commands })
}

fn add(birth: &mut Birth, also: &Birth) {
    let Birth {
        // These follow from the connection and from the decline.
        zone: _,
        day: _,
        first: _,
        network,
        country,
        funding,
        plan,
        tenure_days,
        monthly_minor,
    } = also;
    let texts = [
        (&mut birth.network, network),
        (&mut birth.country, country),
        (&mut birth.funding, funding),
        (&mut birth.plan, plan),
    ];
    for (is, else_is) in texts {
        *is = is.take().or_else(|| else_is.clone());
    }
    birth.tenure_days = birth.tenure_days.or(*tenure_days);
    birth.monthly_minor = birth.monthly_minor.or(*monthly_minor);
}
