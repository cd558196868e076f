//! The pictures of the digest. They hold shapes and no letter, so that no font is needed and no language is drawn: what they show
//! stands in words beside them, and in their alternative texts. Most programs for mail show no SVG, so they leave as PNG.

use std::fmt::Write;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::domain::report::digest::{OfWeek, Split};

/// The colour of what failed.
pub(super) const FAILED: &str = "#c2cad6";
/// The colour of what was recovered.
pub(super) const RECOVERED: &str = "#1b9e77";
/// The colour of what is open.
pub(super) const OPEN: &str = "#7da7e0";
/// The colour of what ended without money.
pub(super) const EXHAUSTED: &str = "#d95f02";
/// The colour of what was stopped.
pub(super) const STOPPED: &str = "#9aa5b4";

/// The width of a picture in a mail, in pixels; it is drawn at twice that, for screens with twice as many.
const WIDTH: i64 = 496;
const HEIGHT: i64 = 140;
/// How high the bar of the split is.
const BAR_HEIGHT: i64 = 24;
const SCALE: u32 = 2;

/// Two bars a week, one in front of the other: what failed, and what of it was recovered. Nothing where nothing failed.
pub(super) fn weeks(weeks: &[OfWeek]) -> Option<Vec<u8>> {
    let amounts = weeks.iter().flat_map(|week| [week.all, week.recovered]);
    let most = amounts.map(|sum| sum.amount_minor).max().filter(|most| *most > 0)?;
    let count = i64::try_from(weeks.len()).ok()?;
    let slot = WIDTH / count;
    let left = (WIDTH - slot * count) / 2;
    let mut svg = begin(HEIGHT);
    for (nth, week) in (0..).zip(weeks) {
        let x = left + nth * slot + slot / 6;
        for (sum, color) in [(week.all, FAILED), (week.recovered, RECOVERED)] {
            let height = part(sum.amount_minor, most, HEIGHT - 2);
            if height > 0 {
                let y = HEIGHT - 2 - height;
                rect(&mut svg, [x, y, slot * 2 / 3, height], color);
            }
        }
    }
    rect(&mut svg, [0, HEIGHT - 1, WIDTH, 1], STOPPED);
    png(svg, HEIGHT)
}

/// One bar of all cases, split by how they stood. Nothing where there are none.
pub(super) fn split(split: Split) -> Option<Vec<u8>> {
    let parts = [
        (split.recovered, RECOVERED),
        (split.open, OPEN),
        (split.exhausted, EXHAUSTED),
        (split.stopped, STOPPED),
    ];
    let parts = parts.map(|(count, color)| (i64::try_from(count).unwrap_or(i64::MAX), color));
    let all = parts.iter().fold(0_i64, |all, (count, _)| all.saturating_add(*count));
    if all == 0 {
        return None;
    }
    let mut svg = begin(BAR_HEIGHT);
    let mut before = 0_i64;
    for (count, color) in parts {
        // Each begins where the one before ends, so that the rounding leaves no gap.
        let x = part(before, all, WIDTH);
        before = before.saturating_add(count);
        let width = part(before, all, WIDTH) - x;
        if count > 0 {
            rect(&mut svg, [x, 0, width, BAR_HEIGHT], color);
        }
    }
    png(svg, BAR_HEIGHT)
}

/// The part of `length` that `amount` has of `whole`; at least 1 of what is not nothing.
fn part(amount: i64, whole: i64, length: i64) -> i64 {
    let exact = i128::from(amount.max(0)) * i128::from(length) / i128::from(whole);
    let exact = i64::try_from(exact).expect("a part is no longer than the whole");
    exact.max(i64::from(amount > 0)).min(length)
}

fn begin(height: i64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">"
    )
}

fn rect(svg: &mut String, [x, y, width, height]: [i64; 4], color: &str) {
    write!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{color}\"/>"
    )
    .expect("writing to a string cannot fail");
}

fn png(mut svg: String, height: i64) -> Option<Vec<u8>> {
    svg.push_str("</svg>");
    let tree = Tree::from_str(&svg, &Options::default()).ok()?;
    let side = |length: i64| u32::try_from(length).ok().map(|length| length * SCALE);
    let mut canvas = Pixmap::new(side(WIDTH)?, side(height)?)?;
    let scale = f32::from(u16::try_from(SCALE).ok()?);
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut canvas.as_mut());
    canvas.encode_png().ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::domain::report::Sum;

    fn week(failed_minor: i64, recovered_minor: i64) -> OfWeek {
        let sum = |amount_minor| Sum { cases: 1, amount_minor };
        OfWeek {
            monday: date(2026, 3, 2),
            all: sum(failed_minor),
            recovered: sum(recovered_minor),
        }
    }

    /// The colour of a picture at a place in pixels of the mail.
    fn at(png: &[u8], x: u32, y: u32) -> String {
        let picture = Pixmap::decode_png(png).unwrap();
        let pixel = picture.pixel(x * SCALE, y * SCALE).unwrap().demultiply();
        if pixel.alpha() == 0 {
            return "none".to_owned();
        }
        format!("#{:02x}{:02x}{:02x}", pixel.red(), pixel.green(), pixel.blue())
    }

    #[test]
    fn bars_are_as_high_as_their_money() {
        let picture = weeks(&[week(1_000, 500), week(250, 0)]).unwrap();
        let (first, second) = (100, 350);
        assert_eq!(at(&picture, first, 5), FAILED, "the tallest reaches the top");
        assert_eq!(at(&picture, first, 60), FAILED);
        assert_eq!(at(&picture, first, 80), RECOVERED);
        assert_eq!(at(&picture, second, 60), "none");
        assert_eq!(at(&picture, second, 120), FAILED);
        assert!(weeks(&[week(0, 0)]).is_none());
        assert!(weeks(&[week(i64::MAX, i64::MAX)]).is_some());
    }

    #[test]
    fn the_split_is_cut_where_the_cases_are() {
        let cases = Split {
            recovered: 2,
            open: 1,
            exhausted: 0,
            stopped: 1,
        };
        let picture = split(cases).unwrap();
        let seen = [10, 240, 260, 360, 380, 490].map(|x| at(&picture, x, 10));
        assert_eq!(seen, [RECOVERED, RECOVERED, OPEN, OPEN, STOPPED, STOPPED]);
        assert!(split(Split::default()).is_none());
    }
}
