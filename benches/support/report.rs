//! Figures, their limits, and how they are told: a table for people, JSON for machines.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::machine::{Machine, load};

/// One thing that was measured several times.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub median: f64,
    pub samples: Vec<f64>,
}

/// What a figure must reach, or must not exceed.
#[derive(Debug, Serialize)]
pub struct Limit {
    pub name: String,
    pub value: f64,
    pub bound: Bound,
    pub passed: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "at least {bound}"),
            Self::AtMost(bound) => write!(f, "at most {bound}"),
        }
    }
}

/// All that a run of the suite found out.
#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub quick: bool,
    pub load_after: String,
    pub notes: Vec<String>,
    pub figures: Vec<Figure>,
    pub limits: Vec<Limit>,
}

impl Report {
    pub fn new(quick: bool) -> Self {
        let machine = Machine::look();
        println!("{machine:#?}");
        let mut report = Self {
            machine,
            quick,
            load_after: String::new(),
            notes: Vec::new(),
            figures: Vec::new(),
            limits: Vec::new(),
        };
        if report.machine.load_before.parse().is_ok_and(|load: f64| load > 1.0) {
            let told = "the machine is busy with something else: whoever runs as more processes gets more of it, so that even \
                        ratios are no more than a hint";
            report.note(told.to_owned());
        }
        report
    }

    /// Keeps what was measured and gives its median.
    pub fn figure(&mut self, name: &str, unit: &'static str, samples: Vec<f64>) -> f64 {
        let median = median(&samples);
        println!("{name:<52} {median:>12.3} {unit}");
        self.figures.push(Figure {
            name: name.to_owned(),
            unit,
            median,
            samples,
        });
        median
    }

    /// Holds a value against its bound.
    pub fn limit(&mut self, name: &str, value: f64, bound: Bound) {
        let passed = bound.holds(value);
        let verdict = if passed { "pass" } else { "FAIL" };
        println!("{verdict} {name:<47} {value:>12.3} {bound}");
        self.limits.push(Limit {
            name: name.to_owned(),
            value,
            bound,
            passed,
        });
    }

    /// Tells something that figures do not say.
    pub fn note(&mut self, text: String) {
        println!("note: {text}");
        self.notes.push(text);
    }

    pub fn all_passed(&self) -> bool {
        self.limits.iter().all(|limit| limit.passed)
    }

    /// Ends the report; writes it to `path` as JSON where one is given.
    pub fn finish(&mut self, path: Option<&Path>) -> anyhow::Result<()> {
        self.load_after = load();
        println!("load {} before, {} after", self.machine.load_before, self.load_after);
        if let Some(path) = path {
            std::fs::write(path, serde_json::to_string_pretty(self)?)?;
        }
        Ok(())
    }
}

/// The middle of the samples, or the mean of the two in the middle.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}
