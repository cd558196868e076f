//! The layers laid over each other: for each key the value that won and where it was set.

use std::collections::BTreeMap;
use std::path::Path;

use super::fault::{Fault, Origin};
use super::{file, keys};

/// What begins the name of every environment variable that is ours.
const PREFIX: &str = "RECOUP__";

/// A value as it was set, not yet read.
struct Entry {
    text: String,
    by_file: bool,
    origin: Origin,
}

impl Entry {
    /// The value itself, from the file it names where it names one, without the space around it.
    fn text(&self) -> Result<String, String> {
        if self.by_file {
            secret_of(&self.text)
        } else {
            Ok(self.text.trim().to_owned())
        }
    }
}

/// The values of all layers, and the faults found so far.
#[derive(Default)]
pub(super) struct Values {
    entries: BTreeMap<&'static str, Entry>,
    faults: Vec<Fault>,
}

impl Values {
    /// Sets `path` in the layer that `origin` belongs to, over the layers below; `text` is `None` for a wrong type.
    pub(super) fn set(&mut self, path: &str, text: Option<String>, origin: Origin) {
        let Some(named) = keys::find(path) else {
            self.push(keys::unknown(path, origin));
            return;
        };
        let fault = |problem: &str, origin| Fault {
            key: path.to_owned(),
            origin,
            problem: problem.to_owned(),
        };
        let Some(text) = text else {
            let form = if named.key.switch {
                "write true or false"
            } else if named.key.number {
                "write a whole number"
            } else {
                "write one text in quotes"
            };
            self.push(fault(&format!("has the wrong type; {form}"), origin));
            return;
        };
        if text.trim().is_empty() {
            self.push(fault("is empty; give it a value or leave it out", origin));
            return;
        }
        let below = self.entries.get(named.key.path);
        if let Some(other) = below.filter(|below| same_layer(&below.origin, &origin)) {
            let problem = format!("is set twice, also at {}; keep one of the two", other.origin);
            self.push(fault(&problem, origin));
            return;
        }
        let entry = Entry {
            text,
            by_file: named.by_file,
            origin,
        };
        self.entries.insert(named.key.path, entry);
    }

    /// Adds the environment: of `env`, the variables that begin with our prefix.
    pub(super) fn add_env(&mut self, env: impl Iterator<Item = (String, String)>) {
        let mut ours: Vec<(String, String)> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        ours.sort();
        for (name, text) in ours {
            let path = name[PREFIX.len()..].replace("__", ".").to_lowercase();
            self.set(&path, Some(text), Origin::Env(name));
        }
    }

    /// The value of `key` as `parse` reads it; its error says what is wrong and how to mend it.
    /// `None` where it is not set or faulty; a fault is kept.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match self.entries.get(key)?.text().and_then(|text| parse(&text)) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.fault(key, &problem);
                None
            }
        }
    }

    /// The same for a key that has a default, so that one without a value is a fault.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.is_set(key) {
            self.fault(key, "has no value; set it");
        }
        self.optional(key, parse)
    }

    /// Whether any layer sets `key`, be it well or badly.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.entries.contains_key(key) || self.faults.iter().any(|fault| names(&fault.key, key))
    }

    /// Whether `key` has a value of which `is` holds; a value that cannot be read has nothing.
    pub(super) fn holds(&self, key: &str, is: impl FnOnce(&str) -> bool) -> bool {
        let text = self.entries.get(key).and_then(|entry| entry.text().ok());
        text.is_some_and(|text| is(&text))
    }

    /// Keeps a fault of `key`, wherever that was set.
    pub(super) fn fault(&mut self, key: &'static str, problem: &str) {
        let entry = self.entries.get(key);
        let by_file = entry.is_some_and(|entry| entry.by_file);
        let fault = Fault {
            key: if by_file { format!("{key}_file") } else { key.to_owned() },
            origin: entry.map_or(Origin::Default, |entry| entry.origin.clone()),
            problem: problem.to_owned(),
        };
        self.push(fault);
    }

    pub(super) fn push(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }
}

/// Whether a fault's key is `key`, in either form.
fn names(fault_key: &str, key: &str) -> bool {
    fault_key
        .strip_prefix(key)
        .is_some_and(|rest| rest.is_empty() || rest == "_file")
}

fn same_layer(one: &Origin, other: &Origin) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn secret_of(path: &str) -> Result<String, String> {
    let text = file::text_of(Path::new(path.trim()))?;
    if text.trim().is_empty() {
        return Err("names an empty file; write the secret into it or leave the key out".to_owned());
    }
    Ok(text.trim().to_owned())
}

/// Reads a key that is on or off.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| "is neither true nor false; write one of them".to_owned())
}
