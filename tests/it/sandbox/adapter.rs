//! The service's own Stripe adapter against the sandbox: each believes what the other means, in both shapes.

use recoup::domain::campaign::FinalAction;
use recoup::domain::decline::DeclineKind;
use recoup::domain::snapshot::{CancelReason, InvoiceStatus, PaymentStatus, SubscriptionStatus};
use recoup::providers::stripe::{Stripe, StripeSettings};
use recoup::providers::{ActionOutcome, ChargeOutcome, ChargeRequest, Hint, Provider};
use recoup::sandbox::{API_KEY, Fault, NewCard, Shape, Standing};

use super::{Stage, eur};

fn adapter(stage: &Stage) -> Stripe {
    Stripe::new(StripeSettings {
        api_base: stage.sandbox.url().parse().unwrap(),
        api_key: API_KEY.into(),
        webhook_secrets: vec!["whsec_stage".into()],
    })
    .unwrap()
}

fn request(invoice: &str, key: &str) -> ChargeRequest {
    ChargeRequest {
        invoice_id: invoice.to_owned(),
        key: key.to_owned(),
        amount: eur(1999),
        payment_method: None,
    }
}

#[tokio::test]
async fn the_adapter_reads_a_failed_invoice_whole() {
    for shape in [Shape::Old, Shape::New] {
        let stage = Stage::new(shape).await;
        let invoice = stage.open("insufficient_funds");
        let seen = adapter(&stage).snapshot(&invoice).await.unwrap();
        assert_eq!(seen.status, InvoiceStatus::Open);
        assert_eq!(seen.amount_remaining, eur(1999));
        assert_eq!(
            (seen.automatic, seen.attempted, seen.paid_out_of_band),
            (true, true, false)
        );
        assert_eq!(seen.description.as_deref(), Some("Team plan"));
        assert_eq!(seen.pay_url, Some(format!("{}/i/{invoice}", stage.sandbox.url())));
        let payment = seen.payment.unwrap();
        assert_eq!(payment.status, PaymentStatus::Failed);
        let decline = payment.decline.unwrap();
        assert_eq!(decline.kind, DeclineKind::InsufficientFunds);
        assert_eq!(decline.network_code.as_deref(), Some("51"));
        assert!(payment.fingerprint.is_some() && payment.card.is_some());
        assert_eq!(seen.subscription.unwrap().status, SubscriptionStatus::PastDue);
        assert_eq!(seen.customer.zone.as_deref(), Some("Europe/Berlin"));
        assert_eq!(seen.customer.country.as_deref(), Some("DE"));
        assert_eq!(seen.customer.locale.as_deref(), Some("de"));
        let default = seen.default_method.unwrap();
        assert_eq!(
            (Some(default.id), default.fingerprint),
            (payment.payment_method, payment.fingerprint)
        );
    }
}

#[tokio::test]
async fn the_adapter_charges_once_and_understands_each_answer() {
    for shape in [Shape::Old, Shape::New] {
        let stage = Stage::new(shape).await;
        let stripe = adapter(&stage);
        let invoice = stage.open("lost_card");
        stage.sandbox.fail_next(&invoice, "stolen_card");
        let answer = stripe.charge(&request(&invoice, "att_1")).await;
        let ChargeOutcome::Declined(refusal) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(refusal.decline.kind, DeclineKind::LostStolen);
        stage.sandbox.faults(|faults| faults.next("/pay", Fault::CutAnswer, 1));
        let answer = stripe.charge(&request(&invoice, "att_2")).await;
        assert!(matches!(answer, ChargeOutcome::Unknown { .. }), "{answer:?}");
        let answer = stripe.charge(&request(&invoice, "att_2")).await;
        assert!(matches!(answer, ChargeOutcome::Succeeded(_)), "{answer:?}");
        assert_eq!(
            stripe.charge(&request(&invoice, "att_3")).await,
            ChargeOutcome::NothingOwed
        );
        let void = stage.open("lost_card");
        assert!(stage.sandbox.void(&void));
        assert_eq!(
            stripe.charge(&request(&void, "att_4")).await,
            ChargeOutcome::NothingOwed
        );
        assert_eq!(stage.sandbox.books().successes(&invoice), 1);
    }
}

#[tokio::test]
async fn a_card_that_wants_its_holder_is_seen_as_such() {
    for shape in [Shape::Old, Shape::New] {
        let stage = Stage::new(shape).await;
        let stripe = adapter(&stage);
        let secure = NewCard {
            standing: Standing::NeedsAuthentication,
            brand: "mastercard",
            ..NewCard::default()
        };
        stage.sandbox.attach_card(&stage.customer, secure);
        let invoice = stage.open("insufficient_funds");
        let answer = stripe.charge(&request(&invoice, "att_1")).await;
        let ChargeOutcome::Declined(refusal) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(refusal.decline.kind, DeclineKind::AuthenticationRequired);
        let seen = stripe.snapshot(&invoice).await.unwrap();
        assert_eq!(
            seen.payment.unwrap().decline.unwrap().kind,
            DeclineKind::AuthenticationRequired
        );
        assert!(stage.sandbox.world(|world| world.confirm_by_customer(&invoice)));
        assert_eq!(stripe.snapshot(&invoice).await.unwrap().status, InvoiceStatus::Paid);
    }
}

#[tokio::test]
async fn money_from_elsewhere_refunds_and_endings_are_seen() {
    for shape in [Shape::Old, Shape::New] {
        let stage = Stage::new(shape).await;
        let stripe = adapter(&stage);
        let (band, card) = (stage.open("do_not_honor"), stage.open("do_not_honor"));
        assert!(stage.sandbox.pay_out_of_band(&band));
        let seen = stripe.snapshot(&band).await.unwrap();
        assert_eq!(
            (seen.status, seen.paid_out_of_band),
            (InvoiceStatus::Paid, true),
            "{shape:?}"
        );
        assert!(stage.sandbox.pay_by_customer(&card) && stage.sandbox.refund(&card));
        assert!(stage.sandbox.dispute(&card).is_some());
        let seen = stripe.snapshot(&card).await.unwrap();
        assert!(!seen.paid_out_of_band);
        let payment = seen.payment.unwrap();
        assert_eq!((payment.refunded_minor, payment.disputed), (1999, true));
        let open = stage.open("do_not_honor");
        let seen = stripe.snapshot(&open).await.unwrap();
        for _ in 0..2 {
            assert_eq!(
                stripe.finish(FinalAction::MarkUncollectible, &seen, "f1").await,
                ActionOutcome::Done
            );
            assert_eq!(
                stripe.finish(FinalAction::Pause, &seen, "f2").await,
                ActionOutcome::Done
            );
        }
        assert_eq!(
            stripe.finish(FinalAction::Cancel, &seen, "f3").await,
            ActionOutcome::Done
        );
        assert_eq!(
            stripe.finish(FinalAction::Cancel, &seen, "f4").await,
            ActionOutcome::Done
        );
        let subscription = stripe.snapshot(&open).await.unwrap().subscription.unwrap();
        assert_eq!(subscription.status, SubscriptionStatus::Canceled);
        assert_eq!(subscription.cancel_reason, Some(CancelReason::Requested));
        assert!(stripe.update_link(&stage.customer, "u1").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn every_event_that_is_sent_can_be_read_and_leads_to_its_invoice() {
    for shape in [Shape::Old, Shape::New] {
        let stage = Stage::new(shape).await;
        let stripe = adapter(&stage);
        let invoice = stage.open("lost_card");
        stage.sandbox.attach_card(&stage.customer, NewCard::default());
        assert!(stage.sandbox.pay_by_customer(&invoice) && stage.sandbox.refund(&invoice));
        let bodies: Vec<Vec<u8>> = stage.sandbox.world(|world| {
            world
                .events()
                .iter()
                .map(|event| event.body(shape, 1).to_string().into_bytes())
                .collect()
        });
        let mut failures = 0;
        for body in bodies {
            let event = stripe.normalize(&body).unwrap();
            match event.hint {
                Hint::Invoice { invoice_id, failure } => {
                    assert_eq!(invoice_id, invoice);
                    failures += usize::from(failure);
                }
                Hint::Payment {
                    invoice_id: Some(named),
                    ..
                } => assert_eq!(named, invoice),
                Hint::Payment {
                    payment_id, charge_id, ..
                } => {
                    let found = stripe
                        .invoice_of(payment_id.as_deref(), charge_id.as_deref())
                        .await
                        .unwrap();
                    assert_eq!(found.as_deref(), Some(invoice.as_str()), "{}", event.kind);
                }
                Hint::Subscription { subscription_id } => assert_eq!(subscription_id, stage.subscription),
                Hint::PaymentMethod { customer_id, .. } | Hint::Customer { customer_id } => {
                    assert_eq!(customer_id, stage.customer);
                }
                Hint::Upcoming(upcoming) => {
                    let names = (upcoming.subscription_id.as_str(), upcoming.customer_id.as_str());
                    assert_eq!(names, (stage.subscription.as_str(), stage.customer.as_str()));
                }
                Hint::Unhandled => {
                    let known = [
                        "charge.succeeded",
                        "payment_intent.succeeded",
                        "invoice.updated",
                        "customer.updated",
                    ];
                    assert!(known.contains(&event.kind.as_str()), "{} is not understood", event.kind);
                }
            }
        }
        assert!(failures >= 1);
    }
}
