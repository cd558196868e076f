//! Nobody is cut off without having been told: ends wait for their notices, and of two messages the more important one goes first.

use jiff::{SignedDuration, Timestamp};
use recoup::domain::campaign::EMBEDDED;
use recoup::domain::message::Message;
use recoup::domain::money::Money;
use recoup::sandbox::Shape;
use recoup::store::notifications::{self, NotificationStatus};
use serde_json::{Value, json};

use crate::support::story::{Story, tell, tell_in};

const START: &str = "2026-03-02T08:30:00Z";
/// How many invoices fail at one instant.
const INVOICES: usize = 4;
/// How many customers are in the same place, so that chance would show.
const CUSTOMERS: usize = 6;

/// A folder with one campaign.
fn folder(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("default.toml"), text).unwrap();
    let path = folder.path().display().to_string();
    (folder, path)
}

/// Invoices of one customer that fail now.
fn fail(story: &Story, email: &str, count: usize) -> Vec<String> {
    let customer = story.sandbox.add_customer("Erika Beispiel", email);
    let price = Money::new(1999, "EUR".parse().unwrap());
    let renews = "2030-01-01T00:00:00Z".parse().unwrap();
    let one = |_| {
        let subscription = story.sandbox.add_subscription(&customer, price, renews);
        story.sandbox.open_invoice(&subscription, "expired_card")
    };
    (0..count).map(one).collect()
}

/// When each step of a case that left was sent, in order.
async fn sent(story: &Story, invoice: &str) -> Vec<(Timestamp, String)> {
    let case = story.case(invoice).await.id;
    let rows = notifications::by_case(story.app.store.conn(), &case).await.unwrap();
    let rows = rows
        .into_iter()
        .filter(|row| row.status == NotificationStatus::Sent && row.message.is_reminder());
    let mut sent: Vec<_> = rows.map(|row| (row.ended_at.unwrap(), row.step)).collect();
    sent.sort();
    sent
}

#[test]
fn each_of_four_invoices_that_end_together_is_announced_three_days_before_it_ends() {
    let (_folder, path) = folder(EMBEDDED);
    for shape in [Shape::Old, Shape::New] {
        tell_in(
            shape,
            START,
            &[("RECOUP__CAMPAIGNS__DIR", &path)],
            &async |story: &mut Story| {
                let invoices = fail(story, "erika@kunde.example", INVOICES);
                story.advance("2026-03-21T09:00:00Z").await;
                let mut late = 0;
                for invoice in &invoices {
                    let id = story.case(invoice).await.id;
                    let (_, case) = story.get(&format!("/v1/cases/{id}")).await;
                    let next = &case["next_action"];
                    if next["at"] != "2026-03-23T09:00:00Z" {
                        let why = "the campaign ends, later than planned because its final notice had to wait";
                        assert_eq!(
                            (&next["kind"], &next["why"]),
                            (&json!("final_action"), &json!(why)),
                            "{case}"
                        );
                        late += 1;
                    }
                }
                assert_eq!(late, INVOICES - 1, "all but the first are late");
                story.advance("2026-04-20T00:00:00Z").await;
                let mut told = Vec::new();
                for invoice in &invoices {
                    let case = story.case(invoice).await;
                    let diary = story.diary(invoice).await;
                    let last = sent(story, invoice).await.pop().expect("a message");
                    assert_eq!(last.1, Message::FinalNotice.as_str(), "{diary}");
                    assert!(
                        diary.contains("closed           exhausted attempts_spent cancelled"),
                        "{diary}"
                    );
                    told.push((last.0.to_string(), case.closed_at.unwrap().to_string()));
                }
                told.sort();
                // At which hour depends on which of the reminders two days before got the turn; the clocks of Berlin change on 29 March.
                let days: Vec<_> = told.iter().map(|(at, end)| (&at[..10], end.as_str())).collect();
                assert_eq!(
                    days,
                    [
                        ("2026-03-20", "2026-03-23T09:00:00Z"),
                        ("2026-03-22", "2026-03-25T09:00:00Z"),
                        ("2026-03-24", "2026-03-27T09:00:00Z"),
                        ("2026-03-26", "2026-03-29T08:00:00Z"),
                    ]
                );
                let instants: Vec<Timestamp> = told.iter().map(|(at, _)| at.parse().unwrap()).collect();
                for two in instants.windows(2) {
                    assert!(
                        two[1].duration_since(two[0]) >= SignedDuration::from_hours(48),
                        "{told:?}"
                    );
                }
                let letters = story.letters();
                let last = letters.iter().rfind(|letter| letter.text.contains("29. März 2026"));
                assert!(last.is_some(), "the notice names the day on which it ends");
            },
        );
    }
}

#[test]
fn who_was_not_written_to_because_of_a_pause_is_told_before_the_end() {
    tell(START, &async |story: &mut Story| {
        let failed = story.failed_invoice("expired_card");
        story.advance("2026-03-19T12:00:00Z").await;
        let id = story.case(&failed.invoice).await.id;
        let body = json!({"until": "2026-03-25T12:00:00Z"});
        assert_eq!(story.post(&format!("/v1/cases/{id}/pause"), &body).await.0, 200);
        let (_, forecast) = story.get(&format!("/v1/cases/{id}/forecast")).await;
        let step = |step: &Value| format!("{} {}", step["kind"], step["at"]).replace('"', "");
        let steps: Vec<String> = forecast["data"].as_array().unwrap().iter().map(step).collect();
        assert_eq!(
            steps,
            ["notify 2026-03-25T12:00:00Z", "final_action 2026-03-28T09:00:00Z"]
        );
        story.advance("2026-04-20T00:00:00Z").await;
        let diary = story.diary(&failed.invoice).await;
        let told = diary.split_once("03-19 12:00 staff").unwrap().1;
        assert_eq!(
            told,
            "            pause
03-25 12:00 planned          
03-25 12:00 planned          charges [] notice final_notice 03-20 09:00
03-25 12:00 notice_queued    final_notice
03-25 12:00 stood_back       
03-25 12:00 notice_ended     sent
03-28 09:00 final_action     cancel
03-28 09:00 closed           exhausted attempts_spent cancelled
03-28 09:00 notice_queued    subscription_ended
03-28 09:00 notice_ended     sent
03-02 08:30 the provider: Renewal expired_card
",
            "{diary}"
        );
    });
}

/// A campaign of three messages, of which the last two wait for the same instant.
fn crowded(second: &str, third: &str) -> String {
    let step = |key: &str, message: &str, when: &str| {
        format!(
            "[[message]]\nkey = \"{key}\"\nmessage = \"{message}\"\ndispositions = [\"fix_data\"]\nwhen = {{ {when} }}\n"
        )
    };
    format!(
        "name = \"default\"\nversion = 1\n[touches]\nmost = 5\nwithin_days = 7\napart_hours = 48\n{}{}{}\
         [final]\nafter_days = 21\nat = \"10:00\"\naction = \"cancel\"\n",
        step("first", "card_expired", "after_days = { days = 16, at = \"10:00\" }"),
        step("second", second, "after_days = { days = 17, at = \"10:00\" }"),
        step("third", third, "after_days = { days = 18, at = \"09:00\" }"),
    )
}

#[test]
fn of_two_messages_that_wait_the_last_word_goes_first_and_else_the_older_one() {
    let orders = [
        ("reminder", "final_notice", ["third", "second"]),
        ("final_notice", "reminder", ["second", "third"]),
        ("update_payment_method", "reminder", ["second", "third"]),
    ];
    for (second, third, order) in orders {
        let (_folder, path) = folder(&crowded(second, third));
        tell_in(
            Shape::New,
            START,
            &[("RECOUP__CAMPAIGNS__DIR", &path)],
            &async |story: &mut Story| {
                let one = |nth| fail(story, &format!("erika{nth}@kunde.example"), 1).remove(0);
                let invoices: Vec<String> = (0..CUSTOMERS).map(one).collect();
                story.advance("2026-03-30T00:00:00Z").await;
                let first: Timestamp = "2026-03-18T09:00:00Z".parse().unwrap();
                let days = |days: i64| first + SignedDuration::from_hours(24 * days);
                for invoice in &invoices {
                    let expected = [(days(0), "first"), (days(2), order[0]), (days(4), order[1])];
                    let expected = expected.map(|(at, step)| (at, step.to_owned()));
                    assert_eq!(sent(story, invoice).await, expected, "{second} {third}");
                }
            },
        );
    }
}
