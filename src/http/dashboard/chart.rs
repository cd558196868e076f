//! The recovery rate by month or week as an SVG picture, drawn with whole numbers.

use std::fmt::Write;

use jiff::civil::Date;

use super::language::Language;
use super::show;
use crate::domain::report::{Rate, Report};

/// One month or week of the chart. Cases are counted across currencies; money never is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Period {
    /// The cohort, `2026-03`.
    pub cohort: String,
    /// The cohort as people read it below its bars, `Mar 26` or `W10`.
    pub label: String,
    /// The cohort as people read it alone, `Mar 26` or `W10 2026`.
    pub name: String,
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

/// The cohorts of a report that was not split, all currencies together.
pub(super) fn periods(report: &Report, language: Language) -> Vec<Period> {
    let mut periods: Vec<Period> = Vec::new();
    for row in &report.rows {
        if periods.last().is_none_or(|period| period.cohort != row.cohort) {
            periods.push(Period::empty(&row.cohort, language));
        }
        let period = periods.last_mut().expect("a period was just added");
        period.cases += row.all.cases;
        period.recovered += row.recovered.cases;
        period.closed += row.closed.cases;
    }
    for period in &mut periods {
        period.of_all = Rate::of_counts(period.recovered, period.cases);
        period.of_closed = Rate::of_counts(period.recovered, period.closed);
        period.maturity = Rate::of_counts(period.closed, period.cases);
    }
    periods
}

impl Period {
    fn empty(cohort: &str, language: Language) -> Self {
        let [label, name] = called(cohort, language);
        Self {
            cohort: cohort.to_owned(),
            label,
            name,
            cases: 0,
            recovered: 0,
            closed: 0,
            of_all: None,
            of_closed: None,
            maturity: None,
        }
    }
}

/// What a cohort is called below its bars, where its neighbours tell the year of a week, and alone.
fn called(cohort: &str, language: Language) -> [String; 2] {
    if let Some((year, week)) = cohort.split_once("-W") {
        let label = language.say_with("W{week}", &[("week", week)]);
        let name = format!("{label} {year}");
        return [label, name];
    }
    let first: Option<Date> = format!("{cohort}-01").parse().ok();
    let label = first.map_or_else(|| cohort.to_owned(), |day| show::month(language, day));
    [label.clone(), label]
}

const WIDTH: usize = 760;
const LEFT: usize = 44;
const TOP: i64 = 22;
const PLOT_HEIGHT: i64 = 180;
const BOTTOM: i64 = TOP + PLOT_HEIGHT;
/// The most periods that are drawn: more bars could not be told apart.
pub(super) const DRAWN_MAX: usize = 60;
/// The room that the name of a period, or the figures above its bars, need.
const NAME_WIDTH: usize = 44;

/// Draws the newest periods, oldest at the left; those that are not mature are grey.
pub(super) fn svg(periods: &[Period], label: &str, language: Language) -> String {
    let periods = &periods[periods.len().saturating_sub(DRAWN_MAX)..];
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
    let slot = (WIDTH - LEFT - 4) / periods.len().max(1);
    let each = NAME_WIDTH.div_ceil(slot);
    for (index, period) in periods.iter().enumerate() {
        let x = LEFT + index * slot;
        draw(&mut svg, period, (x, slot), language);
        // Where not all names fit, that of the newest stands there.
        if (periods.len() - 1 - index).is_multiple_of(each) {
            let (middle, below) = (x + slot / 2, BOTTOM + 18);
            put(
                &mut svg,
                format_args!(
                    "<text class=\"axis\" x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{}</text>",
                    period.label
                ),
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

fn draw(svg: &mut String, period: &Period, (x, slot): (usize, usize), language: Language) {
    let mature = period.closed == period.cases;
    let class = if mature { "period" } else { "period young" };
    let told = told(period, language);
    put(svg, format_args!("<g class=\"{class}\"><title>{told}</title>"));
    let bar = (slot * 3 / 10).clamp(4, 26);
    let middle = x + slot / 2;
    for (kind, rate, left) in [
        ("all", &period.of_all, middle - bar - 1),
        ("closed", &period.of_closed, middle + 1),
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
        if slot >= NAME_WIDTH {
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
    svg.push_str("</g>");
}

/// What is said of a period to whom points at it, and to whom cannot see it.
fn told(period: &Period, language: Language) -> String {
    let percent = |rate: &Option<Rate>| show::percent(language, rate.as_ref());
    language.say_with(
        "{period}: {cases} cases, recovered {of_all} of all, {of_closed} of closed, {maturity} closed",
        &[
            ("period", &period.name),
            ("cases", &show::number_in(language, period.cases)),
            ("of_all", &percent(&period.of_all)),
            ("of_closed", &percent(&period.of_closed)),
            ("maturity", &percent(&period.maturity)),
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
