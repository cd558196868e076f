//! Shares with their intervals as an SVG picture, one below the other, with that of the holdout behind all.

use std::fmt::Write;

use serde::Serialize;

use super::language::Language;
use super::show;
use crate::domain::report::uplift::{Estimate, Group, Uplift};

/// One bar: a share between its limits.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Bar {
    /// The group as people read it.
    pub name: String,
    /// Of how many cases whose window is over.
    pub cases: u64,
    /// Whether the share is only what happened to the group's own cases, where what would have happened cannot be told.
    pub raw: bool,
    /// The share; nothing where there is no case.
    pub share: Option<Estimate>,
}

const WIDTH: i64 = 760;
const LEFT: i64 = 190;
const RIGHT: i64 = 700;
const TOP: i64 = 8;
const ROW: i64 = 34;

/// The holdout, all that drew, and each arm: by weighting where that can be told, else by its own cases.
pub(super) fn bars(report: &Uplift, language: Language) -> Vec<Bar> {
    let bar = |group: &Group| {
        let mut arms = report.off_policy.arms.iter();
        let weighted = arms
            .find(|arm| arm.arm.as_str() == group.group)
            .and_then(|arm| arm.snips.clone());
        let is_arm = !matches!(group.group.as_str(), "held_out" | "drawn");
        Bar {
            name: match group.group.as_str() {
                "held_out" => language.say("held out (even)").to_owned(),
                "drawn" => language.say("all that drew").to_owned(),
                arm => arm.to_owned(),
            },
            cases: group.window_over.cases,
            raw: is_arm && weighted.is_none(),
            share: weighted.or_else(|| group.window_over.share.clone()),
        }
    };
    report.groups.iter().map(bar).collect()
}

/// Draws the bars; the first one is the holdout.
pub(super) fn svg(bars: &[Bar], language: Language) -> String {
    let rows = i64::try_from(bars.len()).unwrap_or(0);
    let bottom = TOP + rows * ROW;
    let (height, label) = (bottom + 24, language.say("Recovered share with its interval, by group"));
    let mut svg =
        format!("<svg class=\"chart intervals\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">");
    if let Some(share) = bars.first().and_then(|bar| bar.share.as_ref()) {
        let (low, high) = (place(share.low.parts_per_10k), place(share.high.parts_per_10k));
        let (height, width) = (bottom - TOP, (high - low).max(1));
        put(
            &mut svg,
            format_args!("<rect class=\"band\" x=\"{low}\" y=\"{TOP}\" width=\"{width}\" height=\"{height}\"/>"),
        );
    }
    for percent in [0, 25, 50, 75, 100] {
        let x = place(percent * 100);
        let below = bottom + 16;
        put(
            &mut svg,
            format_args!("<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"{TOP}\" y2=\"{bottom}\"/>"),
        );
        put(
            &mut svg,
            format_args!("<text class=\"axis\" x=\"{x}\" y=\"{below}\" text-anchor=\"middle\">{percent}%</text>"),
        );
    }
    let mut y = TOP + ROW / 2;
    for bar in bars {
        draw(&mut svg, bar, y, language);
        y += ROW;
    }
    svg.push_str("</svg>");
    svg
}

fn draw(svg: &mut String, bar: &Bar, y: i64, language: Language) {
    let class = if bar.raw { "interval raw" } else { "interval" };
    let (label, below) = (LEFT - 12, y + 4);
    put(
        svg,
        format_args!(
            "<g class=\"{class}\"><text class=\"value\" x=\"{label}\" y=\"{below}\" text-anchor=\"end\">{} ({})</text>",
            bar.name, bar.cases
        ),
    );
    if let Some(share) = &bar.share {
        let [low, middle, high] = [&share.low, &share.share, &share.high].map(|rate| place(rate.parts_per_10k));
        let (top, width, end) = (y - 5, (high - low).max(1), high + 8);
        let [at, from, to] = [&share.share, &share.low, &share.high].map(|rate| show::local(language, &rate.percent));
        let told = language.say_with(
            "{name}: {share} %, between {low} and {high}",
            &[("name", &bar.name), ("share", &at), ("low", &from), ("high", &to)],
        );
        put(svg, format_args!("<title>{told}</title>"));
        put(
            svg,
            format_args!("<rect class=\"range\" x=\"{low}\" y=\"{top}\" width=\"{width}\" height=\"10\" rx=\"3\"/>"),
        );
        put(
            svg,
            format_args!("<circle class=\"dot\" cx=\"{middle}\" cy=\"{y}\" r=\"5\"/>"),
        );
        let whole = (share.share.parts_per_10k + 50) / 100;
        put(
            svg,
            format_args!("<text class=\"value\" x=\"{end}\" y=\"{below}\">{whole}%</text>"),
        );
    } else {
        let x = LEFT + 8;
        let told = language.say("no case whose window is over");
        put(
            svg,
            format_args!("<text class=\"axis\" x=\"{x}\" y=\"{below}\">{told}</text>"),
        );
    }
    svg.push_str("</g>");
}

/// The horizontal place of a share in parts of ten thousand.
fn place(parts_per_10k: i64) -> i64 {
    LEFT + parts_per_10k * (RIGHT - LEFT) / 10_000
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("writing to a string cannot fail");
}
