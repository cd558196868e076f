//! The document is what is committed, and each route behaves as it says.

use recoup::http::openapi::json_text;
use recoup::http::{openapi_document, rules};
use serde_json::Value;

use super::stage;

/// Every operation of the document: method, path, the operation itself.
pub fn operations() -> Vec<(String, String, Value)> {
    let document: Value = serde_json::from_str(&json_text(&openapi_document())).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    operations
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    let built = json_text(&openapi_document());
    assert!(
        committed == built,
        "openapi/openapi.json is out of date: run `recoup openapi > openapi/openapi.json`"
    );
    stage(async |stage| assert_eq!(stage.get("/openapi.json").await.text, built));
}

#[test]
fn the_committed_schema_of_campaigns_is_the_one_that_is_served() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/campaign.schema.json");
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    let built = recoup::domain::campaign::schema::json_text();
    assert!(
        committed == built,
        "openapi/campaign.schema.json is out of date: run `recoup openapi --campaign-schema > openapi/campaign.schema.json`"
    );
    stage(async |stage| assert_eq!(stage.get("/campaign.schema.json").await.text, built));
}

#[test]
fn every_route_under_v1_has_a_rule_and_every_rule_a_route() {
    let mut documented: Vec<(String, String)> = operations()
        .into_iter()
        .map(|(method, path, _)| (method, path))
        .filter(|(_, path)| path.starts_with("/v1/"))
        .collect();
    let mut ruled: Vec<(String, String)> = rules::RULES
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    documented.sort();
    ruled.sort();
    assert_eq!(documented, ruled);
}

#[test]
fn words_stand_in_the_document_as_they_are_sent() {
    let document: Value = serde_json::from_str(&json_text(&openapi_document())).unwrap();
    let status = &document["components"]["schemas"]["Status"]["enum"];
    assert_eq!(
        status,
        &serde_json::json!(["open", "recovered", "exhausted", "stopped"])
    );
}

#[test]
fn every_operation_documents_its_errors() {
    for (method, path, operation) in operations() {
        let known = |status: &str| operation["responses"].get(status).is_some();
        assert!(known("405"), "{method} {path}");
        if path.starts_with("/v1/") {
            assert!(["400", "401", "403", "503"].into_iter().all(known), "{method} {path}");
            assert_eq!(
                operation["security"][0]["key"],
                Value::Array(Vec::new()),
                "{method} {path}"
            );
        }
        if method == "POST" {
            assert!(["408", "413", "415"].into_iter().all(known), "{method} {path}");
        }
        if path.contains('{') {
            assert!(known("404"), "{method} {path}");
        }
    }
}
