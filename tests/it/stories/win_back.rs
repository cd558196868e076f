//! Customers who come back after their subscription was cancelled for a failed payment.

use recoup::domain::money::Money;
use recoup::sandbox::Shape;
use recoup::sandbox::events::Event;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::support::story::{Failed, Story, tell_in};

const START: &str = "2026-03-02T08:30:00Z";
const NO_SETTINGS: [(&str, &str); 0] = [];

/// The customer takes out a subscription that is paid at once.
async fn subscribes_again(story: &Story, customer: &str) {
    let price = Money::new(999, "EUR".parse().unwrap());
    story.sandbox.add_subscription(customer, price, story.now());
    story.settle().await;
}

/// The month of the report of churn in which the cases of the story ended.
async fn march(story: &Story) -> Value {
    let (status, report) = story.get("/v1/reports/churn?from=2026-03-01&to=2026-04-01").await;
    assert_eq!(status, 200, "{report}");
    report["data"][0].clone()
}

/// The numerator of a figure in March, as whoever reads the database sees it.
async fn figure(story: &Story, name: &str) -> i64 {
    let conn = story.app.store.conn();
    let sql = format!("SELECT CAST(SUM(numerator) AS BIGINT) FROM {name} WHERE month = '2026-03'");
    let row = conn
        .query_one_raw(Statement::from_string(conn.get_database_backend(), sql))
        .await;
    row.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// The lines that say of a case that its customer is back.
async fn said(story: &Story, failed: &Failed) -> Vec<String> {
    let diary = story.diary(&failed.invoice).await;
    let lines = diary.lines().filter(|line| line.contains("won_back"));
    lines.map(str::to_owned).collect()
}

fn tell(play: &impl AsyncFn(&mut Story)) {
    for shape in [Shape::Old, Shape::New] {
        tell_in(shape, START, &NO_SETTINGS, play);
    }
}

#[test]
fn who_is_lost_and_comes_back_is_counted_as_both() {
    tell(&async |story: &mut Story| {
        let upload = json!({"connection": "stripe", "source": "the billing system's own count",
                            "months": [{"month": "2026-03", "subscriptions": 400}]});
        assert_eq!(story.post("/v1/active-subscriptions", &upload).await.0, 200);
        let [back, gone] = [0; 2].map(|_| story.failed_invoice("lost_card"));
        // Somebody who loses two subscriptions on the same day.
        let twice = story.failed_invoice("lost_card");
        let price = Money::new(4900, "EUR".parse().unwrap());
        let far = "2030-01-01T00:00:00Z".parse().unwrap();
        let second = story.sandbox.add_subscription(&twice.customer, price, far);
        story.sandbox.open_invoice(&second, "lost_card");
        story.advance("2026-04-01T00:00:00Z").await;
        let month = march(story).await;
        assert_eq!((&month["involuntary"], &month["won_back"]), (&json!(4), &json!(0)));
        assert_eq!(month["money"]["EUR"]["monthly_lost_minor"], 3 * 1999 + 4900);
        assert_eq!(month["involuntary_net_rate"]["percent"], "1.00");

        story.advance("2026-05-05T12:00:00Z").await;
        subscribes_again(story, &back.customer).await;
        subscribes_again(story, &twice.customer).await;
        assert_eq!(said(story, &back).await, ["05-05 12:00 won_back         "]);
        assert_eq!(said(story, &gone).await, [""; 0]);
        let month = march(story).await;
        assert_eq!((&month["involuntary"], &month["won_back"]), (&json!(4), &json!(2)));
        assert_eq!(month["involuntary_rate"]["percent"], "1.00");
        assert_eq!(month["involuntary_net_rate"]["percent"], "0.50");
        let once = month["money"]["EUR"]["monthly_won_back_minor"].clone();
        assert!(once == 1999 + 1999 || once == 1999 + 4900, "one of the two: {once}");

        // Told again, renewed, and the money of the old invoice after all: nobody comes back twice.
        let paid = |event: &&Event| event.kind == "invoice.paid";
        let told: Vec<Event> = story
            .sandbox
            .world(|world| world.events().iter().filter(paid).cloned().collect());
        for event in &told {
            story.deliver(event).await;
        }
        story.settle().await;
        story.advance("2026-07-01T00:00:00Z").await;
        assert_eq!(march(story).await["won_back"], 2);
        assert_eq!(said(story, &back).await.len(), 1);

        // The next subscription of who had lost two wins back the other.
        subscribes_again(story, &twice.customer).await;
        let month = march(story).await;
        assert_eq!((&month["won_back"], &month["involuntary"]), (&json!(3), &json!(4)));
        assert_eq!(month["money"]["EUR"]["monthly_won_back_minor"], 2 * 1999 + 4900);
        for (name, numerator) in [
            ("involuntary_churn", 4),
            ("involuntary_churn_rate", 4),
            ("involuntary_churn_won_back", 3),
            ("involuntary_churn_net_rate", 1),
            ("monthly_revenue_won_back", 2 * 1999 + 4900),
        ] {
            assert_eq!(figure(story, name).await, numerator, "{name}");
        }
        let case = story.case(&back.invoice).await;
        let (status, shown) = story.get(&format!("/v1/cases/{}", case.id)).await;
        assert_eq!(
            (status, &shown["status"]),
            (200, &json!("exhausted")),
            "the outcome stays"
        );
    });
}

#[test]
fn a_renewal_a_trial_and_who_was_never_lost_are_no_return() {
    tell(&async |story: &mut Story| {
        let lost = story.failed_invoice("lost_card");
        let price = Money::new(999, "EUR".parse().unwrap());
        // Another subscription of the same customer, which goes on.
        let next_month = "2026-04-15T09:00:00Z".parse().unwrap();
        story.sandbox.add_subscription(&lost.customer, price, next_month);
        story.advance("2026-04-01T00:00:00Z").await;
        let recovered = march(story).await;
        story.advance("2026-06-01T00:00:00Z").await;
        assert_eq!(march(story).await, recovered);

        let other = story.failed_invoice("insufficient_funds");
        story.settle().await;
        story.sandbox.pay_out_of_band(&other.invoice);
        subscribes_again(story, &other.customer).await;
        assert_eq!(said(story, &other).await, [""; 0]);
        // A trial begins with an invoice of nothing.
        let nothing = Money::new(0, "EUR".parse().unwrap());
        story.sandbox.add_subscription(&lost.customer, nothing, story.now());
        story.settle().await;
        assert_eq!(march(story).await, recovered);
    });
}
