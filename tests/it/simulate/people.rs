//! Who acts besides the workers: renewals, customers, staff, the provider's own retries and its webhooks.

use recoup::domain::campaign::Campaign;
use recoup::domain::event::StaffAction;
use recoup::domain::snapshot::{CancelReason, InvoiceStatus, SubscriptionStatus};

use super::books::{Books, By, Fate, Issuer, Told};
use super::dice::Dice;
use super::faults::Class;
use super::state::{DAY, HOUR, Happening, MINUTE, Order, SECOND, State, instant};

/// Something that somebody does.
#[derive(Clone, Debug)]
pub enum Act {
    /// The renewal's charge is made, and fails.
    Renewal(usize),
    /// The provider brings an event, for the so-many-th time.
    Deliver(usize, u32),
    /// A slow payment ends.
    SlowEnds(usize, usize),
    /// The provider makes its own retry.
    ProviderRetry(usize),
    Pays(usize),
    BringsCard(usize, bool),
    Leaves(usize, bool),
    Disputes(usize),
    Refund(usize),
    Void(usize),
    Credit(usize),
    Moves(usize),
    /// Staff asks for something, at so many places at once.
    Staff(usize, StaffAction, usize),
    /// Every morning: what the day brings.
    Day,
    SkewEnds(usize),
}

/// Has the provider tell of something.
pub fn tell(state: &mut State, kind: &str, object: &str) {
    let number = state.books.events.len();
    let now = state.now;
    let malformed = state.strikes(Class::Malformed).is_some();
    let kind = if malformed { "garbage" } else { kind };
    let body = format!("evt_{number} {kind} {object} {now}").into_bytes();
    let never = state.strikes(Class::NeverListed).is_some();
    state.books.events.push(Told {
        body,
        at: now,
        listed: !never,
        acknowledged: false,
        malformed,
    });
    state.note("event", number as u64, &format_args!("{kind} {object}"));
    if never || state.strikes(Class::HookLost).is_some() {
        return;
    }
    let late = match state.strikes(Class::HookLate) {
        Some(mut dice) => {
            let latest = *dice.pick(&[HOUR, 8 * HOUR, 3 * DAY]);
            dice.between(MINUTE, latest)
        }
        None => state.dice.between(200, 4 * SECOND),
    };
    state.at(now + late, Happening::Act(Act::Deliver(number, 0)));
    if let Some(mut dice) = state.strikes(Class::HookTwice) {
        let again = now + dice.between(100, 2 * DAY);
        state.at(again, Happening::Act(Act::Deliver(number, 100)));
    }
}

/// The renewals of a world, and what will happen to each of them.
pub fn plan(state: &mut State, start: i64, cases: usize, calm: bool) {
    let zones = [
        "Europe/Berlin",
        "America/New_York",
        "Asia/Tokyo",
        "Pacific/Apia",
        "No/Where",
    ];
    let mut dice = state.dice.clone();
    let last = if calm { DAY } else { 8 * DAY };
    while state.books.invoices.len() < cases {
        let zone = (dice.below(6) > 0).then(|| *dice.pick(&zones));
        let at = start + dice.between(MINUTE, last);
        let issuer = if state.strikes(Class::SlowPayment).is_some() {
            Issuer::Slow(dice.between(HOUR, 6 * DAY), dice.happens(500_000))
        } else {
            Books::some_issuer(&mut dice, at)
        };
        let customer = state.books.add_customer(zone, issuer);
        let subscription = state.books.add_subscription();
        let invoices = 1 + usize::from(!calm && dice.below(8) == 0);
        for _ in 0..invoices {
            let minor = dice.between(100, 20_000);
            let invoice = state.books.add_invoice(customer, subscription, minor);
            let at = at + dice.between(0, HOUR);
            state.at(at, Happening::Act(Act::Renewal(invoice)));
            doings(state, invoice, at);
        }
    }
    state.dice = dice;
}

/// What people will do about an invoice whose charge fails at `at`.
fn doings(state: &mut State, invoice: usize, at: i64) {
    let mut later = |class: Class, longest: i64, act: &dyn Fn(&mut Dice) -> Act| {
        if let Some(mut dice) = state.strikes(class) {
            let when = at + dice.between(0, longest);
            let act = act(&mut dice);
            state.at(when, Happening::Act(act));
        }
    };
    later(Class::PaysElsewhere, 22 * DAY, &|_| Act::Pays(invoice));
    later(Class::NewCard, 18 * DAY, &|dice| {
        Act::BringsCard(invoice, dice.happens(300_000))
    });
    later(Class::NewCard, 18 * DAY, &|dice| {
        Act::BringsCard(invoice, dice.happens(300_000))
    });
    later(Class::Leaves, 20 * DAY, &|dice| {
        Act::Leaves(invoice, dice.happens(500_000))
    });
    later(Class::Disputes, 20 * DAY, &|_| Act::Disputes(invoice));
    later(Class::Refund, 20 * DAY, &|_| Act::Refund(invoice));
    later(Class::Void, 20 * DAY, &|_| Act::Void(invoice));
    later(Class::Credit, 20 * DAY, &|_| Act::Credit(invoice));
    later(Class::Moves, 20 * DAY, &|_| Act::Moves(invoice));
    later(Class::ProviderRetries, 3 * DAY, &|_| Act::ProviderRetry(invoice));
    for _ in 0..2 {
        later(Class::Staff, 20 * DAY, &|dice| {
            let action = match dice.below(12) {
                0 => StaffAction::Stop,
                1 => StaffAction::MarkPaid,
                2 | 3 => StaffAction::WriteOff,
                4 | 5 => StaffAction::Pause {
                    until: instant(at + dice.between(0, 22 * DAY)),
                },
                6..=8 => StaffAction::Resume,
                9 => StaffAction::Note,
                _ => StaffAction::Retry,
            };
            Act::Staff(invoice, action, 1 + dice.below(3))
        });
    }
}

/// What follows from an act, besides what the executor does for it.
pub fn act(state: &mut State, act: &Act) {
    let now = state.now;
    match *act {
        Act::Renewal(invoice) => {
            let charge = state.books.charge(invoice, None, By::Renewal, now);
            let name = state.books.invoices[invoice].id.clone();
            tell(state, "failed", &name);
            if charge.fate == Fate::Processing {
                let takes = match state.books.customers[state.books.invoices[invoice].customer].methods[0].issuer {
                    Issuer::Slow(takes, _) => takes,
                    _ => HOUR,
                };
                state.at(now + takes, Happening::Act(Act::SlowEnds(invoice, 0)));
            }
        }
        Act::SlowEnds(invoice, charge) => {
            let name = state.books.invoices[invoice].id.clone();
            match state.books.end_slow(invoice, charge, now) {
                Some(true) => tell(state, "paid", &name),
                Some(false) => tell(state, "failed", &name),
                None => {}
            }
        }
        Act::ProviderRetry(invoice) => provider_retry(state, invoice),
        Act::Pays(invoice) => pays(state, invoice),
        Act::BringsCard(invoice, renewed) => brings_card(state, invoice, renewed),
        Act::Leaves(invoice, at_once) => leaves(state, invoice, at_once),
        Act::Disputes(invoice) => disputes(state, invoice),
        Act::Refund(invoice) => refund(state, invoice),
        Act::Void(invoice) => {
            if state.books.invoices[invoice].status == InvoiceStatus::Open && !is_slow(state, invoice) {
                state.books.invoices[invoice].status = InvoiceStatus::Void;
                state.books.invoices[invoice].dead_at = Some(now);
                state.books.touch(invoice, now);
                tell(state, "voided", &format!("in_{invoice}"));
            }
        }
        Act::Credit(invoice) => {
            let one = &mut state.books.invoices[invoice];
            if one.status == InvoiceStatus::Open && !one.shown.is_empty() && one.minor > 100 {
                one.minor /= 2;
                state.books.touch(invoice, now);
                tell(state, "credited", &format!("in_{invoice}"));
            }
        }
        Act::Moves(invoice) => {
            let customer = state.books.invoices[invoice].customer;
            state.books.customers[customer].seen.email = Some(format!("new{customer}@kunde.example"));
            state.books.touch_all(now, |one| one.customer == customer);
            tell(state, "customer", &format!("cus_{customer}"));
        }
        Act::Day => day(state),
        Act::Deliver(..) | Act::Staff(..) | Act::SkewEnds(_) => {}
    }
}

fn is_slow(state: &State, invoice: usize) -> bool {
    let last = state.books.invoices[invoice].charges.last();
    last.is_some_and(|last| last.fate == Fate::Processing)
}

/// The customer pays by hand, with or without money through the provider.
pub fn pays(state: &mut State, invoice: usize) {
    let one = &state.books.invoices[invoice];
    if one.status != InvoiceStatus::Open || one.shown.is_empty() || one.minor <= one.paid || is_slow(state, invoice) {
        return;
    }
    let now = state.now;
    if state.dice.below(5) == 0 {
        let owed = one.minor - one.paid;
        state.books.invoices[invoice].out_of_band = true;
        state.books.settle(invoice, owed, now);
        state.books.touch(invoice, now);
    } else {
        state.books.charge(invoice, None, By::Customer, now);
    }
    state.note("customer.pays", invoice as u64, &"");
    tell(state, "paid", &format!("in_{invoice}"));
}

fn provider_retry(state: &mut State, invoice: usize) {
    let now = state.now;
    let one = &state.books.invoices[invoice];
    if one.status != InvoiceStatus::Open || one.shown.is_empty() || one.minor <= one.paid || is_slow(state, invoice) {
        return;
    }
    if one.next_attempt.is_none() {
        // First the plan, then the retry that it announces.
        let at = now + DAY;
        state.books.invoices[invoice].next_attempt = Some(at);
        state.books.touch(invoice, now);
        state.at(at, Happening::Act(Act::ProviderRetry(invoice)));
        return;
    }
    state.books.invoices[invoice].next_attempt = None;
    let charge = state.books.charge(invoice, None, By::Provider, now);
    match charge.fate {
        Fate::Succeeded => tell(state, "paid", &format!("in_{invoice}")),
        Fate::Declined(_) => tell(state, "charge_failed", &charge.id),
        Fate::Processing => {
            let at = state.books.invoices[invoice].charges.len() - 1;
            state.at(now + DAY, Happening::Act(Act::SlowEnds(invoice, at)));
        }
    }
}

fn brings_card(state: &mut State, invoice: usize, renewed: bool) {
    let now = state.now;
    let customer = state.books.invoices[invoice].customer;
    state.judge.cards.insert(customer, now);
    let issuer = if state.dice.below(3) > 0 {
        Issuer::Works
    } else {
        Books::some_issuer(&mut state.books.dice, now)
    };
    let methods = state.books.customers[customer].methods.len();
    let number = if renewed {
        let number = methods - 1;
        state.books.customers[customer].methods[number].issuer = issuer;
        number
    } else {
        state.books.add_method(customer, issuer)
    };
    if state.dice.below(4) > 0 {
        state.books.customers[customer].default = number;
    }
    state.books.touch_all(now, |one| one.customer == customer);
    let kind = if renewed { "renewed" } else { "method" };
    tell(state, kind, &format!("cus_{customer}/pm_{customer}_{number}"));
}

fn leaves(state: &mut State, invoice: usize, at_once: bool) {
    let now = state.now;
    let subscription = state.books.invoices[invoice].subscription;
    let one = &mut state.books.subscriptions[subscription];
    if one.status == SubscriptionStatus::Canceled || one.cancel_at_period_end {
        return;
    }
    one.canceled_at = Some(instant(now));
    one.cancel_reason = Some(CancelReason::Requested);
    if at_once {
        one.status = SubscriptionStatus::Canceled;
    } else {
        one.cancel_at_period_end = true;
    }
    for other in &mut state.books.invoices {
        // Who asked for the end before the first failure asked for nothing of this invoice.
        if other.subscription == subscription && (at_once || !other.shown.is_empty()) {
            other.dead_at = Some(other.dead_at.unwrap_or(now));
        }
    }
    state.books.touch_all(now, |one| one.subscription == subscription);
    tell(state, "subscription", &format!("sub_{subscription}"));
}

fn disputes(state: &mut State, invoice: usize) {
    let paid = |charge: &&mut super::books::Charge| charge.fate == Fate::Succeeded;
    if let Some(charge) = state.books.invoices[invoice].charges.iter_mut().find(paid) {
        charge.disputed = true;
        let name = charge.id.clone();
        let now = state.now;
        state.books.touch(invoice, now);
        tell(state, "disputed", &name);
    }
}

fn refund(state: &mut State, invoice: usize) {
    let paid = |charge: &&mut super::books::Charge| charge.fate == Fate::Succeeded;
    if let Some(charge) = state.books.invoices[invoice].charges.iter_mut().find(paid) {
        charge.refunded = charge.minor / 2;
        let name = charge.id.clone();
        let now = state.now;
        state.books.touch(invoice, now);
        tell(state, "refunded", &name);
    }
}

/// What strikes by the day: outages, refusals, storms, a new campaign.
fn day(state: &mut State) {
    let now = state.now;
    if let Some(mut dice) = state.strikes(Class::DbDown) {
        state.db_down = now + dice.between(MINUTE, 6 * HOUR);
        // Then each worker finds out how long nobody worked.
        let until = state.db_down;
        state.expect(until);
    }
    if let Some(mut dice) = state.strikes(Class::ProviderDown) {
        state.provider_down = now + dice.between(MINUTE, 8 * HOUR);
    }
    if let Some(mut dice) = state.strikes(Class::KeyRefused) {
        state.key_refused = now + dice.between(MINUTE, 6 * HOUR);
    }
    if let Some(mut dice) = state.strikes(Class::Storm) {
        let from = state.books.events.len().saturating_sub(200);
        for event in from..state.books.events.len() {
            let at = now + dice.between(0, 5 * SECOND);
            state.at(at, Happening::Act(Act::Deliver(event, 100)));
        }
    }
    if let Some(mut dice) = state.strikes(Class::Policy) {
        let mut campaign: Campaign = state.db.campaigns.last().unwrap().clone();
        campaign.version += 1;
        let first = &mut campaign.ladders[0];
        first.days = if dice.happens(500_000) {
            vec![2, 4, 8]
        } else {
            vec![1, 2, 3, 5, 9, 15]
        };
        if dice.happens(300_000) {
            campaign.ending.action = *dice.pick(recoup::domain::campaign::FinalAction::ALL);
        }
        if let Some(mirror) = &state.mirror {
            mirror.campaign(&campaign, now);
        }
        state.db.campaigns.push(campaign);
    }
    for worker in 0..state.hands.len() {
        if state.strikes(Class::Deploy).is_some() {
            state.orders.push(Order::Stop(worker));
        }
        if let Some(mut dice) = state.strikes(Class::Skew) {
            let furthest = *dice.pick(&[2 * SECOND, MINUTE, 110 * MINUTE]);
            let skew = dice.between(-furthest, furthest + 1);
            state.hands[worker]
                .skew
                .store(skew, std::sync::atomic::Ordering::Relaxed);
            let ends = now + dice.between(MINUTE, DAY);
            state.at(ends, Happening::Act(Act::SkewEnds(worker)));
            let dues: Vec<i64> = state.db.claimable().map(|(at, lease)| at.max(lease)).collect();
            state.db.dues.extend(dues);
            state.expect_dues();
        }
    }
    state.at(now + DAY, Happening::Act(Act::Day));
}
