//! What the reports say of cases that arms plan: the groups, the holdout, what is left out and why, and the posterior in rows.

use recoup::domain::money::Money;
use recoup::sandbox::Shape;
use recoup::store::Oversight;
use serde_json::{Value, json};

use super::learning::{CUSTOMERS, START, failed_invoices, learning_campaign, replay};
use crate::support::story::{ADMIN_KEY, Story, tell_in};

const REPORT: &str = "/v1/reports/uplift?from=2026-03-01&to=2026-04-01";

fn group<'a>(report: &'a Value, name: &str) -> &'a Value {
    let groups = report["groups"].as_array().unwrap();
    groups
        .iter()
        .find(|group| group["group"] == name)
        .unwrap_or(&Value::Null)
}

#[test]
fn the_uplift_report_tells_what_became_of_each_group() {
    let folder = learning_campaign();
    let dir = folder.path().display().to_string();
    let settings = [
        ("RECOUP__CAMPAIGNS__DIR", dir.as_str()),
        ("RECOUP__LEARNING__HOLDOUT_PERCENT", "50"),
    ];
    tell_in(Shape::New, START, &settings, &async |story: &mut Story| {
        let invoices = failed_invoices(story);
        // No schedule charges a lost card, so nothing is drawn for it.
        story.failed_invoice("lost_card");
        story.settle().await;
        let mut held_out = Vec::new();
        let mut drawn = Vec::new();
        for invoice in &invoices {
            let choice = story.case(invoice).await.memory.choice.unwrap();
            let side = if choice.held_out { &mut held_out } else { &mut drawn };
            side.push(invoice.clone());
        }
        assert!(held_out.len() > 1 && drawn.len() > 1, "{held_out:?} {drawn:?}");
        // Staff pauses one for an hour: it stays where its draw put it, and is no part of what would have been.
        let paused = story.case(&drawn[0]).await.id;
        let until = json!({"until": "2026-03-02T10:00:00Z"});
        assert_eq!(story.post(&format!("/v1/cases/{paused}/pause"), &until).await.0, 200);
        story.advance("2026-03-18T00:00:00Z").await;
        young(story, &held_out, &drawn).await;
        // A recovery of the holdout is taken back: its share stays, its money does not.
        story.sandbox.dispute(&held_out[0]).unwrap();
        story.advance("2026-03-24T00:00:00Z").await;
        ripe(story, &held_out, &drawn).await;
        as_csv(story).await;
        posterior(story).await;
        kept(story).await;
    });
}

/// All is recovered, and no window is over: nothing is compared yet.
async fn young(story: &Story, held_out: &[String], drawn: &[String]) {
    let (status, report) = story.get(REPORT).await;
    assert_eq!(status, 200, "{report}");
    let counts = json!({
        "opened": CUSTOMERS + 1, "never_drawn": 1, "provider_collects": 0,
        "held_out": held_out.len(), "drawn": drawn.len(), "window_over": 0,
    });
    assert_eq!(report["cases"], counts);
    let group = group(&report, "drawn");
    assert_eq!(
        (&group["closed"], &group["recovered"], &group["maturity"]["percent"]),
        (&json!(drawn.len()), &json!(drawn.len()), &json!("100.00"))
    );
    assert_eq!(
        (&group["window_over"]["cases"], &group["window_over"]["share"]),
        (&json!(0), &Value::Null)
    );
    let against = &report["against_holdout"];
    assert_eq!(against["verdict"], "not yet distinguishable");
    assert_eq!(against["why"], "on one side no case has come to the end of its window");
    assert_eq!(against["since"], START);
}

async fn ripe(story: &Story, held_out: &[String], drawn: &[String]) {
    let (_, report) = story.get(REPORT).await;
    assert_eq!(report["holdout_percent"], 50);
    let fee = report["fee_minor"].as_i64().unwrap();
    let [held, all] = ["held_out", "drawn"].map(|name| group(&report, name));
    for (group, cases) in [(held, held_out.len()), (all, drawn.len())] {
        let over = &group["window_over"];
        assert_eq!(
            (&over["cases"], &over["customers"], &over["recovered"]),
            (&json!(cases), &json!(cases), &json!(cases))
        );
        assert_eq!(over["share"]["share"]["percent"], "100.00");
    }
    let price = Money::new(1999, "EUR".parse().unwrap());
    assert_eq!(story.case(&drawn[0]).await.amount_due, price);
    // Three charges each; one payment of the holdout went back.
    let each = 1999 - 3 * fee;
    assert_eq!(all["net_values"][0]["mean_minor"], each);
    let count = i64::try_from(held_out.len()).unwrap();
    let mean = held["net_values"][0]["mean_minor"].as_i64().unwrap();
    assert!((mean * count - (each * count - 1999)).abs() * 2 <= count, "{held}");
    assert_eq!(all["net_values"][0]["low_minor"], Value::Null, "below 30 customers");
    let against = &report["against_holdout"];
    assert_eq!(against["difference"]["points"]["percent"], "0.00");
    assert_eq!(
        (&against["verdict"], &against["why"]),
        (
            &json!("not yet distinguishable"),
            &json!("the interval of the difference contains 0: it may be chance")
        )
    );
    assert!(
        against["needed"]
            .as_array()
            .unwrap()
            .iter()
            .all(|needed| needed["still"].as_u64().unwrap() > 0)
    );
    let off_policy = &report["off_policy"];
    assert_eq!(off_policy["cases"], drawn.len() - 1);
    assert_eq!(
        off_policy["left_out"],
        json!({"window_open": 0, "one_arm": 0, "overridden": 1})
    );
    let arms = off_policy["arms"].as_array().unwrap();
    assert_eq!(arms.len(), 3, "{off_policy}");
    for arm in arms {
        assert!(arm["refused"].as_str().unwrap().contains("and 100 are needed"), "{arm}");
        assert_eq!((&arm["snips"], &arm["doubly_robust"]), (&Value::Null, &Value::Null));
        assert_eq!(arm["verdict"], "not yet distinguishable");
    }
    for word in ["share", "window_over", "off_policy", "needed", "verdict"] {
        assert!(report["definitions"][word].is_string(), "{word}");
    }
}

async fn as_csv(story: &Story) {
    let request = reqwest::Client::new()
        .get(format!("{}{REPORT}", story.url))
        .bearer_auth(ADMIN_KEY)
        .header("accept", "text/csv");
    let text = request.send().await.unwrap().text().await.unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<std::collections::HashMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    let row = |name: &str| rows.iter().find(|row| row["group"] == name).unwrap();
    assert_eq!(row("held_out")["currency"], "EUR");
    assert_eq!(row("drawn")["verdict"], "not yet distinguishable");
    assert_eq!(row("drawn")["recovered_percent"], "100.00");
    assert!(row("adaptive")["refused"].contains("100 are needed"), "{text}");
    assert!(!text.contains("cus_") && !text.contains("erika"), "{text}");
}

async fn posterior(story: &Story) {
    let (status, learning) = story.get("/v1/learning").await;
    assert_eq!(status, 200, "{learning}");
    assert!(learning["version"].as_u64().unwrap() > 0 && learning["made_at"].is_string());
    assert_eq!(learning["holdout_percent"], 50);
    assert_eq!(learning["prior"]["sources"].as_array().unwrap().len(), 4);
    let kinds = learning["kinds"].as_array().unwrap();
    let funds = kinds.iter().find(|kind| kind["kind"] == "insufficient_funds").unwrap();
    let arms = funds["arms"].as_array().unwrap();
    assert_eq!(
        arms.iter().map(|arm| arm["n"].as_u64().unwrap()).sum::<u64>(),
        CUSTOMERS as u64
    );
    let of = |name: &str| arms.iter().find(|arm| arm["arm"] == name).unwrap();
    assert_eq!(
        (&of("even")["state"], &of("even")["why"]),
        (&json!("in_use"), &Value::Null)
    );
    assert!(of("adaptive")["propensity"].as_f64().unwrap() > 0.5, "{arms:?}");
    let why = of("late")["why"].as_str().unwrap();
    assert_eq!(of("late")["state"], "not_named");
    assert!(why.contains("default does not name it"), "{why}");
    let weights = funds["weights"].as_array().unwrap();
    assert_eq!(weights.len(), 68);
    let answered: u64 = weights[..6].iter().map(|weight| weight["n"].as_u64().unwrap()).sum();
    assert_eq!(answered, 3 * CUSTOMERS as u64, "each charge has one delay");
    let text = weights[0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("insufficient_funds @ 0 to 6 h after the failure: -1.20 ± 0.80, n=0"),
        "{text}"
    );
}

/// After months of retention every decision is derived again all the same.
async fn kept(story: &Story) {
    for _ in 0..6 {
        story
            .app
            .store
            .tidy("2026-09-01T00:00:00Z".parse().unwrap())
            .await
            .unwrap();
    }
    let all = replay(story, &["--since", START]);
    assert!(all.status.success(), "{all:?}");
}
