//! One way of retrying in one world: a service that meets all its invoices in order of time, and plans each by what it knows by
//! then.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::calendar::{DAY, Day, day_of, local};
use super::dice::mixed;
use super::invoice::Invoice;
use super::networks::{Record, instant};
use super::play::{Tally, charge, may_be_charged, settle};
use super::policy::{Policy, Seen, WINDOW_DAYS};
use super::world::Place;
use crate::domain::ceiling::Rule;
use crate::domain::decline::DeclineKind;
use crate::domain::learning::arms::{self, Arm};
use crate::domain::learning::dice::Dice;
use crate::domain::learning::hazard::{Features, Past};
use crate::domain::learning::model::{Evidence, Fact, Model};
use crate::domain::learning::plan::{self, Ask, Terms};
use crate::domain::learning::prior::Prior;
use crate::domain::learning::slots::Slot;

/// What happens next to an invoice. The order breaks ties: what was answered is known to what is planned in the same hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Answer,
    Close,
    Fail,
    Charge,
}

/// Whether the rules of the networks are asked before each charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// They are: what they refuse is put off, or given up.
    Asked,
    /// They are not: what is planned is charged.
    Ignored,
}

/// What came of a way of retrying in one world.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The invoices.
    pub tally: Tally,
    /// How many charges broke a rule of a network.
    pub broken: u64,
    /// Which rules, and by how many charges each.
    pub rules: BTreeMap<Rule, u64>,
}

/// An invoice under way.
#[derive(Clone, Debug, Default)]
struct Chase {
    arm: Option<Arm>,
    /// The hour of the last charge.
    last: Option<i32>,
    made: u8,
    /// What told of the charge that is planned, and the chance that it was given.
    expected: Option<(Features, f64)>,
    charged: bool,
    tally: Tally,
    record: Option<Record>,
}

/// Plays all invoices of a world.
pub fn play(place: &Place, invoices: &[Invoice], policy: &Policy, budget: usize, asked: Ceiling) -> Outcome {
    let fail = |(number, invoice): (usize, &Invoice)| Reverse((invoice.failed_at, Turn::Fail, number));
    let service = Service {
        place,
        invoices,
        policy,
        budget,
        asked,
        model: Model::new(&Prior::embedded()),
        chases: vec![Chase::default(); invoices.len()],
        queue: invoices.iter().enumerate().map(fail).collect(),
        outcome: Outcome::default(),
    };
    service.run()
}

struct Service<'a> {
    place: &'a Place,
    invoices: &'a [Invoice],
    policy: &'a Policy,
    budget: usize,
    asked: Ceiling,
    model: Model,
    chases: Vec<Chase>,
    queue: BinaryHeap<Reverse<(i32, Turn, usize)>>,
    outcome: Outcome,
}

impl Service<'_> {
    fn run(mut self) -> Outcome {
        while let Some(Reverse((now, turn, number))) = self.queue.pop() {
            match turn {
                Turn::Fail => self.fail(number, now),
                Turn::Charge => self.charge(number, now),
                Turn::Answer => self.answer(number, now),
                Turn::Close => self.close(number, now),
            }
        }
        let all = self.invoices.iter().zip(&self.chases);
        let tally = all.fold(Tally::default(), |sum, (invoice, chase)| {
            sum.plus(settle(invoice, &chase.tally, chase.charged))
        });
        Outcome { tally, ..self.outcome }
    }

    fn fail(&mut self, number: usize, now: i32) {
        let invoice = &self.invoices[number];
        if !may_be_charged(invoice.kind) {
            return;
        }
        self.chases[number].record = Some(Record::new(self.place, invoice));
        if let Some(planned) = self.policy.planned(invoice.kind) {
            let candidates = arms::candidates(&self.model.arms(invoice.kind, &planned.arms));
            let drawn = arms::draw(&candidates, &mut Dice::new(self.seed(invoice)));
            self.chases[number].arm = drawn.map(|drawn| drawn.arm);
            let end = now + WINDOW_DAYS * DAY + self.place.world.answer_hours;
            self.queue.push(Reverse((end, Turn::Close, number)));
        }
        self.plan(number, now);
    }

    fn seed(&self, invoice: &Invoice) -> u64 {
        mixed(mixed(self.place.seed, 5), invoice.id)
    }

    fn plan(&mut self, number: usize, now: i32) {
        let planned = match self.chases[number].arm {
            Some(arm) => self.plan_by(arm, number, now),
            None => self.plan_fixed(number, now),
        };
        let let_by = planned.and_then(|hour| self.let_by(number, hour));
        let put_off = let_by.filter(|hour| planned != Some(*hour));
        // An arm decides again from the hour on to which it was put off, as the service does.
        let hour = match (self.chases[number].arm, put_off) {
            (Some(arm), Some(from)) => {
                let again = self.plan_by(arm, number, from).map(|hour| hour.max(from));
                again.and_then(|hour| self.let_by(number, hour))
            }
            (_, _) => let_by,
        };
        let Some(hour) = hour else { return };
        if self.chases[number].arm.is_some() {
            self.tell(number, hour);
        }
        self.queue.push(Reverse((hour, Turn::Charge, number)));
    }

    /// The hour to which the rules of the network put a charge off; none where they refuse it.
    fn let_by(&self, number: usize, hour: i32) -> Option<i32> {
        let end = self.invoices[number].failed_at + WINDOW_DAYS * DAY;
        match (self.asked, &self.chases[number].record) {
            (Ceiling::Asked, Some(record)) => record.allowed_from(self.place, hour, end),
            (Ceiling::Asked | Ceiling::Ignored, _) => Some(hour),
        }
    }

    /// Tells the chance of a planned charge, at the hour at which it will be made.
    fn tell(&mut self, number: usize, hour: i32) {
        let (invoice, chase) = (&self.invoices[number], &mut self.chases[number]);
        let past = Past {
            last: chase.last.map(|last| since(invoice, last)),
            made: chase.made,
        };
        let features = Features::new(&slot(&self.place.days, invoice.failed_at, since(invoice, hour)), past);
        let weights = self.model.weights(invoice.kind);
        chase.expected = weights.map(|weights| (features, weights.chance(&features)));
    }

    fn plan_fixed(&self, number: usize, now: i32) -> Option<i32> {
        let invoice = &self.invoices[number];
        self.policy.next(&Seen {
            kind: invoice.kind,
            failed_at: invoice.failed_at,
            now,
            made: usize::from(self.chases[number].made),
            budget: self.budget,
            days: &self.place.days,
        })
    }

    fn plan_by(&self, arm: Arm, number: usize, now: i32) -> Option<i32> {
        let invoice = &self.invoices[number];
        let planned = self.policy.planned(invoice.kind)?;
        let budget = u8::try_from(self.budget).unwrap_or(u8::MAX).min(planned.charges);
        let window = i32::from(planned.within_days).min(WINDOW_DAYS);
        let seed = self.seed(invoice);
        let chase = &self.chases[number];
        let ask = Ask {
            kind: invoice.kind,
            now: since(invoice, now),
            last: chase.last.map(|last| since(invoice, last)),
            made: chase.made,
            budget: budget.min(plan::charges_at_most(invoice.kind)),
            window: since(invoice, invoice.failed_at + window * DAY),
            amount_minor: invoice.amount_minor,
            seed,
        };
        let calendar = |after: u16| slot(&self.place.days, invoice.failed_at, after);
        let weights = self.model.weights(invoice.kind)?;
        let next = plan::next(arm, &ask, weights, &Terms::default(), &calendar).ok()?;
        Some(invoice.failed_at + i32::from(next.slot.after))
    }

    fn charge(&mut self, number: usize, now: i32) {
        let (invoice, chase) = (&self.invoices[number], &mut self.chases[number]);
        if invoice.pays_at.is_some_and(|at| at <= now) {
            return;
        }
        chase.made += 1;
        chase.last = Some(now);
        chase.charged = charge(self.place, invoice, now, &mut chase.tally);
        if let Some(record) = &mut chase.record {
            let broken = record.broken(self.place, now);
            self.outcome.broken += u64::from(!broken.is_empty());
            for rule in broken {
                *self.outcome.rules.entry(rule).or_default() += 1;
            }
            record.charged(self.place, invoice, now, chase.charged);
        }
        if let Some((_, chance)) = chase.expected {
            chase.tally.expect(chance, chase.charged);
        }
        let answered = now + self.place.world.answer_hours;
        self.queue.push(Reverse((answered, Turn::Answer, number)));
    }

    fn answer(&mut self, number: usize, now: i32) {
        let (kind, chase) = (self.invoices[number].kind, &self.chases[number]);
        let paid = chase.charged;
        if let Some((features, _)) = chase.expected {
            self.learn(kind, now, Fact::Charge { features, paid });
        }
        if !paid {
            self.plan(number, now);
        }
    }

    fn close(&mut self, number: usize, now: i32) {
        let (invoice, chase) = (&self.invoices[number], &self.chases[number]);
        let paid = settle(invoice, &chase.tally, chase.charged).paid > 0;
        let reward = plan::reward(paid, chase.made, invoice.amount_minor, &Terms::default());
        if let Some(arm) = chase.arm {
            self.learn(invoice.kind, now, Fact::Case { arm, reward });
        }
    }

    fn learn(&mut self, kind: DeclineKind, now: i32, fact: Fact) {
        let at = instant(now);
        self.model.learn(&Evidence { at, kind, fact });
    }
}

fn since(invoice: &Invoice, hour: i32) -> u16 {
    u16::try_from(hour - invoice.failed_at).unwrap_or(u16::MAX)
}

fn slot(days: &[Day], failed_at: i32, after: u16) -> Slot {
    let hour = failed_at + i32::from(after);
    let number = usize::try_from(day_of(hour)).unwrap_or(0).min(days.len() - 1);
    let day = days[number];
    let small = |number: i8| u8::try_from(number).unwrap_or(0);
    Slot {
        after,
        hour: u8::try_from(local(hour)).unwrap_or(0),
        weekday: small(day.weekday),
        month_day: small(day.of_month),
        before_month_end: small(day.before_month_end),
        payday: day.payday,
    }
}
