//! What customers do on the page behind the links in messages.

use reqwest::{Client, Response, StatusCode, redirect};

use recoup::domain::campaign::EMBEDDED;
use recoup::domain::money::Money;
use recoup::sandbox::{Outcome, Shape};

use serde_json::{Value, json};

use crate::support::story::{ADMIN_KEY, Story, tell_in};

const PUBLIC: &str = "https://pay.acme.example";
const SETTINGS: [(&str, &str); 1] = [("RECOUP__HTTP__PUBLIC_URL", PUBLIC)];

/// The whole story of a promise.
const WAITED: &str = "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 attempt_answered declined insufficient_funds
03-03 08:00 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 09:00 notice_queued    payment_failed
03-03 09:00 notice_ended     sent
03-03 12:00 customer         promise
03-08 22:59 planned          
03-08 22:59 planned          charges [03-09 08:00, 03-16 08:00] notice reminder 03-09 09:00
03-09 08:00 attempt_started  schedule
03-09 08:00 attempt_answered succeeded
03-09 08:00 closed           recovered retry
03-09 08:00 notice_queued    payment_received
03-09 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 08:00 the provider: Api insufficient_funds
03-09 08:00 the provider: Api paid
";

/// The whole story of who stops reminders.
const STOPPED: &str = "
03-02 08:30 opened           insufficient_funds
03-02 08:30 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 08:00 attempt_started  schedule
03-03 08:00 attempt_answered declined insufficient_funds
03-03 08:00 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 09:00 notice_queued    payment_failed
03-03 09:00 notice_ended     sent
03-03 12:00 customer         stop_reminders
03-05 08:00 attempt_started  schedule
03-05 08:00 attempt_answered declined insufficient_funds
03-05 08:00 planned          charges [03-09 08:00, 03-16 08:00] notice reminder 03-09 09:00
03-09 08:00 attempt_started  schedule
03-09 08:00 attempt_answered declined insufficient_funds
03-09 08:00 planned          charges [03-16 08:00] notice reminder 03-09 09:00
03-09 09:00 notice_skipped   reminder reminders_stopped
03-16 08:00 attempt_started  schedule
03-16 08:00 attempt_answered declined insufficient_funds
03-16 08:00 planned          charges [] notice final_notice 03-20 09:00
03-20 09:00 notice_skipped   final_notice reminders_stopped
03-23 09:00 final_action     cancel
03-23 09:00 closed           exhausted attempts_spent cancelled
03-23 09:00 notice_queued    subscription_ended
03-23 09:00 notice_ended     sent
03-02 08:30 the provider: Renewal insufficient_funds
03-03 08:00 the provider: Api insufficient_funds
03-05 08:00 the provider: Api insufficient_funds
03-09 08:00 the provider: Api insufficient_funds
03-16 08:00 the provider: Api insufficient_funds
";

/// The path behind the newest letter's link that ends a line after `label`.
fn link(story: &Story, label: &str) -> String {
    let letters = story.letters();
    let text = letters.last().expect("a letter").text.replace("\r\n", "\n");
    let after = text.split(&format!("{label}:\n")).nth(1);
    let after = after.unwrap_or_else(|| panic!("{label} is missing in\n{text}"));
    let url = after.lines().next().unwrap();
    url.strip_prefix(PUBLIC).expect("a link to our page").to_owned()
}

fn browser() -> Client {
    Client::builder().redirect(redirect::Policy::none()).build().unwrap()
}

async fn open(story: &Story, path: &str) -> Response {
    browser().get(format!("{}{path}", story.url)).send().await.unwrap()
}

async fn send(story: &Story, path: &str, fields: &[(&str, &str)]) -> Response {
    let form = browser().post(format!("{}{path}", story.url)).form(fields);
    form.send().await.unwrap()
}

async fn html(answer: Response) -> String {
    answer.text().await.unwrap()
}

/// How many cases reached a stage of the funnel.
async fn reached(story: &Story, stage: &str) -> u64 {
    let (_, report) = story.get("/v1/reports/funnel?from=2026-03-01&to=2026-04-01").await;
    let stages = report["data"][0]["stages"].as_array().unwrap();
    let row = stages.iter().find(|row| row["stage"] == stage).unwrap();
    row["reached"]["cases"].as_u64().unwrap()
}

#[test]
fn a_promise_is_waited_for() {
    tell_in(
        Shape::New,
        "2026-03-02T08:30:00Z",
        &SETTINGS,
        &async |story: &mut Story| {
            let failed = story.failed_invoice("insufficient_funds");
            let outcomes = [Outcome::decline("insufficient_funds"), Outcome::Success];
            story.sandbox.script_outcomes(&failed.invoice, outcomes);
            story.advance("2026-03-03T12:00:00Z").await;
            let page = link(story, "Jetzt bezahlen");
            let before = story.case(&failed.invoice).await;
            for _ in 0..2 {
                let shown = open(story, &page).await;
                assert_eq!(shown.status(), StatusCode::OK);
                let policy = shown.headers()["content-security-policy"].to_str().unwrap().to_owned();
                assert!(
                    policy.contains("default-src 'none'") && !policy.contains("script-src"),
                    "{policy}"
                );
                assert_eq!(shown.headers()["referrer-policy"], "no-referrer");
                let shown = html(shown).await;
                assert!(shown.contains("min=\"2026-03-04\" max=\"2026-03-10\""), "{shown}");
                assert!(
                    shown.contains("Am 5. März 2026 versuchen wir es noch einmal."),
                    "{shown}"
                );
                let pays = format!("href=\"{}", story.sandbox.url());
                assert!(shown.contains(&pays) && !shown.contains("<script"), "{shown}");
            }
            assert_eq!(story.case(&failed.invoice).await, before, "looking changes nothing");
            assert_eq!(reached(story, "clicked").await, 0, "nor is it a click");
            for late in ["2026-03-11", "2026-03-03", "soon"] {
                let answer = send(story, &format!("{page}/promise"), &[("on", late)]).await;
                assert_eq!(
                    answer.headers()["location"].to_str().unwrap(),
                    format!("{page}?done=refused")
                );
                let shown = html(open(story, &format!("{page}?done=refused")).await).await;
                assert!(
                    shown.contains("Bitte wählen Sie einen Tag vom 4. März 2026 bis zum 10. März 2026."),
                    "{shown}"
                );
            }
            let answer = send(story, &format!("{page}/promise"), &[("on", "2026-03-08")]).await;
            assert_eq!(answer.status(), StatusCode::SEE_OTHER);
            assert_eq!(
                answer.headers()["location"].to_str().unwrap(),
                format!("{page}?done=promised")
            );
            let shown = html(open(story, &format!("{page}?done=promised")).await).await;
            assert!(shown.contains("Wir warten bis zum 8. März 2026."), "{shown}");
            assert!(!shown.contains("type=\"date\""), "{shown}");
            story.advance("2026-03-12T00:00:00Z").await;
            assert_eq!(story.diary(&failed.invoice).await, WAITED);
            let clicks = [reached(story, "delivered").await, reached(story, "clicked").await];
            assert_eq!(clicks, [1, 1], "the customer used the page");
            let shown = html(open(story, &page).await).await;
            assert!(
                shown.contains("Hier ist nichts mehr zu tun") && !shown.contains("<form"),
                "{shown}"
            );
        },
    );
}

#[test]
fn who_stops_reminders_gets_none_and_is_charged_all_the_same() {
    tell_in(
        Shape::Old,
        "2026-03-02T08:30:00Z",
        &SETTINGS,
        &async |story: &mut Story| {
            let failed = story.failed_invoice("insufficient_funds");
            let never = std::iter::repeat_n(Outcome::decline("insufficient_funds"), 10);
            story.sandbox.script_outcomes(&failed.invoice, never);
            story.advance("2026-03-03T12:00:00Z").await;
            let stop = link(story, "Keine Erinnerungen mehr zu dieser Rechnung");
            let shown = html(open(story, &stop).await).await;
            assert!(
                shown.contains("Keine Erinnerungen mehr") && !shown.contains("Jetzt bezahlen"),
                "{shown}"
            );
            for act in ["promise", "update", "answer"] {
                let answer = send(
                    story,
                    &format!("{stop}/{act}"),
                    &[("on", "2026-03-08"), ("answer", "other")],
                )
                .await;
                assert_eq!(
                    answer.status(),
                    StatusCode::NOT_FOUND,
                    "{act} by a link that is only to stop"
                );
            }
            for _ in 0..2 {
                let answer = send(story, &format!("{stop}/stop"), &[]).await;
                assert_eq!(
                    answer.headers()["location"].to_str().unwrap(),
                    format!("{stop}?done=stopped")
                );
            }
            let shown = html(open(story, &format!("{stop}?done=stopped")).await).await;
            assert!(
                shown.contains("Wir schreiben Ihnen nicht mehr zu dieser Rechnung."),
                "{shown}"
            );
            story.advance("2026-04-10T00:00:00Z").await;
            assert_eq!(story.diary(&failed.invoice).await, STOPPED);
        },
    );
}

#[test]
fn the_payment_method_is_changed_at_the_provider_and_an_answer_is_kept() {
    tell_in(
        Shape::New,
        "2026-03-02T08:30:00Z",
        &SETTINGS,
        &async |story: &mut Story| {
            let failed = story.failed_invoice("expired_card");
            story.advance("2026-03-02T12:00:00Z").await;
            let page = link(story, "Zahlungsdaten aktualisieren");
            let answer = send(story, &format!("{page}/update"), &[]).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let refresh = answer.headers()["refresh"].to_str().unwrap().to_owned();
            assert!(
                refresh.starts_with(&format!("0; url={}", story.sandbox.url())),
                "{refresh}"
            );
            let answer = send(story, &format!("{page}/answer"), &[("answer", "method")]).await;
            assert_eq!(
                answer.headers()["location"].to_str().unwrap(),
                format!("{page}?done=answered")
            );
            let shown = html(open(story, &format!("{page}?done=answered")).await).await;
            assert!(
                shown.contains("Vielen Dank, das hilft uns weiter.")
                    && shown.contains("value=\"method\" required checked"),
                "{shown}"
            );
            let told = story.diary(&failed.invoice).await;
            assert!(told.contains("customer         answer method"), "{told}");
            story.failed_invoice("expired_card");
            story.settle().await;
            let (status, report) = story.get("/v1/reports/answers?from=2026-03-01&to=2026-04-01").await;
            assert_eq!(status, 200, "{report}");
            assert_eq!((&report["opened"], &report["answered"]), (&json!(2), &json!(1)));
            let rows = report["data"].as_array().unwrap();
            let row = rows.iter().find(|row| row["answer"] == "method").unwrap();
            let counts = ["cases", "recovered", "exhausted", "stopped", "open"].map(|key| row[key].as_u64().unwrap());
            assert_eq!(counts, [1, 0, 0, 0, 1]);
            assert_eq!(rows.iter().map(|row| row["cases"].as_u64().unwrap()).sum::<u64>(), 1);
        },
    );
}

#[test]
fn a_forged_link_and_one_that_is_too_old_open_the_same_page() {
    tell_in(
        Shape::New,
        "2026-03-02T08:30:00Z",
        &SETTINGS,
        &async |story: &mut Story| {
            let failed = story.failed_invoice("insufficient_funds");
            let never = std::iter::repeat_n(Outcome::decline("insufficient_funds"), 10);
            story.sandbox.script_outcomes(&failed.invoice, never);
            story.advance("2026-03-03T12:00:00Z").await;
            let page = link(story, "Jetzt bezahlen");
            story.advance("2026-03-17T08:59:00Z").await;
            assert_eq!(open(story, &page).await.status(), StatusCode::OK);
            story.advance("2026-03-17T10:00:00Z").await;
            let old = open(story, &page).await;
            let mut forged = page.clone();
            forged.replace_range(4..5, if &page[4..5] == "0" { "1" } else { "0" });
            let forged = open(story, &forged).await;
            assert_eq!(
                (old.status(), forged.status()),
                (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND)
            );
            let (old, forged) = (html(old).await, html(forged).await);
            assert!(old == forged && old.contains("This link no longer works"), "{old}");
            let before = story.case(&failed.invoice).await;
            assert_eq!(
                send(story, &format!("{page}/stop"), &[]).await.status(),
                StatusCode::NOT_FOUND
            );
            assert_eq!(story.case(&failed.invoice).await, before);
        },
    );
}

#[test]
fn an_app_is_told_how_an_account_stands() {
    tell_in(
        Shape::New,
        "2026-03-02T08:30:00Z",
        &SETTINGS,
        &async |story: &mut Story| {
            let failed = story.failed_invoice("insufficient_funds");
            let never = std::iter::repeat_n(Outcome::decline("insufficient_funds"), 10);
            story.sandbox.script_outcomes(&failed.invoice, never);
            let path = format!("/v1/standing/{}", failed.customer);
            let (status, good) = story.get(&path).await;
            assert_eq!(
                (status, &good["standing"], &good["pay_url"]),
                (200, &json!("good"), &Value::Null)
            );
            story.advance("2026-03-02T09:00:00Z").await;
            let (_, grace) = story.get(&path).await;
            assert_eq!(grace["standing"], "grace");
            assert_eq!(grace["grace_until"], "2026-03-23T09:00:00Z");
            assert_eq!(grace["amount_due"], json!({"amount_minor": 1999, "currency": "EUR"}));
            assert_eq!(
                grace["reason"],
                "Laut Ihrer Bank war zum Zeitpunkt der Abbuchung nicht genügend Guthaben verfügbar."
            );
            let page = grace["pay_url"]
                .as_str()
                .unwrap()
                .strip_prefix(PUBLIC)
                .unwrap()
                .to_owned();
            assert_eq!(open(story, &page).await.status(), StatusCode::OK);
            let ask = async |tag: &str| {
                let request = browser().get(format!("{}{path}", story.url)).bearer_auth(ADMIN_KEY);
                request.header("If-None-Match", tag).send().await.unwrap()
            };
            let first = ask("\"other\"").await;
            let tag = first.headers()["etag"].to_str().unwrap().to_owned();
            assert_eq!(
                (first.status(), first.headers()["cache-control"].to_str().unwrap()),
                (StatusCode::OK, "private, no-cache")
            );
            assert_eq!(ask(&tag).await.status(), StatusCode::NOT_MODIFIED);
            story.advance("2026-03-24T00:00:00Z").await;
            assert_eq!(ask(&tag).await.status(), StatusCode::OK);
            let (_, suspended) = story.get(&path).await;
            assert_eq!(suspended["standing"], "suspended");
            assert_eq!(
                (&suspended["suspended_since"], &suspended["grace_until"]),
                (&json!("2026-03-23T09:00:00Z"), &Value::Null)
            );
        },
    );
}

/// Who pays in the night reads of it in the morning, and so does whoever would be asked for something.
const NIGHT: &str = "
03-02 21:30 opened           authentication_required
03-02 21:30 planned          charges [] notice confirm_payment 03-03 07:00
03-03 07:00 notice_queued    confirm_payment
03-03 07:00 notice_ended     sent
03-03 22:00 closed           recovered customer
03-03 22:00 notice_queued    payment_received
03-04 07:00 notice_ended     sent
03-02 21:30 the provider: Renewal authentication_required
03-03 22:00 the provider: Customer paid
";

#[test]
fn nobody_is_written_to_at_night() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("default.toml"), EMBEDDED).unwrap();
    let settings = [("RECOUP__CAMPAIGNS__DIR", folder.path().to_str().unwrap())];
    tell_in(
        Shape::New,
        "2026-03-02T21:30:00Z",
        &settings,
        &async |story: &mut Story| {
            let failed = story.failed_invoice("authentication_required");
            story.advance("2026-03-03T22:00:00Z").await;
            assert!(story.sandbox.world(|world| world.confirm_by_customer(&failed.invoice)));
            story.advance("2026-03-05T00:00:00Z").await;
            assert_eq!(story.diary(&failed.invoice).await, NIGHT);
        },
    );
}

/// When the messages of some invoices left.
async fn sent(story: &Story, invoices: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for invoice in invoices {
        let diary = story.diary(invoice).await;
        let mut step = "";
        for line in diary.lines() {
            let (at, rest) = line.split_at(line.len().min(12));
            match rest.split_whitespace().collect::<Vec<_>>()[..] {
                ["notice_queued", queued] => step = queued,
                ["notice_ended", "sent"] => all.push(format!("{at}{step}")),
                _ => {}
            }
        }
    }
    all.sort();
    all
}

#[test]
fn who_owes_several_invoices_is_not_written_to_about_each_on_the_same_day() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("default.toml"), EMBEDDED).unwrap();
    let settings = [("RECOUP__CAMPAIGNS__DIR", folder.path().to_str().unwrap())];
    tell_in(
        Shape::New,
        "2026-03-02T08:30:00Z",
        &settings,
        &async |story: &mut Story| {
            let customer = story.sandbox.add_customer("Erika Beispiel", "erika@kunde.example");
            let price = Money::new(1999, "EUR".parse().unwrap());
            let renews = "2030-01-01T00:00:00Z".parse().unwrap();
            let invoices: Vec<String> = (0..3)
                .map(|_| {
                    let subscription = story.sandbox.add_subscription(&customer, price, renews);
                    story.sandbox.open_invoice(&subscription, "expired_card")
                })
                .collect();
            story.advance("2026-04-10T00:00:00Z").await;
            let sent = sent(story, &invoices).await;
            assert_eq!(sent, TOUCHES, "{sent:#?}");
        },
    );
}

/// Three invoices fail in one hour: each message is about one of them, whichever came first. The ends wait for their notices.
const TOUCHES: [&str; 12] = [
    "03-02 10:30 card_expired",
    "03-04 10:30 card_expired",
    "03-09 10:30 reminder",
    "03-11 10:30 reminder",
    "03-16 10:30 reminder",
    "03-18 10:30 reminder",
    "03-20 10:30 final_notice",
    "03-22 10:30 final_notice",
    "03-23 09:00 subscription_ended",
    "03-24 10:30 final_notice",
    "03-25 09:00 subscription_ended",
    "03-27 09:00 subscription_ended",
];
