//! Files and functions stay short enough to read in one go.

use super::Breach;
use super::source::{Source, closing, is_word, line_of};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

pub fn check(source: &Source) -> Vec<Breach> {
    let lines = source.code.lines().count();
    let too_long = (lines > FILE_LINES_MAX).then(|| {
        source.breach(
            lines,
            &format!("the file has {lines} lines, more than {FILE_LINES_MAX}"),
        )
    });
    let functions = functions(&source.code)
        .into_iter()
        .filter(|(_, lines)| *lines > FUNCTION_LINES_MAX)
        .map(|(at, lines)| {
            source.breach(
                at,
                &format!("the function has {lines} lines, more than {FUNCTION_LINES_MAX}"),
            )
        });
    too_long.into_iter().chain(functions).collect()
}

/// The first line of every function with a body, and its number of lines from `fn` to the closing brace.
pub fn functions(code: &str) -> Vec<(usize, usize)> {
    let bytes = code.as_bytes();
    let starts = code
        .match_indices("fn ")
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || !is_word(bytes[at - 1]));
    starts
        .filter_map(|at| {
            let end = closing(bytes, body(bytes, at)?);
            let first = line_of(code, at);
            Some((first, line_of(code, end) + 1 - first))
        })
        .collect()
}

/// Where the body of the function at `at` opens; a `;` outside brackets before it ends a declaration without one.
fn body(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}
