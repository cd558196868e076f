//! The new version of the campaign that the demo tries on half of the customers, so that there is something to compare.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::domain::campaign::EMBEDDED;

/// What the embedded campaign says, and what its new version says instead: it writes after two hours where the other one waits for a
/// day in which a silent retry may succeed.
const CHANGES: [(&str, &str); 2] = [
    ("version = 2\n", "version = 3\nsplit = { percent = 50, against = 2 }\n"),
    (
        "dispositions = [\"retry\"]\nwhen = { after_days = { days = 1, at = \"10:00\" } }",
        "dispositions = [\"retry\"]\nwhen = { after_hours = 2 }",
    ),
];

/// Writes both versions into a folder of their own, and says which that is.
pub(super) fn write(folder: &Path) -> anyhow::Result<PathBuf> {
    let dir = folder.join("campaigns");
    let write = || {
        std::fs::create_dir(&dir)?;
        std::fs::write(dir.join("default.toml"), EMBEDDED)?;
        std::fs::write(dir.join("default-new.toml"), new_version())
    };
    write().context("the temporary folder cannot be written to")?;
    Ok(dir)
}

fn new_version() -> String {
    let old = EMBEDDED.to_owned();
    CHANGES
        .into_iter()
        .fold(old, |text, (before, after)| text.replace(before, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::campaign::Campaign;

    #[test]
    fn the_new_version_is_good_and_differs_in_what_it_says() {
        let [old, new] = [EMBEDDED.to_owned(), new_version()].map(|text| Campaign::parse(&text).unwrap());
        assert_eq!(new.version, old.version + 1);
        assert_eq!(new.split.map(|split| split.against), Some(old.version));
        assert!(Campaign::review(&new_version(), &[old]).is_ok());
        for (before, after) in CHANGES {
            assert_eq!(EMBEDDED.matches(before).count(), 1, "{before}");
            assert!(new_version().contains(after), "{after}");
        }
    }
}
