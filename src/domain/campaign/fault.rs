//! What is wrong with a campaign, and where.

use super::place::Place;

/// Something wrong in a campaign's file, with where and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where in the file, as far as it can be told.
    pub at: Option<Place>,
    /// What is wrong, and how to mend it.
    pub what: String,
}

impl Fault {
    /// `file:line:column: what`.
    pub fn in_file(&self, path: &std::path::Path) -> String {
        match self.at {
            Some(at) => format!("{}:{at}: {}", path.display(), self.what),
            None => format!("{}: {}", path.display(), self.what),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some(at) => write!(f, "{at}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// A campaign that cannot be used, with all its faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCampaign(pub Vec<Fault>);

impl std::error::Error for BadCampaign {}

impl std::fmt::Display for BadCampaign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let faults: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&faults.join("\n"))
    }
}

/// Something wrong in a campaign, by the path of the value.
pub(super) struct Flaw {
    path: String,
    pub(super) what: String,
}

impl Flaw {
    pub(super) fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            what: what.into(),
        }
    }

    pub(super) fn placed(self, text: &str) -> Fault {
        Fault {
            at: Place::of_path(text, &self.path),
            what: self.what,
        }
    }
}
