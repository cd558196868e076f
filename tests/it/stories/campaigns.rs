//! Campaigns as staff choose, compare and change them while cases run.

use recoup::domain::campaign::Campaign;
use recoup::domain::money::Money;
use recoup::sandbox::{Habits, NewCard, NewCustomer, Outcome, Shape};
use serde_json::{Value, json};

use crate::support::campaigns::DAYS;
use crate::support::story::{Failed, Story, tell, tell_in};

const START: &str = "2026-03-02T08:30:00Z";

/// The end of the story of a case that was moved after its first retry.
const MOVED_END: &str = "
03-05 07:00 staff            migrate
03-05 07:00 notice_skipped   reminder
03-05 07:00 planned          charges [03-12 08:00] notice final_notice 03-13 09:00
03-12 08:00 attempt_started  schedule
03-12 08:00 attempt_answered declined insufficient_funds
03-12 08:00 planned          charges [] notice final_notice 03-13 09:00
03-13 09:00 notice_queued    final_notice
03-13 09:00 notice_ended     sent
03-16 09:00 final_action     cancel
03-16 09:00 closed           exhausted attempts_spent cancelled
";

/// The campaign of the stories with a version, and something put before its first table.
fn written(name: &str, version: u32, extra: &str) -> String {
    DAYS.replace(
        "name = \"default\"\nversion = 1\n",
        &format!("name = \"{name}\"\nversion = {version}\n{extra}"),
    )
}

async fn publish(story: &Story, text: &str) {
    let (status, answer) = story.post("/v1/campaigns", &json!({ "text": text })).await;
    assert_eq!(status, 201, "{answer}");
}

async fn campaign(story: &Story, failed: &Failed) -> String {
    story.case(&failed.invoice).await.campaign.to_string()
}

fn customer_of(story: &Story, number: usize, country: &str, amount: i64, currency: &str) -> Failed {
    let customer = story.sandbox.world(|world| {
        let id = world.add_customer(NewCustomer {
            name: "Kim Beispiel".to_owned(),
            email: format!("kim{number}@kunde.example"),
            locale: "de".to_owned(),
            country: country.to_owned(),
            zone: None,
            habits: Habits::DEAF,
        });
        world.add_card(&id, NewCard::default());
        id
    });
    let price = Money::new(amount, currency.parse().unwrap());
    let renews = "2030-01-01T00:00:00Z".parse().unwrap();
    let subscription = story.sandbox.add_subscription(&customer, price, renews);
    let invoice = story.sandbox.open_invoice(&subscription, "insufficient_funds");
    Failed {
        customer,
        subscription,
        invoice,
    }
}

#[test]
fn a_new_case_takes_the_first_campaign_that_has_a_segment_for_it() {
    tell(START, &async |story: &mut Story| {
        publish(
            story,
            &written(
                "large",
                1,
                "order = 10\n[[for]]\namount = { at_least = [\"100 EUR\", \"12000 JPY\"] }\n",
            ),
        )
        .await;
        publish(
            story,
            &written(
                "japan",
                1,
                "order = 20\n[[for]]\ncountries = [\"JP\"]\n[[for]]\ncurrencies = [\"JPY\"]\n",
            ),
        )
        .await;
        publish(
            story,
            &written(
                "plan",
                1,
                "order = 30\n[[for]]\nmonthly = { below = [\"5.00 EUR\"] }\ntenure_days = { below = 30 }\n",
            ),
        )
        .await;
        publish(story, &written("by_hand", 1, "order = 1\n")).await;
        let cases = [
            (customer_of(story, 1, "DE", 1999, "EUR"), "default@1"),
            (customer_of(story, 2, "DE", 10_000, "EUR"), "large@1"),
            (customer_of(story, 3, "JP", 12_000, "JPY"), "large@1"),
            (customer_of(story, 4, "JP", 11_999, "JPY"), "japan@1"),
            (customer_of(story, 5, "DE", 800, "JPY"), "japan@1"),
            (customer_of(story, 6, "DE", 499, "EUR"), "plan@1"),
        ];
        story.settle().await;
        for (failed, expected) in &cases {
            assert_eq!(campaign(story, failed).await, *expected);
        }
        // A version without segments takes nobody any more; who is in it goes on.
        publish(story, &written("japan", 2, "order = 20\n")).await;
        let late = customer_of(story, 7, "JP", 800, "JPY");
        story.settle().await;
        assert_eq!(
            (campaign(story, &late).await, campaign(story, &cases[4].0).await),
            ("default@1".to_owned(), "japan@1".to_owned())
        );
        let (status, problem) = story.post("/v1/campaigns", &json!({ "text": written("later", 1, "order = 40\n[[for]]\namount = { at_least = [\"100 EUR\", \"12000 JPY\"] }\ncountries = [\"AT\"]\n") })).await;
        assert_eq!(status, 422, "{problem}");
        let said = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(said.contains("large is asked before"), "{problem}");
    });
}

#[test]
fn a_running_case_keeps_its_version_until_staff_moves_it() {
    tell(START, &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let declined = || Outcome::decline("insufficient_funds");
        story
            .sandbox
            .script_outcomes(&failed.invoice, [declined(), declined(), declined(), declined()]);
        story.advance("2026-03-05T07:00:00Z").await;
        let slower = DAYS
            .replace("version = 1", "version = 2")
            .replace("days = [1, 3, 7, 14]", "days = [10]")
            .replace("{ after_days = { days = 7, at", "{ after_days = { days = 2, at")
            .replace("after_days = 21", "after_days = 14");
        publish(story, &slower).await;
        assert_eq!(campaign(story, &failed).await, "default@1");
        let id = story.case(&failed.invoice).await.id;
        let own = forecast(story, &format!("/v1/cases/{id}/forecast")).await;
        assert_eq!(
            own,
            [
                "03-05 08:00 charge",
                "03-09 08:00 charge",
                "03-09 09:00 reminder",
                "03-16 08:00 charge",
                "03-20 09:00 final_notice",
                "03-23 09:00 final_action"
            ]
        );
        // The reminder of day 2 would come by now: `keep` sends it, `elapsed` passes it over.
        let kept = forecast(story, &format!("/v1/cases/{id}/forecast?campaign=default@2&how=keep")).await;
        assert_eq!(
            kept,
            [
                "03-05 07:00 reminder",
                "03-12 08:00 charge",
                "03-13 09:00 final_notice",
                "03-16 09:00 final_action"
            ]
        );
        let elapsed = forecast(story, &format!("/v1/cases/{id}/forecast?campaign=default@2")).await;
        assert_eq!(elapsed, kept[1..]);
        let anew = forecast(
            story,
            &format!("/v1/cases/{id}/forecast?campaign=default@2&how=restart"),
        )
        .await;
        assert_eq!(
            anew,
            [
                "03-07 09:00 reminder",
                "03-15 08:00 charge",
                "03-16 09:00 final_notice",
                "03-19 09:00 final_action"
            ]
        );
        assert_eq!(
            story
                .get(&format!("/v1/cases/{id}/forecast?campaign=default@9"))
                .await
                .0,
            404
        );
        assert_eq!(
            story.get(&format!("/v1/cases/{id}/forecast?campaign=default")).await.0,
            400
        );
        moved(story, &failed, &elapsed).await;
    });
}

/// A preview that changes nothing, then the same for good, and what comes of it.
async fn moved(story: &Story, failed: &Failed, planned: &[String]) {
    let before = story.diary(&failed.invoice).await;
    let ask = |preview: bool| json!({ "to": "default@2", "how": "elapsed", "preview": preview, "comment": "slower is kinder" });
    let (status, preview) = story.post("/v1/campaigns/default/migrate", &ask(true)).await;
    assert_eq!(status, 200, "{preview}");
    let sums = [
        "open",
        "moved",
        "refused",
        "charges_differ",
        "messages_differ",
        "ends_differ",
        "end_sooner",
    ];
    assert_eq!(
        sums.map(|key| preview[key].as_u64().unwrap()),
        [1, 1, 0, 1, 1, 1, 1],
        "{preview}"
    );
    assert_eq!(preview["data"][0]["after"]["charge_at"], "2026-03-12T08:00:00Z");
    assert_eq!(story.diary(&failed.invoice).await, before);
    let (status, done) = story.post("/v1/campaigns/default/migrate", &ask(false)).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(done["data"], preview["data"]);
    let (_, again) = story.post("/v1/campaigns/default/migrate", &ask(false)).await;
    assert_eq!((&again["open"], &again["moved"]), (&json!(0), &json!(0)), "{again}");
    assert_eq!(campaign(story, failed).await, "default@2");
    let id = story.case(&failed.invoice).await.id;
    assert_eq!(forecast(story, &format!("/v1/cases/{id}/forecast")).await, planned);
    story.advance("2026-03-24T00:00:00Z").await;
    let diary = story.diary(&failed.invoice).await;
    assert!(diary.contains(MOVED_END), "{diary}");
    // No step and no subject came twice.
    let mut subjects = story.subjects(&id).await;
    subjects.sort_unstable();
    let all = subjects.len();
    subjects.dedup();
    assert_eq!(subjects.len(), all, "{subjects:?}");
    let (_, audit) = story.get("/v1/audit").await;
    let entries = audit["data"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["action"] == "migrate").unwrap();
    assert_eq!(entry["comment"], "slower is kinder");
}

/// A forecast, a line a step.
async fn forecast(story: &Story, path: &str) -> Vec<String> {
    let (status, answer) = story.get(path).await;
    assert_eq!(status, 200, "{answer}");
    let line = |step: &Value| {
        let at: jiff::Timestamp = step["at"].as_str().unwrap().parse().unwrap();
        let what = step["step"].as_str().or(step["kind"].as_str()).unwrap();
        format!("{} {what}", at.strftime("%m-%d %H:%M"))
    };
    answer["data"].as_array().unwrap().iter().map(line).collect()
}

#[test]
fn a_case_that_is_moved_hears_of_its_end_before_it_comes() {
    tell_in(Shape::New, START, &[], &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        let declined = || Outcome::decline("insufficient_funds");
        story
            .sandbox
            .script_outcomes(&failed.invoice, [declined(), declined(), declined(), declined()]);
        story.advance("2026-03-17T12:00:00Z").await;
        let short = DAYS
            .replace("version = 1", "version = 2")
            .replace("days = [1, 3, 7, 14]", "days = [1, 3]")
            .replace("after_days = 21", "after_days = 10");
        publish(story, &short).await;
        let ask = json!({ "to": "default@2", "how": "elapsed", "preview": false });
        let (status, done) = story.post("/v1/campaigns/default/migrate", &ask).await;
        assert_eq!((status, &done["moved"]), (200, &json!(1)), "{done}");
        let id = story.case(&failed.invoice).await.id;
        let left = forecast(story, &format!("/v1/cases/{id}/forecast")).await;
        assert_eq!(left, ["03-18 09:00 final_notice", "03-21 09:00 final_action"]);
        story.advance("2026-03-22T00:00:00Z").await;
        let diary = story.diary(&failed.invoice).await;
        assert!(diary.contains("03-18 09:00 notice_queued    final_notice\n"), "{diary}");
        assert!(diary.contains("03-21 09:00 closed           exhausted"), "{diary}");
    });
}

#[test]
fn a_shadow_says_what_it_would_do_and_does_nothing() {
    tell(START, &async |story: &mut Story| {
        assert_eq!(story.get("/v1/campaigns/default/shadow").await.0, 404);
        let shadow = DAYS
            .replace("version = 1\n", "version = 2\nshadow = true\n")
            .replace("days = [1, 3, 7, 14]", "days = [2, 5]")
            .replace("after_days = 21", "after_days = 14");
        publish(story, &shadow).await;
        let failed = story.failed_invoice("insufficient_funds");
        let declined = || Outcome::decline("insufficient_funds");
        story
            .sandbox
            .script_outcomes(&failed.invoice, [declined(), Outcome::Success]);
        story.advance("2026-03-10T00:00:00Z").await;
        assert_eq!(campaign(story, &failed).await, "default@1");
        assert_eq!(story.sandbox.books().charges_of(&failed.invoice).count(), 3);
        let (status, report) = story.get("/v1/campaigns/default/shadow").await;
        assert_eq!(status, 200, "{report}");
        assert_eq!(report["shadow"], json!({ "name": "default", "version": 2 }));
        let counts = [
            "plans",
            "cases",
            "alike",
            "charge_sooner",
            "charge_later",
            "messages_differ",
            "ends_differ",
        ];
        assert_eq!(
            counts.map(|key| report[key].as_u64().unwrap()),
            [2, 1, 0, 1, 1, 0, 2],
            "{report}"
        );
        let newest = &report["data"][0];
        assert_eq!(newest["live"]["charge_at"], "2026-03-05T08:00:00Z");
        assert_eq!(newest["shadow"]["charge_at"], "2026-03-04T08:00:00Z");
        assert_eq!(newest["differs"], json!(["charge", "end"]));
    });
}

#[test]
fn customers_are_divided_between_two_versions_and_the_report_compares_them() {
    tell_in(Shape::New, START, &[], &async |story: &mut Story| {
        let split =
            written("default", 2, "[split]\npercent = 50\nagainst = 1\n").replace("days = [1, 3, 7, 14]", "days = [2]");
        publish(story, &split).await;
        let parsed = Campaign::parse(&split).unwrap();
        let mut sides = [0_u64; 2];
        for number in 0..20 {
            let failed = customer_of(story, number, "DE", 1999, "EUR");
            story.settle().await;
            let version = parsed.version_for("stripe", &failed.customer);
            assert_eq!(campaign(story, &failed).await, format!("default@{version}"));
            // Who is divided stays so: the second invoice goes the same way.
            let second = story.sandbox.open_invoice(&failed.subscription, "insufficient_funds");
            story.settle().await;
            assert_eq!(story.case(&second).await.campaign.version, version);
            sides[usize::from(version == 2)] += 2;
        }
        assert!(sides.iter().all(|cases| *cases >= 6), "{sides:?}");
        story.advance("2026-03-24T00:00:00Z").await;
        let (status, report) = story.get("/v1/reports/uplift?from=2026-03-01&to=2026-04-01").await;
        assert_eq!(status, 200, "{report}");
        let found = &report["splits"][0];
        assert_eq!(
            (&found["version"], &found["against"], &found["percent"]),
            (&json!(2), &json!(1), &json!(50))
        );
        assert_eq!(
            (&found["of_against"]["cases"], &found["of_version"]["cases"]),
            (&json!(sides[0]), &json!(sides[1]))
        );
        assert!(report["definitions"]["splits"].is_string());
        let missing = written("default", 4, "[split]\npercent = 50\nagainst = 3\n");
        assert_eq!(story.post("/v1/campaigns", &json!({ "text": missing })).await.0, 422);
    });
}
