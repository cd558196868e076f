//! The recovery rate by month as an SVG picture, drawn with whole numbers.

use std::fmt::Write;

use jiff::civil::Date;

use super::language::Language;
use super::show;
use crate::domain::report::{Rate, Report};

/// One month of the chart. Cases are counted across currencies; money never is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Month {
    /// The cohort, `2026-03`.
    pub cohort: String,
    /// The cohort as people read it, `Mar 26`.
    pub label: String,
    /// All cases opened in it.
    pub cases: u64,
    /// Those recovered.
    pub recovered: u64,
    /// Those closed.
    pub closed: u64,
    /// Recovered of all.
    pub of_all: Option<Rate>,
    /// Recovered of closed.
    pub of_closed: Option<Rate>,
    /// Closed of all.
    pub maturity: Option<Rate>,
}

/// The months of a report by month that was not split, all currencies together.
pub(super) fn months(report: &Report, language: Language) -> Vec<Month> {
    let mut months: Vec<Month> = Vec::new();
    for row in &report.rows {
        if months.last().is_none_or(|month| month.cohort != row.cohort) {
            months.push(Month::empty(&row.cohort, language));
        }
        let month = months.last_mut().expect("a month was just added");
        month.cases += row.all.cases;
        month.recovered += row.recovered.cases;
        month.closed += row.closed.cases;
    }
    for month in &mut months {
        month.of_all = Rate::of_counts(month.recovered, month.cases);
        month.of_closed = Rate::of_counts(month.recovered, month.closed);
        month.maturity = Rate::of_counts(month.closed, month.cases);
    }
    months
}

impl Month {
    fn empty(cohort: &str, language: Language) -> Self {
        let first: Option<Date> = format!("{cohort}-01").parse().ok();
        Self {
            cohort: cohort.to_owned(),
            label: first.map_or_else(|| cohort.to_owned(), |day| show::month(language, day)),
            cases: 0,
            recovered: 0,
            closed: 0,
            of_all: None,
            of_closed: None,
            maturity: None,
        }
    }
}

const WIDTH: usize = 760;
const LEFT: usize = 44;
const TOP: i64 = 22;
const PLOT_HEIGHT: i64 = 180;
const BOTTOM: i64 = TOP + PLOT_HEIGHT;

/// Draws the months, oldest at the left; those that are not mature are grey.
pub(super) fn svg(months: &[Month], language: Language) -> String {
    let label = language.say("Recovery rate by month of the first failure");
    let mut svg = format!("<svg class=\"chart\" viewBox=\"0 0 {WIDTH} 236\" role=\"img\" aria-label=\"{label}\">");
    for percent in [0, 25, 50, 75, 100] {
        let y = height_of(percent * 100);
        let right = WIDTH - 4;
        put(
            &mut svg,
            format_args!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y}\" y2=\"{y}\"/>"),
        );
        let (x, below) = (LEFT - 8, y + 4);
        put(
            &mut svg,
            format_args!("<text class=\"axis\" x=\"{x}\" y=\"{below}\" text-anchor=\"end\">{percent}%</text>"),
        );
    }
    let slot = (WIDTH - LEFT - 4) / months.len().max(1);
    for (index, month) in months.iter().enumerate() {
        draw_month(&mut svg, month, (LEFT + index * slot, slot), language);
    }
    svg.push_str("</svg>");
    svg
}

fn draw_month(svg: &mut String, month: &Month, (x, slot): (usize, usize), language: Language) {
    let mature = month.closed == month.cases;
    let class = if mature { "month" } else { "month young" };
    let told = told(month, language);
    put(svg, format_args!("<g class=\"{class}\"><title>{told}</title>"));
    let bar = (slot * 3 / 10).clamp(4, 26);
    let middle = x + slot / 2;
    for (kind, rate, left) in [
        ("all", &month.of_all, middle - bar - 1),
        ("closed", &month.of_closed, middle + 1),
    ] {
        let Some(rate) = rate else { continue };
        let y = height_of(rate.parts_per_10k);
        let height = (BOTTOM - y).max(1);
        let top = BOTTOM - height;
        put(
            svg,
            format_args!(
                "<rect class=\"bar {kind}\" x=\"{left}\" y=\"{top}\" width=\"{bar}\" height=\"{height}\" rx=\"2\"/>"
            ),
        );
        if slot >= 44 {
            let (centre, above) = (left + bar / 2, top - 5);
            let whole = (rate.parts_per_10k + 50) / 100;
            put(
                svg,
                format_args!(
                    "<text class=\"value\" x=\"{centre}\" y=\"{above}\" text-anchor=\"middle\">{whole}</text>"
                ),
            );
        }
    }
    let below = BOTTOM + 18;
    put(
        svg,
        format_args!(
            "<text class=\"axis\" x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{}</text></g>",
            month.label
        ),
    );
}

/// What is said of a month to whom points at it, and to whom cannot see it.
fn told(month: &Month, language: Language) -> String {
    let percent = |rate: &Option<Rate>| show::percent(language, rate.as_ref());
    language.say_with(
        "{month}: {cases} cases, recovered {of_all} of all, {of_closed} of closed, {maturity} closed",
        &[
            ("month", &month.label),
            ("cases", &show::number_in(language, month.cases)),
            ("of_all", &percent(&month.of_all)),
            ("of_closed", &percent(&month.of_closed)),
            ("maturity", &percent(&month.maturity)),
        ],
    )
}

/// The vertical place of a share in parts of ten thousand.
fn height_of(parts_per_10k: i64) -> i64 {
    BOTTOM - parts_per_10k * PLOT_HEIGHT / 10_000
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("writing to a string cannot fail");
}
