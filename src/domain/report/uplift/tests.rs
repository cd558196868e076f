//! The report against worlds whose truth is known, and against second, naive computations.

use proptest::prelude::*;

use super::off_policy::EFFECTIVE_MIN;
use super::*;
use crate::domain::decline::DeclineKind;
use crate::domain::learning::arms::Arms;
use crate::domain::learning::dice::Dice;

const MENU: [Arm; 3] = [Arm::Adaptive, Arm::Payday, Arm::Even];

fn draw(arm: Arm, propensity: f64) -> Draw {
    Draw {
        kind: DeclineKind::InsufficientFunds,
        arm,
        propensity,
        held_out: false,
        drawable: Some(MENU.into_iter().collect()),
    }
}

fn held_out() -> Draw {
    Draw {
        held_out: true,
        drawable: None,
        ..draw(Arm::Even, 1.0)
    }
}

/// A case of a customer of its own whose window is over.
pub(super) fn fact(number: usize, draw: Option<Draw>, recovered: bool) -> UpliftFact {
    UpliftFact {
        customer: format!("stripe cus_{number}"),
        campaign: ("default".to_owned(), 1),
        opened_at: Timestamp::UNIX_EPOCH,
        currency: "EUR".parse().unwrap(),
        status: if recovered {
            Status::Recovered
        } else {
            Status::Exhausted
        },
        window_over: true,
        net_minor: if recovered { 1985 } else { -42 },
        draw,
        provider_collects: false,
        overridden: false,
    }
}

fn parts(estimate: Option<&Estimate>) -> [i64; 3] {
    let estimate = estimate.unwrap();
    [&estimate.low, &estimate.share, &estimate.high].map(|rate| rate.parts_per_10k)
}

fn of_arm(report: &Uplift, arm: Arm) -> &ArmValue {
    report.off_policy.arms.iter().find(|value| value.arm == arm).unwrap()
}

#[test]
fn each_case_is_counted_once_under_the_reason_that_holds() {
    let alter = |number, change: fn(&mut UpliftFact)| {
        let mut fact = fact(number, Some(draw(Arm::Adaptive, 0.5)), true);
        change(&mut fact);
        fact
    };
    let facts = vec![
        fact(0, None, true),
        fact(1, Some(held_out()), false),
        fact(2, Some(draw(Arm::Even, 0.5)), true),
        alter(3, |fact| fact.provider_collects = true),
        alter(4, |fact| {
            (fact.window_over, fact.status) = (false, Status::Open);
        }),
        alter(5, |fact| fact.overridden = true),
        alter(6, |fact| fact.draw.as_mut().unwrap().drawable = None),
        alter(7, |fact| {
            fact.draw.as_mut().unwrap().drawable = Some([Arm::Adaptive].into_iter().collect());
        }),
    ];
    let report = uplift(&facts);
    let counts = Counts {
        opened: 8,
        never_drawn: 1,
        provider_collects: 1,
        held_out: 1,
        drawn: 5,
        window_over: 5,
    };
    assert_eq!(report.cases, counts);
    let left_out = LeftOut {
        window_open: 1,
        one_arm: 2,
        overridden: 1,
    };
    assert_eq!((report.off_policy.cases, report.off_policy.left_out), (1, left_out));
    let names: Vec<(&str, u64, u64)> = report
        .groups
        .iter()
        .map(|group| (group.group.as_str(), group.cases, group.window_over.cases))
        .collect();
    assert_eq!(
        names,
        [("held_out", 1, 1), ("drawn", 5, 4), ("adaptive", 4, 3), ("even", 1, 1)]
    );
    let drawn = &report.groups[1];
    assert_eq!((drawn.closed, drawn.recovered, drawn.window_over.recovered), (4, 4, 4));
    assert_eq!(drawn.maturity.as_ref().unwrap().percent, "80.00");
}

#[test]
fn it_says_not_yet_where_that_is_so_and_why() {
    let nobody = uplift(&[fact(1, Some(draw(Arm::Even, 0.5)), true)]).against_holdout;
    assert_eq!(
        (nobody.verdict, nobody.why, nobody.difference),
        (Verdict::NotYet, texts::NOBODY_HELD_OUT, None)
    );
    let mut young = fact(2, Some(held_out()), false);
    young.window_over = false;
    let early = uplift(&[fact(1, Some(draw(Arm::Even, 0.5)), true), young]).against_holdout;
    assert_eq!((early.verdict, early.why), (Verdict::NotYet, texts::NO_WINDOW_OVER));
    // 13 of 20 against 9 of 20 is not enough; 200 and 200 are.
    let world = |times: usize| {
        let cases = (0..40 * times).map(|number| {
            let (side, place) = (number % 2, number / 2 % 20);
            let draw = if side == 0 {
                draw(Arm::Adaptive, 0.5)
            } else {
                held_out()
            };
            fact(number, Some(draw), place < if side == 0 { 13 } else { 9 })
        });
        uplift(&cases.collect::<Vec<_>>()).against_holdout
    };
    let few = world(1);
    assert_eq!((few.verdict, few.why), (Verdict::NotYet, texts::WITH_NOUGHT));
    assert_eq!(few.difference.as_ref().unwrap().points.percent, "20.00");
    assert!(few.needed[0].seen && few.needed[0].still > 100, "{:?}", few.needed);
    let examples: Vec<(&str, bool)> = few.needed[1..]
        .iter()
        .map(|one| (one.points.percent.as_str(), one.seen))
        .collect();
    assert_eq!(examples, [("5.00", false), ("3.00", false), ("2.00", false)]);
    assert!(
        few.needed.windows(2).all(|two| two[0].cases < two[1].cases),
        "{:?}",
        few.needed
    );
    let many = world(10);
    assert_eq!((many.verdict, many.why), (Verdict::Ahead, texts::WITHOUT_NOUGHT));
    assert_eq!(many.needed[0].still, 0, "{:?}", many.needed);
    // 0.65 and 0.45 at two hundred each, by hand: Wilson (0.5816, 0.7126) and (0.3826, 0.5193); Newcombe from both.
    let difference = many.difference.unwrap();
    let limits = [difference.low, difference.high].map(|rate| rate.parts_per_10k);
    assert!(
        limits[0].abs_diff(1027) <= 2 && limits[1].abs_diff(2921) <= 2,
        "{limits:?}"
    );
}

#[test]
fn only_what_was_opened_since_somebody_is_held_out_is_compared() {
    let mut facts: Vec<UpliftFact> = (0..10)
        .map(|number| fact(number, Some(draw(Arm::Even, 0.5)), false))
        .collect();
    let later: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    for number in 10..16 {
        let draw = if number % 2 == 0 {
            draw(Arm::Even, 0.5)
        } else {
            held_out()
        };
        facts.push(UpliftFact {
            opened_at: later,
            ..fact(number, Some(draw), true)
        });
    }
    let found = uplift(&facts).against_holdout;
    assert_eq!(
        (found.since, found.drawn.cases, found.held_out.cases),
        (Some(later), 3, 3)
    );
    assert_eq!(found.difference.unwrap().points.parts_per_10k, 0);
}

#[test]
fn money_is_compared_by_currency_and_from_thirty_customers_on() {
    let money = |number: usize, draw, currency: &str, net_minor| UpliftFact {
        currency: currency.parse().unwrap(),
        net_minor,
        ..fact(number, Some(draw), true)
    };
    let mut facts = Vec::new();
    for number in 0..40 {
        let apart = i64::try_from(number % 2).unwrap() * 200 - 100;
        facts.push(money(number, draw(Arm::Even, 0.5), "EUR", 1000 + apart));
        facts.push(money(number + 100, held_out(), "EUR", 900 + apart));
    }
    facts.extend((0..29).map(|number| money(number + 200, draw(Arm::Even, 0.5), "USD", 500)));
    facts.extend((0..40).map(|number| money(number + 300, held_out(), "USD", 100)));
    facts.push(money(400, draw(Arm::Even, 0.5), "JPY", 7));
    let report = uplift(&facts);
    let [eur, usd] = &report.against_holdout.net_values[..] else {
        panic!("{:?}", report.against_holdout.net_values)
    };
    // The variance of 40 values a hundred from their mean is 10,000 · 40 / 39; the mean's a fortieth; twice, and the root of it.
    let reach = (1.96 * (2.0 * 10_000.0 / 39.0_f64).sqrt()).round();
    assert_eq!((eur.currency.as_str(), eur.difference_minor, reach), ("EUR", 100, 44.0));
    assert_eq!(
        (eur.low_minor, eur.high_minor, eur.verdict),
        (Some(56), Some(144), Verdict::Ahead)
    );
    assert_eq!(
        (usd.difference_minor, usd.low_minor, usd.verdict),
        (400, None, Verdict::NotYet)
    );
    let drawn = &report.groups[1].net_values;
    let each: Vec<(&str, u64, i64)> = drawn
        .iter()
        .map(|value| (value.currency.as_str(), value.cases, value.mean_minor))
        .collect();
    assert_eq!(each, [("EUR", 40, 1000), ("JPY", 1, 7), ("USD", 29, 500)]);
    assert_eq!((drawn[0].low_minor, drawn[2].low_minor), (Some(969), None));
}

#[test]
fn an_estimate_needs_a_hundred_effective_cases() {
    let cases = |count: usize| -> Vec<UpliftFact> {
        (0..count)
            .map(|number| fact(number, Some(draw(Arm::Payday, 0.1)), number % 2 == 0))
            .collect()
    };
    let (few, enough) = (uplift(&cases(99)), uplift(&cases(100)));
    let value = of_arm(&few, Arm::Payday);
    assert!(value.snips.is_none() && value.doubly_robust.is_none());
    let said = "the cases that drew it tell as much as 99.0 of equal weight, and 100 are needed";
    assert_eq!(value.refused.as_deref(), Some(said));
    assert_eq!(value.weight_max.to_bits(), 10.0_f64.to_bits());
    assert!(
        of_arm(&few, Arm::Even).refused.is_some(),
        "nobody drew it, and it could be drawn"
    );
    let value = of_arm(&enough, Arm::Payday);
    assert_eq!((value.refused.as_deref(), value.verdict), (None, Verdict::NotYet));
    assert_eq!(parts(value.snips.as_ref())[1], 5000);
}

/// How a case of a generated world comes out, by its kind and arm.
type Truth = fn(DeclineKind, Arm) -> f64;

/// Cases of two kinds whose arms are drawn so that the better arm of a kind is drawn more often; the second half of them by other
/// probabilities than the first, as it is when a posterior learns.
fn world(seed: u64, count: usize, truth: Truth) -> Vec<UpliftFact> {
    let mut dice = Dice::new(seed);
    (0..count)
        .map(|number| {
            let kind = [DeclineKind::InsufficientFunds, DeclineKind::DoNotHonor][usize::from(dice.share() < 0.4)];
            let sure = if number < count / 2 { 0.5 } else { 0.8 };
            let favoured = if kind == DeclineKind::DoNotHonor {
                Arm::Even
            } else {
                Arm::Adaptive
            };
            let propensity = |arm| if arm == favoured { sure } else { (1.0 - sure) / 2.0 };
            let mut left = dice.share();
            let passed = |arm: &&Arm| {
                left -= propensity(**arm);
                left < 0.0
            };
            let arm = *MENU.iter().find(passed).unwrap_or(&Arm::Even);
            let drawn = Draw {
                kind,
                ..draw(arm, propensity(arm))
            };
            fact(number, Some(drawn), dice.share() < truth(kind, arm))
        })
        .collect()
}

/// Where arms do equally well and one is drawn more often for the kind that is hard to recover, its plain share looks worse;
/// the weighted ones do not, and their intervals hold what they say.
#[test]
fn weights_undo_what_the_draw_favours() {
    let truth: Truth = |kind, _| if kind == DeclineKind::DoNotHonor { 0.25 } else { 0.65 };
    let whole = 0.6 * 0.65 + 0.4 * 0.25;
    let holds = |estimate: Option<&Estimate>| {
        let [low, _, high] = parts(estimate);
        let value = Rate::of_share(whole).parts_per_10k;
        u32::from((low..=high).contains(&value))
    };
    let (mut plain, mut snips, mut robust) = (0, 0, 0);
    for seed in 0..200 {
        let report = uplift(&world(seed, 2400, truth));
        let value = of_arm(&report, Arm::Even);
        assert!(
            value.effective_cases > EFFECTIVE_MIN && value.weight_max > 9.9,
            "{value:?}"
        );
        snips += holds(value.snips.as_ref());
        robust += holds(value.doubly_robust.as_ref());
        plain += holds(report.groups.last().unwrap().window_over.share.as_ref());
    }
    assert!(plain < 10, "the plain share of the arm is about its own kinds: {plain}");
    assert!(
        (180..=199).contains(&snips) && (180..=199).contains(&robust),
        "{snips} {robust} of 200"
    );
}

/// The arm's truth differs by kind: the estimates find what it would bring in had it planned all.
#[test]
fn estimates_find_what_an_arm_would_bring_in() {
    let truth: Truth = |kind, arm| match (kind, arm) {
        (DeclineKind::DoNotHonor, Arm::Even) => 0.5,
        (DeclineKind::DoNotHonor, _) => 0.3,
        (_, Arm::Adaptive) => 0.7,
        _ => 0.55,
    };
    let report = uplift(&world(11, 60_000, truth));
    for arm in MENU {
        let all = 0.6 * truth(DeclineKind::InsufficientFunds, arm) + 0.4 * truth(DeclineKind::DoNotHonor, arm);
        let value = of_arm(&report, arm);
        for estimate in [&value.snips, &value.doubly_robust] {
            let [_, share, _] = parts(estimate.as_ref());
            assert!(
                share.abs_diff(Rate::of_share(all).parts_per_10k) < 200,
                "{arm} {share} {all}"
            );
        }
    }
}

/// Where arms change nothing, a difference is seen in about one of twenty looks, also if a customer's cases end alike.
#[test]
fn chance_is_not_taken_for_a_difference() {
    let mut dice = Dice::new(5);
    let mut told = 0;
    for _ in 0..400 {
        let mut facts = Vec::new();
        for number in 0..300 {
            let account = if dice.share() < 0.5 { 0.9 } else { 0.1 };
            let draw = if number % 4 == 0 {
                held_out()
            } else {
                draw(Arm::Even, 0.5)
            };
            for _ in 0..=number % 5 {
                facts.push(fact(number, Some(draw), dice.share() < account));
            }
        }
        told += u32::from(uplift(&facts).against_holdout.verdict != Verdict::NotYet);
    }
    assert!((8..=32).contains(&told), "{told} of 400");
}

/// An arm that could not always be drawn is compared where it could, with the holdout of the same place.
#[test]
fn an_arm_is_compared_with_the_holdout_of_where_it_could_be_drawn() {
    let (there, elsewhere) = (DeclineKind::InsufficientFunds, DeclineKind::Limit);
    let menu = |arms: &[Arm]| Some(arms.iter().copied().collect::<Arms>());
    let mut facts = Vec::new();
    for number in 0..1200 {
        let kind = if number % 2 == 0 { there } else { elsewhere };
        let drawn = match number % 6 {
            0 | 1 => Draw { kind, ..held_out() },
            _ if kind == there => draw([Arm::Payday, Arm::Even][number / 6 % 2], 0.5),
            _ => Draw {
                kind,
                drawable: menu(&[Arm::Adaptive, Arm::Even]),
                ..draw(Arm::Even, 0.5)
            },
        };
        // The other kind always recovers, and would hide what is so in this one.
        let recovered = kind == elsewhere || drawn.arm == Arm::Payday;
        facts.push(fact(number, Some(drawn), recovered));
    }
    let report = uplift(&facts);
    let payday = of_arm(&report, Arm::Payday);
    assert_eq!((payday.could_be_drawn, payday.drawn), (400, 200));
    assert_eq!(payday.against_holdout.as_ref().unwrap().points.percent, "100.00");
    assert_eq!(payday.verdict, Verdict::Ahead);
    let adaptive = of_arm(&report, Arm::Adaptive);
    assert_eq!(
        (adaptive.against_holdout.as_ref(), adaptive.why),
        (None, texts::TOO_FEW_EFFECTIVE)
    );
}

fn some_facts() -> impl Strategy<Value = Vec<UpliftFact>> {
    let one = (
        prop::sample::select(vec![Arm::Adaptive, Arm::Payday, Arm::Even]),
        prop::sample::select(vec![0.05, 0.2, 0.5, 0.9]),
        0_usize..200,
        any::<[bool; 6]>(),
        prop::sample::select(vec!["EUR", "JPY"]),
        -500_i64..100_000,
    );
    let one = one.prop_map(|(arm, propensity, customer, flags, currency, net_minor)| {
        let [recovered, window_over, is_held_out, overridden, drawn, other] = flags;
        let known = if is_held_out { held_out() } else { draw(arm, propensity) };
        UpliftFact {
            window_over,
            overridden: overridden && other,
            currency: currency.parse().unwrap(),
            net_minor,
            ..fact(customer, (drawn || other).then_some(known), recovered)
        }
    });
    prop::collection::vec(one, 0..500)
}

proptest! {
    /// Of each figure once more, from the cases alone.
    #[test]
    fn shares_and_weights_are_what_a_naive_count_gives(facts in some_facts()) {
        let report = uplift(&facts);
        let ripe: Vec<(&UpliftFact, Draw)> = facts
            .iter()
            .filter(|fact| fact.window_over)
            .filter_map(|fact| fact.draw.map(|draw| (fact, draw)))
            .collect();
        let held: Vec<_> = ripe.iter().filter(|(_, draw)| draw.held_out).collect();
        let won = held.iter().filter(|(fact, _)| fact.is_recovered()).count();
        let group = &report.groups[0].window_over;
        prop_assert_eq!((group.cases, group.recovered), (held.len() as u64, won as u64));
        let share = Rate::of_counts(won as u64, held.len() as u64);
        prop_assert_eq!(group.share.as_ref().map(|share| &share.share), share.as_ref());
        for value in &report.groups[0].net_values {
            let its = held.iter().filter(|(fact, _)| fact.currency.code() == value.currency);
            let minor: Vec<i64> = its.map(|(fact, _)| fact.net_minor).collect();
            let (sum, count) = (minor.iter().sum::<i64>(), i64::try_from(minor.len()).unwrap());
            prop_assert!((value.mean_minor * count - sum).abs() * 2 <= count, "{value:?} {sum} {count}");
        }
        for value in &report.off_policy.arms {
            let its: Vec<_> = ripe
                .iter()
                .filter(|(fact, draw)| draw.arm == value.arm && !draw.held_out && !fact.overridden)
                .collect();
            let weights: Vec<f64> = its.iter().map(|(_, draw)| 1.0 / draw.propensity).collect();
            let (sum, squares) = (weights.iter().sum::<f64>(), weights.iter().map(|one| one * one).sum::<f64>());
            let ess = if its.is_empty() { 0.0 } else { sum * sum / squares };
            prop_assert!((value.effective_cases - ess).abs() <= 0.1, "{value:?} {ess}");
            prop_assert_eq!(value.snips.is_some(), ess >= EFFECTIVE_MIN);
            if let Some(snips) = &value.snips {
                let won: f64 = its.iter().filter(|(fact, _)| fact.is_recovered()).map(|(_, draw)| 1.0 / draw.propensity).sum();
                prop_assert!(snips.share.parts_per_10k.abs_diff(Rate::of_share(won / sum).parts_per_10k) <= 1);
                prop_assert!(snips.low.parts_per_10k <= snips.share.parts_per_10k);
                prop_assert!(snips.high.parts_per_10k >= snips.share.parts_per_10k);
            }
        }
    }

    /// Where every arm is drawn alike, weighting changes nothing: both estimates are the plain share of the arm.
    #[test]
    fn of_uniform_draws_every_estimate_is_the_plain_share(outcomes in prop::collection::vec((0_usize..3, any::<bool>()), 600..900)) {
        let facts: Vec<UpliftFact> = outcomes
            .iter()
            .enumerate()
            .map(|(number, (arm, recovered))| fact(number, Some(draw(MENU[*arm], 1.0 / 3.0)), *recovered))
            .collect();
        let report = uplift(&facts);
        for value in &report.off_policy.arms {
            let plain = report.groups.iter().find(|group| group.group == value.arm.as_str()).unwrap();
            let share = plain.window_over.share.as_ref().unwrap();
            prop_assert_eq!(value.effective_cases.to_bits(), f64::from(u32::try_from(plain.cases).unwrap()).to_bits());
            for (found, plain) in parts(value.snips.as_ref()).into_iter().zip(parts(Some(share))) {
                prop_assert!(found.abs_diff(plain) <= 1, "{value:?} {share:?}");
            }
            let robust = parts(value.doubly_robust.as_ref())[1];
            prop_assert!(robust.abs_diff(share.share.parts_per_10k) <= 1, "{value:?}");
        }
    }
}
