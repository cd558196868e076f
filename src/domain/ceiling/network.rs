//! What the rules of its network say of one charge, over everything that was tried on the same instrument.

use jiff::Timestamp;
use serde::Serialize;

use super::rules::{Form, NetworkRule, Rules, hours};
use super::{Rule, Verdict};
use crate::domain::decline::{DeclineKind, Disposition};
use crate::domain::ids::CaseId;
use crate::domain::instrument::{Instrument, PastAttempt};
use crate::domain::money::Money;

/// A charge that may be made.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// What is charged.
    pub instrument: &'a Instrument,
    /// How much.
    pub amount: Money,
    /// For which case.
    pub case_id: &'a CaseId,
    /// When.
    pub at: Timestamp,
}

/// What one rule said, and what it counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The rule.
    pub rule: Rule,
    /// What it said.
    pub verdict: Verdict,
    /// How many attempts it counted, where it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<u32>,
    /// The most it allows, where it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

impl Said {
    pub(super) const fn plain(rule: Rule, verdict: Verdict) -> Self {
        Self {
            rule,
            verdict,
            counted: None,
            limit: None,
        }
    }
}

/// What the ceiling says of a charge. `history` holds every attempt on the same instrument, oldest first.
pub fn ceiling(rules: &Rules, charge: &Charge<'_>, history: &[PastAttempt]) -> Verdict {
    consult(rules, charge, history).fold(Verdict::Allowed, |verdict, said| verdict.and(said.verdict))
}

/// What each rule says that binds the charge, in their order.
pub fn consult<'a>(
    rules: &'a Rules,
    charge: &'a Charge<'a>,
    history: &'a [PastAttempt],
) -> impl Iterator<Item = Said> + 'a {
    let Instrument { network, country, .. } = charge.instrument;
    let binding = rules
        .rules
        .iter()
        .filter(|rule| rule.binds(*network, country.as_deref(), charge.at));
    let spent = std::iter::once_with(|| Said::plain(Rule::TerminalDecline, terminal(history)));
    spent.chain(binding.map(|rule| say(rules, rule, charge, history)))
}

/// An instrument that was declined for good is not charged again, for whichever invoice, until somebody gets a charge of it
/// through.
fn terminal(history: &[PastAttempt]) -> Verdict {
    let since_approval = history.iter().rev().take_while(|past| !past.is_approved());
    let for_good = since_approval.filter_map(|past| past.decline.as_ref()).any(|decline| {
        // What is wrong with our own request says nothing of the instrument.
        decline.disposition == Disposition::Never && decline.kind != DeclineKind::MerchantConfig
    });
    if for_good {
        Verdict::Never(Rule::TerminalDecline)
    } else {
        Verdict::Allowed
    }
}

fn say(rules: &Rules, rule: &NetworkRule, charge: &Charge<'_>, history: &[PastAttempt]) -> Said {
    let name = rule.rule;
    let never = |never: bool| {
        let verdict = if never { Verdict::Never(name) } else { Verdict::Allowed };
        Said::plain(name, verdict)
    };
    let mut declines = history.iter().filter_map(|past| Some((past, past.decline.as_ref()?)));
    match &rule.form {
        Form::NeverAfter { field, codes } => never(declines.any(|(_, decline)| {
            let code = field.of(decline);
            codes.iter().any(|listed| code == Some(listed.code.as_str()))
        })),
        Form::NeverAfterCategory { category } => never(
            declines
                .any(|(past, decline)| rules.category(charge.instrument.network, decline, past.at) == Some(*category)),
        ),
        Form::NeverIn { countries } => {
            let country = charge.instrument.country.as_ref();
            never(country.is_some_and(|country| countries.contains(country)))
        }
        Form::OnlyAfter { network, provider } => never(declines.any(|(past, decline)| {
            let listed = match (&decline.network_code, &decline.provider_code) {
                (Some(code), _) => network.contains(code),
                (None, Some(code)) => provider.contains(code),
                (None, None) => false,
            };
            past.case_id == *charge.case_id && !listed
        })),
        Form::WaitAfter { field, codes } => {
            let end = |(past, decline)| {
                let code = field.of(decline)?;
                let wait = codes.iter().find(|listed| listed.code == code)?;
                Some(later(past, wait.hours))
            };
            let until = declines.filter_map(end).max();
            let verdict = until.filter(|until| charge.at < *until);
            Said::plain(
                name,
                verdict.map_or(Verdict::Allowed, |until| Verdict::NotBefore(until, name)),
            )
        }
        Form::AtMost { .. } => at_most(rule, charge, history),
        Form::Represent { .. } => represent(rule, charge, history),
    }
}

/// Counts backwards. When the attempt falls out of the span that is the oldest of a full count, there is room again.
fn at_most(rule: &NetworkRule, charge: &Charge<'_>, history: &[PastAttempt]) -> Said {
    let Form::AtMost {
        attempts,
        hours,
        same_amount,
        until_approval,
        ..
    } = rule.form
    else {
        return Said::plain(rule.rule, Verdict::Allowed);
    };
    let mut counted = 0;
    let mut verdict = Verdict::Allowed;
    for past in history.iter().rev() {
        if until_approval && past.is_approved() {
            break;
        }
        let counts = past.is_made() && !past.is_approved() && (!same_amount || past.amount == charge.amount);
        let leaves = later(past, hours);
        if !counts || leaves <= charge.at {
            continue;
        }
        counted += 1;
        if counted == attempts {
            verdict = Verdict::NotBefore(leaves, rule.rule);
        }
    }
    Said {
        rule: rule.rule,
        verdict,
        counted: Some(counted),
        limit: Some(attempts),
    }
}

/// Judges by the attempts for the same case alone: another invoice is another debit.
fn represent(rule: &NetworkRule, charge: &Charge<'_>, history: &[PastAttempt]) -> Said {
    let Form::Represent {
        times,
        hours,
        same_amount,
    } = rule.form
    else {
        return Said::plain(rule.rule, Verdict::Allowed);
    };
    let mut made = history
        .iter()
        .filter(|past| past.case_id == *charge.case_id && past.is_made());
    let Some(first) = made.next() else {
        return Said::plain(rule.rule, Verdict::Allowed);
    };
    let again = u32::try_from(made.count()).unwrap_or(u32::MAX);
    let spent = times.is_some_and(|times| again >= times);
    let late = later(first, hours) < charge.at;
    let other = same_amount && first.amount != charge.amount;
    let verdict = if spent || late || other {
        Verdict::Never(rule.rule)
    } else {
        Verdict::Allowed
    };
    Said {
        rule: rule.rule,
        verdict,
        counted: Some(again),
        limit: times,
    }
}

/// So many hours after an attempt.
fn later(past: &PastAttempt, after: u32) -> Timestamp {
    past.at.saturating_add(hours(after)).unwrap_or(Timestamp::MAX)
}
