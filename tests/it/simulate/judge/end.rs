//! What must hold once the faults have stopped and everything had its time.

use recoup::domain::case::State as CaseState;
use recoup::domain::command::{AttemptStatus, LateKind};
use recoup::domain::ids::AttemptId;
use recoup::domain::message::Message;
use recoup::domain::outcome::{Outcome, RecoveredBy};
use recoup::domain::snapshot::{InvoiceStatus, SubscriptionStatus};
use recoup::store::inbox::InboxStatus;
use recoup::store::notifications::NotificationStatus;

use super::ledger::ledger;
use super::{OPEN_MAX, breaks, money};
use crate::simulate::books::{By, Fate, Told};
use crate::simulate::database::CaseRow;
use crate::simulate::faults::Class;
use crate::simulate::state::{DAY, HOUR, State, written};

/// Two messages that ask for money keep 20 hours, less what clocks differ.
const NOTICE_GAP: i64 = 15 * HOUR;

/// Every morning: no attempt stays open for ever.
pub fn daily(state: &mut State) {
    let now = state.now;
    let mut open = state.db.open_attempts.iter().map(|id| (id, &state.db.attempts[id]));
    let old = open.find(|(_, row)| {
        let waits = || matches!(state.db.cases[&row.case].case.state, CaseState::Processing { .. });
        now - row.committed > OPEN_MAX + state.all_frozen_since(row.committed) && !waits()
    });
    if let Some((id, row)) = old {
        let what = format!("{id} is open since {}", written(row.committed));
        breaks(state, "I5 each attempt ends", &what);
    }
}

/// Every law that is read off the books at the end.
pub fn at_end(state: &mut State) {
    for number in 0..state.books.invoices.len() {
        money(state, number);
        has_case(state, number);
        books_agree(state, number);
    }
    events(state);
    at_rest(state);
    attempts(state);
    mails(state);
    audit(state);
    ledger(state);
}

fn events(state: &mut State) {
    let mut wrong = None;
    for (number, told) in state
        .books
        .events
        .iter()
        .enumerate()
        .filter(|(_, told)| told.acknowledged)
    {
        let name = if told.malformed {
            format!("malformed:{number}")
        } else {
            format!("evt_{number}")
        };
        let row = state.db.event_ids.get(&name).map(|id| &state.db.events[id].row);
        let right = row.is_some_and(|row| match row.status {
            InboxStatus::Processed | InboxStatus::Ignored => !told.malformed,
            InboxStatus::Dead => told.malformed,
            InboxStatus::Pending => false,
        });
        if !right {
            wrong = Some(format!("{name}: {row:?} {:?}", row.map(|row| &row.reason)));
            break;
        }
    }
    if let Some(wrong) = wrong {
        breaks(state, "I4 each event that was taken ends", &wrong);
    }
}

/// Whether the engine could know of an event at all.
fn knowable(state: &State, kind: &str, object: &str) -> bool {
    let words = format!(" {kind} {object} ");
    let events = state.books.events.iter().filter(|told| !told.malformed);
    let of = |told: &&Told| std::str::from_utf8(&told.body).is_ok_and(|body| body.contains(&words));
    let listed = |told: &Told| told.listed && state.db.swept_since.is_some_and(|since| since <= told.at);
    events.filter(of).any(|told| listed(told) || told.acknowledged)
}

/// Every invoice that is still owed and whose failure was told of has a case.
fn has_case(state: &mut State, number: usize) {
    let invoice = &state.books.invoices[number];
    let subscription = &state.books.subscriptions[invoice.subscription];
    let owed = invoice.status == InvoiceStatus::Open && invoice.minor > invoice.paid;
    let gone = subscription.status == SubscriptionStatus::Canceled || invoice.dead_at.is_some();
    let failed = invoice
        .charges
        .iter()
        .any(|charge| matches!(charge.fate, Fate::Declined(_)));
    let chased = state.db.cases_of(&invoice.id).next().is_some();
    let name = invoice.id.clone();
    if owed && !gone && failed && !chased && knowable(state, "failed", &name) {
        breaks(state, "I4 no failure is forgotten", &name);
    }
}

fn at_rest(state: &mut State) {
    let now = state.now;
    let mut restless = Vec::new();
    for row in state.db.cases.values() {
        let rests = match row.case.state {
            CaseState::Closed { .. } | CaseState::NeedsPerson => true,
            CaseState::Paused { until, .. } => until.as_millisecond() > now,
            CaseState::Processing { .. } => {
                let invoice = &state.books.invoices[state.books.by_name[&row.case.invoice_id]];
                invoice.charges.last().is_some_and(|last| last.fate == Fate::Processing)
            }
            // A failure that was found late is chased for as long as any other.
            CaseState::Active => {
                let last = row.case.timers.final_at.map(jiff::Timestamp::as_millisecond);
                last.is_some_and(|last| last > now)
            }
            CaseState::Charging { .. } | CaseState::InDoubt { .. } | CaseState::Ending { .. } => false,
        };
        if !rests {
            restless.push(format!(
                "{} of {} is {}",
                row.case.id,
                row.case.invoice_id,
                row.case.state_word()
            ));
        }
    }
    let late = |at: i64| now - at > DAY;
    for mail in state.db.mails.values() {
        let status = mail.row.status;
        let waits = matches!(status, NotificationStatus::Pending | NotificationStatus::Sending);
        let case = &state.db.cases[&mail.row.case_id];
        let held = matches!(case.case.state, CaseState::Paused { .. } | CaseState::Processing { .. });
        if waits && late(mail.committed) && !held {
            restless.push(format!("the message {} is {status}", mail.row.id));
        }
    }
    for id in &state.db.pending {
        let row = &state.db.events[id].row;
        if late(row.received_at.as_millisecond()) {
            restless.push(format!("the event {} is pending: {:?}", row.event_id, row.reason));
        }
    }
    if let Some(first) = restless.first() {
        breaks(state, "I11 everything comes to rest", first);
    }
}

/// What the attempts say, the provider's books say too.
fn attempts(state: &mut State) {
    let slept = |worker, since| state.frozen_since(worker, since);
    let mut wrong = None;
    for (id, row) in &state.db.attempts {
        let case = &state.db.cases[&row.case].case;
        let invoice = &state.books.invoices[state.books.by_name[&case.invoice_id]];
        let key = By::Key(id.to_string());
        let charge = invoice.charges.iter().find(|charge| charge.by == key);
        let fate = charge.map(|charge| &charge.fate);
        let right = match (row.status, fate) {
            (AttemptStatus::Succeeded, fate) => {
                let guessed =
                    state
                        .judge
                        .may_be_ours(&invoice.id, invoice.paid_at, state.db.cases[&row.case].closed, &slept);
                guessed || fate == Some(&Fate::Succeeded)
            }
            (AttemptStatus::NotSent, fate) => fate.is_none(),
            // A provider that charges although nothing is owed may do so after it has said that nothing is.
            (AttemptStatus::NotNeeded, Some(Fate::Succeeded)) => {
                !state.books.conditional && invoice.paid > invoice.minor
            }
            (AttemptStatus::Declined | AttemptStatus::NotNeeded, fate) => fate != Some(&Fate::Succeeded),
            _ => true,
        };
        if !right {
            wrong = Some(format!("{id} of {} is {}, but {fate:?}", case.invoice_id, row.status));
            break;
        }
    }
    if let Some(wrong) = wrong {
        breaks(state, "I8 attempts agree with the provider", &wrong);
    }
}

/// What a case says of the money, the provider's books say too.
fn books_agree(state: &mut State, number: usize) {
    let slept = |worker, since| state.frozen_since(worker, since);
    let invoice = &state.books.invoices[number];
    let paid = invoice.paid_at.is_some();
    let by = |by: &dyn Fn(&By) -> bool| {
        let mut paid = invoice.charges.iter().filter(|charge| charge.fate == Fate::Succeeded);
        paid.any(|charge| by(&charge.by))
    };
    let marked = |row: &CaseRow| {
        let id = row.case.id.as_str();
        state
            .db
            .audit
            .iter()
            .any(|line| line.object == id && line.action == "mark-paid")
    };
    let mut wrong = None;
    let mut accounted = false;
    let mut chased = false;
    for row in state.db.cases_of(&invoice.id) {
        chased = true;
        let late = |(id, kind, _): &(_, _, _)| *id == row.case.id && *kind == LateKind::LateRecovery;
        accounted |= row.case.reversal_of.is_some() || state.db.late.iter().any(late) || row.closed.is_none();
        let Some(Outcome::Recovered { by: how }) = row.case.outcome() else {
            continue;
        };
        accounted = true;
        let right = match how {
            RecoveredBy::Retry | RecoveredBy::CardUpdate => {
                let guessed = state
                    .judge
                    .may_be_ours(&invoice.id, invoice.paid_at, row.closed, &slept);
                guessed || by(&|by| matches!(by, By::Key(_)))
            }
            // Who paid after the provider meant to charge again cannot be told from it.
            RecoveredBy::ProviderRetry => {
                let planned = row
                    .case
                    .memory
                    .provider_next_attempt_at
                    .map(jiff::Timestamp::as_millisecond);
                let looks_so = planned.is_some() && planned <= invoice.paid_at;
                by(&|by| *by == By::Provider) || looks_so
            }
            RecoveredBy::Customer => by(&|by| matches!(by, By::Customer | By::Renewal | By::Provider)),
            RecoveredBy::OutOfBand => invoice.out_of_band || marked(row),
        };
        if !right {
            wrong = Some(format!("{} of {} is recovered by {how}", row.case.id, invoice.id));
        }
    }
    let name = invoice.id.clone();
    if let Some(wrong) = wrong {
        breaks(state, "I8 recoveries agree with the provider", &wrong);
    } else if paid
        && chased
        && !accounted
        && !state.faults.struck_any(Class::StaleRead)
        && knowable(state, "paid", &name)
    {
        // A read that lags behind its event shows a closed case nothing new, and nothing reads for it again.
        breaks(state, "I8 all money is accounted for", &name);
    }
}

fn mails(state: &mut State) {
    let dunning = state.db.mails.values().filter(|mail| {
        let message = mail.row.message;
        message.is_dunning() && message != Message::SubscriptionEnded
    });
    let mut at: Vec<_> = dunning.map(|mail| (mail.row.case_id.clone(), mail.committed)).collect();
    at.sort();
    let burst = at
        .windows(2)
        .find(|pair| pair[0].0 == pair[1].0 && pair[1].1 - pair[0].1 < NOTICE_GAP);
    if let Some(burst) = burst {
        let what = format!("{} at {} and {}", burst[0].0, written(burst[0].1), written(burst[1].1));
        breaks(state, "messages keep their distance", &what);
    }
    let unasked = state.post.accepted.iter().find(|(id, _)| {
        let status = state.db.mails[id].row.status;
        !matches!(status, NotificationStatus::Sent | NotificationStatus::Unknown)
    });
    if let Some((id, _)) = unasked {
        let what = format!("{id} was accepted and is {}", state.db.mails[id].row.status);
        breaks(state, "I8 mails agree with the mail server", &what);
    }
}

fn audit(state: &mut State) {
    let missing = state.judge.staff_done.iter().find(|(object, done)| {
        let lines = state.db.audit.iter().filter(|line| line.object == **object);
        lines.count() < **done
    });
    if let Some((object, done)) = missing {
        let what = format!("{object}: {done} acts");
        breaks(state, "I7 each act of staff has its audit line", &what);
    }
    let known = |key: &String| state.db.attempts.contains_key(&AttemptId::from(key.clone()));
    if let Some(key) = state.books.keys.keys().find(|key| !known(key)) {
        let what = key.clone();
        breaks(state, "I8 no charge without an attempt", &what);
    }
}
