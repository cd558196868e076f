//! The share of cases not recovered by age, as an SVG picture: a falling stair with its band, days below.

use std::fmt::Write;

use super::language::Language;
use crate::domain::report::survival::Step;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = 748.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 202.0;
/// The fewest days that are drawn.
const DAYS_MIN: f64 = 7.0;

/// Draws the curve up to the oldest case.
pub(super) fn svg(steps: &[Step], language: Language) -> String {
    let last = steps.last().map_or(0.0, hours);
    let days = (last / 24.0).ceil().max(DAYS_MIN);
    let x = |hours: f64| LEFT + (RIGHT - LEFT) * (hours / 24.0 / days);
    let y = |share: f64| BOTTOM - (BOTTOM - TOP) * share;
    let label = language.say("Share of cases not recovered, by days since the failure");
    let mut svg =
        format!("<svg class=\"chart curve\" viewBox=\"0 0 {WIDTH} 236\" role=\"img\" aria-label=\"{label}\">");
    for percent in [0, 25, 50, 75, 100] {
        let at = y(f64::from(percent) / 100.0);
        put(
            &mut svg,
            format_args!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"),
        );
        let (beside, below) = (LEFT - 8.0, at + 4.0);
        put(
            &mut svg,
            format_args!("<text class=\"axis\" x=\"{beside}\" y=\"{below:.1}\" text-anchor=\"end\">{percent}%</text>"),
        );
    }
    let apart = (days / 8.0).ceil();
    let mut day = 0.0;
    while day <= days {
        let at = x(day * 24.0);
        put(
            &mut svg,
            format_args!("<text class=\"axis\" x=\"{at:.1}\" y=\"222\" text-anchor=\"middle\">{day}</text>"),
        );
        day += apart;
    }
    put(
        &mut svg,
        format_args!("<path class=\"between\" d=\"{}\"/>", around(steps, x, y, days)),
    );
    let mut line = format!("M{:.1} {:.1}", x(0.0), y(1.0));
    for step in steps {
        put(
            &mut line,
            format_args!("H{:.1}V{:.1}", x(hours(step)), y(step.unrecovered)),
        );
    }
    put(&mut line, format_args!("H{RIGHT}"));
    put(&mut svg, format_args!("<path class=\"stair\" d=\"{line}\"/></svg>"));
    svg
}

/// The outline of the band: along its upper ends, and back along its lower ones.
fn around(steps: &[Step], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64, days: f64) -> String {
    let end = x(days * 24.0);
    let ends: Vec<(f64, f64, f64)> = steps
        .iter()
        .map(|step| {
            let [low, high] = [step.low, step.high].map(|at| y(at.unwrap_or(step.unrecovered)));
            (x(hours(step)), low, high)
        })
        .collect();
    let mut path = format!("M{:.1} {:.1}", x(0.0), y(1.0));
    for (at, _, high) in &ends {
        put(&mut path, format_args!("H{at:.1}V{high:.1}"));
    }
    put(&mut path, format_args!("H{end:.1}"));
    for (at, low, _) in ends.iter().rev() {
        put(&mut path, format_args!("V{low:.1}H{at:.1}"));
    }
    put(&mut path, format_args!("V{:.1}Z", y(1.0)));
    path
}

#[expect(clippy::cast_precision_loss, reason = "a picture, and no case is that old")]
const fn hours(step: &Step) -> f64 {
    step.hours as f64
}

fn put(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("writing to a string cannot fail");
}
