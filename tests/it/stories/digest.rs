//! The weekly digest to staff: on Monday morning, once, and never twice.

use jiff::Timestamp;
use recoup::domain::ids::NotificationId;
use recoup::domain::outcome::Outcome as End;
use recoup::domain::report::digest::{Attention, Week, digest};
use recoup::sandbox::{Letter, Outcome, Shape};
use recoup::store::Digests;
use recoup::store::digests::NewDigest;
use recoup::store::letters::Drawer;
use recoup::store::notifications::Rendered;
use recoup::store::reports::{RecoveryRow, recovery_rows};
use recoup::store::{Lease, Letters};
use serde_json::{Value, json};

use crate::support::databases::each_url;
use crate::support::dialogue::{Dialogue, Fault, Script, Step};
use crate::support::story::{Story, tell_in};

/// A Wednesday.
const START: &str = "2026-02-25T09:00:00Z";
/// Monday at eight in Berlin.
const MONDAY: &str = "2026-03-02T07:00:00Z";
const SETTINGS: [(&str, &str); 4] = [
    ("RECOUP__MAIL__STAFF", "ops@acme.example, cfo@acme.example"),
    ("RECOUP__STRIPE__TIMEZONE", "Europe/Berlin"),
    ("RECOUP__STRIPE__LOCALE", "de"),
    ("RECOUP__HTTP__PUBLIC_URL", "https://pay.acme.example"),
];

/// The letters to staff, by address.
fn to_staff(story: &Story) -> Vec<Letter> {
    let mut letters = story.letters();
    letters.retain(|letter| letter.to.ends_with("@acme.example"));
    letters.sort_by(|a, b| a.to.cmp(&b.to));
    for letter in &mut letters {
        letter.text = letter.text.replace("\r\n", "\n");
    }
    letters
}

/// What the API lists: week, status and reason, oldest first.
async fn listed(story: &Story) -> Vec<String> {
    let (status, page) = story.get("/v1/digests").await;
    assert_eq!(status, 200, "{page}");
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let row = |row: &Value| {
        format!(
            "{} {} {}",
            word(&row["week"]),
            word(&row["status"]),
            word(&row["reason"])
        )
    };
    let mut rows: Vec<String> = page["data"].as_array().unwrap().iter().map(row).collect();
    rows.reverse();
    rows
}

#[test]
fn it_comes_on_monday_at_eight_and_once_however_many_processes_look() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        story.settle().await;
        let nothing = "2026-W08 superseded nothing_to_tell";
        assert_eq!(listed(story).await, [nothing, nothing], "nothing has happened yet");
        story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T06:59:59Z").await;
        assert!(to_staff(story).is_empty(), "one second early");
        let replica = story.replica().await;
        story.clock.advance_to(MONDAY.parse().unwrap()).unwrap();
        let (one, other) = tokio::join!(story.app.engine.tick(), replica.engine.tick());
        one.unwrap();
        other.unwrap();
        let letters = to_staff(story);
        let whom: Vec<&str> = letters.iter().map(|letter| letter.to.as_str()).collect();
        assert_eq!(whom, ["cfo@acme.example", "ops@acme.example"]);
        assert_eq!(letters[0].subject, "Zahlungsausfälle: Woche ab 23. Februar 2026");
        assert!(
            letters[0].text.contains("https://pay.acme.example/dashboard\n"),
            "{}",
            letters[0].text
        );
        story.advance("2026-03-08T23:00:00Z").await;
        assert_eq!(to_staff(story).len(), 2, "and no more in this week");
        let sent = "2026-W09 sent -";
        assert_eq!(listed(story).await, [nothing, nothing, sent, sent]);
        replica.stop().await.unwrap();
    });
}

#[test]
fn the_test_clock_stops_at_each_monday_and_a_quiet_week_is_told() {
    tell_in(Shape::New, START, &SETTINGS[..3], &async |story: &mut Story| {
        story.failed_invoice("insufficient_funds");
        story.advance("2026-03-17T12:00:00Z").await;
        let (_, page) = story.get("/v1/digests").await;
        let rows = page["data"].as_array().unwrap();
        let ended: Vec<&str> = rows.iter().map(|row| row["ended_at"].as_str().unwrap()).collect();
        assert_eq!(&ended[..2], ["2026-03-16T07:00:00Z"; 2], "{page}");
        assert_eq!(&ended[2..4], ["2026-03-09T07:00:00Z"; 2], "{page}");
        assert_eq!(&ended[4..6], [MONDAY; 2], "{page}");
        let quiet = "Es war eine ruhige Woche";
        let letters = to_staff(story);
        let told: Vec<bool> = letters.iter().map(|letter| letter.text.contains(quiet)).collect();
        assert_eq!(told, [false, true, true, false, true, true]);
    });
}

#[test]
fn after_a_long_silence_only_the_newest_week_is_told() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        story.failed_invoice("insufficient_funds");
        story.settle().await;
        // Nobody works for four weeks.
        story.clock.advance_to("2026-03-26T12:00:00Z".parse().unwrap()).unwrap();
        story.settle().await;
        let letters = to_staff(story);
        assert_eq!(letters.len(), 2);
        assert_eq!(letters[0].subject, "Zahlungsausfälle: Woche ab 16. März 2026");
        let rows = listed(story).await;
        assert_eq!(rows[2..], ["2026-W12 sent -", "2026-W12 sent -"], "{rows:?}");
    });
}

#[test]
fn nobody_is_written_to_where_staff_have_no_address() {
    tell_in(Shape::New, START, &SETTINGS[1..], &async |story: &mut Story| {
        story.failed_invoice("insufficient_funds");
        story.advance("2026-03-10T12:00:00Z").await;
        assert_eq!(listed(story).await, Vec::<String>::new());
        assert!(to_staff(story).is_empty());
    });
}

/// Cases and money in the words of the digest.
fn told(cases: &[&RecoveryRow]) -> String {
    let minor: i64 = cases.iter().map(|case| case.amount.amount_minor).sum();
    let word = if cases.len() == 1 { "Fall" } else { "Fälle" };
    match cases.len() {
        0 => "0 Fälle".to_owned(),
        count => format!("{count} {word} · {},{:02}\u{a0}€", minor / 100, minor % 100),
    }
}

/// The lines of the week from the second of March on, by a look at every case.
async fn figures(story: &Story) -> Vec<String> {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let (monday, end) = (at("2026-03-01T23:00:00Z"), at("2026-03-08T23:00:00Z"));
    let conn = story.app.store.conn();
    let cases = recovery_rows(conn, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
        .await
        .unwrap();
    let in_week = |at: Timestamp| at >= monday && at < end;
    let of =
        |counts: &dyn Fn(&RecoveryRow) -> bool| told(&cases.iter().filter(|case| counts(case)).collect::<Vec<_>>());
    let ended = |case: &RecoveryRow, is: fn(&End) -> bool| {
        case.closed_at.is_some_and(in_week) && case.outcome.as_ref().is_some_and(is)
    };
    let rows = [
        ("Neu", of(&|case| in_week(case.opened_at))),
        (
            "Eingegangen",
            of(&|case| ended(case, |end| matches!(end, End::Recovered { .. }))),
        ),
        (
            "Ohne Zahlung beendet",
            of(&|case| ended(case, |end| matches!(end, End::Exhausted { .. }))),
        ),
        (
            "Eingestellt",
            of(&|case| ended(case, |end| matches!(end, End::Stopped { .. }))),
        ),
        (
            "Offen, gefährdet",
            of(&|case| case.opened_at < end && case.closed_at.is_none_or(|closed| closed >= end)),
        ),
    ];
    let line = |(label, figures): &(&str, String)| format!("{label}: {figures}\n");
    rows.iter().map(line).collect()
}

#[test]
fn its_figures_are_those_of_the_cases_and_of_the_report() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        // Of the week before: one recovers in the week, one stays open. Of the week: four more.
        let first = [0; 2].map(|_| story.failed_invoice("insufficient_funds"));
        let never = |failed: &str| {
            let outcomes = std::iter::repeat_n(Outcome::decline("insufficient_funds"), 20);
            story.sandbox.script_outcomes(failed, outcomes);
        };
        never(&first[0].invoice);
        never(&first[1].invoice);
        story.advance("2026-03-02T12:00:00Z").await;
        story.sandbox.script_outcomes(&first[1].invoice, [Outcome::Success]);
        let second = [0; 4].map(|_| story.failed_invoice("insufficient_funds"));
        for failed in &second[..3] {
            never(&failed.invoice);
        }
        story.advance("2026-03-05T12:00:00Z").await;
        let stopped = story.case(&second[0].invoice).await.id;
        let (status, _) = story.post(&format!("/v1/cases/{stopped}/stop"), &json!({})).await;
        assert_eq!(status, 200);
        story.advance("2026-03-09T07:00:00Z").await;
        let digests = to_staff(story);
        let text = &digests
            .iter()
            .find(|letter| letter.subject.contains("2. März"))
            .unwrap()
            .text;

        for figures in figures(story).await {
            assert!(text.contains(&figures), "{figures} in\n{text}");
        }
        assert!(text.contains("Neu: 4 Fälle · 79,96\u{a0}€\n"), "{text}");
        assert!(text.contains("Eingestellt: 1 Fall ·"), "{text}");

        // The month so far is a cohort of the report, which nothing has changed since the week ended.
        let report = "/v1/reports/recovery?from=2026-03-01&to=2026-03-09";
        let (_, report) = story.get(report).await;
        let row = &report["rows"][0];
        let percent = |rate: &Value| rate["percent"].as_str().unwrap().replace('.', ",");
        let month = format!(
            "1. März 2026 – 8. März 2026: {}\u{a0}% von 79,96\u{a0}€ eingegangen; 4 Fälle, davon {}\u{a0}% abgeschlossen\n",
            percent(&row["rates"]["amount_of_all"]),
            percent(&row["maturity"])
        );
        assert!(text.contains(&month), "{month} in\n{text}");
        let html = &digests[0].html;
        assert!(
            html.contains("src=\"cid:eur.") && html.contains("src=\"cid:cases."),
            "{html}"
        );
    });
}

/// Plays a Monday with a mail server that says this once, or breaks once, when the digest is handed over.
fn monday(script: &Script, play: &impl AsyncFn(&Story, &Dialogue)) {
    each_url(&async |url: &str| {
        let server = Dialogue::start(Script {
            later: true,
            ..script.clone()
        })
        .await;
        let smtp = format!("smtp://{}", server.addr);
        let settings = [
            ("RECOUP__MAIL__STAFF", "ops@acme.example"),
            ("RECOUP__STRIPE__TIMEZONE", "Europe/Berlin"),
            ("RECOUP__MAIL__SMTP_URL", &smtp),
        ];
        let story = Story::begin(url, Shape::New, START, &settings).await;
        story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T06:59:00Z").await;
        server.arm();
        story.advance(MONDAY).await;
        play(&story, &server).await;
        story.end().await;
    });
}

/// How often the mail server took the digest.
fn taken(server: &Dialogue) -> usize {
    server
        .book()
        .taken
        .iter()
        .filter(|mail| mail.to == "ops@acme.example")
        .count()
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let script = Script {
        says: vec![(Step::Dot, "451 greylisted")],
        ..Script::default()
    };
    monday(&script, &async |story: &Story, server: &Dialogue| {
        let rows = listed(story).await;
        assert!(
            rows[1].starts_with("2026-W09 pending") && rows[1].contains("451"),
            "{rows:?}"
        );
        assert_eq!(taken(server), 0);
        story.advance("2026-03-02T07:05:00Z").await;
        assert_eq!(listed(story).await[1], "2026-W09 sent -");
        assert_eq!(taken(server), 1);
    });
}

#[test]
fn a_digest_that_is_refused_says_so() {
    let script = Script {
        says: vec![(Step::Dot, "554 no")],
        ..Script::default()
    };
    monday(&script, &async |story: &Story, server: &Dialogue| {
        story.advance("2026-03-05T12:00:00Z").await;
        let rows = listed(story).await;
        assert!(
            rows[1].starts_with("2026-W09 failed") && rows[1].contains("554"),
            "{rows:?}"
        );
        assert_eq!(taken(server), 0);
        // The next week is told all the same.
        story.advance("2026-03-09T07:00:00Z").await;
        assert_eq!(listed(story).await[2], "2026-W10 sent -");
    });
}

#[test]
fn a_digest_that_may_have_left_is_not_sent_again() {
    let script = Script {
        fault: Some((Step::Dot, Fault::Drop)),
        ..Script::default()
    };
    monday(&script, &async |story: &Story, server: &Dialogue| {
        story.advance("2026-03-08T12:00:00Z").await;
        let rows = listed(story).await;
        assert!(rows[1].starts_with("2026-W09 unknown"), "{rows:?}");
        assert_eq!(taken(server), 1);
    });
}

#[test]
fn a_digest_whose_sender_died_is_not_sent_again() {
    tell_in(Shape::New, START, &SETTINGS, &async |story: &mut Story| {
        story.failed_invoice("insufficient_funds");
        story.advance("2026-03-02T06:59:00Z").await;
        let store = &story.app.store;
        let now: Timestamp = MONDAY.parse().unwrap();
        story.clock.advance_to(now).unwrap();
        // Another process makes it and hands it over, and then is no more.
        let week = Week::newest_due(now, &jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
        let cases = store.digest_cases(week.span()).await.unwrap();
        let facts = digest(&cases, &week, Attention::default()).unwrap();
        let id = NotificationId::new(now.as_millisecond(), 7);
        let new = NewDigest {
            week: &week.label(),
            to: &[(id.clone(), "ops@acme.example".to_owned())],
            facts: &facts,
            unsent: None,
            at: now,
        };
        assert!(store.queue_digest(&new).await.unwrap());
        assert!(!store.queue_digest(&new).await.unwrap(), "the week has its digest");
        let lease = Lease {
            owner: "another",
            secs: 120,
        };
        assert_eq!(store.claim_digests(now, 9, lease).await.unwrap().len(), 1);
        let words = Rendered {
            recipient: "ops@acme.example",
            locale: "de",
            subject: "Woche",
            text: "Woche",
            html: "<p>Woche</p>",
        };
        assert!(store.start_letter(Drawer::Digests, &id, words).await.unwrap());
        story.settle().await;
        assert_eq!(listed(story).await[2], "2026-W09 sending -", "its lease has not ended");
        store.end_leases().await.unwrap();
        story.advance("2026-03-08T12:00:00Z").await;
        assert_eq!(listed(story).await[2], "2026-W09 unknown the sender went away");
        assert!(to_staff(story).is_empty());
    });
}
