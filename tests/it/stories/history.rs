//! The time before Recoup, read in from what the provider told of it.

use recoup::clock::Clock;
use recoup::domain::campaign::Campaign;
use recoup::domain::case::{Case, Collector};
use recoup::domain::decide::past::CAMPAIGN;
use recoup::domain::event::Opening;
use recoup::engine::{Import, Imported};
use recoup::providers::stripe::history::{History, Told};
use recoup::sandbox::Shape;
use recoup::store::{attempts, campaigns, cases, timeline};

use crate::support::story::{Story, tell_in};

const COLLECTOR: [(&str, &str); 1] = [("RECOUP__STRIPE__COLLECTOR", "provider")];

/// A service follows the provider's own retries, and its database is the measure: from the events alone, in any order, comes the
/// same story of each invoice.
#[test]
fn what_events_tell_of_the_past_is_what_a_service_saw_that_was_there() {
    for shape in [Shape::Old, Shape::New] {
        tell_in(shape, "2026-01-05T08:00:00Z", &COLLECTOR, &async |story: &mut Story| {
            let town = play(story).await;
            let told = told(story, |events| events.reverse());
            assert_eq!(told.under_way, [town.under_way.as_str()]);
            assert!(told.begun_before.is_empty() && told.without_reason == 0);
            let done = import(story, &told).await;
            assert_eq!((done.written, done.known), (town.ended.len() as u64 + 1, 0));
            for invoice in &town.ended {
                let (live, past) = (seen(story, "stripe", invoice).await, seen(story, "past", invoice).await);
                assert_eq!(live, past, "{shape:?}");
            }
            // The service still waits for the customer; the provider has given up, and that is all the events tell.
            let left = seen(story, "past", &town.left_open).await;
            assert!(left.starts_with("exhausted attempts_spent left_open"), "{left}");
            // Whatever is told twice is there once.
            let again = import(story, &told).await;
            assert_eq!((again.written, again.known), (0, town.ended.len() as u64 + 1));
        });
    }
}

/// A file that begins in the middle tells nothing of what began before it, rather than something wrong.
#[test]
fn what_began_before_the_file_is_left_out() {
    tell_in(
        Shape::New,
        "2026-01-05T08:00:00Z",
        &COLLECTOR,
        &async |story: &mut Story| {
            let town = play(story).await;
            let cut = "2026-01-06T00:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
            let told = told(story, |events| {
                events.retain(|event| event["created"].as_i64().unwrap() >= cut);
            });
            assert!(told.begun_before.contains(&town.left_open), "{:?}", told.begun_before);
            assert!(told.invoices.is_empty(), "{:?}", told.invoices);
            assert_eq!(told.under_way, [town.under_way]);
        },
    );
}

struct Town {
    /// Invoices whose end both know.
    ended: Vec<String>,
    /// One that nobody charges any more.
    left_open: String,
    /// One that is still charged.
    under_way: String,
}

/// Eight invoices fail on one morning and go different ways, one fails at the end.
async fn play(story: &mut Story) -> Town {
    let sandbox = story.sandbox.clone();
    sandbox.world(|world| world.set_own_retries(&[3, 5, 7]));
    let by_retry = story.failed_invoice("insufficient_funds");
    let by_second_retry = story.failed_invoice("do_not_honor");
    sandbox.fail_next(&by_second_retry.invoice, "insufficient_funds");
    let by_customer = story.failed_invoice("expired_card");
    let cancelled = story.failed_invoice("insufficient_funds");
    let voided = story.failed_invoice("lost_card");
    let elsewhere = story.failed_invoice("processing_error");
    let written_off = story.failed_invoice("insufficient_funds");
    let left_open = story.failed_invoice("generic_decline");
    for _ in 0..3 {
        sandbox.fail_next(&left_open.invoice, "generic_decline");
    }
    story.advance("2026-01-06T09:00:00Z").await;
    sandbox.world(|world| {
        assert!(world.cancel_subscription(&cancelled.subscription, Some("too_expensive")));
        assert!(world.mark_uncollectible(&written_off.invoice));
    });
    story.advance("2026-01-07T10:00:00Z").await;
    assert!(sandbox.pay_by_customer(&by_customer.invoice));
    sandbox.world(|world| {
        assert!(world.void(&voided.invoice));
        assert!(world.pay_out_of_band(&elsewhere.invoice));
    });
    story.advance("2026-01-20T12:00:00Z").await;
    let under_way = story.failed_invoice("insufficient_funds");
    story.advance("2026-01-20T18:00:00Z").await;
    let ended = [
        by_retry,
        by_second_retry,
        by_customer,
        cancelled,
        voided,
        elsewhere,
        written_off,
    ];
    Town {
        ended: ended.into_iter().map(|failed| failed.invoice).collect(),
        left_open: left_open.invoice,
        under_way: under_way.invoice,
    }
}

fn told(story: &Story, change: impl Fn(&mut Vec<serde_json::Value>)) -> Told {
    let mut events: Vec<_> = story.sandbox.world(|world| {
        let shape = world.shape();
        world.events().iter().map(|event| event.body(shape, 0)).collect()
    });
    change(&mut events);
    let mut history = History::default();
    for event in events {
        history.take(event).unwrap();
    }
    history.told()
}

/// Writes it beside what the service saw, as another connection.
async fn import(story: &Story, told: &Told) -> Imported {
    let database = &story.app.store;
    let campaign = Campaign::parse(CAMPAIGN).unwrap();
    campaigns::publish(database.conn(), &campaign, CAMPAIGN, story.now())
        .await
        .unwrap();
    let opening = Opening {
        connection: "past".to_owned(),
        collector: Collector::Provider,
        default_zone: "UTC".to_owned(),
    };
    let import = Import {
        actor: "the test",
        opening: &opening,
        campaign: &campaign,
        clock: &Clock::System,
    };
    import.write(database, &told.invoices).await.unwrap()
}

/// What reports know of a case, and the attempts and lines that both ways tell of.
async fn seen(story: &Story, connection: &str, invoice: &str) -> String {
    let conn = story.app.store.conn();
    let id = cases::by_invoice(conn, connection, invoice).await.unwrap();
    let id = id.unwrap_or_else(|| panic!("{connection} has no case of {invoice}"));
    let Case {
        amount_due,
        opened_at,
        closed_at,
        birth,
        decline,
        attempts: count,
        memory,
        customer_id,
        subscription_id,
        state,
        ..
    } = cases::find(conn, &id).await.unwrap().unwrap();
    let tried: Vec<_> = attempts::by_case(conn, &id)
        .await
        .unwrap()
        .into_iter()
        .map(|row| {
            (
                row.origin,
                row.status,
                row.amount,
                row.charge_id,
                row.decline,
                row.started_at,
            )
        })
        .collect();
    let outcome = match state {
        recoup::domain::case::State::Closed { outcome } => serde_json::to_value(outcome).unwrap(),
        open => panic!("{connection}: {invoice} is not closed: {open:?}"),
    };
    let words: Vec<_> = ["kind", "by", "reason", "then", "why"]
        .iter()
        .filter_map(|key| outcome[key].as_str())
        .collect();
    let told: Vec<_> = timeline::by_case(conn, &id, 200, None)
        .await
        .unwrap()
        .into_iter()
        .filter(|line| ["opened", "attempt_seen", "closed"].contains(&line.kind.as_str()))
        .map(|line| (line.at, line.text))
        .collect();
    let birth = recoup::domain::case::Birth {
        zone: None,
        day: None,
        ..birth
    };
    format!(
        "{} {amount_due} {opened_at} {closed_at:?} {birth:?} {decline:?} {count} {:?} {customer_id} {subscription_id:?} {tried:#?} {told:#?}",
        words.join(" "),
        memory.paid_charge,
    )
}
