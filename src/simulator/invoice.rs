//! Failed invoices: what can be seen of one, and what stands behind it.

use super::calendar::{DAY, day_of, local, midnight};
use super::dice::{Dice, bell, mixed, share};
use super::world::{Place, whole};
use crate::domain::decline::DeclineKind;
use crate::domain::network::Network;

/// The hour at which pay arrives.
const PAY_HOUR: i32 = 3;
/// The first day on which an invoice fails.
const FIRST_DAY: i32 = 20;
/// The last day on which an invoice fails.
const LAST_DAY: i32 = 720;
/// How many days the luck of a balance is remembered.
const MEMORY_DAYS: i32 = 5;
/// How much of it is left from day to day.
const MEMORY: f64 = 0.6;
/// How much luck moves a balance, where 1 is what is owed.
const LUCK: f64 = 0.9;

/// What keeps a charge from succeeding.
#[derive(Clone, Copy, Debug)]
enum Behind {
    /// The balance: a charge succeeds while it is above zero.
    Balance {
        /// The group of people, which tells the paydays.
        group: Option<usize>,
        /// What is there without pay.
        base: f64,
        /// What pay adds on its day.
        pay: f64,
        /// How long it lasts.
        lasts_days: f64,
    },
    /// Something that is over at some hour: a hold, an outage of the card's own, a limit, an old card.
    Until(i32),
    /// Nothing changes it.
    Always,
}

/// A failed invoice.
#[derive(Clone, Debug)]
pub struct Invoice {
    /// Its number in the world.
    pub id: u64,
    /// The hour at which it failed.
    pub failed_at: i32,
    /// The kind of its decline.
    pub kind: DeclineKind,
    /// What is owed, in minor units.
    pub amount_minor: i64,
    /// The hour from which on it is paid by the customer, who was asked to; none where it never is.
    pub pays_at: Option<i32>,
    /// Its money is taken back weeks after it came.
    pub returned_late: bool,
    /// What carries its charges.
    pub network: Network,
    behind: Behind,
    issuer: usize,
}

impl Invoice {
    /// `count` invoices that failed, in order of time.
    pub fn some(place: &Place, count: u32) -> Vec<Self> {
        let mut dice = Dice::new(mixed(place.seed, 2));
        let mut invoices = Vec::new();
        let span = f64::from((LAST_DAY - FIRST_DAY) * DAY);
        let mut id = 0;
        while invoices.len() < count as usize {
            id += 1;
            let passed = span * f64::from(u32::try_from(invoices.len()).unwrap_or(0)) / f64::from(count);
            let failed_at = midnight(FIRST_DAY) + whole(passed) + whole(dice.share() * 24.0);
            let invoice = Self::drawn(place, &mut dice, id, failed_at);
            // What is drawn may well succeed: then it is no failure, and no invoice of ours.
            if !invoice.would_succeed(place, failed_at) {
                invoices.push(invoice);
            }
        }
        invoices.sort_by_key(|invoice| (invoice.failed_at, invoice.id));
        invoices
    }

    fn drawn(place: &Place, dice: &mut Dice, id: u64, failed_at: i32) -> Self {
        let chosen = dice.pick(place.kinds.iter().map(|(_, share)| *share));
        let kind = place
            .kinds
            .get(chosen)
            .map_or(DeclineKind::DoNotHonor, |(kind, _)| *kind);
        let asked = place.pays_when_asked.get(&kind).copied().unwrap_or(0.0);
        let answers = dice.share() < asked;
        let pays_at = failed_at + 12 + whole(dice.wait(84.0));
        Self {
            id,
            failed_at,
            kind,
            amount_minor: i64::from(whole((3.0 + 0.6 * dice.normal()).exp() * 100.0)).max(100),
            pays_at: answers.then_some(pays_at),
            returned_late: dice.share() < place.world.returned_late,
            network: network(place, id),
            behind: behind(place, dice, kind, failed_at),
            issuer: Place::some_issuer(dice),
        }
    }

    /// Whether a charge at an hour would bring the money.
    pub fn would_succeed(&self, place: &Place, hour: i32) -> bool {
        let number = u64::from(hour.unsigned_abs());
        let refused = share(mixed(mixed(place.seed, 3) ^ mixed(self.id, 3), number));
        if refused < place.false_declines(local(hour)) || place.is_down(self.issuer, hour) {
            return false;
        }
        match self.behind {
            Behind::Always => false,
            Behind::Until(over) => over <= hour,
            Behind::Balance {
                group,
                base,
                pay,
                lasts_days,
            } => {
                let paid = group.and_then(|group| days_since_pay(place, group, hour));
                let left = paid.map_or(0.0, |days| pay * (-days / lasts_days).exp());
                base + left + LUCK * self.luck(place, day_of(hour)) > 0.0
            }
        }
    }

    /// Whether no time heals it.
    pub fn is_for_good(&self) -> bool {
        matches!(self.behind, Behind::Always)
    }

    /// How many days from an hour to the next pay of the account; nothing where no pay fills it.
    pub fn days_to_pay(&self, place: &Place, hour: i32) -> Option<i32> {
        let Behind::Balance { group, .. } = self.behind else {
            return None;
        };
        let since = &place.groups_at(hour).get(group?)?.since_payday;
        let today = usize::try_from(day_of(hour)).ok()?;
        let next = since.iter().skip(today + 1).position(|days| *days == 0)?;
        i32::try_from(next + 1).ok()
    }

    /// The luck of a day, which resembles that of the days before.
    fn luck(&self, place: &Place, day: i32) -> f64 {
        let own = mixed(mixed(place.seed, 4), self.id);
        let (mut sum, mut squares, mut weight) = (0.0, 0.0, 1.0);
        for back in 0..MEMORY_DAYS {
            sum += weight * bell(mixed(own, u64::from((day - back).unsigned_abs())));
            squares += weight * weight;
            weight *= MEMORY;
        }
        sum / f64::sqrt(squares)
    }
}

/// The network of an invoice. Its luck is its own, so that what else is drawn does not depend on it.
fn network(place: &Place, id: u64) -> Network {
    let mut dice = Dice::new(mixed(mixed(place.seed, 6), id));
    let chosen = dice.pick(place.networks.iter().map(|(_, share)| *share));
    place
        .networks
        .get(chosen)
        .map_or(Network::Unknown, |(network, _)| *network)
}

fn days_since_pay(place: &Place, group: usize, hour: i32) -> Option<f64> {
    let since = &place.groups_at(hour).get(group)?.since_payday;
    // Before the hour of pay it is still yesterday's.
    let at = hour - PAY_HOUR;
    let days = since.get(usize::try_from(day_of(at)).ok()?)?;
    Some(f64::from(*days) + f64::from(local(at)) / f64::from(DAY))
}

/// What stands behind a decline. The shares are assumptions; `worlds.json` says so.
fn behind(place: &Place, dice: &mut Dice, kind: DeclineKind, failed_at: i32) -> Behind {
    let after = |hours: f64| Behind::Until(failed_at + 1 + whole(hours));
    match kind {
        DeclineKind::InsufficientFunds => balance(place, dice, failed_at),
        DeclineKind::DoNotHonor => match dice.share() {
            0.0..0.45 => balance(place, dice, failed_at),
            0.45..0.75 => after(dice.wait(50.0)),
            _ => Behind::Always,
        },
        DeclineKind::IssuerDown => after(dice.wait(5.0)),
        DeclineKind::Limit if dice.share() < 0.6 => Behind::Until(midnight(day_of(failed_at) + 1)),
        DeclineKind::Limit => Behind::Until(next_month(place, failed_at)),
        DeclineKind::Expired if dice.share() < 0.35 => after(dice.wait(96.0)),
        DeclineKind::Expired
        | DeclineKind::InvalidAccount
        | DeclineKind::LostStolen
        | DeclineKind::Fraud
        | DeclineKind::NotPermitted
        | DeclineKind::AuthenticationRequired
        | DeclineKind::Revoked
        | DeclineKind::MerchantConfig => Behind::Always,
    }
}

/// A balance: mostly one that pay fills, and else one that is nearly always empty.
fn balance(place: &Place, dice: &mut Dice, failed_at: i32) -> Behind {
    let groups = place.groups_at(failed_at);
    let group = (!groups.is_empty()).then(|| dice.pick(groups.iter().map(|group| group.share)));
    let (chronic, size) = (dice.share() < 0.28, dice.normal());
    let (base, pay, lasts_days) = match (chronic, group) {
        (true, _) => (-1.6 + 0.3 * dice.normal(), 0.75, 3.0),
        (false, Some(_)) => (
            -1.0 + 0.4 * dice.normal(),
            3.0 * (0.3 * size).exp(),
            2.0 + 6.0 * dice.share(),
        ),
        (false, None) => (-0.3 + 0.5 * dice.normal(), 0.0, 1.0),
    };
    Behind::Balance {
        group,
        base,
        pay,
        lasts_days,
    }
}

fn next_month(place: &Place, hour: i32) -> i32 {
    let days = place.days.iter().skip_while(|day| day.number <= day_of(hour));
    let mut firsts = days.filter(|day| day.of_month == 1);
    firsts.next().map_or(i32::MAX, |day| midnight(day.number))
}
