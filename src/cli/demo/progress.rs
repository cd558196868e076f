//! How far the play is: a bar on a terminal, else a line every ten days.

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::town::Town;
use crate::domain::outcome::Status;
use crate::store::cases;

/// How many simulated days lie between two lines.
const DAYS_A_LINE: i64 = 10;
const SECS_A_DAY: i64 = 24 * 3600;

/// The progress of a play, on stderr.
pub struct Progress {
    start: Timestamp,
    days: i64,
    /// The last day that was shown; none so far is -1.
    shown: i64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to show the way from `start` to `end`, as a bar where `terminal` says so.
    pub fn start(start: Timestamp, end: Timestamp, terminal: bool) -> Self {
        let days = days_between(start, end);
        let bar = terminal.then(|| {
            let style = ProgressStyle::with_template("{bar:30} {msg}").expect("the template is valid");
            ProgressBar::new(days.unsigned_abs()).with_style(style)
        });
        Self {
            start,
            days,
            shown: -1,
            bar,
        }
    }

    /// Shows where the play is, at most once a simulated day.
    pub async fn show(&mut self, town: &Town) -> anyhow::Result<()> {
        let now = town.clock.now();
        let day = days_between(self.start, now);
        if day == self.shown {
            return Ok(());
        }
        self.shown = day;
        if self.bar.is_none() && day % DAYS_A_LINE != 0 {
            return Ok(());
        }
        let failures = town.sandbox.world(|world| world.books().failed_first().len());
        let counts = cases::count_by_status(town.app.store.conn()).await?;
        let recovered = counts.iter().find(|(status, _)| *status == Status::Recovered);
        let recovered = recovered.map_or(0, |(_, count)| *count);
        let days = self.days;
        let date = now.strftime("%F");
        let line = format!("{date}, day {day} of {days}: {failures} failures, {recovered} recovered");
        match &self.bar {
            Some(bar) => {
                bar.set_position(day.unsigned_abs());
                bar.set_message(line);
            }
            None => eprintln!("{line}"),
        }
        Ok(())
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn days_between(start: Timestamp, end: Timestamp) -> i64 {
    end.duration_since(start).as_secs() / SECS_A_DAY
}
