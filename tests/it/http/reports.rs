//! The recovery report over HTTP.

use recoup::domain::role::Role;
use serde_json::json;

use super::stage;

#[test]
fn the_report_counts_and_defines() {
    stage(async |stage| {
        stage.open_case("insufficient_funds").await;
        let stopped = stage.open_case("lost_card").await;
        stage.post(&format!("/v1/cases/{stopped}/mark-paid"), &json!({})).await;
        let report = stage.get("/v1/reports/recovery?from=2026-03-01&to=2026-04-01").await;
        assert_eq!(report.status, 200, "{}", report.text);
        let report = report.json();
        let row = &report["rows"][0];
        assert_eq!((&row["cohort"], &row["currency"]), (&json!("2026-03"), &json!("EUR")));
        assert_eq!(row["all"], json!({"cases": 2, "amount_minor": 3998}));
        assert_eq!(row["recovered"]["cases"], 1, "{row}");
        assert_eq!(
            row["rates"]["cases_of_all"],
            json!({"parts_per_10k": 5000, "percent": "50.00"})
        );
        assert_eq!(row["rates"]["amount_of_closed"]["percent"], "100.00");
        assert_eq!(
            (&row["maturity"]["percent"], &row["mature"]),
            (&json!("50.00"), &json!(false))
        );
        assert_eq!(report["zones"], json!({"stripe": "UTC"}));
        assert!(report["definitions"]["maturity"].is_string() && report["as_of"].is_string());
        let split = stage
            .get("/v1/reports/recovery?from=2026-03-01&to=2026-04-01&by=decline_kind&cohort=week")
            .await;
        let split = split.json();
        assert_eq!(split["rows"].as_array().unwrap().len(), 2, "{split}");
        assert_eq!(split["rows"][0]["cohort"], "2026-W10");
        let empty = stage
            .get("/v1/reports/recovery?from=2020-01-01&to=2020-02-01")
            .await
            .json();
        assert_eq!(empty["rows"], json!([]));
    });
}

#[test]
fn where_nobody_draws_the_uplift_report_says_so() {
    stage(async |stage| {
        stage.open_case("insufficient_funds").await;
        let key = stage.key(Role::Marketing).await;
        let get = async |path: &str| stage.send(stage.client.get(stage.url(path)).bearer_auth(&key)).await;
        let report = get("/v1/reports/uplift?from=2026-03-01&to=2026-04-01").await;
        assert_eq!(report.status, 200, "{}", report.text);
        let report = report.json();
        assert_eq!(
            (&report["cases"]["opened"], &report["cases"]["never_drawn"]),
            (&json!(1), &json!(1))
        );
        let against = &report["against_holdout"];
        assert_eq!(against["verdict"], "not yet distinguishable");
        assert!(
            against["why"].as_str().unwrap().contains("learning.holdout_percent"),
            "{against}"
        );
        assert_eq!(report["off_policy"]["arms"], json!([]));
        for (query, told) in [
            ("from=2026-04-01&to=2026-03-01", "from must lie before to"),
            ("from=x", "from must be a day"),
            ("zone=Mars/Olympus", "zone must be an IANA zone"),
            ("arm=even", "unknown field"),
        ] {
            let bad = get(&format!("/v1/reports/uplift?{query}")).await;
            assert_eq!((bad.status, bad.code().as_str()), (400, "bad_query"), "{query}");
            assert!(bad.text.contains(told), "{query}: {}", bad.text);
        }
        assert_eq!(get("/v1/learning").await.status, 403);
        let learning = stage.get("/v1/learning").await.json();
        assert_eq!(
            (&learning["version"], &learning["made_at"]),
            (&json!(0), &serde_json::Value::Null)
        );
        assert_eq!(learning["kinds"][0]["arms"][0]["state"], "not_named");
    });
}

#[test]
fn the_same_figures_come_as_csv_without_personal_data() {
    stage(async |stage| {
        stage.open_case("insufficient_funds").await;
        let key = stage.key(Role::Marketing).await;
        let request = stage
            .client
            .get(stage.url("/v1/reports/recovery?by=campaign"))
            .bearer_auth(key);
        let seen = stage.send(request.header("accept", "text/csv")).await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        assert!(seen.header("content-type").starts_with("text/csv"));
        let mut reader = csv::Reader::from_reader(seen.text.as_bytes());
        let rows: Vec<std::collections::HashMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0]["group"].as_str(), rows[0]["open_cases"].as_str()),
            ("default v1", "1")
        );
        assert!(!seen.text.contains("ada"), "{}", seen.text);
        let empty = stage
            .client
            .get(stage.url("/v1/reports/recovery?from=2020-01-01&to=2020-02-01"))
            .bearer_auth(super::BOOTSTRAP);
        let empty = stage.send(empty.header("accept", "text/csv")).await;
        assert_eq!(empty.text.lines().count(), 1, "an empty report still names its columns");
    });
}
