//! How messages and pages for customers look.

use serde::{Deserialize, Serialize};

/// The colour of the button where none is configured.
pub const COLOR: &str = "#1f5fd6";

/// How a message looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// The picture above the message; without it the name of the company stands there.
    pub logo_url: Option<String>,
    /// The colour of the button, `#rrggbb`.
    pub color: Option<String>,
    /// The postal address below the message.
    pub address: Option<String>,
}

/// Whether a text is `#rrggbb`.
pub fn is_color(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// White or nearly black, whichever stands out more from the colour (contrast as WCAG 2.2 defines it).
pub fn text_on(color: &str) -> &'static str {
    let part = |nth: usize| {
        let digits = color.get(1 + 2 * nth..3 + 2 * nth).unwrap_or("00");
        let share = f64::from(u8::from_str_radix(digits, 16).unwrap_or(0)) / 255.0;
        if share <= 0.04045 {
            share / 12.92
        } else {
            ((share + 0.055) / 1.055).powf(2.4)
        }
    };
    let light = 0.2126 * part(0) + 0.7152 * part(1) + 0.0722 * part(2);
    let contrast_of_white = 1.05 / (light + 0.05);
    if contrast_of_white >= 4.5 { "#ffffff" } else { "#14181f" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_on_a_button_can_be_read() {
        assert_eq!(text_on("#1f5fd6"), "#ffffff");
        assert_eq!(text_on("#000000"), "#ffffff");
        assert_eq!(text_on("#ffd400"), "#14181f");
        assert_eq!(text_on("#ffffff"), "#14181f");
    }

    #[test]
    fn a_colour_is_six_digits() {
        assert!(is_color("#1f5fd6") && is_color("#ABCDEF"));
        for bad in ["", "#", "1f5fd6", "#1f5fd", "#1f5fd6;", "#1f5fdg", "red"] {
            assert!(!is_color(bad), "{bad}");
        }
    }
}
