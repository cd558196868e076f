//! The funnel: how far the cases of a cohort got on the way from the failed charge to the money.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{By, Rate, Sum, TooLarge};
use crate::domain::money::Currency;
use crate::domain::words::words;

words! {
    /// A stage of the way.
    Stage {
        /// The automatic charge failed.
        Failed = "failed",
        /// Recovered before any message had left.
        RecoveredSilently = "recovered_silently",
        /// A message that asks for money was given to the mail server.
        WrittenTo = "written_to",
        /// The mail server took one, and it did not come back.
        Delivered = "delivered",
        /// The customer used the page behind the links.
        Clicked = "clicked",
        /// The payment method changed.
        CardChanged = "card_changed",
        /// The invoice was paid.
        Paid = "paid",
    }
}

/// The stages that follow one another.
const WAY: [Stage; 6] = [
    Stage::Failed,
    Stage::WrittenTo,
    Stage::Delivered,
    Stage::Clicked,
    Stage::CardChanged,
    Stage::Paid,
];

/// What each figure means.
pub const DEFINITIONS: [(&str, &str); 9] = [
    (
        "reached",
        "The cases that reached the stage while they were open, whichever others they reached; their money is what was owed.",
    ),
    (
        "in_turn",
        "Those of them that had reached each stage before it as well. Who pays by a retry skips stages, so `in_turn` is smaller. \
         `recovered_silently` is no stage on the way but a way out, so both are the same there.",
    ),
    (
        "recovered",
        "Of the cases that reached the stage, those that were recovered, whether because of it or not; their money is what was paid.",
    ),
    (
        "recovered_silently",
        "Recovered, and no message that asks for money had been given to the mail server before.",
    ),
    (
        "written_to",
        "At least one message that asks for money was given to the mail server: taken, refused, or without a clear answer. Messages \
         that are kept because there is no mail server do not count.",
    ),
    (
        "delivered",
        "The mail server took at least one of them and no report says that it came back. Whether it was read nobody knows: opens are \
         not measured.",
    ),
    (
        "clicked",
        "The customer pressed a button on the page behind the links in messages. Only opening it does not count, for mail scanners open \
         links too; nor do links that lead straight to the provider's pages, which is all there is without `http.public_url`.",
    ),
    (
        "card_changed",
        "A new payment method, or new data of the known one, whether from the customer or from the networks' updater.",
    ),
    ("paid", "Recovered by any means, as in the recovery report."),
];

/// Cases of one group and currency that took the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// What they are split by; nothing where it is not known.
    pub value: String,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The stages that they reached, besides the first.
    pub stages: Vec<Stage>,
    /// How many are still open.
    pub open: u64,
    /// How many they are, and what was owed.
    pub all: Sum,
    /// What was paid of those recovered, in minor units.
    pub recovered_minor: i64,
}

/// A stage with those who reached it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StageRow {
    /// The stage.
    pub stage: Stage,
    /// The cases that reached it, and what was owed.
    pub reached: Sum,
    /// Those that reached every stage before it, too.
    pub in_turn: Sum,
    /// Of those that reached it, the recovered ones, and what was paid.
    pub recovered: Sum,
    /// Reached of failed, by cases.
    pub of_failed: Option<Rate>,
    /// In turn, of those that were in turn at the stage before; none at the first stage and at `recovered_silently`.
    pub of_before: Option<Rate>,
    /// Recovered of reached, by cases.
    pub recovered_of_reached: Option<Rate>,
}

/// The funnel of a group and a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Funnel {
    /// The group that `by` asked for.
    pub group: Option<String>,
    /// The currency of the amounts.
    pub currency: String,
    /// The share of the cases that are closed; at 100 the funnel no longer changes.
    pub maturity: Option<Rate>,
    /// The stages, first to last.
    pub stages: Vec<StageRow>,
}

/// A funnel for each group and currency, in that order.
pub fn funnels(paths: &[Path], by: By) -> Result<Vec<Funnel>, TooLarge> {
    let mut groups: BTreeMap<(Option<String>, Currency), Vec<&Path>> = BTreeMap::new();
    for path in paths {
        let place = (by.group(&path.value), path.currency);
        groups.entry(place).or_default().push(path);
    }
    let funnel = |((group, currency), its): ((_, Currency), Vec<&Path>)| {
        let open: u64 = its.iter().map(|path| path.open).sum();
        let stages = stages(&its)?;
        let all = stages[0].reached.cases;
        Ok(Funnel {
            group,
            currency: currency.code().to_owned(),
            maturity: Rate::of_counts(all.saturating_sub(open), all),
            stages,
        })
    };
    groups.into_iter().map(funnel).collect()
}

fn stages(paths: &[&Path]) -> Result<Vec<StageRow>, TooLarge> {
    let mut rows: Vec<StageRow> = Vec::with_capacity(Stage::ALL.len());
    let mut before = None;
    for stage in Stage::ALL {
        let reached = sum(paths, |path| reached(path, *stage), |path| path.all)?;
        let place = WAY.iter().position(|one| one == stage);
        let in_turn = match place {
            Some(place) => sum(
                paths,
                |path| WAY[..=place].iter().all(|one| self::reached(path, *one)),
                |path| path.all,
            )?,
            None => reached,
        };
        let recovered = sum(
            paths,
            |path| self::reached(path, *stage) && self::reached(path, Stage::Paid),
            |path| Sum {
                cases: path.all.cases,
                amount_minor: path.recovered_minor,
            },
        )?;
        let failed = rows.first().map_or(reached.cases, |first| first.reached.cases);
        rows.push(StageRow {
            stage: *stage,
            reached,
            in_turn,
            recovered,
            of_failed: Rate::of_counts(reached.cases, failed),
            of_before: before
                .filter(|_| place.is_some())
                .and_then(|before| Rate::of_counts(in_turn.cases, before)),
            recovered_of_reached: Rate::of_counts(recovered.cases, reached.cases),
        });
        if place.is_some() {
            before = Some(in_turn.cases);
        }
    }
    Ok(rows)
}

fn reached(path: &Path, stage: Stage) -> bool {
    stage == Stage::Failed || path.stages.contains(&stage)
}

fn sum(paths: &[&Path], counts: impl Fn(&Path) -> bool, what: impl Fn(&Path) -> Sum) -> Result<Sum, TooLarge> {
    let mut sum = Sum::default();
    for path in paths.iter().filter(|path| counts(path)) {
        let more = what(path);
        sum.cases = sum.cases.checked_add(more.cases).ok_or(TooLarge)?;
        sum.amount_minor = sum.amount_minor.checked_add(more.amount_minor).ok_or(TooLarge)?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(stages: &[Stage], cases: u64, recovered_minor: i64) -> Path {
        Path {
            value: String::new(),
            currency: "EUR".parse().unwrap(),
            stages: stages.to_vec(),
            open: 0,
            all: Sum {
                cases,
                amount_minor: 100,
            },
            recovered_minor,
        }
    }

    #[test]
    fn who_skips_a_stage_is_not_in_turn_after_it() {
        use Stage::{CardChanged, Clicked, Delivered, Paid, RecoveredSilently, WrittenTo};
        let paths = [
            path(&[], 2, 0),
            path(&[RecoveredSilently, Paid], 3, 90),
            path(&[WrittenTo, Delivered, Paid], 5, 80),
            path(&[WrittenTo, Delivered, Clicked, CardChanged, Paid], 7, 70),
            path(&[WrittenTo], 11, 0),
        ];
        let [funnel] = &funnels(&paths, By::None).unwrap()[..] else {
            panic!("one group")
        };
        let counts: Vec<(u64, u64, u64)> = funnel
            .stages
            .iter()
            .map(|row| (row.reached.cases, row.in_turn.cases, row.recovered.cases))
            .collect();
        let expected = [
            (28, 28, 15),
            (3, 3, 3),
            (23, 23, 12),
            (12, 12, 12),
            (7, 7, 7),
            (7, 7, 7),
            (15, 7, 15),
        ];
        assert_eq!(counts, expected);
        assert_eq!(funnel.stages[2].recovered.amount_minor, 150);
        assert_eq!(funnel.stages[2].of_before.as_ref().unwrap().percent, "82.14");
        assert_eq!(
            (&funnel.stages[0].of_before, &funnel.stages[1].of_before),
            (&None, &None)
        );
    }
}
