//! Cleaning of texts that come from outside before they stand in a header or a body.

/// The most characters kept of a name, a plan or any other text from outside.
pub(super) const TEXT_CHARS_MAX: usize = 128;

/// `text` as one line of at most `chars_max` characters: control characters become a space, invisible characters that
/// reorder or hide text are dropped, blanks are joined. Nothing where nothing is left.
pub(super) fn one_line(text: &str, chars_max: usize) -> Option<String> {
    let mut line = String::new();
    for character in text.chars().filter(|c| !is_invisible(*c)).map(blank_for_control) {
        if character == ' ' && (line.is_empty() || line.ends_with(' ')) {
            continue;
        }
        line.push(character);
    }
    let cut: String = line.chars().take(chars_max).collect();
    let cut = cut.trim();
    (!cut.is_empty()).then(|| cut.to_owned())
}

fn blank_for_control(character: char) -> char {
    let breaks_line = matches!(character, '\u{2028}' | '\u{2029}');
    if character.is_control() || breaks_line {
        ' '
    } else {
        character
    }
}

/// Marks of writing direction, zero-width blanks and annotation marks. The zero-width joiner stays: emoji need it.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_or_reorders_a_line_goes() {
        let clean = |text: &str| one_line(text, TEXT_CHARS_MAX);
        assert_eq!(clean("Bob\r\nBcc: x\0").as_deref(), Some("Bob Bcc: x"));
        assert_eq!(clean("\u{202e}live\u{2066}").as_deref(), Some("live"));
        assert_eq!(clean("a\u{2028}b").as_deref(), Some("a b"));
        assert_eq!(clean("👩\u{200d}💻").as_deref(), Some("👩\u{200d}💻"));
        assert_eq!(clean(" \r\n\0\u{202e}"), None);
        assert_eq!(clean(&"x".repeat(10_000)).map(|x| x.len()), Some(128));
    }
}
