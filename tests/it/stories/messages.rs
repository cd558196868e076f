//! Messages that no step of a campaign sends: to staff, and to customers about something else than a failed charge.

use recoup::domain::case::Warning;
use recoup::domain::event::CustomerAction;
use recoup::domain::money::Money;
use recoup::mailer::Mailer;
use recoup::sandbox::{Fault, Habits, Letter, NewCard, NewCustomer, Outcome, Shape};
use recoup::store::notifications::{self, NotificationRow};
use serde_json::{Value, json};

use crate::engine::crew::Crew;
use crate::support::campaigns::DAYS;
use crate::support::smtp::{Role, SmtpServer};
use crate::support::story::{Failed, Story, tell_in};

const START: &str = "2026-03-02T08:30:00Z";
const STAFF: [(&str, &str); 3] = [
    ("RECOUP__MAIL__STAFF", "ops@acme.example, billing@acme.example"),
    ("RECOUP__HTTP__PUBLIC_URL", "https://pay.acme.example"),
    ("RECOUP__STRIPE__LOCALE", "fr"),
];

/// Plays a story with more configuration, in both shapes of the provider's invoices.
fn tell_with(settings: &[(&str, &str)], play: &impl AsyncFn(&mut Story)) {
    for shape in [Shape::Old, Shape::New] {
        tell_in(shape, START, settings, play);
    }
}

/// Whom the letters went to, and their subjects, in order.
fn envelopes(letters: &[Letter]) -> Vec<(&str, &str)> {
    let mut all: Vec<_> = letters
        .iter()
        .map(|letter| (letter.to.as_str(), letter.subject.as_str()))
        .collect();
    // What leaves at one instant leaves side by side.
    all.sort_unstable();
    all
}

/// A charge that nobody knows the end of for three days, from `from` on.
fn unresolved(story: &Story, failed: &Failed, from: &str, to: &str) {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    story.sandbox.faults(|faults| {
        faults.next(&format!("{}/pay", failed.invoice), Fault::Refuse, 1);
        faults.between(&failed.invoice, Fault::Unavailable, from, to);
    });
}

#[test]
fn staff_are_called_each_time_a_case_needs_a_person() {
    tell_with(&STAFF, &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        unresolved(story, &failed, "2026-03-03T08:00:01Z", "2026-03-06T12:00:00Z");
        story.advance("2026-03-06T12:00:00Z").await;
        let case = story.case(&failed.invoice).await;
        assert_eq!(case.state_word(), "needs_person");
        let letters = story.letters();
        let subject = "Intervention nécessaire\u{a0}: 19,99\u{a0}€";
        assert_eq!(
            envelopes(&letters),
            [("billing@acme.example", subject), ("ops@acme.example", subject)]
        );
        let text = &letters[0].text;
        for told in [
            &failed.customer,
            &failed.invoice,
            "https://pay.acme.example/dashboard/cases/",
        ] {
            assert!(text.contains(told), "{told} is missing in {text}");
        }
        for untold in ["Erika", "kunde.example", "Team plan"] {
            assert!(
                !String::from_utf8_lossy(&letters[0].raw).contains(untold),
                "{untold} is in {text}"
            );
        }
        let (status, _) = story.post(&format!("/v1/cases/{}/resume", case.id), &json!({})).await;
        assert_eq!(status, 200);
        story.advance("2026-03-08T12:00:00Z").await;
        unresolved(story, &failed, "2026-03-09T08:00:01Z", "2026-03-12T12:00:00Z");
        story.advance("2026-03-13T12:00:00Z").await;
        let diary = story.diary(&failed.invoice).await;
        let called: Vec<&str> = diary.lines().filter(|line| line.contains("staff_person")).collect();
        let days: Vec<&str> = called.iter().filter_map(|line| line.split("needed ").nth(1)).collect();
        assert_eq!(days, ["2026-03-06", "2026-03-12"], "{diary}");
        assert_eq!(story.letters().len(), 4 + 2, "two digests among them: {diary}");
    });
}

#[test]
fn staff_hear_of_a_mail_that_came_back_once_and_of_the_case_it_was_about() {
    tell_with(&STAFF[..2], &async |story: &mut Story| {
        // No mail server takes an address like this one.
        let customer = story.sandbox.add_customer("Erika Beispiel", "erika@künde.example");
        let price = Money::new(1999, "EUR".parse().unwrap());
        let renews = "2030-01-01T00:00:00Z".parse().unwrap();
        let invoices = ["expired_card", "insufficient_funds"].map(|code| {
            let subscription = story.sandbox.add_subscription(&customer, price, renews);
            story.sandbox.open_invoice(&subscription, code)
        });
        story.advance("2026-03-04T12:00:00Z").await;
        let letters = story.letters();
        let subject = "A message bounced: €19.99 still open";
        assert_eq!(
            envelopes(&letters),
            [("billing@acme.example", subject), ("ops@acme.example", subject)]
        );
        assert!(letters[0].text.contains(&invoices[0]), "{}", letters[0].text);
        assert_eq!(
            story.diary(&invoices[0]).await,
            "
03-02 08:30 opened           expired
03-02 08:30 planned          charges [] notice update_payment_method 03-02 10:30
03-02 10:30 notice_queued    update_payment_method
03-02 10:30 warned           mail_bounced
03-02 10:30 notice_queued    staff_mail_bounced 2026-03-02
03-02 10:30 notice_ended     failed
03-02 10:30 notice_ended     sent
03-02 10:30 notice_ended     sent
03-02 08:30 the provider: Renewal expired_card
"
        );
        let other = story.case(&invoices[1]).await;
        assert_eq!(other.warnings, [Warning::MailBounced], "it is the same address");
    });
}

#[test]
fn without_addresses_staff_are_not_written_to() {
    tell_with(&[], &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        unresolved(story, &failed, "2026-03-03T08:00:01Z", "2026-03-06T12:00:00Z");
        story.advance("2026-03-07T12:00:00Z").await;
        assert_eq!(story.case(&failed.invoice).await.state_word(), "needs_person");
        assert!(story.letters().is_empty());
        assert!(!story.diary(&failed.invoice).await.contains("notice_"));
    });
}

/// The campaign of the stories with a night, in a folder of its own.
fn campaign(head: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let night = "[quiet]\nfrom = \"21:00\"\nto = \"08:00\"\n";
    let (first, rest) = DAYS.split_once("\n\n").unwrap();
    let text = format!("{first}\n{head}\n{night}\n{rest}");
    std::fs::write(folder.path().join("default.toml"), text).unwrap();
    let path = folder.path().display().to_string();
    (folder, path)
}

/// A step with the status and the reason of its message.
async fn steps(story: &Story, invoice: &str) -> Vec<String> {
    let case = story.case(invoice).await.id;
    let rows = notifications::by_case(story.app.store.conn(), &case).await.unwrap();
    let told = |row: &NotificationRow| {
        let reason = row.reason.as_deref().map(|reason| format!(": {reason}"));
        format!("{} {}{}", row.step, row.status, reason.unwrap_or_default())
    };
    rows.iter().map(told).collect()
}

/// The story of who brings three cards that are declined: no third word, since there is no third subject.
const TAKEN: &str = "
03-02 08:30 opened           expired
03-02 08:30 planned          charges [] notice update_payment_method 03-02 10:30
03-02 10:30 notice_queued    update_payment_method
03-02 10:30 notice_ended     sent
03-02 12:00 method_changed   
03-02 12:00 notice_queued    payment_method_updated
03-02 12:00 attempt_started  card_update
03-02 12:00 attempt_answered declined insufficient_funds
03-02 12:00 planned          charges [03-03 08:00, 03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-02 13:00 notice_ended     sent
03-03 08:00 attempt_started  schedule
03-03 08:00 attempt_answered declined insufficient_funds
03-03 08:00 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice payment_failed 03-03 09:00
03-03 09:00 notice_queued    payment_failed
03-03 09:00 notice_ended     sent
03-03 12:00 method_changed   
03-03 12:00 notice_queued    payment_method_updated 2
03-03 12:00 attempt_started  card_update
03-03 12:00 attempt_answered declined insufficient_funds
03-03 12:00 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice reminder 03-09 09:00
03-03 13:00 notice_ended     sent
03-04 12:00 method_changed   
03-04 12:00 attempt_started  card_update
03-04 12:00 attempt_answered declined insufficient_funds
03-04 12:00 planned          charges [03-05 08:00, 03-09 08:00, 03-16 08:00] notice reminder 03-09 09:00
03-05 08:00 attempt_started  schedule
03-05 08:00 attempt_answered declined insufficient_funds
03-05 08:00 planned          charges [03-09 08:00, 03-16 08:00] notice reminder 03-09 09:00
03-02 08:30 the provider: Renewal expired_card
03-02 12:00 the provider: Api insufficient_funds
03-03 08:00 the provider: Api insufficient_funds
03-03 12:00 the provider: Api insufficient_funds
03-04 12:00 the provider: Api insufficient_funds
03-05 08:00 the provider: Api insufficient_funds
";

#[test]
fn who_brings_a_card_that_is_declined_hears_that_it_was_taken() {
    tell_with(&[], &async |story: &mut Story| {
        let failed = story.failed_invoice("expired_card");
        story.advance("2026-03-02T12:00:00Z").await;
        let never = std::iter::repeat_n(Outcome::decline("insufficient_funds"), 10);
        story.sandbox.script_outcomes(&failed.invoice, never);
        for day in 2..=4 {
            story.sandbox.attach_card(&failed.customer, NewCard::default());
            story.advance(&format!("2026-03-0{}T12:00:00Z", day + 1)).await;
        }
        assert_eq!(story.diary(&failed.invoice).await, TAKEN);
        let letters = story.letters();
        let subjects: Vec<&str> = letters.iter().map(|letter| letter.subject.as_str()).collect();
        assert_eq!(
            (subjects[1], subjects[3]),
            (
                "Ihre neue Zahlungsmethode ist hinterlegt",
                "Ihre Zahlungsmethode wurde erneut geändert"
            )
        );
        let text = &letters[1].text;
        assert!(text.contains("3. März 2026") && !text.contains("Endziffern"), "{text}");
    });
}

#[test]
fn who_brings_a_card_that_pays_only_gets_the_receipt() {
    tell_with(&[], &async |story: &mut Story| {
        let failed = story.failed_invoice("expired_card");
        story.advance("2026-03-02T12:00:00Z").await;
        story.sandbox.attach_card(&failed.customer, NewCard::default());
        story.advance("2026-03-03T12:00:00Z").await;
        let mut steps = steps(story, &failed.invoice).await;
        // What is queued at one instant has no order.
        steps.sort_unstable();
        assert_eq!(
            steps,
            [
                "payment_method_updated superseded: case_closed",
                "payment_received sent",
                "update_payment_method sent"
            ]
        );
        assert_eq!(story.letters().len(), 2);
    });
}

#[test]
fn a_word_about_a_new_card_waits_for_the_morning_and_falls_with_a_promise() {
    let (_folder, path) = campaign("");
    tell_with(&[("RECOUP__CAMPAIGNS__DIR", &path)], &async |story: &mut Story| {
        let [slept, promised] = [0; 2].map(|_| story.failed_invoice("expired_card"));
        story.advance("2026-03-02T20:30:00Z").await;
        for failed in [&slept, &promised] {
            story.sandbox.fail_next(&failed.invoice, "insufficient_funds");
            story.sandbox.attach_card(&failed.customer, NewCard::default());
        }
        story.settle().await;
        let until = "2026-03-04T22:00:00Z".parse().unwrap();
        let id = story.case(&promised.invoice).await.id;
        let promise = CustomerAction::Promise { until };
        story.app.engine.customer(&id, promise).await.unwrap();
        story.advance("2026-03-03T06:59:59Z").await;
        assert_eq!(
            steps(story, &slept.invoice).await[1],
            "payment_method_updated pending: it is night where the customer lives"
        );
        story.advance("2026-03-03T07:00:00Z").await;
        assert_eq!(steps(story, &slept.invoice).await[1], "payment_method_updated sent");
        assert_eq!(
            steps(story, &promised.invoice).await[1],
            "payment_method_updated superseded: promised"
        );
    });
}

/// What became of the invitation to come back.
async fn invited(story: &Story, failed: &Failed) -> String {
    let steps = steps(story, &failed.invoice).await;
    let mut about = steps.into_iter().filter(|step| step.starts_with("win_back"));
    about.next().expect("there is an invitation")
}

/// A subscription that ended for non-payment, until just before the invitation to come back.
async fn ended(story: &Story) -> Failed {
    let failed = story.failed_invoice("lost_card");
    story.advance("2026-04-06T07:59:59Z").await;
    assert_eq!(invited(story, &failed).await, "win_back pending");
    failed
}

#[test]
fn who_lost_a_subscription_is_invited_back_at_the_hour_of_the_messages() {
    let (_folder, path) = campaign("win_back = { after_days = 14 }");
    let settings = [
        ("RECOUP__CAMPAIGNS__DIR", path.as_str()),
        ("RECOUP__HTTP__PUBLIC_URL", "https://pay.acme.example"),
    ];
    tell_with(&settings, &async |story: &mut Story| {
        let failed = ended(story).await;
        story.advance("2026-04-20T00:00:00Z").await;
        assert_eq!(
            story.diary(&failed.invoice).await,
            "
03-02 08:30 opened           lost_stolen
03-02 08:30 planned          charges [] notice update_payment_method 03-02 10:30
03-02 10:30 notice_queued    update_payment_method
03-02 10:30 notice_ended     sent
03-09 09:00 notice_queued    reminder
03-09 09:00 notice_ended     sent
03-20 09:00 notice_queued    final_notice
03-20 09:00 notice_ended     sent
03-23 09:00 final_action     cancel
03-23 09:00 closed           exhausted terminal_decline cancelled
03-23 09:00 notice_queued    subscription_ended
03-23 09:00 notice_queued    win_back
03-23 09:00 notice_ended     sent
04-06 08:00 notice_ended     sent
03-02 08:30 the provider: Renewal lost_card
"
        );
        let letters = story.letters();
        let letter = letters.last().unwrap();
        assert_eq!(letter.subject, "Möchten Sie zurückkommen?");
        assert!(
            !letter.text.contains("19,99"),
            "who is invited owes nothing: {}",
            letter.text
        );
    });
}

#[test]
fn who_is_back_or_wants_to_hear_no_more_is_not_invited() {
    let (_folder, path) = campaign("win_back = { after_days = 14 }");
    let settings = [
        ("RECOUP__CAMPAIGNS__DIR", path.as_str()),
        ("RECOUP__HTTP__PUBLIC_URL", "https://pay.acme.example"),
    ];
    tell_with(&settings, &async |story: &mut Story| {
        let [back, paid, stopped] = [0; 3].map(|_| story.failed_invoice("lost_card"));
        story.advance("2026-03-20T12:00:00Z").await;
        let id = story.case(&stopped.invoice).await.id;
        story
            .app
            .engine
            .customer(&id, CustomerAction::StopReminders)
            .await
            .unwrap();
        story.advance("2026-04-01T12:00:00Z").await;
        let price = Money::new(999, "EUR".parse().unwrap());
        story
            .sandbox
            .add_subscription(&back.customer, price, "2030-01-01T00:00:00Z".parse().unwrap());
        assert!(story.sandbox.pay_out_of_band(&paid.invoice));
        story.advance("2026-04-20T00:00:00Z").await;
        assert_eq!(invited(story, &back).await, "win_back superseded: subscribed_again");
        assert_eq!(invited(story, &paid).await, "win_back superseded: paid");
        assert_eq!(invited(story, &stopped).await, "win_back suppressed: reminders_stopped");
    });
    tell_with(&settings[..1], &async |story: &mut Story| {
        let failed = ended(story).await;
        story.advance("2026-04-06T08:00:00Z").await;
        assert_eq!(
            invited(story, &failed).await,
            "win_back suppressed: no_unsubscribe_link"
        );
    });
}

/// A customer whose card expires at the end of March, and the subscription that it is charged for.
fn dying(story: &Story, renews_at: &str) -> (String, String) {
    story.sandbox.world(|world| {
        let customer = world.add_customer(NewCustomer {
            name: "Erika Beispiel".to_owned(),
            email: "erika@kunde.example".to_owned(),
            locale: "de".to_owned(),
            country: "DE".to_owned(),
            zone: Some("Europe/Berlin".to_owned()),
            habits: Habits::DEAF,
        });
        let card = NewCard {
            expires: (2026, 3),
            ..NewCard::default()
        };
        world.add_card(&customer, card).unwrap();
        let price = Money::new(1999, "EUR".parse().unwrap());
        let subscription = world.add_subscription(&customer, "Team plan", price, renews_at.parse().unwrap());
        (customer, subscription.unwrap())
    })
}

/// What the API lists for a customer, as status and reason.
async fn courtesies(story: &Story, customer: &str) -> Vec<String> {
    let (status, page) = story.get(&format!("/v1/courtesies?customer_id={customer}")).await;
    assert_eq!(status, 200);
    let rows = page["data"].as_array().unwrap();
    let told = |row: &Value| format!("{} {} {}", row["message"], row["status"], row["reason"]).replace('"', "");
    rows.iter().map(told).collect()
}

#[test]
fn a_card_that_dies_before_the_next_charge_is_told_of_once_a_period() {
    tell_with(&[], &async |story: &mut Story| {
        let (customer, _) = dying(story, "2026-04-03T09:00:00Z");
        story.advance("2026-03-27T08:59:59Z").await;
        assert_eq!(courtesies(story, &customer).await, Vec::<String>::new());
        story.advance("2026-03-27T09:00:00Z").await;
        assert_eq!(courtesies(story, &customer).await, ["card_expiring sent null"]);
        let letters = story.letters();
        assert_eq!(
            envelopes(&letters),
            [("erika@kunde.example", "Ihre Karte läuft vor der nächsten Zahlung ab")]
        );
        for told in ["03/2026", "3. April 2026", "19,99"] {
            assert!(
                letters[0].text.contains(told),
                "{told} is missing in {}",
                letters[0].text
            );
        }
        // The provider tells of it again under another name.
        let mut again = story.sandbox.world(|world| world.events().last().unwrap().clone());
        assert_eq!(again.kind, "invoice.upcoming");
        again.id = "evt_again".to_owned();
        story.deliver(&again).await;
        story.advance("2026-04-03T08:00:00Z").await;
        assert_eq!(
            (courtesies(story, &customer).await.len(), story.letters().len()),
            (1, 1)
        );
    });
}

#[test]
fn a_card_that_is_changed_overnight_is_not_told_of() {
    let (_folder, path) = campaign("");
    tell_with(&[("RECOUP__CAMPAIGNS__DIR", &path)], &async |story: &mut Story| {
        let [changed, cancelled, slept] = [0; 3].map(|_| dying(story, "2026-04-03T22:00:00Z"));
        story.advance("2026-03-27T23:00:00Z").await;
        let waits = "card_expiring pending it is night where the customer lives";
        assert_eq!(courtesies(story, &changed.0).await, [waits]);
        story.sandbox.attach_card(&changed.0, NewCard::default());
        assert!(story.sandbox.cancel_subscription(&cancelled.1));
        story.advance("2026-03-28T07:00:00Z").await;
        assert_eq!(
            courtesies(story, &changed.0).await,
            ["card_expiring superseded card_is_good"]
        );
        assert_eq!(
            courtesies(story, &cancelled.0).await,
            ["card_expiring superseded subscription_ends"]
        );
        assert_eq!(courtesies(story, &slept.0).await, ["card_expiring sent null"]);
    });
}

#[test]
fn who_is_chased_or_has_a_good_card_hears_nothing_of_a_card() {
    tell_with(&[], &async |story: &mut Story| {
        let (chased, subscription) = dying(story, "2026-04-03T09:00:00Z");
        let (good, _) = dying(story, "2026-03-31T09:00:00Z");
        story.advance("2026-03-26T12:00:00Z").await;
        story.sandbox.open_invoice(&subscription, "lost_card");
        story.advance("2026-03-27T12:00:00Z").await;
        let (_, inbox) = story.get("/v1/inbox?status=ignored").await;
        let reasons: Vec<_> = inbox["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["kind"] == "invoice.upcoming")
            .map(|row| row["reason"].as_str().unwrap())
            .collect();
        assert_eq!(reasons, ["case_open", "card_is_good"]);
        for customer in [chased, good] {
            assert_eq!(courtesies(story, &customer).await, Vec::<String>::new());
        }
    });
}

#[test]
fn a_word_about_a_card_that_may_have_left_is_not_sent_again() {
    tell_with(&[], &async |story: &mut Story| {
        let (customer, _) = dying(story, "2026-04-03T09:00:00Z");
        story.advance("2026-03-27T08:00:00Z").await;
        let server = SmtpServer::start(&[Role::DropAfterDot]).await;
        let url = format!("smtp://{}", server.addr).into();
        let mailer = Mailer::new(Some(&url), Some("Acme <billing@acme.example>")).unwrap();
        let crew = Crew::with_mailer(story, mailer);
        crew.advance(story, "2026-03-27T09:30:00Z").await;
        let told = courtesies(story, &customer).await;
        assert!(told[0].starts_with("card_expiring unknown"), "{told:?}");
        story.advance("2026-04-02T00:00:00Z").await;
        assert_eq!((server.messages().len(), story.letters().len()), (1, 0));
    });
}
