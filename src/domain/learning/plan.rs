//! The next charge of a case: when its arm wants it, and whether it is worth making at all.
//!
//! Charges that crowd together meet the same empty account. So every arm but the fixed lists stays near the instant that an
//! even spacing of what is left would give (the anchor), and chooses around it.

use serde::{Deserialize, Serialize};

use super::arms::Arm;
use super::dice::Dice;
use super::hazard::{Features, Past, Weights};
use super::slots::Slot;
use crate::domain::decline::DeclineKind;

/// Of the part of the window that one charge has, how much before its anchor is looked at, and how much after.
const BEFORE: f64 = 0.6;
const AFTER: f64 = 0.3;
/// What an hour away from the anchor costs, in logarithms of odds.
const AWAY: f64 = 0.015;
/// The same for paydays, in shares of people paid.
const AWAY_PAYDAY: f64 = 0.0005;
/// By how much of their deviations the weights are drawn anew for each decision, so that neighbours are tried too.
const CURIOUS: f64 = 0.1;
/// The least hours after the failure and between two charges.
const FIRST_HOURS: u16 = 14;
const GAP_HOURS: u16 = 18;
/// The same where the issuer was out of reach, which is over soon.
const SOON_HOURS: u16 = 2;
/// The local hour of what is done by day.
const NINE: u8 = 9;
/// The days of the lists that begin early and late.
const FRONT_DAYS: [u16; 8] = [1, 3, 5, 7, 9, 11, 13, 14];
const LATE_DAYS: [u16; 4] = [3, 7, 10, 14];
/// A charge is given up where it would not be worth it even if its chance is so many deviations better than we think.
const HOPE_DEVIATIONS: f64 = 2.0;
/// The hours of a day.
const DAY: u16 = 24;

/// What a charge costs and brings besides its amount.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Terms {
    /// What a charge costs, in minor units.
    pub fee_minor: u32,
    /// What is left of an amount once what was sold is paid for, in percent.
    pub margin_percent: u8,
    /// Of ten thousand customers, how many leave because of one failed charge.
    pub leaving_per_ten_thousand: u16,
    /// The payments that a customer who leaves would still have made.
    pub payments_lost: u16,
}

impl Default for Terms {
    /// 0.12 for the charge and 0.02 for the network's advice; three in a thousand who would have paid for a year.
    fn default() -> Self {
        Self {
            fee_minor: 14,
            margin_percent: 80,
            leaving_per_ten_thousand: 30,
            payments_lost: 12,
        }
    }
}

/// What is known when the next charge of a case is planned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Why it failed.
    pub kind: DeclineKind,
    /// Hours since the failure.
    pub now: u16,
    /// Hours from the failure to the last charge, where one was made since.
    pub last: Option<u16>,
    /// How many charges were made since the failure.
    pub made: u8,
    /// How many may be made.
    pub budget: u8,
    /// For how many hours after the failure charges are made.
    pub window: u16,
    /// What is owed, in minor units.
    pub amount_minor: i64,
    /// The seed of the case.
    pub seed: u64,
}

/// The next charge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Next {
    /// Its hour.
    pub slot: Slot,
    /// What tells of it.
    pub features: Features,
    /// The chance that it succeeds.
    pub chance: f64,
    /// The instant of an even spacing, in hours after the failure.
    pub anchor: u16,
    /// The chance at the hour nearest to the anchor, for comparison.
    pub chance_at_anchor: f64,
    /// What it is expected to be worth, in minor units.
    pub value_minor: f64,
}

/// Why no further charge is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoNext {
    /// All charges are spent.
    Spent,
    /// The window is over.
    Over,
    /// It would cost more than it can be hoped to bring.
    Hopeless,
}

impl Ask {
    /// The hours that can be chosen from and the anchor among them; nothing where the window is over.
    fn stretch(&self) -> Option<(u16, u16, f64)> {
        let left = self.budget.saturating_sub(self.made);
        let since = self.last.unwrap_or(0);
        let part = f64::from(self.window.saturating_sub(since)) / f64::from(left.max(1));
        let anchor = (f64::from(since) + part).max(f64::from(self.now) + 1.0);
        let first = self.last.map_or(self.first(), |last| last.saturating_add(self.gap()));
        let from = hour(libm::ceil(anchor - BEFORE * part))
            .max(first)
            .max(self.now.saturating_add(1));
        let to = hour(libm::floor(anchor + AFTER * part)).min(self.window);
        (from <= self.window).then(|| (from, to.max(from), anchor))
    }

    /// The first hour from `from` on in which a limit that refused the last charge may have begun anew: limits of cards count by
    /// the day of their holder. Other kinds have none.
    fn after_reset(&self, from: u16, calendar: &dyn Fn(u16) -> Slot) -> Option<u16> {
        if self.kind != DeclineKind::Limit {
            return Some(from);
        }
        let spent_on = calendar(self.last.unwrap_or(0)).month_day;
        (from..=self.window).find(|hour| calendar(*hour).month_day != spent_on)
    }

    fn gap(&self) -> u16 {
        if self.is_soon() { SOON_HOURS } else { GAP_HOURS }
    }

    fn first(&self) -> u16 {
        if self.is_soon() { SOON_HOURS } else { FIRST_HOURS }
    }

    fn is_soon(&self) -> bool {
        self.kind == DeclineKind::IssuerDown
    }

    fn features(&self, slot: &Slot) -> Features {
        let past = Past {
            last: self.last,
            made: self.made,
        };
        Features::new(slot, past)
    }
}

/// The next charge by an arm. `calendar` tells of the hour that begins so many hours after the failure.
pub fn next(
    arm: Arm,
    ask: &Ask,
    weights: &Weights,
    terms: &Terms,
    calendar: &dyn Fn(u16) -> Slot,
) -> Result<Next, NoNext> {
    if ask.made >= ask.budget {
        return Err(NoNext::Spent);
    }
    let (from, to, anchor) = ask.stretch().ok_or(NoNext::Over)?;
    let from = ask.after_reset(from, calendar).ok_or(NoNext::Over)?;
    let to = to.max(from);
    let slots = || (from..=to).map(calendar);
    let away = |slot: &Slot| (f64::from(slot.after) - anchor).abs();
    let chosen = match arm {
        Arm::Adaptive => {
            let drawn = weights.drawn(&mut Dice::new(ask.seed ^ u64::from(ask.made)), CURIOUS);
            highest(slots(), |slot| drawn.odds(&ask.features(slot)) - AWAY * away(slot))
        }
        Arm::Payday => highest(slots().filter(is_nine), |slot| slot.payday - AWAY_PAYDAY * away(slot)),
        Arm::Even => highest(slots().filter(is_nine), |slot| -away(slot)),
        Arm::Front => listed(ask, &FRONT_DAYS, calendar),
        Arm::Late => listed(ask, &LATE_DAYS, calendar),
    };
    let listed = matches!(arm, Arm::Front | Arm::Late);
    // A stretch may be too short to have a nine in the morning: then its hour nearest to the anchor is taken.
    let nearest = if listed {
        None
    } else {
        highest(slots(), |slot| -away(slot))
    };
    let slot = chosen.or(nearest).ok_or(NoNext::Over)?;
    let features = ask.features(&slot);
    if value(ask, terms, weights.chance_at_best(&features, HOPE_DEVIATIONS)) <= 0.0 {
        return Err(NoNext::Hopeless);
    }
    let chance = weights.chance(&features);
    let even = calendar(hour(anchor).min(ask.window));
    Ok(Next {
        slot,
        features,
        chance,
        anchor: hour(anchor),
        chance_at_anchor: weights.chance(&ask.features(&even)),
        value_minor: value(ask, terms, chance),
    })
}

/// What a charge of that chance is expected to be worth, in minor units: what it brings, less its fee, less the customers
/// who leave because it failed.
pub fn value(ask: &Ask, terms: &Terms, chance: f64) -> f64 {
    // Amounts are far below what a float holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "an estimate, not a booking")]
    let worth = ask.amount_minor as f64 * f64::from(terms.margin_percent) / 100.0;
    let lost = worth * f64::from(terms.payments_lost) * f64::from(terms.leaving_per_ten_thousand) / 10_000.0;
    chance * worth - f64::from(terms.fee_minor) - (1.0 - chance) * lost
}

/// The most charges that a case is given for a kind. Where the answer says less of when, fewer are worth their price.
pub fn charges_at_most(kind: DeclineKind) -> u8 {
    match kind {
        DeclineKind::InsufficientFunds => 8,
        DeclineKind::DoNotHonor | DeclineKind::IssuerDown => 6,
        DeclineKind::Limit => 4,
        // The network may renew the card's data by itself.
        DeclineKind::Expired => 2,
        DeclineKind::InvalidAccount
        | DeclineKind::LostStolen
        | DeclineKind::Fraud
        | DeclineKind::NotPermitted
        | DeclineKind::AuthenticationRequired
        | DeclineKind::Revoked
        | DeclineKind::MerchantConfig => 0,
    }
}

/// What a case was worth to its arm: the share of what was owed that is left once its charges are paid for, from 0 to 1.
pub fn reward(paid: bool, made: u8, amount_minor: i64, terms: &Terms) -> f64 {
    if !paid {
        return 0.0;
    }
    // Amounts are far below what a float holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "an estimate, not a booking")]
    let amount = amount_minor.max(1) as f64;
    (1.0 - f64::from(made) * f64::from(terms.fee_minor) / amount).clamp(0.0, 1.0)
}

fn is_nine(slot: &Slot) -> bool {
    slot.hour == NINE
}

/// The first of those with the highest score.
fn highest(slots: impl Iterator<Item = Slot>, score: impl Fn(&Slot) -> f64) -> Option<Slot> {
    let mut best: Option<(f64, Slot)> = None;
    for slot in slots {
        let score = score(&slot);
        if best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, slot));
        }
    }
    best.map(|(_, slot)| slot)
}

/// Nine in the morning of the first day of a list that is still to come.
fn listed(ask: &Ask, days: &[u16], calendar: &dyn Fn(u16) -> Slot) -> Option<Slot> {
    let first = u16::from(calendar(0).hour);
    let earliest = ask.last.map_or(0, |last| last + ask.gap() / 2).max(ask.now + 1);
    days.iter()
        .map(|day| (day * DAY + u16::from(NINE)).saturating_sub(first))
        // The clock may have changed since; then it is nine an hour earlier or later.
        .filter_map(|after| {
            [after, after.saturating_sub(1), after + 1]
                .into_iter()
                .map(calendar)
                .find(is_nine)
        })
        .find(|slot| slot.after >= earliest && slot.after <= ask.window)
}

/// Whole hours of the window, which are few.
fn hour(hours: f64) -> u16 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let whole = hours as u16;
    whole
}
