//! Campaigns, places and days that chance chooses.

use std::fmt::Write as _;

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::rules::{Failure, Rules};

/// Zones with and without a change of the clocks, north and south, with odd offsets and odd changes.
const ZONES: [&str; 26] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Lisbon",
    "Atlantic/Azores",
    "Africa/Casablanca",
    "Africa/Lagos",
    "Africa/Cairo",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Jerusalem",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Australia/Eucla",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
];

/// Codes of the provider, what kind each is, and what the kind allows.
const DECLINES: [(&str, &str, &str); 7] = [
    ("insufficient_funds", "insufficient_funds", "retry"),
    ("card_velocity_exceeded", "limit", "retry"),
    ("do_not_honor", "do_not_honor", "retry"),
    ("insufficient_funds", "insufficient_funds", "retry"),
    ("expired_card", "expired", "fix_data"),
    ("authentication_required", "authentication_required", "customer_action"),
    ("stolen_card", "lost_stolen", "never"),
];
const KINDS: [&str; 6] = [
    "insufficient_funds",
    "limit",
    "do_not_honor",
    "expired",
    "authentication_required",
    "lost_stolen",
];
const DISPOSITIONS: [&str; 4] = ["retry", "fix_data", "customer_action", "never"];
const MESSAGES: [&str; 6] = [
    "payment_failed",
    "reminder",
    "final_notice",
    "update_payment_method",
    "card_expired",
    "confirm_payment",
];
const TIMES: [&str; 10] = [
    "09:00", "10:00", "00:00", "02:30", "23:59", "01:59", "12:00", "17:45", "08:00", "03:00",
];
const NIGHTS: [(&str, &str); 8] = [
    ("21:00", "08:00"),
    ("22:45", "05:00"),
    ("20:00", "10:30"),
    ("21:30", "02:30"),
    ("22:00", "00:15"),
    ("13:00", "15:00"),
    ("18:00", "06:20"),
    ("11:00", "10:00"),
];
/// Days on which something is special: the end of a month, of a year, and the day that few years have.
const DAYS: [(i16, i8, i8); 8] = [
    (2026, 3, 31),
    (2026, 4, 30),
    (2026, 10, 31),
    (2026, 12, 31),
    (2027, 1, 1),
    (2028, 2, 28),
    (2028, 2, 29),
    (2028, 3, 1),
];

/// One invoice and the campaign that chases it.
#[derive(Clone, Debug)]
pub struct Case {
    pub campaign: String,
    pub code: &'static str,
    pub zone_name: &'static str,
    pub failure: Failure,
}

/// So many cases, in order of time.
pub fn cases(seed: u64, count: usize) -> Vec<Case> {
    let mut dice = SmallRng::seed_from_u64(seed);
    let mut cases: Vec<Case> = (0..count)
        .map(|nth| case(&mut dice, ZONES[nth % ZONES.len()]))
        .collect();
    cases.sort_by_key(|case| case.failure.at);
    cases
}

fn case(dice: &mut SmallRng, zone_name: &'static str) -> Case {
    let zone = TimeZone::get(zone_name).unwrap();
    loop {
        let (code, kind, disposition) = *DECLINES.choose(dice).unwrap();
        let failure = Failure {
            at: start(dice, &zone),
            zone: zone.clone(),
            kind,
            disposition,
        };
        let campaign = campaign(dice, &failure);
        if !Rules::new(&campaign.parse().unwrap(), &failure).fate().crowded {
            return Case {
                campaign,
                code,
                zone_name,
                failure,
            };
        }
    }
}

/// On a special day, or within days of a change of the zone's clocks.
fn start(dice: &mut SmallRng, zone: &TimeZone) -> Timestamp {
    let from: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    let until: Timestamp = "2026-11-30T00:00:00Z".parse().unwrap();
    let changes = zone.following(from).map(|change| change.timestamp());
    let changes: Vec<Timestamp> = changes.take_while(|change| *change < until).collect();
    let change = changes.choose(dice).filter(|_| dice.random_bool(0.6));
    if let Some(change) = change {
        // Also from the very minute of the change.
        let hours = *[0, 0, 1, 24, 48, 120, 240].choose(dice).unwrap();
        let secs = if dice.random_bool(0.3) {
            0
        } else {
            dice.random_range(0..86_400)
        };
        return *change - SignedDuration::from_secs(hours * 3600 + secs);
    }
    let (year, month, day) = *DAYS.choose(dice).unwrap();
    let secs = dice.random_range(0..86_400);
    let local: DateTime = date(year, month, day).to_datetime(jiff::civil::Time::midnight()) + Span::new().seconds(secs);
    let at = local.to_zoned(zone.clone()).unwrap().timestamp();
    let hour = SignedDuration::from_hours(1);
    // Some begin on the hour, so that hours and days may meet.
    if dice.random_bool(0.3) {
        at.round((jiff::Unit::Minute, 30)).unwrap() + hour
    } else {
        at
    }
}

/// The text of a campaign's file, its version still open.
fn campaign(dice: &mut SmallRng, failure: &Failure) -> String {
    let days = dice.random_range(2..=30);
    let mut text = String::from("name = \"default\"\nversion = 1\n");
    if dice.random_bool(0.6) {
        let (from, to) = NIGHTS.choose(dice).unwrap();
        write!(text, "[quiet]\nfrom = \"{from}\"\nto = \"{to}\"\n").unwrap();
    }
    if dice.random_bool(0.5) {
        let (most, within, apart) = (
            dice.random_range(1..=3),
            dice.random_range(1..=8),
            dice.random_range(0..=72),
        );
        write!(
            text,
            "[touches]\nmost = {most}\nwithin_days = {within}\napart_hours = {apart}\n"
        )
        .unwrap();
    }
    for kinds in [&KINDS[..2], &KINDS[2..4]] {
        if dice.random_bool(0.9) {
            ladder(dice, &mut text, kinds, days);
        }
    }
    for nth in 0..dice.random_range(1..=6) {
        message(dice, &mut text, nth, days);
    }
    let action = ["cancel", "pause", "mark_uncollectible", "leave_open"]
        .choose(dice)
        .unwrap();
    let mut at = (*TIMES.choose(dice).unwrap()).to_owned();
    if dice.random_bool(0.2) {
        // Hours may come to the very instant of the end.
        at = failure.zone.to_datetime(failure.at).strftime("%H:%M:%S").to_string();
    }
    write!(
        text,
        "[final]\nafter_days = {days}\nat = \"{at}\"\naction = \"{action}\"\n"
    )
    .unwrap();
    text
}

fn ladder(dice: &mut SmallRng, text: &mut String, kinds: &[&str], days: u16) {
    let by_days = dice.random_bool(0.6);
    let longest = if by_days { days - 1 } else { days * 24 + 24 };
    let mut steps: Vec<u16> = (0..dice.random_range(1..=8))
        .map(|_| dice.random_range(1..=longest))
        .collect();
    if !by_days && dice.random_bool(0.3) {
        steps.push(days * 24);
    }
    steps.sort_unstable();
    steps.dedup();
    let (word, at) = (if by_days { "days" } else { "hours" }, TIMES.choose(dice).unwrap());
    write!(text, "[[ladder]]\nkinds = {kinds:?}\n{word} = {steps:?}\n").unwrap();
    if by_days {
        writeln!(text, "at = \"{at}\"").unwrap();
    }
}

fn message(dice: &mut SmallRng, text: &mut String, nth: usize, days: u16) {
    let message = MESSAGES.choose(dice).unwrap();
    let some = |dice: &mut SmallRng, all: &[&'static str]| -> Vec<&str> {
        all.iter().copied().filter(|_| dice.random_bool(0.6)).collect()
    };
    let dispositions = some(dice, &DISPOSITIONS);
    let kinds = if dice.random_bool(0.2) {
        some(dice, &KINDS)
    } else {
        Vec::new()
    };
    let (days, at) = (dice.random_range(0..=days), TIMES.choose(dice).unwrap());
    let when = match dice.random_range(0..3) {
        0 => format!("after_hours = {}", dice.random_range(0..=days * 24)),
        1 => format!("after_days = {{ days = {days}, at = \"{at}\" }}"),
        _ => format!("before_final = {{ days = {days}, at = \"{at}\" }}"),
    };
    write!(
        text,
        "[[message]]\nkey = \"step_{nth}\"\nmessage = \"{message}\"\ndispositions = {dispositions:?}\nwhen = {{ {when} }}\n"
    )
    .unwrap();
    if !kinds.is_empty() {
        writeln!(text, "kinds = {kinds:?}").unwrap();
    }
}
