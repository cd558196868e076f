//! An account at a provider that has lists, and one invoice whose charges are slow: all of it in the hands of a test.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::domain::campaign::FinalAction;
use recoup::domain::case::Collector;
use recoup::domain::snapshot::{InvoiceStatus, PaymentSeen, PaymentStatus, Snapshot};
use recoup::engine::Connection;
use recoup::providers::signature::BadSignature;
use recoup::providers::{
    ActionOutcome, Capabilities, ChargeOutcome, ChargeRequest, ChargeSeen, Malformed, NormalizedEvent, Provider,
    ReadError,
};

use crate::decide::desk::{at, eur, failed, snapshot};
use recoup::domain::decline::DeclineKind;

/// What the provider knows, and what it was asked.
pub struct Account {
    books: Mutex<Books>,
}

/// The provider's side.
pub struct Books {
    /// The invoice as it is read.
    pub invoice: Snapshot,
    /// The list of charges.
    pub charges: Vec<ChargeSeen>,
    /// The stretches for which the list of charges was asked.
    pub asked: Vec<(Timestamp, Timestamp)>,
}

impl Account {
    /// An account with one invoice, the charge of which fails at `failed_at`.
    pub fn with_failed_invoice(failed_at: &str) -> Arc<Self> {
        Arc::new(Self {
            books: Mutex::new(Books {
                invoice: snapshot(DeclineKind::InsufficientFunds, at(failed_at)),
                charges: Vec::new(),
                asked: Vec::new(),
            }),
        })
    }

    /// The provider's side, to look at and to change.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// The connection to it.
    pub fn connection(self: &Arc<Self>) -> Connection {
        Connection {
            name: "stripe".to_owned(),
            provider: Arc::clone(self) as Arc<dyn Provider>,
            collector: Collector::Us,
            default_zone: "UTC".to_owned(),
            default_locale: "en".to_owned(),
        }
    }
}

impl Books {
    /// The slow charge brings the money after all.
    pub fn settle(&mut self, paid_at: &str) {
        self.invoice.status = InvoiceStatus::Paid;
        (self.invoice.amount_remaining, self.invoice.amount_paid) = (eur(0), eur(1999));
        self.invoice.paid_at = Some(at(paid_at));
        let payment = self.invoice.payment.as_mut().unwrap();
        payment.status = PaymentStatus::Succeeded;
    }
}

#[async_trait]
impl Provider for Account {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            idempotency_ttl: Duration::from_hours(24),
            call_timeout: Duration::from_secs(30),
            livemode: None,
        }
    }

    fn verify(&self, _: Option<&str>, _: &[u8], _: Timestamp) -> Result<(), BadSignature> {
        unreachable!("it sends no webhooks")
    }

    fn normalize(&self, _: &[u8]) -> Result<NormalizedEvent, Malformed> {
        unreachable!("it has no events")
    }

    async fn snapshot(&self, _: &str) -> Result<Snapshot, ReadError> {
        Ok(self.books().invoice.clone())
    }

    async fn invoice_of(&self, _: Option<&str>, _: Option<&str>) -> Result<Option<String>, ReadError> {
        unreachable!("its charges name their invoice")
    }

    async fn events(&self, _: Timestamp, _: Timestamp) -> Result<Vec<Vec<u8>>, ReadError> {
        Err(ReadError::NotFound)
    }

    async fn failed_invoices(&self) -> Result<Vec<String>, ReadError> {
        Ok(vec![self.books().invoice.invoice_id.clone()])
    }

    async fn charges(&self, from: Timestamp, to: Timestamp) -> Result<Vec<ChargeSeen>, ReadError> {
        let mut books = self.books();
        books.asked.push((from, to));
        let listed = books
            .charges
            .iter()
            .filter(|charge| (from..=to).contains(&charge.made_at));
        Ok(listed.cloned().collect())
    }

    async fn charge(&self, request: &ChargeRequest) -> ChargeOutcome {
        let mut books = self.books();
        let made_at = books.invoice.payment.as_ref().and_then(|payment| payment.charged_at);
        books.invoice.payment = Some(PaymentSeen {
            status: PaymentStatus::Processing,
            decline: None,
            ..failed("ch_slow", DeclineKind::InsufficientFunds, made_at.unwrap())
        });
        assert_eq!(request.invoice_id, books.invoice.invoice_id);
        ChargeOutcome::Processing {
            charge_id: Some("ch_slow".to_owned()),
        }
    }

    async fn finish(&self, _: FinalAction, _: &Snapshot, _: &str) -> ActionOutcome {
        unreachable!("nothing ends")
    }

    async fn update_link(&self, _: &str, _: &str) -> Result<Option<String>, ReadError> {
        Ok(None)
    }
}
