//! Which invoices get a case, and why others get none.

use recoup::domain::case::Collector;
use recoup::domain::command::Moment;
use recoup::domain::decide::{NoCase, open};
use recoup::domain::decline::DeclineKind;
use recoup::domain::event::Opening;
use recoup::domain::ids::{AttemptId, CaseId};
use recoup::domain::snapshot::{InvoiceStatus, Snapshot, SubscriptionStatus};

use super::desk::{RESEND_SECS, at, eur, grounds, snapshot};

use crate::support::campaigns::days;

const FAILED_AT: &str = "2026-03-20T12:00:00Z";

/// What becomes of a failed invoice after `alter`.
fn opened(alter: impl FnOnce(&mut Snapshot)) -> Result<(), NoCase> {
    let mut seen = snapshot(DeclineKind::InsufficientFunds, at(FAILED_AT));
    alter(&mut seen);
    let campaign = days();
    let fresh_attempt = AttemptId::new(0, 1);
    let moment = Moment {
        now: at(FAILED_AT),
        campaign: &campaign,
        shadow: None,
        fresh_attempt: &fresh_attempt,
        grounds: grounds(),
        resend_secs: RESEND_SECS,
    };
    let opening = Opening {
        connection: "stripe".to_owned(),
        collector: Collector::Us,
        default_zone: "UTC".to_owned(),
    };
    open(CaseId::new(0, 1), &opening, &seen, &moment).map(|_| ())
}

#[test]
fn an_invoice_that_owes_nothing_or_never_failed_gets_no_case() {
    assert_eq!(opened(|_| ()), Ok(()));
    for minor in [0, -1, i64::MIN] {
        let nothing = opened(|seen| seen.amount_remaining = eur(minor));
        assert_eq!(nothing, Err(NoCase::NothingDue), "{minor}");
    }
    let paid = opened(|seen| seen.status = InvoiceStatus::Paid);
    assert_eq!(paid, Err(NoCase::Paid));
    for status in [InvoiceStatus::Draft, InvoiceStatus::Void, InvoiceStatus::Uncollectible] {
        assert_eq!(opened(|seen| seen.status = status), Err(NoCase::NotOwed), "{status:?}");
    }
    assert_eq!(opened(|seen| seen.automatic = false), Err(NoCase::NotAutomatic));
    let untried = opened(|seen| {
        seen.attempted = false;
        seen.payment = None;
    });
    assert_eq!(untried, Err(NoCase::NoFailure));
    let subscription = |status| opened(|seen| seen.subscription.as_mut().unwrap().status = status);
    assert_eq!(subscription(SubscriptionStatus::Incomplete), Err(NoCase::FirstPayment));
    assert_eq!(
        subscription(SubscriptionStatus::Canceled),
        Err(NoCase::SubscriptionEnded)
    );
    let disputed = opened(|seen| seen.payment.as_mut().unwrap().disputed = true);
    assert_eq!(disputed, Err(NoCase::Disputed));
}
