//! What reports count, as files: every case once, as it stands, and nobody named.

use std::collections::BTreeMap;

use bytes_of::rows;
use recoup::domain::role::Role;
use serde_json::json;

use super::{BOOTSTRAP, Stage, stage};

/// Reading a file of Parquet by the library's own reader.
mod bytes_of {
    use std::collections::BTreeMap;

    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    /// The rows, each as texts by the names of its columns; nothing where nothing stands.
    pub fn rows(bytes: Vec<u8>) -> Vec<BTreeMap<String, Option<String>>> {
        let reader = SerializedFileReader::new(actix_web::web::Bytes::from(bytes)).unwrap();
        let rows = reader.get_row_iter(None).unwrap();
        rows.map(|row| {
            let row = row.unwrap();
            let cells = row.get_column_iter().map(|(name, field)| {
                let text = match field {
                    Field::Null => None,
                    Field::Str(text) => Some(text.clone()),
                    Field::Long(number) | Field::TimestampMillis(number) => Some(number.to_string()),
                    other => panic!("{name}: {other}"),
                };
                (name.clone(), text)
            });
            cells.collect()
        })
        .collect()
    }
}

async fn export(stage: &Stage, path: &str, key: &str) -> (u16, String, Vec<u8>) {
    let answer = stage.client.get(stage.url(path)).bearer_auth(key).send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status().as_u16(), kind, answer.bytes().await.unwrap().to_vec())
}

#[test]
fn each_case_and_each_attempt_is_a_row_and_nobody_is_named() {
    stage(async |stage| {
        let open = stage.open_case("insufficient_funds").await;
        let paid = stage.open_case("lost_card").await;
        stage.post(&format!("/v1/cases/{paid}/mark-paid"), &json!({})).await;
        let marketing = stage.key(Role::Marketing).await;
        let span = "from=2026-03-01&to=2026-04-01";

        let (status, kind, bytes) = export(stage, &format!("/v1/exports/cases?{span}"), &marketing).await;
        assert_eq!((status, kind.as_str()), (200, "application/vnd.apache.parquet"));
        let known = stage.get("/v1/cases").await.json();
        let cases = rows(bytes);
        let cell = |row: &BTreeMap<String, Option<String>>, name: &str| row[name].clone();
        let text = |row: &BTreeMap<String, Option<String>>, name: &str| cell(row, name).unwrap_or_default();
        let mut told: Vec<_> = cases
            .iter()
            .map(|row| (text(row, "status"), text(row, "amount_minor")))
            .collect();
        let mut expected: Vec<_> = known["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|case| {
                let amount = case["amount_due"]["amount_minor"].to_string();
                (case["status"].as_str().unwrap().to_owned(), amount)
            })
            .collect();
        told.sort();
        expected.sort();
        assert_eq!(told, expected);
        for row in &cases {
            assert_eq!(
                cell(row, "closed_at").is_some(),
                text(row, "status") == "recovered",
                "{row:?}"
            );
            assert_eq!(text(row, "opened_at").len(), 13, "milliseconds: {row:?}");
        }
        let everything = format!("{cases:?}");
        for case in [&open, &paid] {
            let shown = stage.get(&format!("/v1/cases/{case}")).await.json();
            for name in ["id", "customer_id", "subscription_id", "invoice_id"] {
                assert!(!everything.contains(shown[name].as_str().unwrap()), "{name}");
            }
        }

        let (_, _, bytes) = export(stage, &format!("/v1/exports/attempts?{span}"), BOOTSTRAP).await;
        let attempts = rows(bytes);
        assert!(attempts.len() >= 2, "{attempts:?}");
        for row in &attempts {
            assert!(cases.iter().any(|case| case["case"] == row["case"]), "{row:?}");
        }
        let (_, _, again) = export(stage, &format!("/v1/exports/cases?{span}"), BOOTSTRAP).await;
        assert_eq!(rows(again), cases, "the same pseudonyms, whoever asks");
        let (_, _, none) = export(stage, "/v1/exports/cases?from=2026-04-01&to=2026-05-01", BOOTSTRAP).await;
        assert_eq!(rows(none), [], "nothing happened in April");
    });
}

#[test]
fn an_export_of_no_span_is_refused() {
    stage(async |stage| {
        for path in [
            "cases?from=2026-04-01&to=2026-03-01",
            "attempts?from=March",
            "cases?zone=UTC",
        ] {
            let bad = stage.get(&format!("/v1/exports/{path}")).await;
            assert_eq!((bad.status, bad.code().as_str()), (400, "bad_query"), "{path}");
        }
        let viewer = stage.key(Role::Viewer).await;
        let (status, kind, _) = export(stage, "/v1/exports/cases", &viewer).await;
        assert_eq!((status, kind.as_str()), (403, "application/problem+json"));
    });
}
