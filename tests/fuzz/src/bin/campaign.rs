//! A file of a campaign: it is refused with its faults, or it plans within the limits.

#![no_main]

use jiff::{Timestamp, ToSpan};
use libfuzzer_sys::fuzz_target;
use recoup::domain::campaign::{BadCampaign, Campaign, Fault};
use recoup::domain::ceiling::CHARGES_MAX;
use recoup::domain::decline::DeclineKind;
use recoup::domain::forecast::{ForecastStep, forecast};
use recoup_fuzz::cases;

/// The most message steps of a campaign.
const MESSAGES_MAX: usize = 30;
const HOURS_BETWEEN_CHARGES: i64 = 12;
/// Zones with a clock change near the days of the plans, and two at the ends of the world.
const ZONES: [&str; 4] = [
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
];

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let campaign = match Campaign::read(text) {
        Ok((campaign, lints)) => {
            told(&lints, text);
            campaign
        }
        Err(BadCampaign(faults)) => {
            assert!(!faults.is_empty());
            told(&faults, text);
            return;
        }
    };
    names(&campaign);
    let written = toml::to_string(&campaign).expect("a campaign can be written");
    assert_eq!(Campaign::parse(&written).as_ref(), Ok(&campaign), "{written}");
    let kept = serde_json::to_string(&campaign).expect("a campaign can be kept");
    assert_eq!(serde_json::from_str::<Campaign>(&kept).unwrap(), campaign);
    for (number, kind) in DeclineKind::ALL.iter().enumerate() {
        let zone = ZONES[(number + input.len()) % ZONES.len()];
        let day = i64::try_from(input.len() % 366).unwrap();
        let begin: Timestamp = "2026-01-01T00:30:00Z".parse().unwrap();
        plan(&campaign, *kind, zone, begin + (day * 24).hours());
    }
});

/// Every fault says what is wrong, and where in the text.
fn told(faults: &[Fault], text: &str) {
    for fault in faults {
        assert!(!fault.what.is_empty());
        let at = fault.at.unwrap_or_else(|| panic!("no place in {fault:?}"));
        let line = text
            .split('\n')
            .nth(at.line - 1)
            .unwrap_or_else(|| panic!("no such line in {fault:?}"));
        assert!(at.column <= line.chars().count() + 1, "no such column in {fault:?}");
    }
}

/// Names and keys go into both databases, into addresses of the API, and into mails' identities.
fn names(campaign: &Campaign) {
    let keys = campaign.messages.iter().map(|step| &step.key);
    for name in keys.chain([&campaign.name]) {
        assert!((1..=255).contains(&name.chars().count()), "{name:?}");
        assert!(!name.contains(char::is_control), "{name:?}");
    }
    assert!(i32::try_from(campaign.version).is_ok(), "{}", campaign.version);
}

fn plan(campaign: &Campaign, kind: DeclineKind, zone: &str, now: Timestamp) {
    let case = cases::open(1, campaign, kind, zone, now);
    let steps = forecast(&case, campaign, cases::grounds(), &[], now);
    assert!(
        steps.is_sorted_by_key(|step| step.at) && steps.iter().all(|step| step.at >= now),
        "{steps:?}"
    );
    let of = |kind: &str| -> Vec<&ForecastStep> { steps.iter().filter(|step| step.kind == kind).collect() };
    let (charges, notices, ends) = (of("charge"), of("notify"), of("final_action"));
    let [end] = ends[..] else { panic!("{} ends", ends.len()) };
    assert_eq!(charges.len() + notices.len() + 1, steps.len());
    let days = end.at.duration_since(now).as_hours() / 24;
    assert!((days - i64::from(campaign.ending.after_days)).abs() <= 2, "{days} days");
    assert!(
        charges.len() <= usize::try_from(CHARGES_MAX).unwrap(),
        "{} charges",
        charges.len()
    );
    assert!(
        notices.len() <= MESSAGES_MAX.min(campaign.messages.len()),
        "{} messages",
        notices.len()
    );
    assert!(charges.iter().chain(&notices).all(|step| step.at < end.at), "{steps:?}");
    let mut keys: Vec<_> = notices.iter().map(|step| step.step.as_ref().unwrap()).collect();
    keys.sort();
    assert!(
        keys.is_sorted_by(|one, next| one < next),
        "a message is there twice: {keys:?}"
    );
    let ladder = campaign.ladder(kind);
    assert!(ladder.is_some() || charges.is_empty(), "{charges:?}");
    if ladder.is_some_and(|ladder| !ladder.days.is_empty()) {
        let gap = |pair: &[&ForecastStep]| pair[1].at.duration_since(pair[0].at).as_hours();
        assert!(
            charges.windows(2).all(|pair| gap(pair) >= HOURS_BETWEEN_CHARGES),
            "{charges:?}"
        );
    }
    assert!(
        case.next_action().is_some_and(|next| next.at <= end.at),
        "{:?}",
        case.next_action()
    );
}
