//! For what a campaign cannot be used at all.

use super::fault::Flaw;
use super::segment::{Band, DEFAULT, Segment};
use super::{Campaign, Ladder, WinBack};
use crate::domain::calendar::main_zone;
use crate::domain::decline::DeclineKind;
use crate::domain::message::Message;

/// The most charges one ladder may name, and the most message steps of a campaign.
pub(super) const STEPS_MAX: usize = 30;
/// The longest campaign, in days.
pub(super) const DAYS_MAX: u16 = 365;
/// The longest name, and the longest key of a message step, in characters: what the API looks up.
pub(super) const NAME_CHARS_MAX: usize = 255;
/// The highest version that the API can name.
pub(super) const VERSION_MAX: u32 = i32::MAX.unsigned_abs();
/// The furthest day that a campaign may let customers promise.
pub(super) const PROMISE_DAYS_MAX: u16 = 30;

/// Whether both databases can keep a text as a name: PostgreSQL refuses a NUL, and a step without a key could not be queued.
fn is_printable(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control)
}

impl Campaign {
    /// Everything for which it cannot be used, each with how to mend it.
    pub(super) fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = self.head_flaws();
        for (nth, ladder) in self.ladders.iter().enumerate() {
            let path = format!("ladder.{nth}");
            flaws.extend(ladder.flaws(&path));
            let last_day = ladder.planned.as_ref().map(|planned| planned.within_days);
            if last_day
                .or(ladder.days.last().copied())
                .is_some_and(|day| day >= self.ending.after_days)
            {
                flaws.push(Flaw::new(
                    path,
                    "a charge on or after the final day would never be made: end the ladder before",
                ));
            }
        }
        if self.messages.len() > STEPS_MAX {
            flaws.push(Flaw::new(
                "message",
                format!("at most {STEPS_MAX} messages are allowed"),
            ));
        }
        for (nth, step) in self.messages.iter().enumerate() {
            let key = &step.key;
            let mut flaw = |what: String| flaws.push(Flaw::new(format!("message.{nth}.key"), what));
            if !is_printable(key) {
                flaw(format!(
                    "message {key:?}: the key must be 1 to {NAME_CHARS_MAX} printable characters"
                ));
            }
            if Message::takes_key(key) {
                flaw(format!(
                    "message {key:?} has the key of a message that is sent by itself: give it another key"
                ));
            }
            if self.messages[..nth].iter().any(|earlier| earlier.key == *key) {
                flaw(format!("message {key:?} is there twice: give each step its own key"));
            }
        }
        flaws
    }

    fn head_flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if !is_printable(&self.name) {
            flaws.push(Flaw::new(
                "name",
                format!("name must be 1 to {NAME_CHARS_MAX} printable characters"),
            ));
        }
        if !(1..=VERSION_MAX).contains(&self.version) {
            flaws.push(Flaw::new("version", format!("version must be 1 to {VERSION_MAX}")));
        }
        flaws.extend(self.choice_flaws());
        if self.promise_days > PROMISE_DAYS_MAX {
            flaws.push(Flaw::new(
                "promise_days",
                format!("promise_days must be 0 to {PROMISE_DAYS_MAX}"),
            ));
        }
        let touches = self
            .touches
            .filter(|touches| touches.most == 0 || touches.within_days > DAYS_MAX);
        if touches.is_some() {
            flaws.push(Flaw::new(
                "touches",
                format!("touches.most must be at least 1, and touches.within_days at most {DAYS_MAX}"),
            ));
        }
        flaws.extend(self.win_back.and_then(WinBack::flaw));
        if self.quiet.is_some_and(|quiet| quiet.from == quiet.to) {
            flaws.push(Flaw::new(
                "quiet",
                "quiet hours around the clock leave no hour to write in: let from and to differ",
            ));
        }
        if !(1..=DAYS_MAX).contains(&self.ending.after_days) {
            flaws.push(Flaw::new(
                "final.after_days",
                format!("final.after_days must be 1 to {DAYS_MAX}"),
            ));
        }
        for kind in DeclineKind::ALL {
            let mut with_it = (0..self.ladders.len()).filter(|nth| self.ladders[*nth].kinds.contains(kind));
            if let Some(second) = with_it.nth(1) {
                flaws.push(Flaw::new(
                    format!("ladder.{second}.kinds"),
                    format!("{kind} has more than one ladder: keep one"),
                ));
            }
        }
        flaws
    }
}

impl Campaign {
    /// What is wrong with how new cases come to it.
    fn choice_flaws(&self) -> Vec<Flaw> {
        let segments = self.segments.iter().enumerate();
        let mut flaws: Vec<Flaw> = segments
            .flat_map(|(nth, segment)| segment.flaws(&format!("for.{nth}")))
            .collect();
        if self.name == DEFAULT && !self.segments.is_empty() {
            let what = "default takes what no other campaign does, so it has no segment: remove it, or give the campaign another name";
            flaws.push(Flaw::new("for.0", what));
        }
        let Some(split) = self.split else { return flaws };
        if !(1..=99).contains(&split.percent) {
            flaws.push(Flaw::new("split.percent", "split.percent must be 1 to 99"));
        }
        if split.against == 0 || split.against >= self.version {
            let what = "split.against must be an earlier version of this campaign";
            flaws.push(Flaw::new("split.against", what));
        }
        if self.shadow {
            flaws.push(Flaw::new(
                "split",
                "a shadow takes no new cases: remove the split, or shadow",
            ));
        }
        flaws
    }
}

impl Segment {
    fn flaws(&self, path: &str) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        for (nth, code) in self.countries.iter().enumerate() {
            if main_zone(&code.to_ascii_uppercase()).is_none() {
                let what = format!("{code:?} is no country: give its two letters of ISO 3166, such as DE");
                flaws.push(Flaw::new(format!("{path}.countries.{nth}"), what));
            }
        }
        for (key, band) in [("amount", &self.amount), ("monthly", &self.monthly)] {
            let what = band.as_ref().and_then(Band::flaw);
            flaws.extend(what.map(|what| Flaw::new(format!("{path}.{key}"), format!("{key}: {what}"))));
        }
        let days = self
            .tenure_days
            .filter(|days| days.below.is_some_and(|below| below <= days.at_least));
        flaws.extend(days.map(|_| {
            Flaw::new(
                format!("{path}.tenure_days"),
                "tenure_days: below must be more than at_least",
            )
        }));
        flaws
    }
}

impl Ladder {
    fn flaws(&self, path: &str) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let plans = [!self.days.is_empty(), !self.hours.is_empty(), self.planned.is_some()];
        if plans.into_iter().filter(|given| *given).count() != 1 {
            flaws.push(Flaw::new(path, "give one of days, hours and planned"));
        }
        flaws.extend(self.planned.iter().flat_map(|planned| planned.flaws(path)));
        if self.kinds.is_empty() {
            flaws.push(Flaw::new(format!("{path}.kinds"), "kinds must not be empty"));
        }
        for (key, steps) in [("days", &self.days), ("hours", &self.hours)] {
            if !steps.is_sorted_by(|a, b| a < b) || steps.first() == Some(&0) || steps.len() > STEPS_MAX {
                let what = format!("steps must rise from 1 upwards, at most {STEPS_MAX} of them");
                flaws.push(Flaw::new(format!("{path}.{key}"), what));
            }
        }
        flaws
    }
}
