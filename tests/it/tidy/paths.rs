//! Every path in a piece of code, with the groups of `use` written out.

use super::source::{is_word, line_of};

/// A path such as `crate::store::cases`, and the line it stands on.
pub struct Named {
    pub line: usize,
    pub names: Vec<String>,
}

/// All paths of two names and more.
pub fn paths(code: &str) -> Vec<Named> {
    let mut reader = Reader {
        code,
        at: 0,
        found: Vec::new(),
    };
    while reader.at < code.len() {
        if is_word(code.as_bytes()[reader.at]) {
            reader.path(&[]);
        } else {
            reader.at += 1;
        }
    }
    reader.found
}

struct Reader<'c> {
    code: &'c str,
    at: usize,
    found: Vec<Named>,
}

impl Reader<'_> {
    /// Reads a path that continues `stem`: names joined by `::`, at last perhaps a group.
    fn path(&mut self, stem: &[String]) {
        let line = line_of(self.code, self.at);
        let mut names = stem.to_vec();
        loop {
            let word = self.word();
            if !word.is_empty() {
                names.push(word);
            }
            if !self.skip("::") {
                break;
            }
            self.space();
            if self.skip("{") {
                self.group(&names);
                return;
            }
            if !self.code.as_bytes().get(self.at).is_some_and(|byte| is_word(*byte)) {
                break;
            }
        }
        if names.len() > 1 {
            self.found.push(Named { line, names });
        }
    }

    fn group(&mut self, stem: &[String]) {
        loop {
            self.space();
            match self.code.as_bytes().get(self.at) {
                None => return,
                Some(b'}') => {
                    self.at += 1;
                    return;
                }
                Some(byte) if is_word(*byte) => {
                    self.path(stem);
                    self.rename();
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// Passes over `as other`, which names nothing of the path.
    fn rename(&mut self) {
        self.space();
        if self.skip("as ") {
            self.space();
            self.word();
        }
    }

    fn word(&mut self) -> String {
        let rest = &self.code[self.at..];
        let length = rest.bytes().take_while(|byte| is_word(*byte)).count();
        self.at += length;
        rest[..length].to_owned()
    }

    fn space(&mut self) {
        let rest = &self.code[self.at..];
        self.at += rest.bytes().take_while(u8::is_ascii_whitespace).count();
    }

    fn skip(&mut self, text: &str) -> bool {
        let there = self.code[self.at..].starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }
}
