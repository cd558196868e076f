//! Many customers with several invoices each: how they are written to. Who judges looks only at the mails that arrived and at the
//! books of the provider.

mod judge;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use recoup::domain::campaign::EMBEDDED;
use recoup::domain::money::Money;
use recoup::sandbox::{Habits, NewCard, NewCustomer, Outcome, Shape};
use recoup::store::cases;
use reqwest::{Client, StatusCode, redirect};

use crate::support::story::{Story, tell_in};
use judge::{Letter, Seen};

/// How many customers there are on each database; `RECOUP_CUSTOMERS` plays more.
const CUSTOMERS: u64 = 5;
/// How many of them live in one world.
const WORLD: u64 = 500;
const PUBLIC: &str = "https://pay.acme.example";
/// What stands above the link of a message by which it is the last.
const STOP: &str = "Stop reminders about this invoice:\n";
const START: &str = "2026-03-16T00:00:00Z";
/// In how many days invoices fail, and after how many each campaign is over.
const DAYS: i64 = 10;
const OVER: i64 = 35;
/// How many hours are between two instants at which invoices may fail.
const HOURS: i64 = 3;
const CODES: [&str; 7] = [
    "insufficient_funds",
    "insufficient_funds",
    "do_not_honor",
    "card_velocity_exceeded",
    "expired_card",
    "authentication_required",
    "stolen_card",
];
const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Pacific/Kiritimati",
];

/// A customer, as the provider knows one.
pub struct Person {
    pub email: String,
    pub zone: &'static str,
    subscriptions: Vec<String>,
    /// The invoices, each of an amount of its own.
    pub invoices: Vec<Option<String>>,
}

/// What somebody does.
enum Act {
    Fails(usize, usize),
    Pays(String),
    Stops(String, usize, String),
}

struct Town<'a> {
    story: &'a Story,
    dice: SmallRng,
    browser: Client,
    people: Vec<Person>,
    acts: BTreeMap<(Timestamp, usize), Act>,
    count: usize,
    seen: Seen,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}

/// What the nth invoice of a customer comes to.
pub fn minor(nth: usize) -> i64 {
    1_000 + 7 * i64::try_from(nth).unwrap()
}

#[test]
fn nobody_is_pestered() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("default.toml"), EMBEDDED).unwrap();
    let (mut left, mut seed) = (number("RECOUP_CUSTOMERS", CUSTOMERS), number("RECOUP_SEED", 1));
    while left > 0 {
        let here = left.min(WORLD);
        play(folder.path(), here, seed);
        left -= here;
        seed += 1;
    }
}

fn play(campaigns: &Path, customers: u64, seed: u64) {
    let dir = campaigns.to_str().unwrap();
    let settings = [("RECOUP__CAMPAIGNS__DIR", dir), ("RECOUP__HTTP__PUBLIC_URL", PUBLIC)];
    tell_in(Shape::New, START, &settings, &async |story: &mut Story| {
        let mut town = Town::settle(story, customers, seed);
        town.live().await;
        let verdict = town.seen.judge(&town.people, &story.sandbox.books());
        println!("seed {seed}, {customers} customers: {verdict}");
        assert_eq!(verdict.breaches, [""; 0], "seed {seed}");
        assert!(verdict.paid > 0 && verdict.stopped > 0, "{verdict}");
    });
}

impl<'a> Town<'a> {
    fn settle(story: &'a Story, customers: u64, seed: u64) -> Self {
        let mut town = Self {
            story,
            dice: SmallRng::seed_from_u64(seed),
            browser: Client::builder().redirect(redirect::Policy::none()).build().unwrap(),
            people: Vec::new(),
            acts: BTreeMap::new(),
            count: 0,
            seen: Seen::default(),
        };
        for _ in 0..customers {
            town.arrive();
        }
        town
    }

    /// One more customer, of whom two to four invoices will fail.
    fn arrive(&mut self) {
        let number = self.people.len();
        let email = format!("kim{number}@kunde{}.example", number % 20);
        let zone = *ZONES.choose(&mut self.dice).unwrap();
        let count = self.dice.random_range(2..=4);
        let renews = "2031-01-01T00:00:00Z".parse().unwrap();
        let subscriptions = self.story.sandbox.world(|world| {
            let id = world.add_customer(NewCustomer {
                name: format!("Kim {number}"),
                email: email.clone(),
                locale: "en".to_owned(),
                country: "DE".to_owned(),
                zone: Some(zone.to_owned()),
                habits: Habits::DEAF,
            });
            world.add_card(&id, NewCard::default());
            let price = |nth| Money::new(minor(nth), "EUR".parse().unwrap());
            let plans = (0..count).map(|nth| world.add_subscription(&id, "Team plan", price(nth), renews).unwrap());
            plans.collect()
        });
        // Often close together.
        let last = DAYS * 24 / HOURS;
        let first = self.dice.random_range(0..last);
        for nth in 0..count {
            let longest = *[2, 16, last].choose(&mut self.dice).unwrap();
            let later = (first + self.dice.random_range(0..longest)).min(last);
            let at = START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(HOURS * later);
            self.plan(at, Act::Fails(number, nth));
        }
        self.people.push(Person {
            email,
            zone,
            subscriptions,
            invoices: vec![None; count],
        });
    }

    fn plan(&mut self, at: Timestamp, act: Act) {
        self.count += 1;
        self.acts.insert((at, self.count), act);
    }

    /// Lives until every campaign is over, from one instant at which something happens to the next.
    async fn live(&mut self) {
        let end = START.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * OVER);
        loop {
            self.story.settle().await;
            self.read().await;
            let now = self.story.now();
            if let Some(first) = self.acts.first_entry().filter(|first| first.key().0 <= now) {
                let act = first.remove();
                self.act(act).await;
                continue;
            }
            let due = cases::next_due(&self.story.app.store, now).await.unwrap();
            let planned = self.acts.first_key_value().map(|((at, _), _)| *at);
            let others = self.story.sandbox.next_due();
            let next = [due, planned, others]
                .into_iter()
                .flatten()
                .filter(|at| *at > now)
                .min();
            let Some(next) = next.filter(|next| *next <= end) else {
                return;
            };
            self.story.app.engine.advance(next).await.unwrap();
        }
    }

    /// Customers read what came, and some of them will do something about it.
    async fn read(&mut self) {
        for came in self.story.mailbox.messages_from(self.seen.letters.len()) {
            let now = self.story.now();
            let text = came.text.replace("\r\n", "\n");
            let page = came
                .links()
                .into_iter()
                .find(|link| link.starts_with(PUBLIC))
                .map(str::to_owned);
            let stop = text
                .split(STOP)
                .nth(1)
                .and_then(|rest| rest.lines().next())
                .map(str::to_owned);
            let letter = Letter {
                at: now,
                to: came.envelope_to.join(" "),
                subject: came.subject,
                can_stop: stop.is_some(),
                text,
            };
            let (who, nth) = letter.about(&self.people);
            self.seen.letters.push(letter);
            // Never at the very instant at which something else is due.
            let wait = SignedDuration::from_secs(3600 * self.dice.random_range(0..5 * 24) + 17);
            match (self.dice.random_range(0..100), page, stop) {
                (0..15, Some(page), _) => self.plan(now + wait, Act::Pays(page)),
                (15..25, _, Some(stop)) => {
                    if self.dice.random_bool(0.5) {
                        self.works(&stop).await;
                    }
                    let email = self.people[who].email.clone();
                    self.plan(now + wait, Act::Stops(stop, nth, email));
                }
                _ => {}
            }
        }
    }

    /// The link opens the page.
    async fn works(&self, link: &str) -> String {
        let path = link.strip_prefix(PUBLIC).unwrap();
        let shown = self
            .browser
            .get(format!("{}{path}", self.story.url))
            .send()
            .await
            .unwrap();
        assert_eq!(shown.status(), StatusCode::OK);
        shown.text().await.unwrap()
    }

    async fn act(&mut self, act: Act) {
        let sandbox = &self.story.sandbox;
        match act {
            Act::Fails(who, nth) => {
                let code = *CODES.choose(&mut self.dice).unwrap();
                let invoice = sandbox.open_invoice(&self.people[who].subscriptions[nth], code);
                let refused = self.dice.random_range(0..12);
                let refusals = std::iter::repeat_n(Outcome::decline(code), refused);
                sandbox.script_outcomes(&invoice, refusals.chain([Outcome::Success]));
                self.people[who].invoices[nth] = Some(invoice);
            }
            Act::Pays(page) => {
                // Whoever finds the page of a closed case has nothing to pay.
                let html = self.works(&page).await;
                let pays = format!("href=\"{}/i/", sandbox.url());
                if let Some((invoice, _)) = html.split(&pays).nth(1).and_then(|rest| rest.split_once('"')) {
                    sandbox.pay_by_customer(invoice);
                }
            }
            Act::Stops(link, nth, email) => {
                let path = link.strip_prefix(PUBLIC).unwrap();
                let sent = self
                    .browser
                    .post(format!("{}{path}/stop", self.story.url))
                    .send()
                    .await
                    .unwrap();
                assert_eq!(sent.status(), StatusCode::SEE_OTHER);
                self.seen.stops.push((self.story.now(), email, nth));
            }
        }
    }
}
