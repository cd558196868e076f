//! `recoup import`: the time before Recoup, from the files that people have.

use serde_json::Value;

use super::{Service, json, run, written};
use crate::support::databases::each_url;

const EVENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/history/events.json");
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/history/invoices.csv");
const KEY: &str = "import-admin-key-0123456789";
const HEAD: &str = "invoice_id,customer_id,amount_minor,currency,failed_at,outcome,detail,ended_at,retried_at";

fn settings(url: &str) -> Vec<(&str, &str)> {
    vec![
        ("RECOUP__DATABASE__URL", url),
        ("RECOUP__STRIPE__API_KEY", "sk_test_import"),
        ("RECOUP__STRIPE__WEBHOOK_SECRETS", "whsec_import_secret"),
        ("RECOUP__STRIPE__API_BASE", "http://127.0.0.1:9"),
        ("RECOUP__STRIPE__TIMEZONE", "Europe/Berlin"),
        ("RECOUP__ADMIN__BOOTSTRAP_KEY", KEY),
        ("RECOUP__CLOCK__MODE", "test"),
        ("RECOUP__CLOCK__START", "2026-04-01T00:00:00Z"),
    ]
}

fn get(service: &Service, path: &str) -> Value {
    let (status, body) = service.get(path, Some(KEY));
    assert_eq!(status, 200, "{path}: {body}");
    json(&body)
}

#[test]
fn events_of_stripe_become_closed_cases_once() {
    each_url(&async |url: &str| {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(url);
        let dry = run(
            folder.path(),
            &["import", "stripe-events", EVENTS, "--dry-run"],
            &settings,
        );
        let import = || run(folder.path(), &["import", "stripe-events", EVENTS], &settings);
        let first = import();
        let text = written(&first);
        assert_eq!(first.status.code(), Some(0), "{text}");
        for line in [
            "3 invoices failed from 2026-03-01 to 2026-03-03, and their end is known",
            "         1 recovered",
            "         2 exhausted",
            "not read in, still charged when the file ends: in_d",
            "2 cases are written; 0 invoices had one already",
            "1 get no case, by the rules that hold for new ones: first_payment",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
        let text = written(&dry);
        assert!(
            text.contains("nothing is written") && text.contains("3 invoices failed"),
            "{text}"
        );
        let text = written(&import());
        assert!(
            text.contains("0 cases are written; 2 invoices had one already"),
            "{text}"
        );

        let service = Service::start(folder, &settings);
        told_of_the_past(&service);
        assert_eq!(service.terminate().0, Some(0));
    });
}

/// What the service tells of the events that were read in.
fn told_of_the_past(service: &Service) {
    let path = "/v1/reports/recovery?from=2026-03-01&to=2026-04-01&by=campaign";
    let report = get(service, path);
    let row = &report["rows"][0];
    assert_eq!(
        (&row["cohort"], &row["group"]),
        (&"2026-03".into(), &"imported v1".into()),
        "{report:#}"
    );
    let sums =
        ["all", "recovered", "exhausted"].map(|of| (row[of]["cases"].as_u64(), row[of]["amount_minor"].as_i64()));
    assert_eq!(
        sums,
        [(Some(2), Some(6800)), (Some(1), Some(4900)), (Some(1), Some(1900))],
        "{report:#}"
    );
    let cases = get(service, "/v1/cases?invoice_id=in_a");
    let case = &cases["data"][0];
    assert_eq!(case["outcome"]["by"], "provider_retry", "{case:#}");
    assert_eq!(
        (&case["opened_at"], &case["attempts"]),
        (&"2026-03-01T09:00:00Z".into(), &2.into()),
        "{case:#}"
    );
    let id = case["id"].as_str().unwrap();
    let timeline = get(service, &format!("/v1/cases/{id}/timeline"));
    let lines: Vec<_> = timeline["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            let [at, kind, actor] = ["at", "kind", "actor"].map(|key| line[key].as_str().unwrap());
            format!("{at} {kind} {actor}")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "2026-03-01T09:00:00Z opened recoup import",
            "2026-03-04T09:00:00Z attempt_seen recoup import",
            "2026-03-09T09:00:00Z closed recoup import",
        ]
    );
    let audit = get(service, "/v1/audit");
    let entry = &audit["data"][0];
    assert_eq!(
        (&entry["action"], &entry["object"]),
        (&"cases.import".into(), &"events.json".into()),
        "{audit:#}"
    );
}

#[test]
fn a_table_of_another_system_becomes_closed_cases() {
    each_url(&async |url: &str| {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(url);
        let done = run(folder.path(), &["import", "csv", TABLE], &settings);
        let text = written(&done);
        assert_eq!(done.status.code(), Some(0), "{text}");
        assert!(
            text.contains("4 cases are written") && text.contains("of 1 charges it is not told why"),
            "{text}"
        );
        let service = Service::start(folder, &settings);
        let report = get(&service, "/v1/reports/recovery?from=2025-11-01&to=2026-01-01&by=plan");
        let mut rows: Vec<_> = report["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                format!(
                    "{} {} {} {} of {}",
                    row["cohort"],
                    row["group"],
                    row["currency"],
                    row["recovered"]["amount_minor"],
                    row["all"]["amount_minor"]
                )
            })
            .collect();
        rows.sort();
        // Midnight of the 1st of December in UTC is the 1st in Berlin as well.
        assert_eq!(
            rows,
            [
                r#""2025-11" "Solo" "EUR" 1900 of 1900"#,
                r#""2025-11" "Team" "EUR" 4900 of 4900"#,
                r#""2025-11" "unknown" "EUR" 0 of 1900"#,
                r#""2025-12" "unknown" "JPY" 0 of 15000"#,
            ]
        );
        assert_eq!(service.terminate().0, Some(0));
    });
}

/// A folder with a service of its own, and what an import says of a text that it refuses.
struct Refusals {
    folder: tempfile::TempDir,
    url: String,
}

impl Refusals {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("empty.db").display());
        Self { folder, url }
    }

    fn told(&self, kind: &str, text: &str) -> String {
        let file = self.folder.path().join("bad");
        std::fs::write(&file, text).unwrap();
        let done = run(
            self.folder.path(),
            &["import", kind, file.to_str().unwrap()],
            &settings(&self.url),
        );
        assert_eq!(done.status.code(), Some(1), "{text}");
        written(&done)
    }

    /// Nothing of it is there.
    fn nothing_is_there(self) {
        let service = Service::start(self.folder, &settings(&self.url));
        assert_eq!(get(&service, "/v1/cases")["data"].as_array().unwrap().len(), 0);
        assert_eq!(service.terminate().0, Some(0));
    }
}

#[test]
fn a_table_with_faults_is_not_read_in_at_all() {
    let refusals = Refusals::new();
    let good = "in_1,cus_1,100,EUR,2026-01-01T00:00:00Z,recovered,customer,2026-01-02T00:00:00Z,";
    for (line, fault) in [
        (good, "line 3: invoice_id: in_1 stands on two lines"),
        (&good.replace("in_1,", ","), "line 3: invoice_id: it is empty"),
        (
            &good.replace("cus_1", "cus\0"),
            "line 3: customer_id: \"cus\\0\" has a control character",
        ),
        (&good.replace("100", "1.00"), "line 3: amount_minor: "),
        (
            &good.replace("100", "0"),
            "line 3: amount_minor: what failed is more than nothing",
        ),
        (&good.replace("EUR", "EURO"), "line 3: currency: "),
        (
            &good.replace("2026-01-01T00:00:00Z", "2026-01-01"),
            "line 3: failed_at: ",
        ),
        (
            &good.replace("customer,2026", "luck,2026"),
            "line 3: detail: \"luck\" is none of retry, provider_retry, ",
        ),
        (
            &good.replace("recovered", "open"),
            "line 3: outcome: an invoice without an end is not read in",
        ),
        (
            &good.replace("2026-01-02", "2025-01-02"),
            "line 3: ended_at: it ended before it failed",
        ),
        (
            &format!("{good}2027-01-01T00:00:00Z"),
            "line 3: retried_at: 2027-01-01T00:00:00Z is not between",
        ),
    ] {
        let text = refusals.told("csv", &format!("{HEAD}\n{good}\n{line}\n"));
        assert!(text.contains(fault), "{fault:?} is not in {text}");
    }
    let text = refusals.told("csv", &format!("{HEAD},mood\n{good},good\n"));
    assert!(
        text.contains("line 1: a column \"mood\" is not known; known are invoice_id, "),
        "{text}"
    );
    let text = refusals.told("csv", "invoice_id\nin_1\n");
    assert!(text.contains("line 1: there is no column customer_id"), "{text}");
    refusals.nothing_is_there();
}

#[test]
fn a_file_of_events_with_a_fault_is_not_read_in_at_all() {
    let refusals = Refusals::new();
    let events = std::fs::read_to_string(EVENTS).unwrap();
    let text = refusals.told("stripe-events", &events[..events.len() - 20]);
    assert!(text.contains("is no JSON of events after event"), "{text}");
    let text = refusals.told(
        "stripe-events",
        &events.replace("\"created\": 1772355602", "\"born\": 1772355602"),
    );
    assert!(
        text.contains("event ") && text.contains("(evt_003): no event of Stripe: it has no created"),
        "{text}"
    );
    let text = refusals.told(
        "stripe-events",
        &events.replacen("\"livemode\": false", "\"livemode\": true", 1),
    );
    assert!(text.contains("test mode and of the live mode together"), "{text}");
    let text = refusals.told("stripe-events", "[]");
    assert!(text.contains("there is no event in it"), "{text}");

    refusals.nothing_is_there();
}
