//! JSON bodies of the API: each is carried out or refused in the form that the document promises, and what is carried
//! out is what was asked for.
//!
//! Parts: the route by its number, the content type, the body.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recoup::domain::campaign::Campaign;
use recoup::domain::decline::DeclineKind;
use recoup::domain::role::Role;
use recoup::store::cases::insert;
use recoup::store::changes::CaseChange;
use recoup_fuzz::cases;
use recoup_fuzz::parts::{choose, parts, text};
use recoup_fuzz::service::{Answer, BOOTSTRAP, Service, now};
use serde_json::Value;

/// The routes that take a body; `{case}` is a case that is open at the start.
const ROUTES: [&str; 7] = [
    "/v1/keys",
    "/v1/cases/{case}/pause",
    "/v1/cases/{case}/notes",
    "/v1/cases/{case}/resume",
    "/v1/cases/{case}/retry",
    "/v1/cases/case_none/stop",
    "/v1/test-clock/advance",
];

static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);
static CASE: LazyLock<String> = LazyLock::new(|| {
    let case = cases::open(1, &Campaign::embedded(), DeclineKind::InsufficientFunds, "UTC", now());
    SERVICE.runtime.block_on(async {
        let tx = SERVICE.store.begin().await.unwrap();
        let opened = CaseChange {
            case: case.clone(),
            restated: true,
            lines: Vec::new(),
            rows: Vec::new(),
            audit: Vec::new(),
            release: None,
            at: now(),
        };
        insert(&tx, &[&opened]).await.unwrap();
        tx.commit().await.unwrap();
    });
    case.id.to_string()
});

fuzz_target!(|input: &[u8]| {
    let [route, kind, body] = parts(input);
    let route = choose(&ROUTES, route.first().map_or(0, |digit| digit.wrapping_sub(b'0')));
    // Time stands still here: going on with it would work on the case, over the network.
    let moves = route.ends_with("/advance") && text(body).contains(|c: char| c.is_ascii_digit());
    if moves {
        return;
    }
    let kind = if kind.is_empty() { b"application/json" } else { kind };
    let answer = post(&route.replace("{case}", &CASE), kind, body);
    let value: Option<Value> = serde_json::from_slice(body).ok();
    // A list of the fields' values in their order is taken for the object.
    if value.as_ref().is_some_and(Value::is_array) {
        return;
    }
    if answer.status < 300 {
        done(route, body, value.as_ref(), &answer);
        return;
    }
    let problem: Value = serde_json::from_slice(&answer.body).expect("a problem in JSON");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(problem["status"], answer.status);
    let code = problem["code"].as_str().unwrap();
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.len() < 4096),
        "{problem}"
    );
    match answer.status {
        400 => assert!(code != "bad_json" || value.is_none(), "{code} for {:?}", text(body)),
        404 => assert!(route.contains("none"), "{code}"),
        409 => assert!(route.contains("{case}"), "{code}"),
        415 => assert_ne!(kind, b"application/json"),
        422 => assert_eq!(code, "bad_field"),
        status => panic!("{status} {code} for {:?}", text(body)),
    }
    let wanted = route == "/v1/keys" && kind == b"application/json" && names_key(value_of(body).as_ref());
    assert!(!wanted, "{problem} for {:?}", text(body));
});

/// The body, where it is written as the other reader would write it: then no field stands in it twice.
fn value_of(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body)
        .ok()
        .filter(|value: &Value| value.to_string().as_bytes() == body)
}

fn post(path: &str, kind: &[u8], body: &[u8]) -> Answer {
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {BOOTSTRAP}\r\nContent-Type: ");
    let kind: Vec<u8> = kind
        .iter()
        .filter(|byte| byte.is_ascii_graphic() || **byte == b' ')
        .copied()
        .collect();
    let length = format!("\r\nContent-Length: {}\r\n\r\n", body.len());
    SERVICE.exchange(&[head.as_bytes(), &kind, length.as_bytes(), body].concat())
}

fn done(route: &str, body: &[u8], asked: Option<&Value>, answer: &Answer) {
    let result: Value = serde_json::from_slice(&answer.body).expect("an answer in JSON");
    if body.is_empty() {
        assert!(
            !route.ends_with("keys") && !route.ends_with("pause") && !route.ends_with("notes"),
            "{route}"
        );
        return;
    }
    let asked = asked.unwrap_or_else(|| panic!("{route} took {:?}", text(body)));
    if route == "/v1/keys" {
        assert!(answer.status == 201 && names_key(Some(asked)), "{asked}");
        assert_eq!((&result["name"], &result["role"]), (&asked["name"], &asked["role"]));
        return;
    }
    assert_eq!((answer.status, &result["id"]), (200, &Value::from(CASE.as_str())));
    let remark = &asked["comment"];
    assert!(
        remark.is_null() || remark.as_str().is_some_and(|text| text.trim().chars().count() <= 2000),
        "{asked}"
    );
    if route.ends_with("notes") {
        assert!(remark.as_str().is_some_and(|text| !text.trim().is_empty()), "{asked}");
    }
    if route.ends_with("pause") {
        let until: jiff::Timestamp = asked["until"].as_str().unwrap().parse().unwrap();
        assert!(until > now() && result["state"] == "paused", "{asked} gave {result}");
    }
}

/// Whether a body asks for a key that may be made.
fn names_key(body: Option<&Value>) -> bool {
    let Some(fields) = body.and_then(Value::as_object) else {
        return false;
    };
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
    let role = fields.get("role").and_then(Value::as_str).unwrap_or_default();
    let plain = (1..=100).contains(&name.chars().count()) && !name.contains(char::is_control);
    fields.len() == 2 && plain && Role::ALL.iter().any(|known| known.as_str() == role)
}
