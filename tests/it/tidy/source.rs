//! One Rust file, taken apart just far enough to tell code from comments, texts and tests.

/// A file, with texts of the same length in which everything that is not meant is blanked out.
pub struct Source {
    /// Path below the top of the repository, with `/`.
    pub path: String,
    /// Code alone.
    pub code: String,
    /// Code and comments, without the content of string and character literals.
    pub prose: String,
    /// Code without the items behind `#[cfg(test)]`; nothing in a file of tests.
    pub shipped: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Code,
    Comment,
    Literal,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let classes = classify(text.as_bytes());
        let code = keep(text, &classes, |class| class == Class::Code);
        let prose = keep(text, &classes, |class| class != Class::Literal);
        let shipped = if is_test(path) {
            code.replace(|c| c != '\n', " ")
        } else {
            without_tests(&code)
        };
        Self {
            path: path.to_owned(),
            code,
            prose,
            shipped,
        }
    }

    /// What `shipped` leaves out.
    pub fn test_code(&self) -> String {
        let only = |(code, shipped)| {
            if code == shipped && code != b'\n' {
                ' '
            } else {
                char::from(code)
            }
        };
        self.code.bytes().zip(self.shipped.bytes()).map(only).collect()
    }

    /// The room below `src/` that the file belongs to, such as `store` for `src/store/cases.rs`.
    pub fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split('/').next()?.trim_end_matches(".rs"))
    }
}

/// Whether the whole file is tests: by its name, which another rule ties to `#[cfg(test)]`.
fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The line, counted from 1, of byte `at`.
pub fn line_of(text: &str, at: usize) -> usize {
    1 + text[..at].matches('\n').count()
}

pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the brace opened at `open` closes, or the end of the text.
pub fn closing(code: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    code.len() - 1
}

fn keep(text: &str, classes: &[Class], wanted: impl Fn(Class) -> bool) -> String {
    let one = |(byte, class): (u8, &Class)| match byte {
        b'\n' => '\n',
        _ if !wanted(*class) => ' ',
        byte if byte.is_ascii() => char::from(byte),
        _ => '_',
    };
    text.bytes().zip(classes).map(one).collect()
}

fn classify(text: &[u8]) -> Vec<Class> {
    let mut classes = vec![Class::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let (class, end) = token(text, at);
        let end = end.clamp(at + 1, text.len());
        classes[at..end].fill(class);
        at = end;
    }
    classes
}

/// The class of what begins at `at`, and where it ends.
fn token(text: &[u8], at: usize) -> (Class, usize) {
    let rest = &text[at..];
    match rest {
        [b'/', b'/', ..] => (
            Class::Comment,
            at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        ),
        [b'/', b'*', ..] => (Class::Comment, block_comment_end(text, at)),
        [b'"', ..] => (Class::Literal, string_end(text, at)),
        [b'\'', ..] => quote(text, at),
        [first, ..] if is_word(*first) => {
            let end = at + rest.iter().take_while(|byte| is_word(**byte)).count();
            let prefixed = matches!(&text[at..end], b"r" | b"br" | b"cr");
            match raw_string_end(text, end) {
                Some(raw) if prefixed => (Class::Literal, raw),
                _ => (Class::Code, end),
            }
        }
        _ => (Class::Code, at + 1),
    }
}

fn block_comment_end(text: &[u8], at: usize) -> usize {
    let (mut depth, mut end) = (0_usize, at);
    while end < text.len() {
        match &text[end..] {
            [b'/', b'*', ..] => (depth, end) = (depth + 1, end + 2),
            [b'*', b'/', ..] => (depth, end) = (depth - 1, end + 2),
            _ => end += 1,
        }
        if depth == 0 {
            break;
        }
    }
    end
}

fn string_end(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < text.len() && text[end] != b'"' {
        end += if text[end] == b'\\' { 2 } else { 1 };
    }
    end + 1
}

/// The end of the raw string whose hashes or quote begin at `at`, where one begins.
fn raw_string_end(text: &[u8], at: usize) -> Option<usize> {
    let hashes = text[at..].iter().take_while(|byte| **byte == b'#').count();
    if text.get(at + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = at + hashes + 1;
    let found = text[body..].windows(close.len()).position(|window| window == close);
    Some(found.map_or(text.len(), |found| body + found + close.len()))
}

/// A character literal, or the tick of a lifetime.
fn quote(text: &[u8], at: usize) -> (Class, usize) {
    if text.get(at + 1) == Some(&b'\\') {
        let close = text.iter().skip(at + 3).position(|byte| *byte == b'\'');
        return (Class::Literal, close.map_or(text.len(), |close| at + 4 + close));
    }
    let width = match text.get(at + 1) {
        Some(0xf0..) => 4,
        Some(0xe0..) => 3,
        Some(0xc0..) => 2,
        _ => 1,
    };
    let close = at + 1 + width;
    if text.get(close) == Some(&b'\'') {
        (Class::Literal, close + 1)
    } else {
        (Class::Code, at + 1)
    }
}

fn without_tests(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let item = code.as_bytes()[at..]
            .iter()
            .position(|byte| matches!(byte, b'{' | b';'))
            .map(|end| at + end);
        let end = match item {
            Some(open) if bytes[open] == b'{' => closing(code.as_bytes(), open),
            Some(semicolon) => semicolon,
            None => at,
        };
        bytes[at..=end]
            .iter_mut()
            .filter(|byte| **byte != b'\n')
            .for_each(|byte| *byte = b' ');
    }
    String::from_utf8(bytes).expect("the code was made of ASCII")
}
