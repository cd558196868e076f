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
        assert_eq!(report["zone"], "UTC");
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
