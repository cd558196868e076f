//! What a campaign means, worked out once more from the text of its file by the rules as the README states them. Nothing of the
//! service is asked, and nothing is clever: hours are looked for minute by minute.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use toml::{Table, Value};

/// Two messages of one case keep this distance.
const APART: SignedDuration = SignedDuration::from_hours(20);
/// The most charges of one case.
const CHARGES_MAX: usize = 8;

/// An invoice whose charges all fail for the same reason.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When the first charge failed.
    pub at: Timestamp,
    /// Where the customer lives.
    pub zone: TimeZone,
    /// The kind of decline.
    pub kind: &'static str,
    /// What the kind allows.
    pub disposition: &'static str,
}

/// A message step: when it is queued, and when it leaves, where it does before the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub step: String,
    pub queued: Timestamp,
    pub left: Option<Timestamp>,
}

/// All that happens to the invoice.
#[derive(Clone, Debug)]
pub struct Fate {
    pub charges: Vec<Timestamp>,
    pub messages: Vec<Sent>,
    pub end: Timestamp,
    /// When the word of the end leaves, where the campaign takes the subscription away.
    pub last_word: Option<Timestamp>,
    /// Whether two messages of the case ever wait for another day at the same time; the forecast does not play out which of them goes first.
    pub crowded: bool,
}

/// A campaign's file.
pub struct Rules<'a> {
    file: &'a Table,
    failure: &'a Failure,
}

impl<'a> Rules<'a> {
    pub fn new(file: &'a Table, failure: &'a Failure) -> Self {
        Self { file, failure }
    }

    /// Works out the fate of the invoice.
    pub fn fate(&self) -> Fate {
        let planned = self.end();
        let (messages, end) = self.messages(planned);
        let pairs = messages.windows(2);
        let waits = |pair: &[Sent]| pair[0].left.is_none_or(|left| left > pair[1].queued);
        let crowded = pairs.into_iter().any(waits);
        let ending = self.file["final"]["action"].as_str().unwrap();
        let is_told = ["cancel", "pause"].contains(&ending);
        Fate {
            charges: self.charges(planned),
            messages,
            end,
            last_word: is_told.then(|| self.awake(end)),
            crowded,
        }
    }

    fn end(&self) -> Timestamp {
        let last = &self.file["final"];
        self.day(self.failure.at, number(&last["after_days"]), &last["at"])
    }

    fn charges(&self, end: Timestamp) -> Vec<Timestamp> {
        let failure = self.failure;
        let is_for = |ladder: &&Value| words(ladder.get("kinds")).contains(&failure.kind);
        let Some(ladder) = rows(self.file, "ladder").iter().find(is_for) else {
            return Vec::new();
        };
        if failure.disposition != "retry" {
            return Vec::new();
        }
        let nine = Value::from("09:00");
        let at = ladder.get("at").unwrap_or(&nine);
        let days = numbers(ladder.get("days")).into_iter();
        let hours = numbers(ladder.get("hours")).into_iter();
        let all = days
            .map(|day| self.day(failure.at, day, at))
            .chain(hours.map(|hour| failure.at + SignedDuration::from_hours(hour)));
        all.filter(|at| *at > failure.at && *at < end)
            .take(CHARGES_MAX)
            .collect()
    }

    /// What is written, and when it ends: so many days after the final notice as its step says, should that have to wait.
    fn messages(&self, mut end: Timestamp) -> (Vec<Sent>, Timestamp) {
        let mut left: Vec<(&Value, Timestamp)> = rows(self.file, "message")
            .iter()
            .filter(|step| words(step.get("dispositions")).contains(&self.failure.disposition))
            .filter(|step| {
                let kinds = words(step.get("kinds"));
                kinds.is_empty() || kinds.contains(&self.failure.kind)
            })
            .map(|step| (step, self.due(step, end)))
            .collect();
        left.sort_by_key(|(_, due)| *due);
        let mut sent: Vec<Sent> = Vec::new();
        let mut now = self.failure.at;
        let mut is_announced = false;
        while !left.is_empty() {
            let free = sent.last().map_or(now, |last| last.queued + APART);
            now = self.awake(left[0].1.max(free).max(now));
            let is_last = |step: &Value| step["message"].as_str() == Some("final_notice");
            let is_over = now >= end;
            let step = if is_over {
                // Who was not told of the end is told now.
                let owed = left.iter().rfind(|(step, due)| is_last(step) && *due < end);
                let Some(owed) = owed.map(|(step, _)| *step).filter(|_| !is_announced) else {
                    break;
                };
                now = end;
                left.retain(|(step, due)| *due > now && *step != owed);
                owed
            } else {
                // Of those that are due by now only the last is sent.
                let due = left.iter().filter(|(_, due)| *due <= now).count();
                is_announced |= left[..due].iter().any(|(step, _)| is_last(step));
                left.drain(..due).next_back().unwrap().0
            };
            is_announced |= is_last(step);
            let leaves = self.leaves(step, now, &sent);
            if is_last(step) && (leaves > now || is_over) {
                let named = step["when"].get("before_final");
                let days = named.map_or(1, |named| number(&named["days"]).max(1));
                end = end.max(self.day(leaves, days, &self.file["final"]["at"]));
                for (step, due) in &mut left {
                    *due = self.due(step, end);
                }
                left.sort_by_key(|(_, due)| *due);
            }
            sent.push(Sent {
                step: step["key"].as_str().unwrap().to_owned(),
                queued: now,
                left: (leaves < end).then_some(leaves),
            });
        }
        (sent, end)
    }

    fn due(&self, step: &Value, end: Timestamp) -> Timestamp {
        let when = step["when"].as_table().unwrap();
        let (word, value) = when.iter().next().unwrap();
        let due = match word.as_str() {
            "after_hours" => self.failure.at + SignedDuration::from_hours(number(value)),
            "after_days" => self.day(self.failure.at, number(&value["days"]), &value["at"]),
            "before_final" => self.day(end, -number(&value["days"]), &value["at"]),
            other => panic!("{other}"),
        };
        self.awake(due)
    }

    /// The first instant from `at` on at which the customer may be written to again.
    fn leaves(&self, step: &Value, at: Timestamp, before: &[Sent]) -> Timestamp {
        let Some(limits) = self.file.get("touches") else {
            return at;
        };
        let before: Vec<Timestamp> = before.iter().filter_map(|sent| sent.left).collect();
        let apart = SignedDuration::from_hours(number(&limits["apart_hours"]));
        let within = SignedDuration::from_hours(24 * number(&limits["within_days"]));
        let most = usize::try_from(number(&limits["most"])).unwrap();
        let mut at = at;
        loop {
            let recent: Vec<Timestamp> = before.iter().copied().filter(|sent| *sent > at - within).collect();
            let is_full = recent.len() >= most && step["message"].as_str() != Some("final_notice");
            let next = match before.last() {
                Some(last) if *last + apart > at => *last + apart,
                _ if is_full => recent[recent.len() - most] + within,
                _ => self.awake(at),
            };
            if next == at {
                return at;
            }
            at = next;
        }
    }

    /// The first instant from `at` on that is not in the quiet hours.
    fn awake(&self, at: Timestamp) -> Timestamp {
        let Some(quiet) = self.file.get("quiet") else {
            return at;
        };
        let (from, to) = (time(&quiet["from"]), time(&quiet["to"]));
        let is_quiet = |at: Timestamp| {
            let now = self.failure.zone.to_datetime(at).time();
            if from < to {
                from <= now && now < to
            } else {
                from <= now || now < to
            }
        };
        let mut at = at;
        while is_quiet(at) {
            let second = i64::from(self.failure.zone.to_datetime(at).second());
            at += SignedDuration::from_secs(60 - second);
        }
        at
    }

    /// The first instant at which the wall clock shows that hour, or more, so many days after the day of `from`.
    fn day(&self, from: Timestamp, days: i64, at: &Value) -> Timestamp {
        let date = self.failure.zone.to_datetime(from).date() + Span::new().days(days);
        let wanted: DateTime = date.to_datetime(time(at));
        let shows = |at: Timestamp| self.failure.zone.to_datetime(at) >= wanted;
        let mut at = wanted.to_zoned(TimeZone::UTC).unwrap().timestamp() - SignedDuration::from_hours(15);
        while !shows(at) {
            at += SignedDuration::from_hours(1);
        }
        // Clocks that went back may have shown it before.
        at -= SignedDuration::from_hours(2);
        while !shows(at) {
            at += SignedDuration::from_mins(1);
        }
        // Clocks change on the minute: an hour that they leave out is that minute.
        let local = self.failure.zone.to_datetime(at);
        if local == wanted {
            at
        } else {
            at - SignedDuration::from_secs(i64::from(local.second()))
        }
    }
}

fn rows<'t>(table: &'t Table, name: &str) -> &'t [Value] {
    let rows = table.get(name).and_then(Value::as_array);
    rows.map_or(&[], Vec::as_slice)
}

fn words(value: Option<&Value>) -> Vec<&str> {
    let words = value.and_then(Value::as_array).into_iter().flatten();
    words.map(|word| word.as_str().unwrap()).collect()
}

fn numbers(value: Option<&Value>) -> Vec<i64> {
    let numbers = value.and_then(Value::as_array).into_iter().flatten();
    numbers.map(number).collect()
}

fn number(value: &Value) -> i64 {
    value.as_integer().unwrap()
}

fn time(value: &Value) -> Time {
    value.as_str().unwrap().parse().unwrap()
}
