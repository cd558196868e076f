//! The engine's line to the provider. A request that left arrives whatever becomes of its sender; answers get lost.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::domain::campaign::FinalAction;
use recoup::domain::snapshot::{InvoiceStatus, Snapshot};
use recoup::domain::taxonomy::Taxonomy;
use recoup::providers::signature::BadSignature;
use recoup::providers::{
    ActionOutcome, Capabilities, ChargeOutcome, ChargeRequest, ChargeSeen, Hint, ListError, Malformed, NormalizedEvent,
    PaymentHint, Provider, ReadError, Receipt, Refusal,
};

use super::books::{By, Fate, Issuer, Key, decline, instrument};
use super::dice::Dice;
use super::faults::Class;
use super::judge;
use super::people::{Act, tell};
use super::state::{DAY, HOUR, Happening, Line, MINUTE, SECOND, State, instant};

/// How long the engine's side waits for an answer.
const TIMEOUT: i64 = 30 * SECOND;
/// How long the provider keeps a key.
pub const KEY_LIFE: i64 = DAY;
/// A read shows at least what was true so long ago.
pub const STALE_MAX: i64 = 2 * MINUTE;
/// A request that was given up may still be carried out so much later.
const LATE_MAX: i64 = 15 * MINUTE;

/// A request under way.
#[derive(Clone, Debug)]
pub enum Call {
    Charge(ChargeRequest),
    Finish(FinalAction, usize),
}

/// The line of one worker.
#[derive(Debug)]
pub struct Port(pub Line);

/// What becomes of a request and its answer.
struct Fortune {
    /// When it arrives, if ever.
    arrives: Option<i64>,
    /// When its answer is here, if ever.
    answered: Option<i64>,
    /// What is answered instead of the truth, once it arrived.
    instead: Option<&'static str>,
}

fn unknown(reason: &str) -> ChargeOutcome {
    ChargeOutcome::Unknown {
        reason: reason.to_owned(),
        retry_after: None,
    }
}

fn wait_of(mut dice: Dice) -> Option<Duration> {
    let secs = *dice.pick(&[0, 0, 1, 30, 600, 1_000_000_000]);
    (secs > 0).then(|| Duration::from_secs(secs))
}

/// What the line and the provider's gate do to a request.
fn fortune(state: &mut State) -> Fortune {
    let now = state.now;
    let there = now + state.dice.between(20, 900);
    let back = there + state.dice.between(200, 4000);
    let (mut arrives, mut answered, mut instead) = (Some(there), Some(back), None);
    if now < state.provider_down {
        (arrives, answered) = (None, None);
    }
    if state.strikes(Class::CallLost).is_some() {
        (arrives, answered) = (None, None);
    }
    if let Some(mut dice) = state.strikes(Class::CallLate) {
        (arrives, answered) = (Some(now + dice.between(TIMEOUT, LATE_MAX)), None);
    }
    if state.strikes(Class::ReplyLost).is_some() {
        answered = None;
    }
    if let Some(mut dice) = state.strikes(Class::ServerError) {
        instead = Some(*dice.pick(&["server error", "server error, kept under the key"]));
        if dice.happens(500_000) {
            arrives = None;
        }
    }
    Fortune {
        arrives,
        answered,
        instead,
    }
}

/// What is refused before it is carried out; certainly nothing comes of it.
fn refused(state: &mut State) -> Option<ChargeOutcome> {
    let not_sent = |reason: &str, needs_person, retry_after| {
        Some(ChargeOutcome::NotSent {
            reason: reason.to_owned(),
            needs_person,
            retry_after,
        })
    };
    if state.now < state.key_refused {
        return not_sent("401", true, None);
    }
    if state.strikes(Class::NotSent).is_some() {
        return not_sent("no connection", false, None);
    }
    if let Some(dice) = state.strikes(Class::TooMany) {
        return not_sent("429", false, wait_of(dice));
    }
    None
}

impl Port {
    /// Sends a request and waits for what is answered.
    async fn send(&self, call: Call) -> (u64, Option<&'static str>) {
        let (number, fortune) = {
            let mut state = self.0.world.lock();
            state.calls += 1;
            let number = state.calls;
            let fortune = fortune(&mut state);
            if let Some(at) = fortune.arrives {
                state.at(at, Happening::Arrive(number, call));
            }
            (number, fortune)
        };
        let now = self.0.world.lock().now;
        let until = fortune.answered.unwrap_or(now + TIMEOUT);
        self.0.pass(until - now).await;
        match (fortune.answered, fortune.instead) {
            (None, _) => (number, Some("timeout")),
            (Some(_), instead) => (number, instead),
        }
    }
}

/// A request arrived: it is carried out, and its answer kept for whoever still waits.
pub fn arrive(state: &mut State, number: u64, call: Call) {
    match call {
        Call::Charge(request) => {
            let answer = charge(state, &request);
            state.note("provider.charge", number, &format_args!("{request:?} -> {answer:?}"));
            state.charge_answers.insert(number, answer);
        }
        Call::Finish(action, invoice) => {
            let now = state.now;
            let done = state.books.finish(action, invoice, now);
            state.note("provider.finish", number, &invoice);
            if action == FinalAction::Cancel {
                tell(
                    state,
                    "subscription",
                    &format!("sub_{}", state.books.invoices[invoice].subscription),
                );
            }
            let answer = if done {
                ActionOutcome::Done
            } else {
                ActionOutcome::Refused {
                    reason: "not open".to_owned(),
                }
            };
            state.action_answers.insert(number, answer);
        }
    }
}

/// The provider's idempotency layer.
fn charge(state: &mut State, request: &ChargeRequest) -> ChargeOutcome {
    let now = state.now;
    let params = (
        request.invoice_id.clone(),
        request.amount.amount_minor,
        request.payment_method.clone(),
    );
    judge::charge_arrives(state, request);
    if let Some(key) = state.books.keys.get(&request.key)
        && now - key.first_at < KEY_LIFE
    {
        if key.params != params {
            return ChargeOutcome::Mismatch {
                reason: "the key was used for another request".to_owned(),
            };
        }
        if now < key.busy_until {
            return unknown("key in use");
        }
        if let Some(answer) = &key.answer {
            return answer.clone();
        }
    }
    let busy = state.dice.between(50, 3000);
    let answer = carry_out(state, request);
    let first_at = now;
    let key = Key {
        first_at,
        busy_until: now + busy,
        params,
        answer: (answer != ChargeOutcome::NothingOwed).then(|| answer.clone()),
    };
    state.books.keys.insert(request.key.clone(), key);
    answer
}

fn carry_out(state: &mut State, request: &ChargeRequest) -> ChargeOutcome {
    let now = state.now;
    let Some(&number) = state.books.by_name.get(&request.invoice_id) else {
        return unknown("no such invoice");
    };
    let status = state.books.invoices[number].status;
    let owed = match status {
        InvoiceStatus::Open => true,
        InvoiceStatus::Paid => !state.books.conditional,
        InvoiceStatus::Draft | InvoiceStatus::Void | InvoiceStatus::Uncollectible => false,
    };
    let slow = state.books.invoices[number]
        .charges
        .last()
        .is_some_and(|last| last.fate == Fate::Processing);
    if !owed || slow {
        return ChargeOutcome::NothingOwed;
    }
    let before = state.books.invoices[number].minor - state.books.invoices[number].paid;
    let by = By::Key(request.key.clone());
    let charge = state.books.charge(number, request.payment_method.as_deref(), by, now);
    let invoice = &state.books.invoices[number];
    let named = state.books.dice.happens(800_000).then(|| charge.id.clone());
    match charge.fate {
        Fate::Succeeded => {
            let paid = invoice.paid;
            tell(state, "paid", &request.invoice_id);
            if before > 0 && before != request.amount.amount_minor {
                return ChargeOutcome::Mismatch {
                    reason: "another amount was charged".to_owned(),
                };
            }
            ChargeOutcome::Succeeded(Receipt {
                invoice_id: request.invoice_id.clone(),
                amount_paid: state.books.money(paid),
                charge_id: named,
            })
        }
        Fate::Processing => {
            let at = invoice.charges.len() - 1;
            let methods = &state.books.customers[invoice.customer].methods;
            let issuer = methods.iter().find(|one| one.id == charge.method).unwrap().issuer;
            let takes = if let Issuer::Slow(takes, _) = issuer {
                takes
            } else {
                HOUR
            };
            state.at(now + takes, Happening::Act(Act::SlowEnds(number, at)));
            ChargeOutcome::Processing { charge_id: named }
        }
        Fate::Declined(kind) => {
            let methods = &state.books.customers[invoice.customer].methods;
            let card = methods
                .iter()
                .find(|one| one.id == charge.method)
                .map(|one| one.card.clone());
            tell(state, "failed", &request.invoice_id);
            let shown = state.books.dice.happens(800_000);
            let charged = card.as_deref().filter(|_| shown).map(instrument);
            ChargeOutcome::Declined(Refusal {
                decline: decline(kind),
                charge_id: named,
                payment_method: shown.then_some(charge.method),
                fingerprint: card.filter(|_| shown),
                card: None,
                instrument: charged,
            })
        }
    }
}

fn unavailable(reason: &str) -> ReadError {
    ReadError::Unavailable {
        reason: reason.to_owned(),
        retry_after: None,
    }
}

impl Port {
    /// A read: late, stale or in vain.
    async fn read<R>(&self, work: impl FnOnce(&mut State) -> Result<R, ReadError>) -> Result<R, ReadError> {
        let (wait, fails) = {
            let mut state = self.0.world.lock();
            let down = state.now < state.provider_down;
            let fails = down || state.strikes(Class::ReadError).is_some();
            let quick = state.dice.between(30, 600);
            let wait = if fails && state.dice.happens(500_000) {
                TIMEOUT
            } else {
                quick
            };
            (wait, fails)
        };
        self.0.pass(wait).await;
        let mut state = self.0.world.lock();
        if fails {
            return Err(unavailable("no answer"));
        }
        if state.now < state.key_refused {
            return Err(ReadError::Refused(401));
        }
        work(&mut state)
    }
}

#[async_trait]
impl Provider for Port {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            idempotency_ttl: Duration::from_millis(KEY_LIFE.unsigned_abs()),
            call_timeout: Duration::from_millis(TIMEOUT.unsigned_abs()),
            livemode: None,
        }
    }

    fn codes(&self) -> &'static Taxonomy {
        &recoup::providers::stripe::declines::TABLE
    }

    fn verify(&self, _: Option<&str>, _: &[u8], _: Timestamp) -> Result<(), BadSignature> {
        Ok(())
    }

    fn normalize(&self, body: &[u8]) -> Result<NormalizedEvent, Malformed> {
        read_event(body).ok_or_else(|| Malformed("no event".to_owned()))
    }

    async fn snapshot(&self, invoice_id: &str) -> Result<Snapshot, ReadError> {
        self.read(|state| {
            let now = state.now;
            let back = state
                .strikes(Class::StaleRead)
                .map_or(0, |mut dice| dice.between(0, STALE_MAX));
            let number = state
                .books
                .by_name
                .get(invoice_id)
                .copied()
                .ok_or(ReadError::NotFound)?;
            Ok(state.books.read(number, now - back).clone())
        })
        .await
    }

    async fn invoice_of(&self, _: Option<&str>, charge: Option<&str>) -> Result<Option<String>, ReadError> {
        let number = charge.and_then(|name| name.split('_').nth(1)).map(str::to_owned);
        self.read(|_| Ok(number.map(|number| format!("in_{number}")))).await
    }

    async fn events(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Vec<u8>>, ListError> {
        let span = from.as_millisecond()..=to.as_millisecond();
        let read = self.read(|state| {
            let events = &state.books.events;
            let first = events.partition_point(|told| told.at < *span.start());
            let listed = events[first..].iter().take_while(|told| told.at <= *span.end());
            let listed = listed.filter(|told| told.listed);
            Ok(listed.map(|told| told.body.clone()).collect())
        });
        Ok(read.await?)
    }

    async fn failed_invoices(&self, _: Timestamp, _: Timestamp) -> Result<Vec<String>, ListError> {
        Ok(self.read(|state| Ok(state.books.failed())).await?)
    }

    async fn charges(&self, from: Timestamp, to: Timestamp) -> Result<Vec<ChargeSeen>, ListError> {
        let span = from.as_millisecond()..=to.as_millisecond();
        Ok(self.read(|state| Ok(state.books.takings(&span))).await?)
    }

    async fn charge(&self, request: &ChargeRequest) -> ChargeOutcome {
        let early = {
            let mut state = self.0.world.lock();
            judge::charge_begins(&mut state, self.0.worker, request);
            if let Some(mut dice) = state.strikes(Class::WorstMoment)
                && let Some(&invoice) = state.books.by_name.get(&request.invoice_id)
            {
                let at = state.now + dice.between(0, SECOND);
                state.at(at, Happening::Act(Act::Pays(invoice)));
            }
            refused(&mut state)
        };
        if let Some(answer) = early {
            self.0.pass(50).await;
            self.0.world.lock().judge.call_ends(&request.invoice_id);
            judge::charge_answered(&mut self.0.world.lock(), self.0.worker, request, &answer);
            return answer;
        }
        let (number, instead) = self.send(Call::Charge(request.clone())).await;
        let mut state = self.0.world.lock();
        let truth = state.charge_answers.remove(&number);
        state.judge.call_ends(&request.invoice_id);
        let answer = match instead {
            Some(reason) => unknown(reason),
            None => truth.unwrap_or_else(|| unknown("no answer")),
        };
        if instead == Some("server error, kept under the key")
            && let Some(key) = state.books.keys.get_mut(&request.key)
        {
            key.answer = Some(unknown("the kept server error"));
        }
        judge::charge_answered(&mut state, self.0.worker, request, &answer);
        answer
    }

    async fn finish(&self, action: FinalAction, snapshot: &Snapshot, _: &str) -> ActionOutcome {
        let Some(invoice) = ({
            let mut state = self.0.world.lock();
            let found = state.books.by_name.get(&snapshot.invoice_id).copied();
            if let Some(invoice) = found {
                judge::finish_begins(&mut state, self.0.worker, invoice, action);
            }
            found
        }) else {
            return ActionOutcome::Refused {
                reason: "no such invoice".to_owned(),
            };
        };
        let (number, instead) = self.send(Call::Finish(action, invoice)).await;
        let answer = self.0.world.lock().action_answers.remove(&number);
        let lost = |reason: &str| ActionOutcome::Unavailable {
            reason: reason.to_owned(),
            retry_after: None,
        };
        match instead {
            Some(reason) => lost(reason),
            None => answer.unwrap_or_else(|| lost("no answer")),
        }
    }

    async fn update_link(&self, customer_id: &str, _: &str) -> Result<Option<String>, ReadError> {
        self.read(|_| Ok(Some(format!("https://portal.example/{customer_id}"))))
            .await
    }
}

/// The bytes of an event: `id kind object at`.
fn read_event(body: &[u8]) -> Option<NormalizedEvent> {
    let text = std::str::from_utf8(body).ok()?;
    let mut words = text.split(' ');
    let (id, kind, object, at) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let object = object.to_owned();
    let payment = |what| Hint::Payment {
        invoice_id: None,
        payment_id: None,
        charge_id: Some(object.clone()),
        what,
    };
    let method = |renewed| {
        let (customer, card) = object.split_once('/').unwrap_or((&object, ""));
        Hint::PaymentMethod {
            customer_id: customer.to_owned(),
            payment_method: Some(card.to_owned()),
            fingerprint: Some(card.replace("pm", "fp")),
            instrument: Some(instrument(&card.replace("pm", "fp"))),
            renewed,
        }
    };
    let hint = match kind {
        "failed" | "paid" | "voided" | "credited" => Hint::Invoice {
            invoice_id: object.clone(),
            failure: kind == "failed",
        },
        "charge_failed" => payment(PaymentHint::Failed),
        "disputed" => payment(PaymentHint::Disputed),
        "refunded" => payment(PaymentHint::Refunded),
        "subscription" => Hint::Subscription {
            subscription_id: object.clone(),
        },
        "method" => method(false),
        "renewed" => method(true),
        "customer" => Hint::Customer {
            customer_id: object.clone(),
        },
        "other" => Hint::Unhandled,
        _ => return None,
    };
    Some(NormalizedEvent {
        event_id: id.to_owned(),
        kind: kind.to_owned(),
        created_at: Some(instant(at.parse().ok()?)),
        livemode: None,
        paid_by_key: None,
        subscribed: None,
        hint,
    })
}
