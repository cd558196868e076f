//! `[campaigns]`: where campaigns come from.

use std::path::PathBuf;

use super::values::Values;

/// Where campaigns come from.
#[derive(Clone, Debug)]
pub struct Campaigns {
    /// A folder of `*.toml`; without it, the embedded default campaign.
    pub dir: Option<PathBuf>,
}

pub(super) fn read(values: &mut Values) -> Campaigns {
    let dir = values.optional("campaigns.dir", |text| {
        let dir = PathBuf::from(text);
        if dir.is_dir() {
            Ok(dir)
        } else {
            Err("is not a folder that can be read; mend the path".to_owned())
        }
    });
    Campaigns { dir }
}
