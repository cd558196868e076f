//! Many at once: whoever reads a lot must not keep the money waiting.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};

use futures_util::future::join_all;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use sea_orm::{ConnectionTrait, Statement, TransactionTrait};

use crate::support::story::{Story, tell};

/// How many invoices failed while nothing got through.
const FAILED: usize = 60;

#[test]
fn webhooks_are_taken_in_while_every_connection_of_the_reports_is_in_use() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(story.app.reports.conn().begin().await.unwrap());
        }
        let answered = Cell::new(false);
        let report = async {
            let (status, _) = story
                .get("/v1/reports/recovery?from=2026-03-01&to=2026-04-01&cohort=month")
                .await;
            answered.set(true);
            status
        };
        let others = async {
            story.settle().await;
            assert!(story.has_case(&failed.invoice).await);
            assert!(!answered.get(), "the report takes no connection of the others");
            drop(held);
        };
        let (status, ()) = tokio::join!(report, others);
        assert_eq!(status, 200, "it had to wait, and got its answer then");
    });
}

#[test]
fn a_storm_after_an_outage_leaves_nothing_uncounted() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let seed = 7;
        println!("seed {seed}");
        let mut dice = SmallRng::seed_from_u64(seed);
        // While nothing got through every third of the customers paid.
        let failed: Vec<_> = (0..FAILED)
            .map(|_| story.failed_invoice("insufficient_funds"))
            .collect();
        let paid: Vec<_> = failed.iter().step_by(3).collect();
        for failed in &paid {
            assert!(story.sandbox.pay_by_customer(&failed.invoice));
        }
        assert!(story.sandbox.lose_webhooks() > 0);
        let shape = story.sandbox.world(|world| world.shape());
        let events = story.sandbox.world(|world| world.events().to_vec());
        let mut bodies: Vec<String> = events.iter().map(|event| event.body(shape, 1).to_string()).collect();
        let good = bodies.len();
        // One in five comes twice, one in twenty cannot be read, and the order is that of chance.
        let twice = bodies
            .iter()
            .filter(|_| dice.random_bool(0.2))
            .cloned()
            .collect::<Vec<_>>();
        let doubled = twice.len();
        bodies.extend(twice);
        let poison = good / 20;
        bodies.extend((0..poison).map(|n| format!("{{\"id\": \"evt_poison_{n}\", \"type\": [")));
        bodies.shuffle(&mut dice);

        let client = reqwest::Client::new();
        // What is not taken in is sent again, as the provider does.
        while !bodies.is_empty() {
            let sent = bodies
                .into_iter()
                .map(async |body| (story.webhook(&client, body.clone()).await, body));
            let refused = join_all(sent).await.into_iter().filter(|(status, _)| *status != 200);
            bodies = refused
                .map(|(status, body)| (status == 503).then_some(body).expect("200 or 503"))
                .collect();
        }
        story.settle().await;

        assert!(doubled > 0 && poison > 0);
        let conn = story.app.store.conn();
        let sql = "SELECT status, COUNT(*) FROM inbox GROUP BY status";
        let rows = conn
            .query_all_raw(Statement::from_string(conn.get_database_backend(), sql))
            .await
            .unwrap();
        let counts: BTreeMap<String, i64> = rows
            .iter()
            .map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap()))
            .collect();
        let of = |status: &str| usize::try_from(counts.get(status).copied().unwrap_or(0)).unwrap();
        assert_eq!(of("dead"), poison);
        assert_eq!(of("processed") + of("ignored"), good);
        assert_eq!(of("pending"), 0);
        let settled: HashSet<&str> = paid.iter().map(|failed| failed.invoice.as_str()).collect();
        for failed in &failed {
            let owed = !settled.contains(failed.invoice.as_str());
            assert_eq!(story.has_case(&failed.invoice).await, owed, "{}", failed.invoice);
        }
        assert!(story.letters().is_empty(), "who has paid is not written to");
    });
}
