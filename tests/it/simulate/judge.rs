//! The laws, held against the books of the provider and the mail server. The first breach ends a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

use recoup::domain::campaign::FinalAction;
use recoup::domain::case::{Case, State as CaseState};
use recoup::domain::command::{AttemptStatus, Entry};
use recoup::domain::decline::Disposition;
use recoup::domain::ids::{AttemptId, CaseId, NotificationId};
use recoup::domain::instrument::Instrument;
use recoup::domain::message::Message;
use recoup::domain::outcome::Status;
use recoup::providers::{ChargeOutcome, ChargeRequest};
use recoup::store::changes::{CaseChange, RowWrite, Written};
use serde_json::Value;

use super::books::{By, Charge, Fate};
use super::network::{KEY_LIFE, STALE_MAX};
use super::state::{HOUR, MINUTE, SECOND, State, written};
use crate::decide::desk::disposition;
use crate::rules::naive;

mod end;
mod ledger;

pub use end::{at_end, daily};

/// How long a worker may be at it between its reading of the invoice and the effect: half a lease, and slow answers.
const READ_TO_SEND: i64 = 60 * SECOND + 15 * SECOND;
/// The same for a mail: a whole lease.
const READ_TO_MAIL: i64 = 120 * SECOND + 15 * SECOND;
/// How long an answer of the database may take.
const SLOW_ANSWER: i64 = 10 * SECOND;
/// While the same key is sent again, nothing new may be charged: 20 hours, less what clocks differ.
const RESENT: i64 = 16 * HOUR;

/// How much two clocks differ at most.
const CLOCKS: i64 = 4 * HOUR;

/// A broken law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub law: &'static str,
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.what)
    }
}

/// What the judge knows of a key of ours.
#[derive(Debug, Default)]
struct Seen {
    first: i64,
    sendings: u32,
    /// When a worker was told for sure what became of it.
    definite: Option<i64>,
    /// The same, but for the answer that the first sending came to nothing: a worker that cannot know that it was the first
    /// cannot know that either.
    settled: Option<i64>,
    /// Who was told so.
    settled_to: usize,
}

/// For how long a worker stood still since an instant.
type Slept<'a> = &'a dyn Fn(usize, i64) -> i64;

#[derive(Debug, Default)]
pub struct Judge {
    pub breach: Option<Breach>,
    keys: BTreeMap<String, Seen>,
    keys_of: BTreeMap<String, Vec<String>>,
    /// The calls under way: by whom and since when.
    flying: BTreeMap<String, (usize, i64)>,
    /// When somebody last said of an invoice how to go on.
    people: BTreeMap<String, i64>,
    /// When a customer last changed a card.
    pub cards: BTreeMap<usize, i64>,
    pub staff_done: BTreeMap<String, usize>,
    touched: Vec<CaseId>,
    accepted: BTreeSet<NotificationId>,
    accepted_steps: BTreeSet<(CaseId, String)>,
}

impl Judge {
    pub fn call_ends(&mut self, invoice: &str) {
        self.flying.remove(invoice);
    }

    /// The calls of a worker that died are nobody's any more, and what it was told of an attempt that is still open it took along.
    pub fn dies(&mut self, worker: usize, open: &BTreeSet<AttemptId>) {
        self.flying.retain(|_, (by, _)| *by != worker);
        for attempt in open {
            if let Some(seen) = self.keys.get_mut(attempt.as_str())
                && seen.settled_to == worker
            {
                seen.settled = None;
            }
        }
    }

    /// What somebody was told of an attempt was not written down.
    pub fn forget(&mut self, attempt: &AttemptId) {
        if let Some(seen) = self.keys.get_mut(attempt.as_str()) {
            seen.settled = None;
        }
    }

    pub fn person_says(&mut self, invoice: &str, now: i64) {
        self.people.insert(invoice.to_owned(), now);
    }

    /// Whether a key of ours whose end nobody was told of by `closed` may have brought the money of `paid`: as far as anybody
    /// could tell then, because the key was too old to ask.
    pub fn may_be_ours(&self, invoice: &str, paid: Option<i64>, closed: Option<i64>, slept: Slept<'_>) -> bool {
        let keys = self
            .keys_of
            .get(invoice)
            .into_iter()
            .flatten()
            .map(|key| &self.keys[key]);
        // What a worker is told takes it a moment to write down, and longer where it falls asleep; another may be quicker.
        let told_late =
            |seen: &Seen, at: i64| closed.is_some_and(|closed| at >= closed - MINUTE - slept(seen.settled_to, at));
        let mut open = keys.filter(|seen| seen.settled.is_none_or(|at| told_late(seen, at)));
        paid.is_some_and(|paid| open.any(|seen| (seen.first - CLOCKS..seen.first + KEY_LIFE).contains(&paid)))
    }

    pub fn breaks(&mut self, law: &'static str, what: String) {
        if self.breach.is_none() {
            self.breach = Some(Breach { law, what });
        }
    }
}

fn breaks(state: &mut State, law: &'static str, what: &dyn fmt::Display) {
    let what = format!("{} at {}", what, written(state.now));
    state.judge.breaks(law, what);
}

/// A worker is about to charge.
pub fn charge_begins(state: &mut State, worker: usize, request: &ChargeRequest) {
    let now = state.now;
    let ChargeRequest { invoice_id, key, .. } = request;
    state.note("charge", worker as u64, &format_args!("{invoice_id} {key}"));
    let first_sending = !state.judge.keys.contains_key(key);
    let attempt = AttemptId::from(key.clone());
    let Some(row) = state.db.attempts.get(&attempt) else {
        return breaks(state, "no attempt before its row", &format_args!("{invoice_id} {key}"));
    };
    let case = &state.db.cases[&row.case];
    let closed = case.closed;
    let opened = case.case.opened_at.as_millisecond();
    if let Some(closed) = closed
        && now - closed > SLOW_ANSWER + state.frozen_since(worker, closed)
    {
        let what = format!("{invoice_id} {key}, closed {}", written(closed));
        return breaks(state, "I2 no charge after the close", &what);
    }
    if let Some(&(by, since)) = state.judge.flying.get(invoice_id)
        && by != worker
        && state.frozen_since(by, since) == 0
        && now - since < 100 * SECOND
    {
        return breaks(
            state,
            "one worker at a time",
            &format_args!("{invoice_id}: {by} and {worker}"),
        );
    }
    state.judge.flying.insert(invoice_id.clone(), (worker, now));
    fresh(state, worker, request, first_sending, opened);
    one_key(state, request, first_sending);
    let seen = state.judge.keys.get_mut(key).unwrap();
    seen.sendings += 1;
    // Who sends again an attempt that stands open was told nothing that could be written down.
    seen.settled = None;
    let first = seen.first;
    if now - first >= KEY_LIFE {
        breaks(state, "I1 no key after its life", &format_args!("{invoice_id} {key}"));
    }
}

/// What the worker has just read says that something is owed.
fn fresh(state: &mut State, worker: usize, request: &ChargeRequest, first_sending: bool, opened: i64) {
    let now = state.now;
    let invoice = &state.books.invoices[state.books.by_name[&request.invoice_id]];
    let news = now - STALE_MAX - READ_TO_SEND - state.frozen_since(worker, now - HOUR);
    // Who cannot know that nothing was sent yet asks what the key brought; only a provider that charges whatever is asked of
    // it takes that for a charge.
    let asks = is_in_doubt(state, &request.key);
    if first_sending && !asks && invoice.paid_at.is_some_and(|at| at < news) {
        return breaks(state, "I2 no charge of what is paid", &request.invoice_id);
    }
    let unpaid = invoice.paid_at.is_none();
    if unpaid && invoice.dead_at.is_some_and(|at| at < news && at > opened) {
        return breaks(state, "I2 no charge of what is given up", &request.invoice_id);
    }
    if !first_sending {
        return;
    }
    let customer = &state.books.customers[invoice.customer];
    let method = request.payment_method.as_ref();
    let method = method.and_then(|name| customer.methods.iter().find(|one| one.id == *name));
    let method = method.unwrap_or(&customer.methods[customer.default]);
    // Nobody can tell whether an attempt was declined when it was first meant to be sent, or later.
    let since = invoice.charges.last().map_or(now, |last| match &last.by {
        By::Key(key) => state.db.attempts[&AttemptId::from(key.clone())].started.min(last.at),
        By::Renewal | By::Customer | By::Provider => last.at,
    });
    if let Some(last) = invoice.charges.last()
        && let Fate::Declined(kind) = last.fate
        && disposition(kind) != Disposition::Retry
        && last.method == method.id
        && last.at < news
        // Within a minute nobody can tell by the clocks which of the two came first.
        && state.judge.cards.get(&invoice.customer).is_none_or(|at| *at + MINUTE < since)
    {
        breaks(
            state,
            "the ceiling",
            &format_args!("{} after {kind}", request.invoice_id),
        );
    }
}

fn is_in_doubt(state: &State, key: &str) -> bool {
    let row = state.db.attempts.get(&AttemptId::from(key.to_owned()));
    row.is_some_and(|row| matches!(state.db.cases[&row.case].case.state, CaseState::InDoubt { .. }))
}

/// While it is unknown what became of a key, no other key of ours is sent for the invoice.
fn one_key(state: &mut State, request: &ChargeRequest, first_sending: bool) {
    if !first_sending {
        return;
    }
    let now = state.now;
    let judge = &mut state.judge;
    let seen = Seen {
        first: now,
        ..Seen::default()
    };
    judge.keys.insert(request.key.clone(), seen);
    let of = judge.keys_of.entry(request.invoice_id.clone()).or_default();
    let books = &state.books.invoices[state.books.by_name[&request.invoice_id]].charges;
    let declined = |charges: &[Charge], key: &str| {
        let mut of_key = charges.iter().filter(|charge| charge.by == By::Key(key.to_owned()));
        of_key.any(|charge| matches!(charge.fate, Fate::Declined(_)))
    };
    let unresolved = of.iter().find(|key| {
        let earlier = &judge.keys[*key];
        let asked = judge
            .people
            .get(&request.invoice_id)
            .is_some_and(|at| *at > earlier.first);
        // The life of a key counts from the intent, which may be older than the first sending.
        let attempt = state.db.attempts.get(&AttemptId::from((*key).clone()));
        let born = attempt.map_or(earlier.first, |attempt| attempt.started);
        // What was not answered by the key may have been read of the invoice.
        let read = attempt.is_some_and(|attempt| attempt.status == AttemptStatus::Declined) && declined(books, key);
        earlier.definite.is_none() && now - earlier.first.min(born) < RESENT && !asked && !read
    });
    let unresolved = unresolved.cloned();
    of.push(request.key.clone());
    if let Some(earlier) = unresolved {
        let what = format!("{}: {} while {earlier} is unresolved", request.invoice_id, request.key);
        breaks(state, "I1 one key at a time", &what);
    }
}

/// A request arrived at the provider.
pub fn charge_arrives(state: &mut State, request: &ChargeRequest) {
    let number = state.books.by_name[&request.invoice_id];
    money(state, number);
}

/// No invoice is paid twice by us, nor by anybody where the provider refuses that.
pub fn money(state: &mut State, number: usize) {
    let invoice = &state.books.invoices[number];
    let paid = invoice.charges.iter().filter(|charge| charge.fate == Fate::Succeeded);
    let (all, ours) = paid.fold((0, 0), |(all, ours), charge| {
        (all + 1, ours + usize::from(matches!(charge.by, By::Key(_))))
    });
    if ours > 1 || (all > 1 && state.books.conditional) {
        let what = format!("{} was charged {ours} times by us, {all} times in all", invoice.id);
        breaks(state, "I1 one charge", &what);
    }
}

/// A worker was answered.
pub fn charge_answered(state: &mut State, worker: usize, request: &ChargeRequest, answer: &ChargeOutcome) {
    let now = state.now;
    state.note("answer", 0, &format_args!("{} {answer:?}", request.key));
    let Some(seen) = state.judge.keys.get_mut(&request.key) else {
        return;
    };
    let told = match answer {
        ChargeOutcome::Unknown { .. } => false,
        ChargeOutcome::NotSent { .. } => seen.sendings == 1,
        ChargeOutcome::Succeeded(_)
        | ChargeOutcome::Declined(_)
        | ChargeOutcome::Processing { .. }
        | ChargeOutcome::NothingOwed
        | ChargeOutcome::Mismatch { .. } => true,
    };
    if told && seen.definite.is_none() {
        seen.definite = Some(now);
    }
    if told && seen.settled.is_none() && !matches!(answer, ChargeOutcome::NotSent { .. }) {
        (seen.settled, seen.settled_to) = (Some(now), worker);
    }
}

/// A worker is about to carry out a final action.
pub fn finish_begins(state: &mut State, worker: usize, invoice: usize, action: FinalAction) {
    let now = state.now;
    state.note("finish", worker as u64, &format_args!("in_{invoice} {action}"));
    let news = now - STALE_MAX - READ_TO_SEND - state.frozen_since(worker, now - HOUR);
    if state.books.invoices[invoice].paid_at.is_some_and(|at| at < news) {
        breaks(
            state,
            "I2 no final action on what is paid",
            &format_args!("in_{invoice} {action}"),
        );
    }
}

/// It is committed that a mail leaves.
pub fn mail_starts(state: &mut State, id: &NotificationId) {
    let now = state.now;
    let mail = &state.db.mails[id].row;
    let (message, case) = (mail.message, &state.db.cases[&mail.case_id]);
    if message.is_for_staff() && case.closed.is_some_and(|at| now - at > READ_TO_MAIL) {
        return breaks(
            state,
            "nobody is called to what has ended",
            &format_args!("{message} {id}"),
        );
    }
    if !message.is_of_open_invoice() {
        return;
    }
    let last_word = message == Message::SubscriptionEnded && case.case.status() == Status::Exhausted;
    if case.closed.is_some() && !last_word {
        return breaks(state, "I3 no dunning after the close", &format_args!("{message} {id}"));
    }
    let invoice = &state.books.invoices[state.books.by_name[&case.case.invoice_id]];
    let opened = case.case.opened_at.as_millisecond();
    let news = now - STALE_MAX - READ_TO_MAIL;
    if invoice.paid_at.is_some_and(|at| at < news) {
        breaks(state, "I3 no dunning for what is paid", &format_args!("{message} {id}"));
    } else if !last_word && invoice.dead_at.is_some_and(|at| at < news && at > opened) {
        breaks(
            state,
            "I3 no dunning for what is given up",
            &format_args!("{message} {id}"),
        );
    }
}

/// The mail server took a mail.
pub fn mail_accepted(state: &mut State, worker: usize, id: &NotificationId) {
    let row = state
        .db
        .mails
        .get(id)
        .map(|mail| (mail.row.case_id.clone(), mail.row.step.clone()));
    let Some(step) = row else {
        return breaks(state, "no mail without its row", &format_args!("{id} by {worker}"));
    };
    let twice = !state.judge.accepted.insert(id.clone());
    let again = !state.judge.accepted_steps.insert(step);
    if twice || again {
        breaks(state, "I6 one mail a step", &format_args!("{id} by {worker}"));
    }
}

/// A transaction is about to write.
/// The rules that a charge would break after all that is committed, by the second reader of the rules.
fn breaks_a_network(state: &State, change: &CaseChange) -> Option<String> {
    static FILE: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../../../src/domain/rules/networks.json")).unwrap());
    change.rows.iter().find_map(|row| {
        let RowWrite::OpenAttempt(attempt, _) = row else {
            return None;
        };
        let case = &change.case.id;
        let instrument = attempt.instrument.clone().unwrap_or_else(|| Instrument::of_case(case));
        let made = naive::Made {
            at: attempt.started_at,
            amount: attempt.amount,
            case,
        };
        let before = state.db.tried.get(&instrument.key).map_or(&[][..], Vec::as_slice);
        let broken = naive::broken(&FILE, &instrument, &made, before);
        (!broken.is_empty()).then(|| format!("{case} breaks {broken:?} on {}", instrument.key))
    })
}

pub fn before_commit(state: &mut State, pieces: &[Written]) {
    for piece in pieces {
        let (Written::Changed(change) | Written::Opened(change)) = piece else {
            continue;
        };
        let new = &change.case;
        if change
            .lines
            .iter()
            .any(|line| line.entry.text.contains("database's copy"))
        {
            return breaks(
                state,
                "no copy of the database is suspected where there is none",
                &new.id,
            );
        }
        if let Some(line) = change.lines.iter().find(|line| names_somebody(&line.entry)) {
            let what = format!("{}: {:?}", new.id, line.entry);
            return breaks(state, "I9 no personal data on the timeline", &what);
        }
        state.judge.touched.push(new.id.clone());
        if let Some(what) = breaks_a_network(state, change) {
            return breaks(state, "the networks' rules hold for each instrument", &what);
        }
        let Some(old) = state.db.cases.get(&new.id) else {
            continue;
        };
        let reopened = old.case.outcome().is_some() && old.case.outcome() != new.outcome();
        let (was, is) = (old.case.state_word(), new.state_word());
        // That a worker takes over a charge of a dead one and sends its key again has no line of its own.
        let taken_over = (was, is) == ("charging", "in_doubt");
        let silent = was != is && change.lines.is_empty() && !taken_over;
        let redated = old.case.closed_at.is_some() && old.case.closed_at != new.closed_at;
        if reopened || redated {
            let what = format!("{} from {was} to {is}", new.id);
            breaks(state, "I10 an outcome is final", &what);
        } else if silent {
            let what = format!("{} from {was} to {is}", new.id);
            breaks(state, "I7 each change of state has its line", &what);
        }
    }
}

/// Whether a line says who the customer is: all of their names and addresses here have one of these words.
fn names_somebody(entry: &Entry) -> bool {
    let said = |text: &str| text.contains("kunde") || text.contains("Customer ");
    said(&entry.text) || said(&entry.data.to_string())
}

/// A transaction has written.
pub fn after_commit(state: &mut State) {
    for id in std::mem::take(&mut state.judge.touched) {
        let Some(row) = state.db.cases.get(&id) else {
            continue;
        };
        let attempts = state.db.open_attempts.iter();
        let open: Vec<&AttemptId> = attempts
            .filter(|attempt| state.db.attempts[*attempt].case == id)
            .collect();
        let known = row.case.open_attempt().map(|attempt| &attempt.id);
        let agrees = match known {
            Some(known) => open == [known],
            None => open.is_empty(),
        };
        if !agrees {
            let what = format!("{id} is {} and has open {open:?}", row.case.state_word());
            breaks(state, "I10 one open attempt, and the case knows it", &what);
        } else if state.db.ledger.faults(&row.case).any() {
            let what = format!(
                "{id} of {}: {:?}",
                row.case.invoice_id,
                state.db.ledger.faults(&row.case)
            );
            breaks(state, "I8 the ledger fits the case", &what);
        } else if is_stuck(&row.case) {
            let what = format!("{id} of {} is {}", row.case.invoice_id, row.case.state_word());
            breaks(state, "I11 an open case is due some day", &what);
        }
        if state.notes.kept > 0 {
            let case = &state.db.cases[&id].case;
            let line = format!("{id} {} {}", case.invoice_id, case.state_word());
            state.note("commit", 0, &line);
        } else {
            state.note("commit", 0, &"");
        }
    }
}

fn is_stuck(case: &Case) -> bool {
    !matches!(case.state, CaseState::Closed { .. }) && case.next_action().is_none()
}

/// How long an attempt may be open at most: three days, an outage, and the daily look.
pub const OPEN_MAX: i64 = 72 * HOUR + 30 * HOUR + MINUTE;
