//! The judge of how customers are written to.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use recoup::sandbox::Books;

use super::{Person, minor};

/// What every message says that asks for money.
const ASKS: &str = "Already paid?";
/// The subject of the message that only tells of the end.
const ENDED: &str = "Your subscription has ended";
/// The least distance of two reminders to one customer.
const APART: SignedDuration = SignedDuration::from_hours(48);

/// A mail as it arrived.
pub struct Letter {
    pub at: Timestamp,
    pub to: String,
    pub subject: String,
    pub text: String,
    /// Whether it shows a way to get no more of them.
    pub can_stop: bool,
}

/// What was seen from outside.
#[derive(Default)]
pub struct Seen {
    pub letters: Vec<Letter>,
    /// Who wanted no more reminders about which invoice, and when.
    pub stops: Vec<(Timestamp, String, usize)>,
}

/// What the judge says.
pub struct Verdict {
    pub breaches: Vec<String>,
    invoices: usize,
    mails: usize,
    reminders: usize,
    pub paid: usize,
    pub stopped: usize,
    closest: Option<SignedDuration>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            breaches,
            invoices,
            mails,
            reminders,
            paid,
            stopped,
            closest,
        } = self;
        let closest = closest.map_or(0, |closest| closest.as_hours());
        write!(
            f,
            "{invoices} invoices, {paid} of them paid, {mails} mails, {reminders} of them reminders, two of one customer {closest} hours \
             apart at least, {stopped} times reminders were stopped, {} breaches",
            breaches.len()
        )
    }
}

impl Letter {
    fn is_reminder(&self) -> bool {
        self.text.contains(ASKS) && self.subject != ENDED
    }

    /// Whom it is to, and about which invoice.
    pub fn about(&self, people: &[Person]) -> (usize, usize) {
        let who = people
            .iter()
            .position(|person| person.email == self.to)
            .expect("one of ours");
        let shows = |nth: &usize| {
            let minor = minor(*nth);
            self.text.contains(&format!("€{}.{:02}", minor / 100, minor % 100))
        };
        let nth = (0..people[who].invoices.len())
            .find(shows)
            .expect("the amount of an invoice");
        (who, nth)
    }
}

impl Seen {
    /// Holds every mail against the rules of good manners.
    pub fn judge(&self, people: &[Person], books: &Books) -> Verdict {
        let mut breaches = Vec::new();
        let mut last: BTreeMap<&str, Timestamp> = BTreeMap::new();
        let mut closest: Option<SignedDuration> = None;
        let paid: BTreeMap<&str, Timestamp> = books.charges.iter().filter(|charge| charge.declined.is_none()).fold(
            BTreeMap::new(),
            |mut paid, charge| {
                paid.entry(charge.invoice.as_str()).or_insert(charge.at);
                paid
            },
        );
        for letter in &self.letters {
            let (who, nth) = letter.about(people);
            let person = &people[who];
            let mut breach = |law: &str| {
                breaches.push(format!(
                    "{law}: {:?} to {} about {nth} at {}",
                    letter.subject, letter.to, letter.at
                ));
            };
            let invoice = person.invoices[nth].as_deref().unwrap();
            let hour = TimeZone::get(person.zone).unwrap().to_datetime(letter.at).time();
            if hour >= time(21, 0, 0, 0) || hour < time(8, 0, 0, 0) {
                breach("in the night");
            }
            if letter.text.contains(ASKS) && paid.get(invoice).is_some_and(|paid| *paid <= letter.at) {
                breach("after paying");
            }
            if !letter.is_reminder() {
                continue;
            }
            if !letter.can_stop {
                breach("without a way to stop");
            }
            let stopped = |(at, email, about): &(Timestamp, String, usize)| {
                *at <= letter.at && *email == letter.to && *about == nth
            };
            if self.stops.iter().any(stopped) {
                breach("after the customer stopped it");
            }
            if let Some(before) = last.insert(&letter.to, letter.at) {
                let apart = letter.at.duration_since(before);
                closest = Some(closest.map_or(apart, |closest| closest.min(apart)));
                if apart < APART {
                    breach("too soon after another");
                }
            }
        }
        let invoices = people.iter().flat_map(|person| &person.invoices);
        Verdict {
            invoices: invoices.flatten().count(),
            mails: self.letters.len(),
            reminders: self.letters.iter().filter(|letter| letter.is_reminder()).count(),
            paid: paid.len(),
            stopped: self.stops.len(),
            closest,
            breaches,
        }
    }
}
