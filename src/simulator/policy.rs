//! Ways of retrying: the fixed plans that everybody knows, rules by kind of decline, and campaigns as they stand.

use super::calendar::{Day, day_of, local, midnight};
use crate::domain::campaign::{Campaign, Planned};
use crate::domain::decline::DeclineKind;
use crate::domain::learning::arms::{Arm, USUAL};

/// For how many days after its failure an invoice is charged again.
pub const WINDOW_DAYS: i32 = 14;
const WINDOW_HOURS: i32 = WINDOW_DAYS * 24;
/// The local hour of what is done by day.
const NINE: i32 = 9;
/// Hours of a backoff that quadruples.
const BACKOFF: [i32; 8] = [1, 4, 12, 24, 48, 96, 192, 336];
/// Days of the best known ladder.
const LADDER: [i32; 8] = [1, 3, 5, 7, 9, 11, 13, 14];
/// Eight attempts in two weeks.
const EIGHT_IN_TWO_WEEKS: i32 = 42;

/// What is known of an invoice when the next charge is planned.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Why it failed.
    pub kind: DeclineKind,
    /// The hour at which it failed.
    pub failed_at: i32,
    /// The hour now.
    pub now: i32,
    /// How many charges were made.
    pub made: usize,
    /// How many may be made.
    pub budget: usize,
    /// The days of the world.
    pub days: &'a [Day],
}

/// A way of retrying.
#[derive(Clone, Debug)]
pub enum Policy {
    /// Days 1, 3, 5, 7 and so on, at the hour of the failure.
    Ladder,
    /// The budget spread evenly over the window, at the hour of the failure.
    Even,
    /// The same at nine in the morning.
    EvenAtNine,
    /// Eight attempts in two weeks, as the provider advises.
    EightInTwoWeeks,
    /// Waits that grow fourfold at first.
    Backoff,
    /// By kind: American paydays, resets of limits, ends of outages.
    ByKind,
    /// A campaign.
    Campaign(Box<Campaign>),
    /// What these arms plan by what was learned so far.
    Learned(&'static [Arm]),
}

impl Policy {
    /// All that need no file: the fixed ones first.
    pub const BUILT_IN: [Self; 8] = [
        Self::Ladder,
        Self::Even,
        Self::EvenAtNine,
        Self::EightInTwoWeeks,
        Self::Backoff,
        Self::ByKind,
        Self::Learned(&[Arm::Adaptive]),
        Self::Learned(&USUAL),
    ];

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Ladder => "1/3/5/7".to_owned(),
            Self::Even => "even".to_owned(),
            Self::EvenAtNine => "even 09:00".to_owned(),
            Self::EightInTwoWeeks => "8 in 14 days".to_owned(),
            Self::Backoff => "backoff".to_owned(),
            Self::ByKind => "class rules".to_owned(),
            Self::Campaign(campaign) => format!("{}@{}", campaign.name, campaign.version),
            Self::Learned([only]) => only.to_string(),
            Self::Learned(_) => "learned".to_owned(),
        }
    }

    /// Whether it is the same whatever was seen before.
    pub fn is_fixed(&self) -> bool {
        match self {
            Self::Ladder | Self::Even | Self::EvenAtNine | Self::EightInTwoWeeks | Self::Backoff | Self::ByKind => true,
            Self::Campaign(campaign) => campaign.ladders.iter().all(|ladder| ladder.planned.is_none()),
            Self::Learned(_) => false,
        }
    }

    /// How the charges of a kind are planned, where an arm plans them.
    pub fn planned(&self, kind: DeclineKind) -> Option<Planned> {
        match self {
            Self::Ladder | Self::Even | Self::EvenAtNine | Self::EightInTwoWeeks | Self::Backoff | Self::ByKind => None,
            Self::Campaign(campaign) => campaign.ladder(kind)?.planned.clone(),
            Self::Learned(arms) => Some(Planned {
                charges: u8::MAX,
                within_days: u16::try_from(WINDOW_DAYS).unwrap_or(u16::MAX),
                arms: arms.to_vec(),
            }),
        }
    }

    /// The hour of the next charge; none where no more is planned within the window.
    pub fn next(&self, seen: &Seen<'_>) -> Option<i32> {
        if seen.made >= seen.budget {
            return None;
        }
        let next = match self {
            Self::Ladder => from_list(seen, LADDER.iter().map(|day| seen.failed_at + midnight(*day))),
            Self::Even => from_list(seen, evenly(seen).map(|hours| seen.failed_at + hours)),
            Self::EvenAtNine => from_list(seen, evenly(seen).map(|hours| nine_before(seen.failed_at + hours))),
            Self::EightInTwoWeeks => {
                let steps = (1..=8).map(|step| seen.failed_at + step * EIGHT_IN_TWO_WEEKS);
                from_list(seen, steps)
            }
            Self::Backoff => from_list(seen, BACKOFF.iter().map(|hours| seen.failed_at + hours)),
            Self::ByKind => by_kind(seen),
            Self::Campaign(campaign) => by_campaign(seen, campaign),
            // Its arms plan them all.
            Self::Learned(_) => None,
        };
        next.filter(|hour| *hour <= seen.failed_at + WINDOW_HOURS)
    }
}

fn from_list(seen: &Seen<'_>, hours: impl Iterator<Item = i32>) -> Option<i32> {
    hours.skip(seen.made).find(|hour| *hour > seen.now)
}

/// Equal parts of the window, the last at its end.
fn evenly(seen: &Seen<'_>) -> impl Iterator<Item = i32> {
    let budget = i32::try_from(seen.budget).unwrap_or(1).max(1);
    (1..=budget).map(move |part| part * WINDOW_HOURS / budget)
}

/// Nine in the morning of that day, or of the day before where it is not nine yet.
fn nine_before(hour: i32) -> i32 {
    let day = if local(hour) < NINE {
        day_of(hour) - 1
    } else {
        day_of(hour)
    };
    midnight(day) + NINE
}

fn by_kind(seen: &Seen<'_>) -> Option<i32> {
    let day = day_of(seen.failed_at);
    let on_days = |days: &[i32]| from_list(seen, days.iter().map(|after| midnight(day + after) + NINE));
    match seen.kind {
        DeclineKind::InsufficientFunds => {
            let american =
                |day: &&Day| day.weekday == 4 || [1, 15].contains(&day.of_month) || day.before_month_end == 0;
            let days = seen.days.iter().skip_while(|day| day.number < day_of(seen.now));
            let mut paydays = days.filter(american).map(|day| midnight(day.number) + NINE);
            paydays.find(|hour| *hour > seen.now + 12)
        }
        DeclineKind::IssuerDown => {
            let hours = [1, 6, 24, 48, 96, 192].iter().map(|hours| seen.failed_at + hours);
            from_list(seen, hours)
        }
        DeclineKind::Limit => {
            let days = seen.days.iter().skip_while(|day| day.number <= day_of(seen.now));
            let mut resets = days.filter(|day| seen.made == 0 || day.of_month == 1);
            resets.next().map(|day| midnight(day.number) + 8)
        }
        DeclineKind::DoNotHonor => on_days(&[2, 4, 7, 12]),
        DeclineKind::Expired => on_days(&[5, 12]),
        DeclineKind::InvalidAccount
        | DeclineKind::LostStolen
        | DeclineKind::Fraud
        | DeclineKind::NotPermitted
        | DeclineKind::AuthenticationRequired
        | DeclineKind::Revoked
        | DeclineKind::MerchantConfig => None,
    }
}

fn by_campaign(seen: &Seen<'_>, campaign: &Campaign) -> Option<i32> {
    let ladder = campaign.ladder(seen.kind)?;
    let first = day_of(seen.failed_at);
    let by_days = ladder
        .days
        .iter()
        .map(|day| midnight(first + i32::from(*day)) + i32::from(ladder.at.hour()));
    let by_hours = ladder.hours.iter().map(|hours| seen.failed_at + i32::from(*hours));
    by_days.chain(by_hours).find(|hour| *hour > seen.now)
}

#[cfg(test)]
mod tests {
    use super::super::calendar::days;
    use super::*;

    /// Day 20 of a world is Wednesday 21 January 2026; the invoice failed at 14:00.
    fn plan(policy: &Policy, kind: DeclineKind, budget: usize) -> Vec<String> {
        let days = days("US");
        let (failed_at, mut now, mut made) = (midnight(20) + 14, midnight(20) + 14, 0);
        let mut plan = Vec::new();
        loop {
            let seen = Seen {
                kind,
                failed_at,
                now,
                made,
                budget,
                days: &days,
            };
            let Some(hour) = policy.next(&seen) else {
                return plan;
            };
            let day = days[usize::try_from(day_of(hour)).unwrap()];
            plan.push(format!("{:02} {:02}h", day.of_month, local(hour)));
            (now, made) = (hour, made + 1);
        }
    }

    #[test]
    fn each_plans_what_its_name_says() {
        let nsf = DeclineKind::InsufficientFunds;
        assert_eq!(plan(&Policy::Ladder, nsf, 4), ["22 14h", "24 14h", "26 14h", "28 14h"]);
        assert_eq!(plan(&Policy::Even, nsf, 4), ["25 02h", "28 14h", "01 02h", "04 14h"]);
        assert_eq!(
            plan(&Policy::EvenAtNine, nsf, 4),
            ["24 09h", "28 09h", "31 09h", "04 09h"]
        );
        assert_eq!(plan(&Policy::Backoff, nsf, 4), ["21 15h", "21 18h", "22 02h", "22 14h"]);
        // Fridays, the month's last day and its first.
        assert_eq!(plan(&Policy::ByKind, nsf, 8), ["23 09h", "30 09h", "31 09h", "01 09h"]);
        assert_eq!(plan(&Policy::ByKind, DeclineKind::Limit, 8), ["22 08h", "01 08h"]);
        assert_eq!(plan(&Policy::ByKind, DeclineKind::LostStolen, 8), Vec::<String>::new());
    }

    #[test]
    fn a_campaign_is_played_as_it_stands() {
        let days = include_str!("../../tests/fixtures/campaigns/default.toml");
        let campaign = Policy::Campaign(Box::new(Campaign::parse(days).unwrap()));
        let nsf = DeclineKind::InsufficientFunds;
        assert_eq!(plan(&campaign, nsf, 8), ["22 09h", "24 09h", "28 09h", "04 09h"]);
        assert_eq!(plan(&campaign, nsf, 2), ["22 09h", "24 09h"]);
        assert_eq!(
            plan(&campaign, DeclineKind::IssuerDown, 8),
            ["21 15h", "21 20h", "22 14h"]
        );
    }
}
