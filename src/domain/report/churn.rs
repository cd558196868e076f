//! Customers lost to failed payments and those kept, by the month in which their cases ended.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Cell, Cohort, Rate, TooLarge};
use crate::domain::money::Currency;
use crate::domain::outcome::{ExhaustedThen, Outcome, StoppedWhy};

/// What each figure means.
pub const DEFINITIONS: [(&str, &str); 10] = [
    (
        "month",
        "The month in which the cases ended, in the zone of their connection. This is not the cohort of the recovery report.",
    ),
    (
        "involuntary",
        "Cases that were exhausted and whose subscription was cancelled for it. A subscription of which two invoices were exhausted \
         counts twice.",
    ),
    (
        "won_back",
        "Those of `involuntary` whose customer has paid the first invoice of another subscription since, with money; a trial is no return \
         yet. One new subscription wins back one that was lost, the last. Whenever that was: the months of the past still gain.",
    ),
    (
        "involuntary_net_rate",
        "Involuntary, less won back, by active at the start of the month.",
    ),
    (
        "unpaid",
        "Cases that were exhausted and whose subscription was left unpaid. It still exists, so it is not in `involuntary`.",
    ),
    (
        "voluntary_in_dunning",
        "Cases that were stopped because the customer cancelled meanwhile. Shown beside, never within, the involuntary ones.",
    ),
    (
        "active_at_start",
        "The subscriptions that were active when the month began, as uploaded by `POST /v1/active-subscriptions`. None \
         where a connection that has cases in the month has no number: nothing else is known of customers whose payments do not fail.",
    ),
    (
        "involuntary_rate",
        "Involuntary by active at the start of the month. None where that was not uploaded.",
    ),
    (
        "monthly_lost_minor, monthly_won_back_minor, monthly_saved_minor",
        "What the subscriptions of involuntary, of won back (as it was when they were lost), and of recovered cases bring in a month, in \
         minor units. Not known of cases whose prices are not fixed; they count as nought.",
    ),
    (
        "value",
        "What was saved, estimated: the monthly money of recovered cases, times the margin, divided by the share of customers who \
         leave in a month anyway. Cost is charges times fee and messages times price. All four are inputs that you gave. What was saved \
         by cost is the return; cost by a month of margin the time to pay back.",
    ),
];

/// What is assumed to put a value on what was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Assumed {
    /// How much of the money is margin, in hundredths of a percent.
    pub margin_parts_per_10k: u32,
    /// Which share of customers leaves in a month, in hundredths of a percent.
    pub monthly_churn_parts_per_10k: u32,
    /// What a charge costs, in minor units of each currency.
    pub attempt_fee_minor: i64,
    /// What a message costs, in minor units of each currency.
    pub message_cost_minor: i64,
}

/// One month.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Month {
    /// The month, `2026-03`.
    pub month: String,
    /// Subscriptions lost to failed payments.
    pub involuntary: u64,
    /// Those of them whose customers are back.
    pub won_back: u64,
    /// Subscriptions left unpaid.
    pub unpaid: u64,
    /// Subscriptions that their customers cancelled during the chase.
    pub voluntary_in_dunning: u64,
    /// Cases recovered.
    pub recovered: u64,
    /// The subscriptions that were active when the month began, where known.
    pub active_at_start: Option<u64>,
    /// Involuntary of active.
    pub involuntary_rate: Option<Rate>,
    /// Involuntary, less won back, of active.
    pub involuntary_net_rate: Option<Rate>,
    /// Voluntary in dunning of active.
    pub voluntary_in_dunning_rate: Option<Rate>,
    /// The money, by currency.
    pub money: BTreeMap<String, Monthly>,
}

/// What subscriptions bring in a month, and what the chase cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Monthly {
    /// Of those lost to failed payments.
    pub monthly_lost_minor: i64,
    /// Of those of them who are back, as it was.
    pub monthly_won_back_minor: i64,
    /// Of those recovered.
    pub monthly_saved_minor: i64,
    /// Charges of all cases that ended, whoever made them.
    pub attempts: i64,
    /// Messages of all cases that ended.
    pub messages: i64,
    /// What was saved, where it was asked for.
    pub value: Option<Value>,
}

/// What was saved, by what is assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Value {
    /// Margin over the time that customers stay, in minor units.
    pub saved_minor: i64,
    /// What charges and messages cost, in minor units.
    pub cost_minor: i64,
    /// Saved by cost, in hundredths; none where nothing was spent.
    pub return_parts_per_100: Option<i64>,
    /// After how many months the margin of what was saved has paid the cost, in hundredths; none where nothing was saved.
    pub payback_months_parts_per_100: Option<i64>,
}

/// Cases of one month and currency whose customers are back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WonBack {
    /// How many.
    pub cases: u64,
    /// What their subscriptions brought in a month, in minor units.
    pub monthly_minor: i64,
}

/// The months of the cells, oldest first. `won_back` says by month and currency of how many cases the customers are back; `active` says by
/// month and connection how many subscriptions were active when it began; a month has that number only where each of its connections has
/// one, since else cases would be divided by the subscriptions of others.
pub fn churn(
    cells: &[Cell],
    won_back: &BTreeMap<(String, Currency), WonBack>,
    active: &BTreeMap<(String, String), u64>,
    assumed: Option<Assumed>,
) -> Result<Vec<Month>, TooLarge> {
    let mut months: BTreeMap<String, Month> = BTreeMap::new();
    let mut connections = BTreeSet::new();
    for cell in cells {
        let label = Cohort::Month.label(cell.day);
        connections.insert((label.clone(), cell.connection.clone()));
        let month = months.entry(label.clone()).or_insert_with(|| Month {
            month: label,
            ..Month::default()
        });
        take(month, cell)?;
    }
    for ((label, currency), won) in won_back {
        if let Some(month) = months.get_mut(label) {
            month.won_back += won.cases;
            let money = month.money.entry(currency.code().to_owned()).or_default();
            money.monthly_won_back_minor = won.monthly_minor;
        }
    }
    for month in months.values_mut() {
        let its = connections.iter().filter(|(label, _)| *label == month.month);
        month.active_at_start = its.map(|key| active.get(key).copied()).sum();
        let of_active = |part| Rate::of_counts(part, month.active_at_start?);
        month.involuntary_rate = of_active(month.involuntary);
        month.involuntary_net_rate = of_active(month.involuntary.saturating_sub(month.won_back));
        month.voluntary_in_dunning_rate = of_active(month.voluntary_in_dunning);
        for money in month.money.values_mut() {
            money.value = assumed.map(|assumed| worth(money, assumed)).transpose()?;
        }
    }
    Ok(months.into_values().collect())
}

fn take(month: &mut Month, cell: &Cell) -> Result<(), TooLarge> {
    let counts = &cell.counts;
    let cases = u64::try_from(counts.cases).map_err(|_| TooLarge)?;
    let money = month.money.entry(cell.currency.code().to_owned()).or_default();
    let add = |sum: &mut i64, more: i64| {
        *sum = sum.checked_add(more).ok_or(TooLarge)?;
        Ok(())
    };
    add(&mut money.attempts, counts.attempts)?;
    add(&mut money.messages, counts.messages)?;
    match cell.outcome {
        Some(Outcome::Recovered { .. }) => {
            month.recovered += cases;
            add(&mut money.monthly_saved_minor, counts.monthly_minor)?;
        }
        Some(Outcome::Exhausted { then, .. }) => match then {
            ExhaustedThen::Cancelled => {
                month.involuntary += cases;
                add(&mut money.monthly_lost_minor, counts.monthly_minor)?;
            }
            ExhaustedThen::Unpaid => month.unpaid += cases,
            ExhaustedThen::Paused | ExhaustedThen::Uncollectible | ExhaustedThen::LeftOpen => {}
        },
        Some(Outcome::Stopped {
            why: StoppedWhy::CustomerCancelled,
        }) => month.voluntary_in_dunning += cases,
        Some(Outcome::Stopped { .. }) | None => {}
    }
    Ok(())
}

fn worth(money: &Monthly, assumed: Assumed) -> Result<Value, TooLarge> {
    let whole = |number: i128| i64::try_from(number).map_err(|_| TooLarge);
    let margin = i128::from(money.monthly_saved_minor) * i128::from(assumed.margin_parts_per_10k);
    let saved = margin / i128::from(assumed.monthly_churn_parts_per_10k.max(1));
    let attempts = i128::from(money.attempts) * i128::from(assumed.attempt_fee_minor);
    let cost = attempts + i128::from(money.messages) * i128::from(assumed.message_cost_minor);
    let back = (cost > 0).then(|| whole(saved * 100 / cost)).transpose()?;
    let payback = (margin > 0)
        .then(|| whole((cost * 100 * 10_000 + margin - 1) / margin))
        .transpose()?;
    Ok(Value {
        saved_minor: whole(saved)?,
        cost_minor: whole(cost)?,
        return_parts_per_100: back,
        payback_months_parts_per_100: payback,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::{ExhaustedReason, RecoveredBy};
    use crate::domain::report::Counts;

    fn cell(day: &str, outcome: Outcome, cases: i64) -> Cell {
        Cell {
            day: day.parse().unwrap(),
            value: String::new(),
            connection: "stripe".to_owned(),
            currency: "EUR".parse().unwrap(),
            outcome: Some(outcome),
            retryable: true,
            counts: Counts {
                cases,
                monthly_minor: cases * 1_000,
                attempts: cases * 4,
                messages: cases * 3,
                ..Counts::default()
            },
        }
    }

    #[test]
    fn those_lost_those_who_left_and_those_kept_stand_apart() {
        let exhausted = |then| Outcome::Exhausted {
            reason: ExhaustedReason::AttemptsSpent,
            then,
        };
        let why = StoppedWhy::CustomerCancelled;
        let cells = [
            cell("2026-03-01", exhausted(ExhaustedThen::Cancelled), 3),
            cell("2026-03-01", exhausted(ExhaustedThen::Unpaid), 2),
            cell("2026-03-01", Outcome::Stopped { why }, 4),
            cell("2026-03-01", Outcome::Recovered { by: RecoveredBy::Retry }, 5),
            cell("2026-04-01", exhausted(ExhaustedThen::Cancelled), 1),
        ];
        let assumed = Assumed {
            margin_parts_per_10k: 8_000,
            monthly_churn_parts_per_10k: 400,
            attempt_fee_minor: 10,
            message_cost_minor: 1,
        };
        let active = BTreeMap::from([(("2026-03".to_owned(), "stripe".to_owned()), 1_000)]);
        let won = WonBack {
            cases: 1,
            monthly_minor: 1_000,
        };
        let back = BTreeMap::from([(("2026-03".to_owned(), "EUR".parse().unwrap()), won)]);
        let [march, april] = &churn(&cells, &back, &active, Some(assumed)).unwrap()[..] else {
            panic!("two months")
        };
        assert_eq!(
            (
                march.involuntary,
                march.unpaid,
                march.voluntary_in_dunning,
                march.recovered
            ),
            (3, 2, 4, 5)
        );
        assert_eq!(march.involuntary_rate.as_ref().unwrap().percent, "0.30");
        assert_eq!(march.won_back, 1);
        assert_eq!(march.involuntary_net_rate.as_ref().unwrap().percent, "0.20");
        let money = march.money["EUR"];
        assert_eq!(money.monthly_won_back_minor, 1_000);
        assert_eq!((money.monthly_lost_minor, money.monthly_saved_minor), (3_000, 5_000));
        // 5,000 a month, 80 % of it margin, for 25 months; 14 cases with four charges and three messages each.
        let value = money.value.unwrap();
        assert_eq!((value.saved_minor, value.cost_minor), (100_000, 14 * (4 * 10 + 3)));
        assert_eq!(value.return_parts_per_100, Some(100_000 * 100 / 602));
        // 602 of 4,000 a month.
        assert_eq!(value.payback_months_parts_per_100, Some(16));
        assert_eq!((april.active_at_start, &april.involuntary_rate), (None, &None));
    }

    #[test]
    fn a_month_is_not_divided_by_the_subscriptions_of_some_connections() {
        let why = StoppedWhy::CustomerCancelled;
        let first = cell("2026-03-01", Outcome::Stopped { why }, 4);
        let second = Cell {
            connection: "other".to_owned(),
            ..first.clone()
        };
        let of = |connection: &str, count| (("2026-03".to_owned(), connection.to_owned()), count);
        let rate = |active: BTreeMap<_, _>| {
            let months = churn(&[first.clone(), second.clone()], &BTreeMap::new(), &active, None).unwrap();
            (months[0].active_at_start, months[0].voluntary_in_dunning_rate.clone())
        };
        assert_eq!(rate([of("stripe", 1_000)].into()), (None, None));
        let (active, share) = rate([of("stripe", 1_000), of("other", 600)].into());
        assert_eq!((active, share.unwrap().percent.as_str()), (Some(1_600), "0.50"));
    }
}
