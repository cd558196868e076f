//! `[log]`: how logs are written.

use super::values::Values;

/// How logs are written, always to stderr.
#[derive(Clone, Debug)]
pub struct Log {
    /// The form asked for; without one, the terminal decides.
    pub format: Option<Format>,
}

/// The two forms of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

impl Log {
    /// The form to write: `text` on a terminal, else `json`, unless one was asked for.
    pub fn form(&self, on_terminal: bool) -> Format {
        self.format
            .unwrap_or(if on_terminal { Format::Text } else { Format::Json })
    }
}

pub(super) fn read(values: &mut Values) -> Log {
    let format = values.optional("log.format", |text| match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err("is neither `text` nor `json`; write one of them".to_owned()),
    });
    Log { format }
}
