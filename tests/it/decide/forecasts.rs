//! Random campaigns, places and days on the desk: what is forecast, what is then decided, and what the rules come to when somebody
//! else works them out. `stories::forecasts` plays some of them with the whole service.

use jiff::Timestamp;
use recoup::domain::campaign::Campaign;
use recoup::domain::case::Collector;
use recoup::domain::command::Command;
use recoup::domain::event::Event;
use recoup::domain::forecast::forecast;
use recoup::domain::message::Message;
use toml::Table;

use super::desk::{Desk, grounds};
use crate::stories::forecasts::dice::{self, Case};
use crate::stories::forecasts::rules::{Fate, Rules};

const CASES: usize = 300;
/// More steps than any of these campaigns can take.
const STEPS_MAX: usize = 100;

type Step = (Timestamp, String);

fn sorted(steps: impl Iterator<Item = Step>) -> Vec<Step> {
    let mut steps: Vec<Step> = steps.collect();
    steps.sort();
    steps
}

/// What the desk decides, step by step, until the case is closed: charges, messages that are queued, and the end. It is told of final
/// notices that have to wait.
fn decided(desk: &mut Desk, case: &Case, fate: &Fate) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..STEPS_MAX {
        let before = desk.calendar.len();
        desk.step(case.failure.kind.parse().unwrap());
        for line in &desk.calendar[before..] {
            let mut words = line.split(' ').skip(2);
            let what = match (words.next().unwrap(), words.next()) {
                ("charge", _) => "charge",
                ("notify", Some(message)) => message,
                _ => continue,
            };
            steps.push((desk.now, what.to_owned()));
        }
        for command in desk.last.clone() {
            let Command::Notify {
                message: Message::FinalNotice,
                step,
                ..
            } = command
            else {
                continue;
            };
            let sent = fate.messages.iter().find(|sent| sent.step == step);
            if let Some(until) = sent.and_then(|sent| sent.left).filter(|left| *left > desk.now) {
                // It is no news where the end was late enough.
                let _ = desk.tell(&Event::FinalNoticeWaits { step, until });
            }
        }
        if desk.case.outcome().is_some() {
            // The word of the end is no step.
            steps.retain(|(_, what)| !what.starts_with("subscription_"));
            steps.push((desk.case.closed_at.unwrap(), "final_action".to_owned()));
            return steps;
        }
    }
    panic!("no end of {}", case.campaign);
}

/// The same as the rules come to.
fn worked_out(file: &Table, fate: &Fate) -> Vec<Step> {
    let steps = file["message"].as_array().unwrap();
    let message = |key: &str| {
        let step = steps.iter().find(|step| step["key"].as_str() == Some(key)).unwrap();
        step["message"].as_str().unwrap().to_owned()
    };
    let charges = fate.charges.iter().map(|at| (*at, "charge".to_owned()));
    let queued = fate.messages.iter().map(|sent| (sent.queued, message(&sent.step)));
    sorted(charges.chain(queued).chain([(fate.end, "final_action".to_owned())]))
}

#[test]
fn what_is_forecast_is_what_is_decided_and_what_the_rules_come_to() {
    let seed = std::env::var("RECOUP_SEED").map_or(1, |text| text.parse().unwrap());
    println!("seed {seed}");
    let mut count = 0;
    for (number, case) in dice::cases(seed, CASES).iter().enumerate() {
        let told = || format!("{number}, {} at {}\n{}", case.zone_name, case.failure.at, case.campaign);
        let file: Table = case.campaign.parse().unwrap();
        let fate = Rules::new(&file, &case.failure).fate();
        let campaign = Campaign::parse(&case.campaign).unwrap();
        let opened = (case.failure.kind.parse().unwrap(), case.zone_name, case.failure.at);
        let mut desk = Desk::open_by(campaign, opened, Collector::Us, |_| {});

        let ahead = forecast(&desk.case, &desk.campaign, grounds(), &[], desk.now);
        let ahead = ahead
            .into_iter()
            .map(|step| (step.at, step.step.unwrap_or(step.kind.to_owned())));
        let charges = fate.charges.iter().map(|at| (*at, "charge".to_owned()));
        let left = fate
            .messages
            .iter()
            .filter_map(|sent| Some((sent.left?, sent.step.clone())));
        let rules = charges.chain(left).chain([(fate.end, "final_action".to_owned())]);
        assert_eq!(sorted(ahead), sorted(rules), "forecast, rules: {}", told());

        let decided = sorted(decided(&mut desk, case, &fate).into_iter());
        assert_eq!(decided, worked_out(&file, &fate), "desk, rules: {}", told());
        count += decided.len();
    }
    assert!(count > 4 * CASES, "{count} steps");
}
