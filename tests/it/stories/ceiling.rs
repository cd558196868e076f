//! What card networks demand, over everything that was tried on a card: by whomever, for whichever invoice.

use std::process::{Command, Output};

use jiff::Timestamp;
use recoup::domain::money::Money;
use recoup::sandbox::{Habits, NewCard, NewCustomer, Outcome, Refusal, Shape};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::support::story::{Story, tell, tell_in};

const START: &str = "2026-03-02T08:30:00Z";

/// A customer in Germany with a card of a brand.
fn customer(story: &Story, brand: &'static str) -> String {
    story.sandbox.world(|world| {
        let id = world.add_customer(NewCustomer {
            name: "Jana Beispiel".to_owned(),
            email: "jana@kunde.example".to_owned(),
            locale: "en".to_owned(),
            country: "DE".to_owned(),
            zone: None,
            habits: Habits::DEAF,
        });
        let card = NewCard {
            brand,
            ..NewCard::default()
        };
        world.add_card(&id, card);
        id
    })
}

/// An invoice of 19.99 whose first charge fails, and the next ones end so.
fn failed_invoice(story: &Story, customer: &str, then: Vec<Outcome>) -> String {
    let subscription = story.sandbox.add_subscription(customer, price(), renews());
    let invoice = story.sandbox.open_invoice(&subscription, "insufficient_funds");
    story.sandbox.script_outcomes(&invoice, then);
    invoice
}

fn price() -> Money {
    Money::new(1999, "EUR".parse().unwrap())
}

fn renews() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

fn no() -> Outcome {
    Outcome::decline("insufficient_funds")
}

/// The lines of a diary that tell of charges, and of those that were not made.
async fn charges(story: &Story, invoice: &str) -> Vec<String> {
    let kinds = ["attempt_started", "stood_back", "method_changed", "closed"];
    let kept = |line: &&str| kinds.iter().any(|kind| line.contains(kind));
    let diary = story.diary(invoice).await;
    diary.lines().filter(kept).map(str::to_owned).collect()
}

/// The limit of Visa in these stories, so that they are short.
const LIMIT: (&str, &str) = ("RECOUP__CEILING__VISA_REATTEMPTS", "3");

fn compliance(story: &Story, given: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recoup"));
    command.arg("compliance").args(given).envs(story.variables());
    command.env(LIMIT.0, LIMIT.1).output().unwrap()
}

#[test]
fn two_invoices_on_one_card_never_share_its_last_place() {
    let settings = [LIMIT];
    tell_in(Shape::New, START, &settings, &async |story: &mut Story| {
        let customer = customer(story, "visa");
        let invoices = [0, 1].map(|_| failed_invoice(story, &customer, vec![no(); 8]));
        story.advance("2026-03-25T00:00:00Z").await;
        let mut made = Vec::new();
        for invoice in &invoices {
            made.push(charges(story, invoice).await);
        }
        made.sort_by_key(Vec::len);
        // Both renewals failed at once, which leaves one of three places. The oldest leaves its 30 days on the first of April.
        let made_by_us = made
            .concat()
            .iter()
            .filter(|line| line.contains("attempt_started"))
            .count();
        assert_eq!(made_by_us, 1, "{made:?}");
        let books = story.sandbox.books();
        assert_eq!(books.charges.len(), 3, "{:?}", books.charges);

        let (_, cases) = story.get("/v1/cases").await;
        for case in cases["data"].as_array().unwrap() {
            let (_, why) = story
                .get(&format!("/v1/cases/{}/explain", case["id"].as_str().unwrap()))
                .await;
            let rules = why["rules"].as_array().unwrap();
            let visa = rules.iter().find(|rule| rule["rule"] == "visa_reattempts").unwrap();
            assert!(visa["said"].as_str().unwrap().contains("3 of at most 3"), "{visa}");
            assert!(visa["source"].as_str().unwrap().contains("Visa"), "{visa}");
        }
        audited(story).await;
    });
}

/// The audit finds what was charged and what was not, and a charge too many.
async fn audited(story: &Story) {
    let span = ["--from", "2026-03-01", "--to", "2026-04-01"];
    let found = compliance(story, &[&span[..], &["--json"]].concat());
    assert!(found.status.success(), "{found:?}");
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let attempts = found["attempts"].as_array().unwrap();
    let of = |by: &str| {
        let rows = attempts.iter().filter(|row| row["by"] == by);
        rows.map(|row| row["attempts"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((of("provider"), of("us")), (2, 1), "{found}");
    assert!(
        attempts
            .iter()
            .all(|row| row["network"] == "visa" && row["category"] == "2"),
        "{found}"
    );
    let blocked = &found["blocked"][0];
    assert_eq!(
        (&blocked["network"], &blocked["rule"]),
        (&"visa".into(), &"visa_reattempts".into())
    );
    assert!(blocked["put_off"].as_u64() >= Some(1), "{found}");
    assert_eq!(found["breaches"], 0, "{found}");
    let (status, served) = story.get("/v1/reports/compliance?from=2026-03-01&to=2026-04-01").await;
    assert_eq!(
        (status, &served["attempts"], &served["blocked"]),
        (200, &found["attempts"], &found["blocked"])
    );
    assert!(served["definitions"]["breaches"].is_string(), "{served}");

    let conn = story.app.store.conn();
    let once_more = "INSERT INTO instrument_attempts SELECT id || '_2', connection, instrument, network, country, \
        funding, bank_group, case_id, origin, at + 3600000, amount_minor, currency, status, known_at, decline_kind, \
        decline_disposition, provider_code, network_code, advice_code FROM instrument_attempts WHERE origin = 'us'";
    conn.execute_unprepared(once_more).await.unwrap();
    let found = compliance(story, &span);
    let (told, said) = (
        String::from_utf8_lossy(&found.stdout),
        String::from_utf8_lossy(&found.stderr),
    );
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    assert!(
        told.contains("breaches 1,") && told.contains("visa visa_reattempts"),
        "{told}"
    );
    assert!(said.contains("1 of our charges broke a rule"), "{said}");
    let wrong = compliance(story, &["--from", "2026-03-02", "--to", "2026-03-02"]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        !wrong.status.success() && said.contains("--from must lie before --to"),
        "{said}"
    );
}

#[test]
fn a_card_that_its_network_wants_left_alone_for_three_days_is_left_alone() {
    tell(START, &async |story: &mut Story| {
        let customer = customer(story, "mastercard");
        let wait = Outcome::Decline(Refusal {
            network_advice: Some("02".to_owned()),
            ..Refusal::of("insufficient_funds")
        });
        let invoice = failed_invoice(story, &customer, vec![wait, Outcome::Success]);
        story.advance("2026-03-20T00:00:00Z").await;
        // The campaign wants days 1 and 3; 72 hours after the first of them is day 4.
        assert_eq!(
            charges(story, &invoice).await,
            [
                "03-03 08:00 attempt_started  schedule",
                "03-06 08:00 attempt_started  schedule",
                "03-06 08:00 closed           recovered retry",
            ]
        );
    });
}

#[test]
fn a_new_card_begins_a_ledger_of_its_own() {
    let settings = [("RECOUP__CEILING__VISA_REATTEMPTS", "2")];
    tell_in(Shape::New, START, &settings, &async |story: &mut Story| {
        let customer = customer(story, "visa");
        let invoice = failed_invoice(story, &customer, vec![no(), Outcome::Success]);
        story.advance("2026-03-06T12:00:00Z").await;
        let case = story.case(&invoice).await;
        // Both places are taken for 30 days, and the campaign ends before.
        assert_eq!(case.timers.charge_at, None);
        let id = &case.id;
        let (_, why) = story.get(&format!("/v1/cases/{id}/explain")).await;
        let said = why["rules"].to_string();
        assert!(said.contains("2026-04-01"), "{said}");
        story.sandbox.attach_card(&customer, NewCard::default());
        story.advance("2026-03-06T12:30:00Z").await;
        let made = charges(story, &invoice).await;
        let last = made.last().map(String::as_str);
        assert_eq!(
            last,
            Some("03-06 12:00 closed           recovered card_update"),
            "{made:?}"
        );
    });
}

#[test]
fn a_bank_that_answers_nobody_costs_no_attempt() {
    tell(START, &async |story: &mut Story| {
        let waiting = customer(story, "visa");
        let invoice = failed_invoice(story, &waiting, vec![Outcome::Success]);
        let pressed = customer(story, "visa");
        let hurried = failed_invoice(story, &pressed, vec![Outcome::Success]);
        story.advance("2026-03-03T07:45:00Z").await;
        for _ in 0..3 {
            let other = customer(story, "visa");
            let down = story.sandbox.add_subscription(&other, price(), renews());
            story.sandbox.open_invoice(&down, "issuer_not_available");
        }
        story.advance("2026-03-03T07:50:00Z").await;
        // Who knows that the bank is back may say so before anybody else is charged.
        let case = story.case(&hurried).await;
        let path = format!("/v1/cases/{}/retry", case.id);
        let (status, answer) = story.post(&path, &json!({"comment": "the bank is back"})).await;
        assert_eq!(status, 200, "{answer}");
        story.advance("2026-03-03T07:51:00Z").await;
        assert!(story.case(&hurried).await.outcome().is_some());
        // Its answer ends the outage for all; three more cards meet silence again.
        for _ in 0..3 {
            let other = customer(story, "visa");
            let down = story.sandbox.add_subscription(&other, price(), renews());
            story.sandbox.open_invoice(&down, "issuer_not_available");
        }
        story.advance("2026-03-04T00:00:00Z").await;
        // Nine in Berlin is 08:00; an hour after its last silence the bank is asked again.
        assert_eq!(
            charges(story, &invoice).await,
            [
                "03-03 08:00 stood_back       ",
                "03-03 08:51 attempt_started  schedule",
                "03-03 08:51 closed           recovered retry",
            ]
        );
        let case = story.case(&invoice).await;
        let (_, lines) = story.get(&format!("/v1/cases/{}/timeline", case.id)).await;
        let waits = lines["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["kind"] == "stood_back");
        let why = waits.unwrap()["text"].as_str().unwrap();
        assert!(
            why.contains("the bank behind the card answers nobody at present"),
            "{why}"
        );
    });
}
