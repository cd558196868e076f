//! The worlds as they stand in `worlds.json`, and what of them is the same for all invoices: paydays and outages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::calendar::{DAY, DAYS, Day, days, midnight};
use super::dice::{Dice, mixed};
use crate::domain::ceiling::Rules;
use crate::domain::decline::DeclineKind;
use crate::domain::network::Network;

/// How many issuers share the cards of a world: an outage of one strikes all of its cards.
const ISSUERS: u64 = 12;
/// The mean length of an outage in hours.
const OUTAGE_HOURS: f64 = 5.0;
/// No payday was seen yet.
const NEVER: i32 = 100;

/// All worlds, and what they share.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worlds {
    /// The version of the file's form.
    pub version: u32,
    /// What the numbers are.
    pub note: String,
    /// Where facts come from.
    pub sources: Vec<Source>,
    /// The worlds.
    #[serde(rename = "worlds")]
    pub all: Vec<World>,
    /// When people are paid, by the name of the calendar.
    pub pay: BTreeMap<String, Vec<Pay>>,
    /// The kinds of failures and their shares, where a world does not say otherwise.
    pub kinds: BTreeMap<DeclineKind, f64>,
    /// The share of customers who pay by themselves once they are asked.
    pub pays_when_asked: BTreeMap<DeclineKind, f64>,
    /// The networks that carry charges and their shares, where a world does not say otherwise.
    pub networks: BTreeMap<Network, f64>,
    /// The response code that a network gives with a kind; nothing where it gives none.
    pub codes: BTreeMap<DeclineKind, BTreeMap<Network, String>>,
    /// The advice that Mastercard gives with a kind.
    pub advice: BTreeMap<DeclineKind, Advice>,
}

/// Of the declines of a kind, the shares that come with advice.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// To wait for a time that somebody foresees, more or less well (24 to 30).
    pub timed: f64,
    /// To try later (02).
    pub later: f64,
    /// Not to try again (03), where no time would heal it.
    pub never_rightly: f64,
    /// The same where time would.
    pub never_wrongly: f64,
}

/// Where a fact comes from.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The fact.
    pub fact: String,
    /// Who states it.
    pub stated_by: String,
    /// How well it is known.
    pub grade: String,
}

/// One world.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// Its name.
    pub name: String,
    /// What is special about it.
    pub about: String,
    /// The country, which tells a service what paydays to expect; its people need not keep to them.
    pub country: String,
    /// The calendar of pay.
    pub pay: String,
    /// Another calendar from some day on.
    pub then: Option<Then>,
    /// How often an issuer declines what it could approve.
    pub false_declines: FalseDeclines,
    /// How often an issuer is out of reach.
    pub outages_a_month: f64,
    /// The kinds of failures, where they are not those of all worlds.
    pub kinds: Option<BTreeMap<DeclineKind, f64>>,
    /// The networks, where they are not those of all worlds.
    pub networks: Option<BTreeMap<Network, f64>>,
    /// How many hours an answer takes.
    #[serde(default)]
    pub answer_hours: i32,
    /// The share of successes that are taken back later.
    #[serde(default)]
    pub returned_late: f64,
}

/// A change of the calendar of pay.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Then {
    /// From which day of the world on.
    pub day: i32,
    /// The calendar from then on.
    pub pay: String,
}

/// Shares of declines that have nothing to do with the customer.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FalseDeclines {
    /// From midnight to six.
    pub night: f64,
    /// From nine to twenty; in between it is half of both.
    pub day: f64,
}

/// Some of the people, and when they are paid.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    /// Their share.
    pub share: f64,
    /// Their paydays.
    pub when: When,
}

/// Paydays. One of a month that falls on a weekend is the Friday before.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// Each week on that day, Monday is 0.
    Weekly(i8),
    /// Every other week.
    EveryOtherWeek {
        /// The day, Monday is 0.
        weekday: i8,
        /// The even weeks or the odd ones.
        week: i32,
    },
    /// Days of the month.
    Days(Vec<i8>),
    /// So many days before the month's last.
    BeforeMonthEnd(i8),
}

impl Worlds {
    /// The worlds that are built in.
    pub fn embedded() -> Self {
        serde_json::from_str(include_str!("worlds.json")).expect("the embedded worlds are checked by a test")
    }
}

/// Some of the people of a place.
#[derive(Debug)]
pub struct Group {
    /// Their share.
    pub share: f64,
    /// For each day, how many days ago they were paid.
    pub since_payday: Vec<i32>,
}

/// A world that has been brought about by a seed.
#[derive(Debug)]
pub struct Place {
    /// The world.
    pub world: World,
    /// What chance is drawn from.
    pub seed: u64,
    /// Its days.
    pub days: Vec<Day>,
    /// The shares of the kinds of failures.
    pub kinds: Vec<(DeclineKind, f64)>,
    /// The share of customers who pay once they are asked, by kind.
    pub pays_when_asked: BTreeMap<DeclineKind, f64>,
    /// The shares of the networks.
    pub networks: Vec<(Network, f64)>,
    /// The response codes of the networks, by kind.
    pub codes: BTreeMap<DeclineKind, BTreeMap<Network, String>>,
    /// The advice of Mastercard, by kind.
    pub advice: BTreeMap<DeclineKind, Advice>,
    /// The rules that bind each network.
    rules: BTreeMap<Network, Rules>,
    /// The groups of people.
    groups: Vec<Group>,
    /// Those from some hour on.
    later_groups: Option<(i32, Vec<Group>)>,
    /// The outages of each issuer, from hour to hour.
    outages: Vec<Vec<(i32, i32)>>,
}

impl Place {
    /// Brings a world about.
    pub fn new(all: &Worlds, world: &World, seed: u64) -> Self {
        let days = days(&world.country);
        let group = |pay: &Pay| Group {
            share: pay.share,
            since_payday: since_payday(&pay.when, &days),
        };
        let groups = |name: &str| -> Vec<Group> {
            let pay = all.pay.get(name).map_or(&[][..], Vec::as_slice);
            pay.iter().map(group).collect()
        };
        let mut dice = Dice::new(mixed(seed, 1));
        Self {
            groups: groups(&world.pay),
            later_groups: world.then.as_ref().map(|then| (midnight(then.day), groups(&then.pay))),
            outages: (0..ISSUERS).map(|_| outages(world, &mut dice)).collect(),
            kinds: pairs(world.kinds.as_ref().unwrap_or(&all.kinds)),
            pays_when_asked: all.pays_when_asked.clone(),
            networks: pairs(world.networks.as_ref().unwrap_or(&all.networks)),
            codes: all.codes.clone(),
            advice: all.advice.clone(),
            rules: Network::ALL
                .iter()
                .map(|network| (*network, rules_of(*network)))
                .collect(),
            world: world.clone(),
            seed,
            days,
        }
    }

    /// The rules that bind charges of a network.
    pub fn rules(&self, network: Network) -> &Rules {
        self.rules.get(&network).expect("there are rules for every network")
    }

    /// The groups of people at an hour.
    pub fn groups_at(&self, hour: i32) -> &[Group] {
        match &self.later_groups {
            Some((from, groups)) if *from <= hour => groups,
            Some(_) | None => &self.groups,
        }
    }

    /// An issuer of somebody's card.
    pub fn some_issuer(dice: &mut Dice) -> usize {
        usize::try_from(dice.below(ISSUERS)).unwrap_or(0)
    }

    /// Whether an issuer is out of reach.
    pub fn is_down(&self, issuer: usize, hour: i32) -> bool {
        let outages = self.outages.get(issuer).map_or(&[][..], Vec::as_slice);
        let next = outages.partition_point(|(_, end)| *end <= hour);
        outages.get(next).is_some_and(|(begin, _)| *begin <= hour)
    }

    /// The share of charges that are declined at a local hour for no reason of the customer's.
    pub fn false_declines(&self, local: i32) -> f64 {
        let FalseDeclines { night, day } = self.world.false_declines;
        match local {
            0..6 => night,
            9..20 => day,
            _ => f64::midpoint(night, day),
        }
    }
}

/// The rules without those of other networks, so that these need not be looked at for each charge.
fn rules_of(network: Network) -> Rules {
    let mut rules = Rules::embedded();
    rules.rules.retain(|rule| rule.networks.contains(&network));
    rules
}

fn pairs<T: Copy>(shares: &BTreeMap<T, f64>) -> Vec<(T, f64)> {
    shares.iter().map(|(one, share)| (*one, *share)).collect()
}

fn outages(world: &World, dice: &mut Dice) -> Vec<(i32, i32)> {
    let between = f64::from(30 * DAY) / world.outages_a_month;
    let mut outages = Vec::new();
    let mut at = dice.wait(between);
    while at < f64::from(DAYS * DAY) {
        let end = at + 1.0 + dice.wait(OUTAGE_HOURS);
        outages.push((whole(at), whole(end)));
        at = end + dice.wait(between);
    }
    outages
}

/// Whole hours; what is beyond all worlds is their end.
pub fn whole(hours: f64) -> i32 {
    // The cast saturates, and a world's hours fit many times.
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    let whole = hours as i32;
    whole
}

fn since_payday(when: &When, days: &[Day]) -> Vec<i32> {
    let mut since = NEVER;
    days.iter()
        .map(|day| {
            since = if is_payday(when, days, *day) { 0 } else { since + 1 };
            since
        })
        .collect()
}

fn is_payday(when: &When, days: &[Day], day: Day) -> bool {
    match when {
        When::Weekly(weekday) => day.weekday == *weekday,
        When::EveryOtherWeek { weekday, week } => day.weekday == *weekday && (day.number / 7) % 2 == *week,
        When::Days(of_month) => on_working_day(days, day, |day| of_month.contains(&day.of_month)),
        When::BeforeMonthEnd(before) => on_working_day(days, day, |day| day.before_month_end == *before),
    }
}

/// Whether a day is the working day on which something falls that falls on some day of the month.
fn on_working_day(days: &[Day], day: Day, falls: impl Fn(&Day) -> bool) -> bool {
    match day.weekday {
        5.. => false,
        // The weekend's is paid on Friday.
        4 => days
            .iter()
            .skip_while(|other| other.number < day.number)
            .take(3)
            .any(falls),
        _ => falls(&day),
    }
}
