//! An account at a provider that has lists, and one invoice whose charges are slow: all of it in the hands of a test.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::domain::campaign::FinalAction;
use recoup::domain::case::Collector;
use recoup::domain::decline::DeclineKind;
use recoup::domain::snapshot::{InvoiceStatus, PaymentSeen, PaymentStatus, Snapshot};
use recoup::domain::taxonomy::Taxonomy;
use recoup::engine::{Connection, Engine};
use recoup::providers::signature::BadSignature;
use recoup::providers::{
    ActionOutcome, Capabilities, ChargeOutcome, ChargeRequest, ChargeSeen, Hint, ListError, Malformed, NormalizedEvent,
    Provider, ReadError,
};
use tokio::sync::Semaphore;

use crate::decide::desk::{at, eur, failed, snapshot};

/// What the provider knows, and what it was asked.
pub struct Account {
    books: Mutex<Books>,
    /// One permit for each call that hangs.
    pub hanging: Semaphore,
}

/// The provider's side.
pub struct Books {
    /// The invoice as it is read.
    pub invoice: Snapshot,
    /// The list of charges.
    pub charges: Vec<ChargeSeen>,
    /// The list of events: when each was made.
    pub events: Vec<Timestamp>,
    /// The invoices of others that are owed: when each was made.
    pub others: Vec<Timestamp>,
    /// The most that a list can hold.
    pub holds: usize,
    /// Which list or read never ends, if any.
    pub hangs: Option<&'static str>,
    /// Who is told to stop when an event is read.
    pub stops: Option<Engine>,
    /// The lists that were asked for, each with its stretch.
    pub asked: Vec<(&'static str, Timestamp, Timestamp)>,
}

impl Account {
    /// An account with one invoice, the charge of which fails at `failed_at`.
    pub fn with_failed_invoice(failed_at: &str) -> Arc<Self> {
        Arc::new(Self {
            books: Mutex::new(Books {
                invoice: snapshot(DeclineKind::InsufficientFunds, at(failed_at)),
                charges: Vec::new(),
                events: Vec::new(),
                others: Vec::new(),
                holds: usize::MAX,
                hangs: None,
                stops: None,
                asked: Vec::new(),
            }),
            hanging: Semaphore::new(0),
        })
    }

    /// The provider's side, to look at and to change.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// Never ends, where this is what hangs.
    async fn hang(&self, what: &'static str) {
        if self.books().hangs == Some(what) {
            self.hanging.add_permits(1);
            pending::<()>().await;
        }
    }

    /// What a list shows of a stretch, of things each with the time at which it was made.
    async fn list<T>(
        &self,
        what: &'static str,
        (from, to): (Timestamp, Timestamp),
        all: impl Fn(&Books) -> Vec<(Timestamp, T)>,
    ) -> Result<Vec<T>, ListError> {
        self.hang(what).await;
        let mut books = self.books();
        books.asked.push((what, from, to));
        let made = from.as_second()..=to.as_second();
        let mut listed = all(&books);
        listed.retain(|(at, _)| made.contains(&at.as_second()));
        if listed.len() > books.holds {
            return Err(ListError::TooLong);
        }
        Ok(listed.into_iter().map(|(_, one)| one).collect())
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
    /// The stretches for which a list was asked.
    pub fn asked(&self, what: &str) -> Vec<(Timestamp, Timestamp)> {
        let of = self.asked.iter().filter(|(list, _, _)| *list == what);
        of.map(|(_, from, to)| (*from, *to)).collect()
    }

    /// A charge of somebody else for the invoice.
    pub fn charge_by_another(&mut self, charge: &str, made_at: Timestamp) {
        self.charges.push(ChargeSeen {
            charge_id: charge.to_owned(),
            customer_id: self.invoice.customer_id.clone(),
            invoice_id: Some(self.invoice.invoice_id.clone()),
            payment_id: None,
            amount: eur(1999),
            made_at,
        });
    }

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

    fn codes(&self) -> &'static Taxonomy {
        &recoup::providers::stripe::declines::TABLE
    }

    fn verify(&self, _: Option<&str>, _: &[u8], _: Timestamp) -> Result<(), BadSignature> {
        unreachable!("it sends no webhooks")
    }

    fn normalize(&self, body: &[u8]) -> Result<NormalizedEvent, Malformed> {
        if let Some(engine) = &self.books().stops {
            engine.stop();
        }
        let (event_id, created_at) = std::str::from_utf8(body).unwrap().split_once(' ').unwrap();
        Ok(NormalizedEvent {
            event_id: event_id.to_owned(),
            kind: "customer.updated".to_owned(),
            created_at: Some(at(created_at)),
            livemode: None,
            paid_by_key: None,
            subscribed: None,
            hint: Hint::Customer {
                customer_id: "cus_nobody".to_owned(),
            },
        })
    }

    async fn snapshot(&self, invoice_id: &str) -> Result<Snapshot, ReadError> {
        self.hang("invoice").await;
        let invoice = self.books().invoice.clone();
        if invoice.invoice_id == invoice_id {
            Ok(invoice)
        } else {
            Err(ReadError::NotFound)
        }
    }

    async fn invoice_of(&self, _: Option<&str>, _: Option<&str>) -> Result<Option<String>, ReadError> {
        unreachable!("its charges name their invoice")
    }

    async fn events(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Vec<u8>>, ListError> {
        let all = |books: &Books| {
            let events = (0..).zip(&books.events);
            events
                .map(|(number, made)| (*made, format!("evt_{number} {made}").into_bytes()))
                .collect()
        };
        self.list("events", (from, to), all).await
    }

    async fn failed_invoices(&self, from: Timestamp, to: Timestamp) -> Result<Vec<String>, ListError> {
        let all = |books: &Books| {
            let made = books.invoice.payment.as_ref().and_then(|payment| payment.charged_at);
            let ours = (made.unwrap(), books.invoice.invoice_id.clone());
            let others = (0..)
                .zip(&books.others)
                .map(|(number, made)| (*made, format!("in_other_{number}")));
            let mut newest_first: Vec<_> = others.chain([ours]).collect();
            newest_first.sort_by(|a, b| b.cmp(a));
            newest_first
        };
        self.list("invoices", (from, to), all).await
    }

    async fn charges(&self, from: Timestamp, to: Timestamp) -> Result<Vec<ChargeSeen>, ListError> {
        let all = |books: &Books| {
            books
                .charges
                .iter()
                .map(|charge| (charge.made_at, charge.clone()))
                .collect()
        };
        self.list("charges", (from, to), all).await
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
