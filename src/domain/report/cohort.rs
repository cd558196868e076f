//! Cohorts: how long they are, what they are called and where they begin.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use crate::domain::words::words;

words! {
    /// The length of a cohort.
    Cohort {
        /// A calendar month.
        Month = "month",
        /// An ISO week, from Monday.
        Week = "week",
        /// A calendar day.
        Day = "day",
    }
}

impl Cohort {
    /// The name of the cohort that a day falls in: `2026-03`, `2026-W10`, `2026-03-02`.
    pub fn label(self, date: Date) -> String {
        match self {
            Self::Month => format!("{:04}-{:02}", date.year(), date.month()),
            Self::Week => {
                let week = date.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Self::Day => date.to_string(),
        }
    }

    /// The first day of the cohort that a date falls in.
    pub fn first_day(self, date: Date) -> Date {
        match self {
            Self::Month => date.first_of_month(),
            Self::Week => {
                let days_in = date.weekday().since(Weekday::Monday);
                date.saturating_sub(i64::from(days_in).days())
            }
            Self::Day => date,
        }
    }
}
