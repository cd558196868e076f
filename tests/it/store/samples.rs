//! Rows to fill the tables with.

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use recoup::domain::campaign::FinalAction;
use recoup::domain::case::{
    Birth, CampaignRef, Case, Collector, Contact, FirstDecline, Memory, OpenAttempt, State, Timers, Trigger, Warning,
};
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::ids::{AttemptId, CaseId, InboxId, NotificationId};
use recoup::domain::message::Message;
use recoup::domain::money::Money;
use recoup::domain::outcome::{ExhaustedReason, ExhaustedThen, Outcome, RecoveredBy, StoppedWhy};
use recoup::domain::snapshot::CardShown;
use recoup::store::changes::{CaseChange, Line, NewNotice, Written, commit};
use recoup::store::inbox::{InboxStatus, NewInbox};
use recoup::store::timeline::{self, LineOf};
use recoup::store::{Store, StoreError, Tx, cases, notifications};

pub fn now() -> Timestamp {
    "2026-03-01T09:00:00Z".parse().unwrap()
}

pub fn in_secs(secs: i64) -> Timestamp {
    now() + SignedDuration::from_secs(secs)
}

pub fn eur(amount_minor: i64) -> Money {
    Money::new(amount_minor, "EUR".parse().unwrap())
}

pub fn case_id(number: u32) -> CaseId {
    CaseId::new(now().as_millisecond() + i64::from(number), number.into())
}

pub fn notification_id(number: u32) -> NotificationId {
    NotificationId::new(now().as_millisecond() + i64::from(number), number.into())
}

pub fn attempt_id(number: u32) -> AttemptId {
    AttemptId::new(now().as_millisecond() + i64::from(number), number.into())
}

pub fn decline() -> Decline {
    Decline {
        kind: DeclineKind::InsufficientFunds,
        disposition: Disposition::Retry,
        provider_code: Some("insufficient_funds".to_owned()),
        network_code: Some("51".to_owned()),
        advice_code: None,
    }
}

pub fn open_attempt(number: u32) -> OpenAttempt {
    OpenAttempt {
        id: attempt_id(number),
        started_at: in_secs(60),
        amount: eur(1999),
        payment_method: Some("pm_1".to_owned()),
        instrument: None,
        trigger: Trigger::Schedule,
    }
}

/// An active case, due at `now()`.
pub fn case(number: u32) -> Case {
    Case {
        id: case_id(number),
        connection: "stripe".to_owned(),
        invoice_id: format!("in_{number}"),
        subscription_id: Some(format!("sub_{}", number % 2)),
        customer_id: format!("cus_{}", number % 2),
        amount_due: eur(1999),
        state: State::Active,
        decline: decline(),
        campaign: CampaignRef {
            name: "default".to_owned(),
            version: 1,
        },
        collector: Collector::Us,
        opened_at: now(),
        closed_at: None,
        zone: "Europe/Berlin".to_owned(),
        contact: Contact {
            email: Some("ada@example.com".to_owned()),
            alternate: Some("ada@second.example".to_owned()),
            name: Some("Ada \"the first\" Löwe".to_owned()),
            locale: None,
        },
        timers: Timers {
            charge_at: Some(now()),
            charge_trigger: Some(Trigger::Schedule),
            notice: Some(("first".to_owned(), in_secs(3600))),
            final_at: Some(in_secs(86_400)),
            look_at: None,
            hold_until: None,
        },
        warnings: vec![Warning::NoAddress, Warning::MailBounced],
        attempts: 1,
        notifications: 0,
        reversal_of: None,
        birth: Birth {
            zone: Some("Asia/Tokyo".to_owned()),
            day: Some(date(2026, 3, 2)),
            first: Some(FirstDecline::of(&decline())),
            network: Some("visa".to_owned()),
            country: Some("DE".to_owned()),
            funding: None,
            plan: Some("Team".to_owned()),
            tenure_days: Some(400),
            monthly_minor: Some(1999),
        },
        memory: memory(),
    }
}

fn memory() -> Memory {
    Memory {
        declined_methods: vec!["pm_0".to_owned()],
        barred_fingerprints: vec!["fp_0".to_owned()],
        known_charges: vec!["ch_0".to_owned()],
        last_charge_at: Some(now()),
        steps_done: vec!["first".to_owned()],
        out_of_reach: 2,
        charges: 1,
        card: Some(CardShown {
            brand: "visa".to_owned(),
            last4: "4242".to_owned(),
        }),
        description: Some("Plan M".to_owned()),
        ..Memory::since(now())
    }
}

pub fn ended(number: u32, outcome: Outcome) -> Case {
    Case {
        state: State::Closed { outcome },
        closed_at: Some(in_secs(120)),
        timers: Timers::default(),
        ..case(number)
    }
}

/// A case in every state that there is, each of its own invoice.
pub fn every_state() -> Vec<Case> {
    let recovered = Outcome::Recovered { by: RecoveredBy::Retry };
    let exhausted = Outcome::Exhausted {
        reason: ExhaustedReason::TerminalDecline,
        then: ExhaustedThen::Unpaid,
    };
    let live = [
        State::Active,
        State::Charging {
            attempt: open_attempt(1),
        },
        State::InDoubt {
            attempt: open_attempt(2),
            asked: 3,
        },
        State::Processing {
            attempt: Some(open_attempt(3)),
            charge_id: Some("ch_3".to_owned()),
        },
        State::Processing {
            attempt: None,
            charge_id: None,
        },
        State::Paused {
            until: in_secs(300),
            held_since: None,
        },
        State::NeedsPerson,
        State::Ending {
            action: FinalAction::Cancel,
            outcome: exhausted,
            sent: 1,
        },
    ];
    let live = (1..).zip(live).map(|(number, state)| Case { state, ..case(number) });
    let stopped = Outcome::Stopped {
        why: StoppedWhy::CustomerCancelled,
    };
    let done = (20..).zip([recovered, exhausted, stopped]);
    let waiting = Case {
        timers: Timers::default(),
        reversal_of: Some(case_id(20)),
        ..case(30)
    };
    let done = done.map(|(number, outcome)| ended(number, outcome));
    live.chain(done).chain([waiting]).collect()
}

pub fn event(number: u32) -> NewInbox {
    NewInbox {
        id: InboxId::new(now().as_millisecond() + i64::from(number), number.into()),
        connection: "stripe".to_owned(),
        event_id: format!("evt_{number}"),
        kind: "invoice.payment_failed".to_owned(),
        body: vec![0, 159, 146, 150, 34],
        received_at: now(),
        status: InboxStatus::Pending,
        reason: None,
    }
}

/// A case as it is, and nothing with it.
pub fn bare(case: &Case, at: Timestamp) -> CaseChange {
    CaseChange {
        case: case.clone(),
        restated: true,
        lines: Vec::new(),
        rows: Vec::new(),
        audit: Vec::new(),
        release: None,
        at,
    }
}

/// Opens the case in a transaction of its own; says whether it was opened.
pub async fn open(store: &Store, case: &Case) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    let opened = insert(&tx, case).await?;
    tx.commit().await?;
    Ok(opened)
}

/// Opens the case; says whether it was opened.
pub async fn insert(tx: &Tx, case: &Case) -> Result<bool, StoreError> {
    let opened = cases::insert(tx, &[&bare(case, now())]).await?;
    Ok(opened.contains(&case.id))
}

/// Saves the case.
pub async fn save(tx: &Tx, case: &Case, at: Timestamp) -> Result<(), StoreError> {
    cases::save(tx, &[&bare(case, at)]).await
}

/// Adds lines to the timeline of a case.
pub async fn append(tx: &Tx, case: &CaseId, lines: &[Line], at: Timestamp) -> Result<(), StoreError> {
    let lines: Vec<Line> = lines.iter().map(|line| Line { at, ..line.clone() }).collect();
    let of_case = |line| LineOf {
        connection: "stripe",
        case_id: case,
        line,
    };
    let lines: Vec<LineOf<'_>> = lines.iter().map(of_case).collect();
    timeline::append(tx, &lines).await
}

/// Queues a message of a case; says whether it was queued.
pub async fn queue(tx: &Tx, number: u32, case: &Case, message: Message, step: &str) -> bool {
    let notice = NewNotice {
        id: notification_id(number),
        message,
        step: step.to_owned(),
        due_at: now(),
        recipient: None,
    };
    let queued = notifications::queue(tx, &[(case, &notice, now())]).await;
    queued.unwrap() == 1
}

/// Writes one piece in a transaction of its own.
pub async fn write(store: &Store, piece: Written) -> Result<(), StoreError> {
    let mut pieces = vec![piece];
    commit(store, &[], &|_| Vec::new(), &mut |_| std::mem::take(&mut pieces)).await?;
    Ok(())
}
