//! A town of customers with ordinary lives, for the demo: money that runs out before payday, cards that expire or get lost.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rand::RngExt;
use rand::seq::IndexedRandom;

use super::account::Means;
use super::objects::{Habits, Standing};
use super::world::{NewCard, NewCustomer, World};
use crate::domain::money::Money;

/// A place people live in: country, zone, language, currency, weight of it in a hundred, and minor units per unit of living
/// (a hundred where the currency has cents; a yen buys less than a euro).
const PLACES: [(&str, &str, &str, &str, u32, i64); 6] = [
    ("DE", "Europe/Berlin", "de", "EUR", 38, 100),
    ("AT", "Europe/Vienna", "de", "EUR", 10, 100),
    ("GB", "Europe/London", "en", "GBP", 18, 100),
    ("US", "America/New_York", "en", "USD", 16, 100),
    ("US", "America/Los_Angeles", "en", "USD", 12, 100),
    ("JP", "Asia/Tokyo", "ja", "JPY", 6, 150),
];

const FIRST: [&str; 16] = [
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Klara", "Leo", "Mia", "Noah",
    "Olga", "Paul",
];
const LAST: [&str; 14] = [
    "Albers", "Brandt", "Cole", "Dreyer", "Evans", "Fuchs", "Gray", "Huber", "Ishida", "Jansen", "Keller", "Lorenz",
    "Moser", "Young",
];
/// The names of who is written to in Japanese, family name first.
const FIRST_JA: [&str; 16] = [
    "葵",
    "蓮",
    "陽菜",
    "湊",
    "結衣",
    "大翔",
    "凛",
    "樹",
    "さくら",
    "悠真",
    "美咲",
    "颯太",
    "花",
    "直樹",
    "恵",
    "健",
];
const LAST_JA: [&str; 14] = [
    "佐藤", "鈴木", "高橋", "田中", "伊藤", "渡辺", "山本", "中村", "小林", "加藤", "吉田", "山田", "石田", "松本",
];
const PLANS: [(&str, i64); 4] = [
    ("Solo plan", 9),
    ("Team plan", 29),
    ("Studio plan", 59),
    ("Agency plan", 149),
];

impl World {
    /// Settles `count` customers with a card and a subscription each, who renew spread over the coming month. The lives are drawn
    /// from the seed; nothing is decided about how any invoice ends.
    pub fn settle_town(&mut self, count: usize) {
        for number in 0..count {
            self.settle_one(number);
        }
    }

    fn settle_one(&mut self, number: usize) {
        let mut draw = self.rng.random_range(0..100);
        let within = |place: &&(&str, &str, &str, &str, u32, i64)| {
            let here = draw < place.4;
            draw = draw.saturating_sub(place.4);
            here
        };
        let place = PLACES.iter().find(within).unwrap_or(&PLACES[0]);
        let (country, zone, locale, currency, _, unit) = *place;
        let first_at = self.rng.random_range(0..FIRST.len());
        let last_at = self.rng.random_range(0..LAST.len());
        let (first, last) = (FIRST[first_at], LAST[last_at]);
        let name = match locale {
            "ja" => format!("{} {}", LAST_JA[last_at], FIRST_JA[first_at]),
            _ => format!("{first} {last}"),
        };
        let habits = self.habits();
        let customer = self.add_customer(NewCustomer {
            name,
            email: format!(
                "{}.{}.{number}@customers.example",
                first.to_lowercase(),
                last.to_lowercase()
            ),
            locale: locale.to_owned(),
            country: country.to_owned(),
            zone: Some(zone.to_owned()),
            habits,
        });
        let card = self.life(unit);
        let Some(card) = self.add_card(&customer, card) else {
            return;
        };
        self.misfortune(&card);
        let (plan, units) = *PLANS.choose(&mut self.rng).expect("there are plans");
        let price = Money::new(
            units * unit - i64::from(unit == 100),
            currency.parse().expect("the places' currencies are real"),
        );
        let renews_at = self.now + SignedDuration::from_mins(self.rng.random_range(60..30 * 24 * 60));
        self.add_subscription(&customer, plan, price, renews_at);
    }

    fn habits(&mut self) -> Habits {
        Habits {
            reads: self.rng.random_range(0.05..0.45),
            delay_hours: self.rng.random_range(2.0..60.0),
            mends: self.rng.random_range(0.55..0.95),
            cancels: self.rng.random_range(0.05..0.35),
        }
    }

    /// A card and the money behind it.
    fn life(&mut self, unit: i64) -> NewCard {
        let salary = self.rng.random_range(1_300..4_200) * unit;
        let paydays = [1, 1, 15, 25, 27, 28, 30, 31];
        let payday = *paydays.choose(&mut self.rng).expect("there are paydays");
        // What is spent in a month, as a percentage of what comes in: most save, some run dry, a few have no income at all.
        let (salary, percent) = match self.rng.random_range(0..100) {
            0..82 => (salary, self.rng.random_range(60..94)),
            82..97 => (salary, self.rng.random_range(102..150)),
            _ => (0, 100),
        };
        let means = Means {
            balance_minor: self.rng.random_range(if percent < 100 { 1_500..4_000 } else { 0..900 }) * unit,
            salary_minor: salary,
            payday,
            daily_minor: if salary == 0 {
                40 * unit
            } else {
                salary * percent / 3_000
            },
            floor_minor: self.rng.random_range(0..12) * unit,
        };
        let expires = self.expiry();
        NewCard {
            brand: ["visa", "visa", "mastercard", "mastercard", "amex"]
                .choose(&mut self.rng)
                .expect("there are brands"),
            funding: ["debit", "debit", "credit", "prepaid"]
                .choose(&mut self.rng)
                .expect("there are kinds"),
            expires,
            standing: if self.rng.random_bool(0.045) {
                Standing::NeedsAuthentication
            } else {
                Standing::Good
            },
            moody: if self.rng.random_bool(0.2) {
                self.rng.random_range(0.05..0.45)
            } else {
                0.0
            },
            updater: self.rng.random_bool(0.45),
            means: Some(means),
            issuer: self.rng.random_range(0..16),
        }
    }

    /// A month within the three years that cards run, from the one that just ended on.
    fn expiry(&mut self) -> (i16, i8) {
        let months = self.rng.random_range(0..36);
        let date = self.now.to_zoned(TimeZone::UTC).date();
        let zero_based = i32::from(date.month()) - 1 + months;
        let year = i32::from(date.year()) + zero_based / 12;
        let clamp = "a year and a month within four years fit";
        (
            i16::try_from(year).expect(clamp),
            i8::try_from(zero_based % 12 + 1).expect(clamp),
        )
    }

    /// A few cards are lost, stolen or blocked in the coming three months.
    fn misfortune(&mut self, card: &str) {
        let standing = match self.rng.random_range(0..1_000) {
            0..30 => Standing::Lost,
            30..44 => Standing::Stolen,
            44..58 => Standing::Blocked,
            _ => return,
        };
        let at: Timestamp = self.now + SignedDuration::from_hours(self.rng.random_range(1..2_160));
        self.plan_trouble(card, standing, at);
    }
}
