//! By whose clock a customer is charged and written to.

use recoup::domain::money::Money;
use recoup::sandbox::{Habits, NewCard, NewCustomer, Outcome};

use crate::support::story::{Story, tell};

/// A customer in a country, whose metadata may name a zone, and an invoice whose charges fail three times.
fn failed_invoice(story: &Story, country: &str, zone: Option<&str>) -> (String, String) {
    let customer = story.sandbox.world(|world| {
        let id = world.add_customer(NewCustomer {
            name: "Hana Beispiel".to_owned(),
            email: "hana@kunde.example".to_owned(),
            locale: "en".to_owned(),
            country: country.to_owned(),
            zone: zone.map(str::to_owned),
            habits: Habits::DEAF,
        });
        world.add_card(&id, NewCard::default());
        id
    });
    let price = Money::new(1999, "EUR".parse().unwrap());
    let renews = "2030-01-01T00:00:00Z".parse().unwrap();
    let subscription = story.sandbox.add_subscription(&customer, price, renews);
    let invoice = story.sandbox.open_invoice(&subscription, "insufficient_funds");
    let no = || Outcome::decline("insufficient_funds");
    story.sandbox.script_outcomes(&invoice, [no(), no(), Outcome::Success]);
    (customer, invoice)
}

/// The lines of a diary that tell of charges and mails.
async fn effects(story: &Story, invoice: &str) -> Vec<String> {
    let kept = |line: &&str| {
        let kinds = ["attempt_started", "notice_ended", "closed"];
        kinds.iter().any(|kind| line.contains(kind))
    };
    let diary = story.diary(invoice).await;
    diary.lines().filter(kept).map(str::to_owned).collect()
}

#[test]
fn a_customer_in_japan_is_charged_at_nine_in_tokyo() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let (_, invoice) = failed_invoice(story, "JP", None);
        story.advance("2026-03-20T00:00:00Z").await;
        // The charge failed in the evening there; the next days begin at 15:00 UTC, and nine o'clock is midnight UTC.
        assert_eq!(
            effects(story, &invoice).await,
            [
                "03-03 00:00 attempt_started  schedule",
                "03-03 01:00 notice_ended     sent",
                "03-05 00:00 attempt_started  schedule",
                "03-09 00:00 attempt_started  schedule",
                "03-09 00:00 closed           recovered retry",
                "03-09 00:00 notice_ended     sent",
            ]
        );
        assert_eq!(story.case(&invoice).await.zone, "Asia/Tokyo");
    });
}

#[test]
fn the_metadata_win_over_the_country() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let (_, invoice) = failed_invoice(story, "JP", Some("America/New_York"));
        story.advance("2026-03-20T00:00:00Z").await;
        // The clocks of New York change on 8 March.
        assert_eq!(
            effects(story, &invoice).await,
            [
                "03-03 14:00 attempt_started  schedule",
                "03-03 15:00 notice_ended     sent",
                "03-05 14:00 attempt_started  schedule",
                "03-09 13:00 attempt_started  schedule",
                "03-09 13:00 closed           recovered retry",
                "03-09 13:00 notice_ended     sent",
            ]
        );
        assert_eq!(story.case(&invoice).await.zone, "America/New_York");
    });
}

#[test]
fn who_moves_is_charged_by_the_clock_of_the_new_country() {
    tell("2026-03-02T08:30:00Z", &async |story: &mut Story| {
        let (customer, invoice) = failed_invoice(story, "JP", None);
        story.advance("2026-03-03T12:00:00Z").await;
        assert!(story.sandbox.world(|world| world.move_customer(&customer, "DE")));
        story.advance("2026-03-20T00:00:00Z").await;
        // What was planned stays; whatever is planned after that is by the new clock.
        assert_eq!(
            effects(story, &invoice).await,
            [
                "03-03 00:00 attempt_started  schedule",
                "03-03 01:00 notice_ended     sent",
                "03-05 00:00 attempt_started  schedule",
                "03-09 08:00 attempt_started  schedule",
                "03-09 08:00 closed           recovered retry",
                "03-09 08:00 notice_ended     sent",
            ]
        );
        assert_eq!(story.case(&invoice).await.zone, "Europe/Berlin");
    });
}
