//! Random campaigns, places and days: what is forecast is what then happens, and what the rules come to when somebody else works
//! them out.

pub mod dice;
pub mod rules;

use jiff::{SignedDuration, Timestamp};
use recoup::domain::campaign::Campaign;
use recoup::domain::money::Money;
use recoup::sandbox::{ChargedBy, Habits, NewCard, NewCustomer, Outcome, Shape};
use recoup::store::notifications::NotificationStatus;
use recoup::store::{campaigns, notifications, timeline};
use serde_json::Value;

use crate::support::story::{Story, tell_in};
use dice::Case;
use rules::{Fate, Rules};

/// How many cases there are on each database; `RECOUP_FORECASTS` plays more.
const CASES: usize = 5;
const SEED: u64 = 20_261_129;

/// A step as the forecast and the calendar write it.
type Step = (Timestamp, String);

/// A case that is being played.
struct Played {
    number: usize,
    case: Case,
    invoice: String,
    fate: Fate,
    forecast: Vec<Step>,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

#[test]
fn what_is_forecast_is_what_happens_and_what_the_rules_come_to() {
    let seed = number("RECOUP_SEED", SEED);
    let count = usize::try_from(number("RECOUP_FORECASTS", CASES as u64)).unwrap();
    println!("seed {seed}");
    tell_in(Shape::New, "2026-02-15T00:00:00Z", &[], &async |story: &mut Story| {
        let mut played = Vec::new();
        for (number, case) in dice::cases(seed, count).into_iter().enumerate() {
            story.advance(&case.failure.at.to_string()).await;
            played.push(open(story, number, case).await);
        }
        let last = played.iter().map(|played| played.fate.end).max().unwrap();
        let over = last + SignedDuration::from_hours(48);
        story.advance(&over.to_string()).await;
        for played in &played {
            compare(story, played).await;
        }
    });
}

/// Publishes the campaign of a case, lets its invoice fail, and asks for the forecast.
async fn open(story: &Story, number: usize, case: Case) -> Played {
    let version = u32::try_from(number).unwrap() + 2;
    let mut campaign = Campaign::parse(&case.campaign).unwrap_or_else(|faults| panic!("{faults}\n{}", case.campaign));
    campaign.version = version;
    campaigns::put(story.app.store.conn(), &campaign, story.now())
        .await
        .unwrap();
    let customer = story.sandbox.world(|world| {
        let id = world.add_customer(NewCustomer {
            name: "Kim Beispiel".to_owned(),
            email: format!("kim@kunde{number}.example"),
            locale: "en".to_owned(),
            country: "DE".to_owned(),
            zone: Some(case.zone_name.to_owned()),
            habits: Habits::DEAF,
        });
        world.add_card(&id, NewCard::default());
        id
    });
    let price = Money::new(1999, "EUR".parse().unwrap());
    let subscription = story
        .sandbox
        .add_subscription(&customer, price, "2031-01-01T00:00:00Z".parse().unwrap());
    let invoice = story.sandbox.open_invoice(&subscription, case.code);
    let never = std::iter::repeat_n(Outcome::decline(case.code), 12);
    story.sandbox.script_outcomes(&invoice, never);
    story.settle().await;
    let id = story.case(&invoice).await.id;
    let (status, forecast) = story.get(&format!("/v1/cases/{id}/forecast")).await;
    assert_eq!(status, 200, "{forecast}");
    let fate = Rules::new(&case.campaign.parse().unwrap(), &case.failure).fate();
    Played {
        number,
        forecast: forecast["data"].as_array().unwrap().iter().map(step_of).collect(),
        case,
        invoice,
        fate,
    }
}

fn step_of(step: &Value) -> Step {
    let at = step["at"].as_str().unwrap().parse().unwrap();
    let what = step["step"].as_str().or(step["kind"].as_str()).unwrap();
    (at, what.to_owned())
}

/// Whatever leaves or is charged in the same instant, in one order.
fn sorted(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort();
    steps
}

async fn compare(story: &Story, played: &Played) {
    let Played { case, fate, .. } = played;
    let start = case.failure.at;
    let told = || {
        format!(
            "case {} of {} {} at {start}\n{}",
            played.number, case.zone_name, case.code, case.campaign
        )
    };

    let charges = fate.charges.iter().map(|at| (*at, "charge".to_owned()));
    let left = fate
        .messages
        .iter()
        .filter_map(|sent| Some((sent.left?, sent.step.clone())));
    let worked_out: Vec<Step> = charges
        .chain(left)
        .chain([(fate.end, "final_action".to_owned())])
        .collect();
    let ahead = worked_out.iter().filter(|(at, _)| *at > start).cloned().collect();
    assert_eq!(
        sorted(played.forecast.clone()),
        sorted(ahead),
        "forecast, rules: {}",
        told()
    );

    let ended = story.case(&played.invoice).await;
    let books = story.sandbox.books();
    let made = books
        .charges_of(&played.invoice)
        .filter(|entry| entry.by == ChargedBy::Api);
    let made = made.map(|entry| (entry.at, "charge".to_owned()));
    let rows = notifications::by_case(story.app.store.conn(), &ended.id).await.unwrap();
    let sent = rows.iter().filter(|row| row.status == NotificationStatus::Sent);
    let (last, steps): (Vec<_>, Vec<_>) = sent.partition(|row| !row.message.is_reminder());
    let happened = made
        .chain(steps.iter().map(|row| (row.ended_at.unwrap(), row.step.clone())))
        .chain([(ended.closed_at.unwrap(), "final_action".to_owned())]);
    assert_eq!(
        sorted(happened.collect()),
        sorted(worked_out),
        "books, rules: {}",
        told()
    );
    let last: Vec<Timestamp> = last.iter().map(|row| row.ended_at.unwrap()).collect();
    assert_eq!(last, Vec::from_iter(fate.last_word), "the last word: {}", told());

    let lines = timeline::by_case(story.app.store.conn(), &ended.id, 200, None)
        .await
        .unwrap();
    let of = |kind: &str| -> Vec<Timestamp> {
        let lines = lines.iter().filter(|line| line.kind.as_str() == kind);
        lines.map(|line| line.at).collect()
    };
    let mut queued: Vec<Timestamp> = fate.messages.iter().map(|sent| sent.queued).collect();
    queued.extend(fate.last_word.map(|_| fate.end));
    assert_eq!(of("attempt_started"), fate.charges, "timeline: {}", told());
    assert_eq!(of("notice_queued"), queued, "timeline: {}", told());
    assert_eq!(of("closed"), [fate.end], "timeline: {}", told());
}
