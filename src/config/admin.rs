//! `[admin]`: access from the start.

use secrecy::SecretString;

use super::stripe::token;
use super::values::Values;

/// The shortest bootstrap key, in characters.
const BOOTSTRAP_KEY_CHARS_MIN: usize = 16;

/// Access from the start.
#[derive(Clone, Debug)]
pub struct Admin {
    /// An admin API key that exists from the start.
    pub bootstrap_key: Option<SecretString>,
}

pub(super) fn read(values: &mut Values) -> Admin {
    let bootstrap_key = values.optional("admin.bootstrap_key", |text| {
        if text.chars().count() < BOOTSTRAP_KEY_CHARS_MIN {
            return Err(format!(
                "is shorter than {BOOTSTRAP_KEY_CHARS_MIN} characters; take a long random one"
            ));
        }
        token(text)
    });
    Admin { bootstrap_key }
}
