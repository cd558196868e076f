//! The TOML layer: the embedded defaults and the operator's file.

use std::fs;
use std::io::Read;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Origin};
use super::keys;
use super::values::Values;

/// The longest file that is read, in bytes: a configuration or a secret, never more.
const BYTES_MAX: u64 = 256 * 1024;

/// Reads a whole text file of bounded length. The error says why not, without the path.
pub(super) fn text_of(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}; mend the path or its permissions");
    let mut file = fs::File::open(path).map_err(unreadable)?.take(BYTES_MAX + 1);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!(
            "names a file of more than {BYTES_MAX} bytes; name the right one"
        ));
    }
    String::from_utf8(bytes).map_err(|_| "names a file that is not UTF-8 text; name the right one".to_owned())
}

/// Adds the file at `path`.
pub(super) fn read(path: &Path, values: &mut Values) {
    match text_of(path) {
        Ok(text) => add(
            &text,
            &|line| Origin::File {
                path: path.to_owned(),
                line,
            },
            values,
        ),
        Err(problem) => values.push(Fault {
            key: path.display().to_string(),
            origin: Origin::Default,
            problem,
        }),
    }
}

/// Adds a TOML text; `origin` names a line of it.
pub(super) fn add(text: &str, origin: &dyn Fn(usize) -> Origin, values: &mut Values) {
    let line = |at: usize| origin(1 + text.get(..at).unwrap_or(text).matches('\n').count());
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        // Only the parser's message: its full form would quote the line, and with it perhaps a secret.
        let problem = format!("is not TOML: {}; mend this line", error.message());
        let origin = line(error.span().map_or(0, |span| span.start));
        values.push(Fault {
            key: "syntax".to_owned(),
            origin,
            problem,
        });
    }
    for (section, content) in table.get_ref() {
        let section_at = line(section.span().start);
        let DeValue::Table(content) = content.get_ref() else {
            let problem = "stands outside a section; move it below its [section]".to_owned();
            values.push(Fault {
                key: section.get_ref().to_string(),
                origin: section_at,
                problem,
            });
            continue;
        };
        if content.is_empty()
            && !keys::KEYS
                .iter()
                .any(|key| key.path.starts_with(&format!("{}.", section.get_ref())))
        {
            values.push(keys::unknown(section.get_ref(), section_at));
        }
        for (name, value) in content {
            let path = format!("{}.{}", section.get_ref(), name.get_ref());
            values.set(
                &path,
                plain(value.get_ref(), keys::find(&path)),
                line(name.span().start),
            );
        }
    }
}

/// The text of a value; `None` for the types that its key does not take.
fn plain(value: &DeValue<'_>, of: Option<keys::Named>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(switch) => Some(switch.to_string()),
        DeValue::Datetime(instant) => Some(instant.to_string()),
        DeValue::Integer(number) if of.is_some_and(|of| of.key.number) => Some(number.to_string()),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
