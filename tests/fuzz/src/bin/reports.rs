//! Reports of mail servers: whatever arrives is read without a panic, nothing is found that does not stand there, and no message has a
//! fate that no machine told of.

#![no_main]

use libfuzzer_sys::fuzz_target;
use recoup::mailer::report::{Fate, read};
use recoup_fuzz::parts::text;

/// The most recipients that one report tells of.
const REPORTS_MAX: usize = 20;
/// The longest text that is taken from one, in characters.
const TEXT_CHARS_MAX: usize = 320;
/// What may have made other letters of those that arrived.
const ENCODINGS: [&str; 4] = ["base64", "quoted-printable", "=?", "charset"];

fuzz_target!(|input: &[u8]| {
    let reports = read(input);
    assert!(reports.len() <= REPORTS_MAX);
    let lower = text(input).to_lowercase();
    let is_plain = input.is_ascii() && !ENCODINGS.iter().any(|word| lower.contains(word));
    for report in &reports {
        let of_headers = report.return_paths.iter().chain(&report.message_id);
        for found in of_headers.chain(&report.recipient) {
            assert!(found.chars().count() <= TEXT_CHARS_MAX, "{found:?}");
        }
        // What headers hold is written in ways of its own: comments, quotes, escapes.
        for found in report.recipient.iter().chain(&report.detail) {
            // A line that was folded is joined by one blank; each word of it stood there.
            let there = found
                .split_whitespace()
                .all(|word| lower.contains(&word.to_lowercase()));
            assert!(!is_plain || there, "{found:?} does not stand in {lower:?}");
        }
        let words: &[&str] = match report.fate {
            Fate::Complained => &["feedback-type"],
            Fate::Bounced | Fate::Refused | Fate::Delayed | Fate::Delivered => &["action"],
        };
        assert!(
            !is_plain || words.iter().all(|word| lower.contains(word)),
            "{report:?} of {lower:?}"
        );
    }
    assert_eq!(read(input), reports, "the same says the same");
});
