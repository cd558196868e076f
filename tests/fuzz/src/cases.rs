//! A case as a failed charge opens it.

use std::sync::LazyLock;

use jiff::Timestamp;
use recoup::domain::campaign::Campaign;
use recoup::domain::case::{Case, Collector};
use recoup::domain::ceiling::{Grounds, Rules};
use recoup::domain::command::Moment;
use recoup::domain::decide;
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::event::Opening;
use recoup::domain::ids::{AttemptId, CaseId};
use recoup::domain::instrument::History;
use recoup::domain::learning::Learned;
use recoup::domain::money::Money;
use recoup::domain::snapshot::{CustomerSeen, InvoiceStatus, PaymentSeen, PaymentStatus, Snapshot, Traits};
use recoup::domain::taxonomy::Taxonomy;

/// What the ceiling judges by: without a list of codes none is unknown.
pub fn grounds() -> Grounds<'static> {
    static NOTHING: LazyLock<Learned> = LazyLock::new(Learned::nothing);
    static RULES: LazyLock<Rules> = LazyLock::new(Rules::embedded);
    static UNTRIED: LazyLock<History> = LazyLock::new(History::default);
    Grounds {
        codes: Taxonomy::NONE,
        learned: &NOTHING,
        rules: &RULES,
        history: &UNTRIED,
    }
}

/// Opens case number `number` by `campaign` for a charge that was declined for `kind` at `now`, in the zone of that name.
pub fn open(number: u128, campaign: &Campaign, kind: DeclineKind, zone: &str, now: Timestamp) -> Case {
    let moment = Moment {
        now,
        campaign,
        shadow: None,
        fresh_attempt: &AttemptId::new(0, 0),
        grounds: grounds(),
        resend_secs: 69_120,
    };
    let opening = Opening {
        connection: "stripe".to_owned(),
        collector: Collector::Us,
        default_zone: zone.to_owned(),
    };
    let id = CaseId::new(now.as_millisecond(), number);
    let change = decide::open(id, &opening, &snapshot(number, kind, now), &moment);
    change.expect("a failed charge of an open invoice opens a case").case
}

fn snapshot(number: u128, kind: DeclineKind, now: Timestamp) -> Snapshot {
    let money = |minor| Money::new(minor, "EUR".parse().unwrap());
    let payment = PaymentSeen {
        charge_id: Some(format!("ch_{number}")),
        payment_id: Some(format!("pi_{number}")),
        status: PaymentStatus::Failed,
        charged_at: Some(now),
        decline: Some(Decline {
            kind,
            disposition: disposition(kind),
            provider_code: Some(kind.as_str().to_owned()),
            network_code: None,
            advice_code: None,
        }),
        payment_method: Some("pm_1".to_owned()),
        fingerprint: Some("fp_1".to_owned()),
        instrument: None,
        card: None,
        disputed: false,
        refunded_minor: 0,
    };
    Snapshot {
        invoice_id: format!("in_{number}"),
        customer_id: "cus_1".to_owned(),
        subscription_id: None,
        status: InvoiceStatus::Open,
        amount_remaining: money(1999),
        amount_paid: money(0),
        paid_at: None,
        paid_out_of_band: false,
        automatic: true,
        attempted: true,
        provider_next_attempt_at: None,
        pay_url: None,
        description: None,
        payment: Some(payment),
        subscription: None,
        customer: CustomerSeen::default(),
        default_method: None,
        traits: Traits::default(),
    }
}

/// Each kind with a disposition that it comes with, so that every disposition is planned for.
fn disposition(kind: DeclineKind) -> Disposition {
    match kind {
        DeclineKind::InsufficientFunds | DeclineKind::Limit | DeclineKind::DoNotHonor | DeclineKind::IssuerDown => {
            Disposition::Retry
        }
        DeclineKind::Expired | DeclineKind::InvalidAccount => Disposition::FixData,
        DeclineKind::LostStolen | DeclineKind::Fraud | DeclineKind::NotPermitted | DeclineKind::Revoked => {
            Disposition::Never
        }
        DeclineKind::AuthenticationRequired => Disposition::CustomerAction,
        DeclineKind::MerchantConfig => Disposition::Merchant,
    }
}
