//! The money behind a card: a salary, a payday and daily spending. What is there at an instant depends on nothing but the
//! account and the charges that succeeded, not on how often it was looked at.

use jiff::{Timestamp, civil::Date, civil::Weekday, tz::TimeZone};

/// A bank account or a credit line.
#[derive(Clone, Debug)]
pub struct Account {
    /// What is there at the last step, minor units.
    balance_minor: i64,
    /// What comes in on each payday, minor units.
    salary_minor: i64,
    /// The day of the month on which it comes; clamped to the month's end, moved back from a weekend.
    payday: i8,
    /// What is spent on a day, minor units, give or take a half.
    daily_minor: i64,
    /// Spending stops here.
    floor_minor: i64,
    zone: TimeZone,
    seed: u64,
    /// The local day up to which salary and spending are booked, and how many of its two bookings are.
    day: Date,
    booked: u8,
}

/// The plan of an account, in minor units of its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// What is there at the start.
    pub balance_minor: i64,
    /// What comes in on each payday.
    pub salary_minor: i64,
    /// The day of the month on which it comes, 1 to 31.
    pub payday: i8,
    /// What is spent on a day, on average.
    pub daily_minor: i64,
    /// What the customer never goes below by spending.
    pub floor_minor: i64,
}

impl Means {
    /// So much money that no charge ever fails for want of it.
    pub const AMPLE: Self = Self {
        balance_minor: 1_000_000_000_000,
        salary_minor: 0,
        payday: 1,
        daily_minor: 0,
        floor_minor: 0,
    };
}

impl Account {
    /// An account with `means` at the instant `at`, in the holder's `zone`.
    pub fn new(means: Means, zone: TimeZone, at: Timestamp, seed: u64) -> Self {
        let (day, booked) = position(&zone, at);
        Self {
            balance_minor: means.balance_minor,
            salary_minor: means.salary_minor,
            payday: means.payday.clamp(1, 31),
            daily_minor: means.daily_minor,
            floor_minor: means.floor_minor,
            zone,
            seed,
            day,
            booked,
        }
    }

    /// What is there at `at`, minor units. Going back in time shows what is there now.
    pub fn available_minor(&mut self, at: Timestamp) -> i64 {
        let (day, booked) = position(&self.zone, at);
        while (self.day, self.booked) < (day, booked) {
            match self.booked {
                0 if is_payday(self.day, self.payday) => self.balance_minor += self.salary_minor,
                1 => self.spend(),
                _ => {}
            }
            self.booked += 1;
            if self.booked == 3 {
                self.booked = 0;
                self.day = self.day.tomorrow().expect("the world ends long before the calendar");
            }
        }
        self.balance_minor
    }

    /// Takes `amount_minor` at `at` if it is there; says whether it was.
    pub fn take(&mut self, amount_minor: i64, at: Timestamp) -> bool {
        let enough = self.available_minor(at) >= amount_minor;
        if enough {
            self.balance_minor -= amount_minor;
        }
        enough
    }

    /// Gives `amount_minor` back.
    pub fn give(&mut self, amount_minor: i64) {
        self.balance_minor += amount_minor;
    }

    /// Whole days from the local day of `at` to the next payday after it; nothing where no money ever comes.
    pub fn days_to_payday(&self, at: Timestamp) -> Option<i32> {
        let (today, _) = position(&self.zone, at);
        let mut day = today;
        for days in 1..=62 {
            day = day.tomorrow().ok()?;
            if self.salary_minor > 0 && is_payday(day, self.payday) {
                return Some(days);
            }
        }
        None
    }

    /// Books the spending of the day, never below the floor.
    fn spend(&mut self) {
        let day = u64::from(self.day.day_of_year().unsigned_abs()) ^ (u64::from(self.day.year().unsigned_abs()) << 16);
        let percent = 50 + i64::try_from(mix(self.seed ^ day) % 101).expect("a number below 101 fits");
        let wish = self.daily_minor * percent / 100;
        self.balance_minor -= wish.min((self.balance_minor - self.floor_minor).max(0));
    }
}

/// The local day of `at`, and how many of the day's bookings (salary at six, spending at eighteen) lie behind it.
fn position(zone: &TimeZone, at: Timestamp) -> (Date, u8) {
    let local = zone.to_datetime(at);
    (local.date(), u8::from(local.hour() >= 6) + u8::from(local.hour() >= 18))
}

/// Whether salaries due on the `payday`th come on `day`: a weekend moves them back to the Friday, also across a month's start.
fn is_payday(day: Date, payday: i8) -> bool {
    let is_nominal = |day: Date| day.day() == payday.min(day.days_in_month());
    let ahead = |day: Date| day.tomorrow().unwrap_or(day);
    match day.weekday() {
        Weekday::Saturday | Weekday::Sunday => false,
        Weekday::Friday => is_nominal(day) || is_nominal(ahead(day)) || is_nominal(ahead(ahead(day))),
        _ => is_nominal(day),
    }
}

/// Scatters a number over all 64 bits (the finalizer of `SplitMix64`).
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn tight() -> Account {
        let means = Means {
            balance_minor: 50_000,
            salary_minor: 200_000,
            payday: 1,
            daily_minor: 8_000,
            floor_minor: 300,
        };
        Account::new(
            means,
            TimeZone::get("Europe/Berlin").unwrap(),
            at("2026-01-10T12:00:00Z"),
            7,
        )
    }

    #[test]
    fn money_runs_out_and_comes_back_on_payday() {
        let mut account = tight();
        assert_eq!(account.available_minor(at("2026-01-29T12:00:00Z")), 300);
        // The first of February 2026 is a Sunday: the salary comes on Friday the 30th at six in Berlin.
        assert_eq!(account.days_to_payday(at("2026-01-29T12:00:00Z")), Some(1));
        assert_eq!(account.available_minor(at("2026-01-30T04:59:00Z")), 300);
        assert_eq!(account.available_minor(at("2026-01-30T05:00:00Z")), 200_300);
        assert!(account.take(200_000, at("2026-01-30T05:00:00Z")));
        assert!(!account.take(1_000, at("2026-01-30T05:00:01Z")));
    }

    #[test]
    fn looking_often_changes_nothing() {
        let (mut often, mut once) = (tight(), tight());
        for hour in 0..2_000 {
            often.available_minor(at("2026-01-10T12:00:00Z") + jiff::SignedDuration::from_hours(hour));
        }
        let end = at("2026-04-03T17:00:00Z");
        assert_eq!(often.available_minor(end), once.available_minor(end));
    }
}
