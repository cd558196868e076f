//! Shares as lying bars in an SVG picture, one below the other, drawn with whole numbers. Their names are words of ours: nothing in
//! them needs to be escaped.

use std::fmt::Write;

use crate::domain::report::Rate;

/// One bar.
pub(super) struct Bar {
    /// What it is.
    pub name: String,
    /// How long it is.
    pub share: Option<Rate>,
    /// The part of it that is drawn darker, as a share of the same whole.
    pub inner: Option<Rate>,
    /// What stands beside it.
    pub told: String,
}

const WIDTH: i64 = 760;
const LEFT: i64 = 170;
/// The room for what stands beside the longest bar.
const BESIDE: i64 = 190;
const APART: i64 = 30;
const THICK: i64 = 18;

/// Draws them; `label` says what they are to who cannot see them.
pub(super) fn svg(label: &str, bars: &[Bar]) -> String {
    let height = i64::try_from(bars.len()).unwrap_or(0) * APART + 6;
    let mut svg =
        format!("<svg class=\"chart bars\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">");
    let mut top = 4;
    for bar in bars {
        draw(&mut svg, bar, top);
        top += APART;
    }
    svg.push_str("</svg>");
    svg
}

fn draw(svg: &mut String, bar: &Bar, top: i64) {
    let Bar { name, told, .. } = bar;
    let long = |rate: &Option<Rate>| {
        let parts = rate.as_ref().map_or(0, |rate| rate.parts_per_10k.clamp(0, 10_000));
        parts * (WIDTH - LEFT - BESIDE) / 10_000
    };
    let (outer, inner) = (long(&bar.share), long(&bar.inner));
    let (text, beside, before) = (top + THICK - 5, LEFT + outer + 8, LEFT - 10);
    put(
        svg,
        format_args!(
            "<g><title>{name}: {told}</title><text class=\"value\" x=\"{before}\" y=\"{text}\" text-anchor=\"end\">{name}</text>"
        ),
    );
    for (class, width) in [("closed", outer), ("all", inner)] {
        if width > 0 {
            put(
                svg,
                format_args!(
                    "<rect class=\"bar {class}\" x=\"{LEFT}\" y=\"{top}\" width=\"{width}\" height=\"{THICK}\" rx=\"2\"/>"
                ),
            );
        }
    }
    put(svg, format_args!("<text x=\"{beside}\" y=\"{text}\">{told}</text></g>"));
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("writing to a string cannot fail");
}
