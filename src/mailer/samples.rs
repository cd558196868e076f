//! Sample contexts, from which previews and the test of all templates are made.

mod digest;

use super::context::{Card, MailContext, StaffFacts};
use crate::domain::brand::Look;
use crate::domain::case::Warning;
use crate::domain::message::Message;
use crate::domain::money::Money;
use crate::domain::taxonomy::Wording;

impl MailContext {
    /// Contexts that show `message` in all its forms: all facts known, each optional fact missing in turn, a second
    /// try in another currency, and nothing known but the amount and the company.
    pub fn samples(message: Message) -> Vec<Self> {
        let full = full(message);
        let mut samples = vec![full.clone()];
        for forget in FORGETS {
            let mut sample = full.clone();
            forget(&mut sample);
            samples.push(sample);
        }
        for (amount_minor, currency) in [(2_980, "JPY"), (12_500, "KWD")] {
            let mut sample = full.clone();
            sample.amount = money(amount_minor, currency);
            sample.attempts = 3;
            sample.digest = sample
                .digest
                .map(|digest| digest::other(digest, sample.amount.currency));
            samples.push(sample);
        }
        let mut bare = full;
        for forget in FORGETS {
            forget(&mut bare);
        }
        samples.push(bare);
        samples
    }
}

/// Each forgets one fact that may be missing.
const FORGETS: [fn(&mut MailContext); 15] = [
    |sample| sample.customer_name = None,
    |sample| sample.support_contact = None,
    |sample| sample.plan = None,
    |sample| sample.wording = None,
    |sample| sample.card = None,
    |sample| sample.next_retry_at = None,
    |sample| sample.ends_at = None,
    |sample| sample.paid_at = None,
    |sample| sample.action_url = None,
    |sample| sample.time_zone = None,
    |sample| sample.due_at = None,
    |sample| sample.written_at = None,
    |sample| sample.stop_url = None,
    |sample| sample.unsubscribe_url = None,
    |sample| sample.look = Look::default(),
];

fn full(message: Message) -> MailContext {
    MailContext {
        customer_name: Some("Marlene Okafor".to_owned()),
        company_name: "Larkspur".to_owned(),
        support_contact: Some("help@larkspur.example".to_owned()),
        look: Look {
            logo_url: None,
            color: Some("#0b6e4f".to_owned()),
            address: Some("Larkspur GmbH, Sonnenallee 1, 12045 Berlin".to_owned()),
        },
        amount: money(123_456, "EUR"),
        plan: Some("Larkspur Studio".to_owned()),
        wording: Some(wording(message)),
        card: Some(Card {
            brand: "visa".to_owned(),
            last4: "4242".to_owned(),
            expires: (message == Message::CardExpiring).then(|| "09/2026".to_owned()),
        }),
        next_retry_at: Some(instant("2026-09-18T08:00:00Z")),
        ends_at: Some(instant("2026-09-29T22:30:00Z")),
        paid_at: Some(instant("2026-09-18T08:00:04Z")),
        action_url: Some("https://pay.larkspur.example/i/acct_1/in_1?s=mail&v=2".to_owned()),
        attempts: 1,
        due_at: Some(instant("2026-10-01T08:00:00Z")),
        written_at: Some(instant("2026-09-27T08:00:00Z")),
        time_zone: Some("Europe/Berlin".to_owned()),
        stop_url: Some("https://billing.larkspur.example/p/stop".to_owned()),
        unsubscribe_url: Some("https://billing.larkspur.example/p/unsubscribe".to_owned()),
        staff: (message.is_for_staff() && message != Message::StaffDigest).then(|| StaffFacts {
            customer_id: "cus_1".to_owned(),
            invoice_id: "in_1".to_owned(),
            warning: (message == Message::StaffPersonNeeded).then_some(Warning::AttemptUnresolved),
            tried_alternate: false,
        }),
        digest: (message == Message::StaffDigest).then(digest::full),
    }
}

fn wording(message: Message) -> Wording {
    match message {
        Message::PaymentFailed | Message::Reminder => Wording::NotEnoughMoney,
        Message::UpdatePaymentMethod | Message::CardExpiring | Message::CardExpired | Message::FinalNotice => {
            Wording::OutOfDate
        }
        Message::ConfirmPayment => Wording::Confirm,
        Message::SubscriptionPaused
        | Message::SubscriptionEnded
        | Message::PaymentReceived
        | Message::PaymentMethodUpdated
        | Message::WinBack
        | Message::StaffPersonNeeded
        | Message::StaffMailBounced
        | Message::StaffDigest => Wording::NotApproved,
    }
}

fn money(amount_minor: i64, currency: &str) -> Money {
    Money::new(
        amount_minor,
        currency.parse().expect("a sample's currency is three letters"),
    )
}

fn instant(text: &str) -> jiff::Timestamp {
    text.parse().expect("a sample's instant is written in RFC 3339")
}
