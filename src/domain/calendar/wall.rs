//! The wall clock of a zone, for whoever asks it hundreds of times.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

/// The wall clock of a zone. The zone itself is asked only where its offset changes, so that walking over the hours of two
/// weeks costs a few additions for each.
#[derive(Clone, Debug)]
pub struct WallClock {
    zone: TimeZone,
    offset: Offset,
    /// The offset holds from here on.
    from: Timestamp,
    /// The offset holds up to here, and may be another one there.
    until: Timestamp,
}

/// What the wall clock and the calendar beside it show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The date.
    pub date: Date,
    /// The hour that has begun, 0 to 23.
    pub hour: i8,
    /// The day of the week; Monday is 0.
    pub weekday: i8,
    /// The day of the month, from 1.
    pub day: i8,
    /// How many days the month still has after it.
    pub before_month_end: i8,
}

impl WallClock {
    /// The wall clock of a zone.
    pub fn new(zone: TimeZone) -> Self {
        // The span of the first offset is empty: whoever asks first finds the true one.
        Self {
            zone,
            offset: Offset::UTC,
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
        }
    }

    /// What it shows at an instant. Instants may come in any order; they cost least in order of time.
    pub fn at(&mut self, at: Timestamp) -> Local {
        if at < self.from || at >= self.until {
            self.offset = self.zone.to_offset(at);
            self.from = at;
            let next = self.zone.following(at).next();
            self.until = next.map_or(Timestamp::MAX, |transition| transition.timestamp());
        }
        let local = self.offset.to_datetime(at);
        let date = local.date();
        Local {
            date,
            hour: local.hour(),
            weekday: date.weekday().to_monday_zero_offset(),
            day: date.day(),
            before_month_end: date.days_in_month() - date.day(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::tz::TimeZoneDatabase;

    use super::*;
    use crate::domain::calendar::zone;

    /// As the zone itself converts it.
    fn converted(zone: &TimeZone, at: Timestamp) -> Local {
        let zoned = at.to_zoned(zone.clone());
        Local {
            date: zoned.date(),
            hour: zoned.hour(),
            weekday: zoned.weekday().to_monday_zero_offset(),
            day: zoned.day(),
            before_month_end: zoned.days_in_month() - zoned.day(),
        }
    }

    /// The numbers of a linear congruential generator (Knuth's MMIX), of which the upper half is good.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 32) % bound
        }
    }

    #[test]
    fn it_shows_what_the_zone_itself_converts() {
        let seed = u64::from(std::process::id());
        let mut numbers = Numbers(seed);
        let bundled = TimeZoneDatabase::bundled();
        let names: Vec<String> = bundled.available().map(|name| name.to_string()).collect();
        for _ in 0..500 {
            let name = &names[usize::try_from(numbers.below(names.len() as u64)).unwrap()];
            let zone = bundled.get(name).unwrap();
            let mut clock = WallClock::new(zone.clone());
            // From 1970 to 2069, and from there in steps of up to a month, mostly forward.
            let mut at = Timestamp::from_second(i64::try_from(numbers.below(100 * 365 * 86_400)).unwrap()).unwrap();
            for _ in 0..20 {
                assert_eq!(clock.at(at), converted(&zone, at), "{name} at {at}, seed {seed}");
                let step = i64::try_from(numbers.below(30 * 86_400)).unwrap();
                at += SignedDuration::from_secs(if numbers.below(5) == 0 { -step } else { step });
            }
        }
    }

    #[test]
    fn both_sides_of_a_transition_are_told_apart_to_the_second() {
        for name in [
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Africa/Casablanca",
            "Pacific/Apia",
        ] {
            let zone = zone(name);
            for transition in zone.following("2009-01-01T00:00:00Z".parse().unwrap()).take(40) {
                let mut clock = WallClock::new(zone.clone());
                for secs in [-3601, -1, 0, 1, 3600, -1] {
                    let at = transition.timestamp() + SignedDuration::from_secs(secs);
                    assert_eq!(clock.at(at), converted(&zone, at), "{name} at {at}");
                }
            }
        }
    }

    #[test]
    fn the_ends_of_time_and_a_zone_without_changes_are_shown() {
        let mut clock = WallClock::new(TimeZone::UTC);
        for at in [Timestamp::MAX, Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
            assert_eq!(clock.at(at), converted(&TimeZone::UTC, at));
        }
    }

    #[test]
    fn the_calendar_beside_it_counts_to_the_months_end() {
        let mut clock = WallClock::new(zone("Asia/Tokyo"));
        let shown = clock.at("2028-02-27T15:30:00Z".parse().unwrap());
        let expected = Local {
            date: jiff::civil::date(2028, 2, 28),
            hour: 0,
            weekday: 0,
            day: 28,
            before_month_end: 1,
        };
        assert_eq!(shown, expected);
    }
}
