//! Who brought the money back, told in three ways side by side: by mechanism, by the last message, and against the holdout.

use serde::Serialize;

use super::uplift::{AgainstHoldout, Verdict};
use super::{Rate, Row, Sum, TooLarge};
use crate::domain::outcome::RecoveredBy;
use crate::domain::words::words;

words! {
    /// A way to say who brought the money back.
    Way {
        /// What closed the case, exactly one for each.
        Mechanism = "mechanism",
        /// The last message that had left within the seven days before.
        LastTouch = "last_touch",
        /// Against customers who are held out.
        Uplift = "uplift",
    }
}

/// What each figure means.
pub const DEFINITIONS: [(&str, &str); 4] = [
    (
        "mechanism",
        "What closed the case, exactly one for each recovered case: our retry, a retry of the provider, our charge of a new payment \
         method, the customer on the provider's page, or outside the provider. `credited` are `retry` and `card_update`: charges of ours.",
    ),
    (
        "last_touch",
        "The last message that the mail server had taken within the seven days before the recovery; `none` where there was none. \
         `credited` are all but `none`. That it came after a message does not mean that it came because of it.",
    ),
    (
        "uplift",
        "The recovered share of customers whose charges are planned by what was learned, less that of customers who are held out, with \
         the interval in which the truth lies 95 times of 100. It is the only one of the three that says what would not have come by \
         itself, and it says it only of how charges are planned, not of messages. Its days begin in the zone of the connection where there \
         is one, else in UTC; see the uplift report.",
    ),
    (
        "share",
        "Its part of all money that was recovered in that currency, of the cases opened in the span. Currencies are never added together.",
    ),
];

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Claim {
    /// The way.
    pub way: Way,
    /// What the money is put down to.
    pub to: String,
    /// The currency of the money.
    pub currency: String,
    /// The recovered cases, and their money.
    pub recovered: Sum,
    /// Their part of all recovered money in that currency.
    pub share: Option<Rate>,
    /// Whether the way puts it down to us.
    pub credited: bool,
}

/// What each way puts down to us, in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Credited {
    /// The currency.
    pub currency: String,
    /// All that was recovered.
    pub recovered: Sum,
    /// By mechanism.
    pub mechanism: Sum,
    /// Its part of the recovered money.
    pub mechanism_share: Option<Rate>,
    /// By the last message.
    pub last_touch: Sum,
    /// Its part of the recovered money.
    pub last_touch_share: Option<Rate>,
}

/// The three ways.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Attribution {
    /// What each way puts down to us, by currency.
    pub credited: Vec<Credited>,
    /// The lines of the first two ways.
    pub data: Vec<Claim>,
    /// The third way: the difference to the holdout, with its verdict.
    pub uplift: AgainstHoldout,
    /// The verdict in one word, as in `uplift`.
    pub verdict: Verdict,
}

/// The totals of the recovery report, not split and split by message, and the comparison with the holdout, as one table.
pub fn attribution(whole: &[Row], by_message: &[Row], uplift: AgainstHoldout) -> Result<Attribution, TooLarge> {
    let mut data = Vec::new();
    let mut credited = Vec::new();
    for row in whole.iter().filter(|row| row.recovered.cases > 0) {
        let mechanisms = RecoveredBy::ALL.iter().map(|by| {
            let ours = matches!(by, RecoveredBy::Retry | RecoveredBy::CardUpdate);
            (
                by.as_str(),
                row.recovered_by.get(by.as_str()).copied().unwrap_or_default(),
                ours,
            )
        });
        let messages = by_message.iter().filter(|other| other.currency == row.currency);
        let messages = messages.map(|other| {
            let name = other.group.as_deref().unwrap_or_default();
            (name, other.recovered, name != NO_MESSAGE)
        });
        let mechanisms = claims(row, Way::Mechanism, mechanisms);
        let messages = claims(row, Way::LastTouch, messages);
        let [mechanism, last_touch] = [ours(&mechanisms)?, ours(&messages)?];
        credited.push(Credited {
            currency: row.currency.clone(),
            recovered: row.recovered,
            mechanism,
            mechanism_share: share(mechanism, row),
            last_touch,
            last_touch_share: share(last_touch, row),
        });
        data.extend(mechanisms);
        data.extend(messages);
    }
    Ok(Attribution {
        credited,
        data,
        verdict: uplift.verdict,
        uplift,
    })
}

/// What a report by message calls the cases without one.
const NO_MESSAGE: &str = "none";

fn claims<'a>(whole: &Row, way: Way, parts: impl Iterator<Item = (&'a str, Sum, bool)>) -> Vec<Claim> {
    let mut claims: Vec<Claim> = parts
        .filter(|(_, recovered, _)| recovered.cases > 0)
        .map(|(to, recovered, credited)| Claim {
            way,
            to: to.to_owned(),
            currency: whole.currency.clone(),
            recovered,
            share: share(recovered, whole),
            credited,
        })
        .collect();
    claims.sort_by(|one, other| {
        other
            .recovered
            .amount_minor
            .cmp(&one.recovered.amount_minor)
            .then(one.to.cmp(&other.to))
    });
    claims
}

fn share(part: Sum, whole: &Row) -> Option<Rate> {
    Rate::of_amounts(part.amount_minor, whole.recovered.amount_minor)
}

fn ours(claims: &[Claim]) -> Result<Sum, TooLarge> {
    let mut sum = Sum::default();
    for claim in claims.iter().filter(|claim| claim.credited) {
        sum.cases += claim.recovered.cases;
        sum.amount_minor = sum
            .amount_minor
            .checked_add(claim.recovered.amount_minor)
            .ok_or(TooLarge)?;
    }
    Ok(sum)
}
