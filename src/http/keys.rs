//! API keys: `rcp_<32 hex digits>_<64 hex digits>`, a public id and a secret of 256 bits.
//!
//! Only the secret's SHA-256 is kept. A key is random, so a slow hash would protect nothing and cost each request.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::ids::KeyId;
use crate::domain::role::Role;
use crate::store::keys::KeyRow;

/// What every key begins with, so that scanners for leaked secrets can tell it.
const PREFIX: &str = "rcp_";
/// What the text of a [`KeyId`] begins with.
const ID_PREFIX: &str = "key_";
/// How many hexadecimal digits the public part has.
const ID_CHARS: usize = 32;
/// How many hexadecimal digits the secret part has.
const SECRET_CHARS: usize = 64;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// Three times 128 bits of entropy: the public id and the secret.
#[derive(Clone, Copy)]
pub struct Entropy(pub [u128; 3]);

impl From<(u128, u128, u128)> for Entropy {
    fn from((one, two, three): (u128, u128, u128)) -> Self {
        Self([one, two, three])
    }
}

/// Makes a key: the row to store, and the text that is shown once.
pub fn mint(name: &str, role: Role, now: Timestamp, entropy: Entropy) -> (KeyRow, SecretString) {
    let Entropy([public, high, low]) = entropy;
    let id = KeyId::new(now.as_millisecond(), public);
    let secret = format!("{high:032x}{low:032x}");
    let row = KeyRow {
        id: id.clone(),
        name: name.to_owned(),
        role,
        secret_hash: digest(secret.as_bytes()),
        created_at: now,
        revoked_at: None,
    };
    let public = id.as_str().trim_start_matches(ID_PREFIX);
    (row, SecretString::from(format!("{PREFIX}{public}_{secret}")))
}

/// A presented key taken apart.
pub(crate) struct Presented {
    /// The id to look up.
    pub id: KeyId,
    /// The digest of the secret part.
    pub digest: Digest,
}

/// Takes a presented text apart. A text of another form gives an id that no key has, so that it costs the same work.
pub(crate) fn presented(text: &str) -> Presented {
    let parts = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
    let hexadecimal = |part: &str, chars| part.len() == chars && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    match parts {
        Some((id, secret)) if hexadecimal(id, ID_CHARS) && hexadecimal(secret, SECRET_CHARS) => Presented {
            id: KeyId::from(format!("{ID_PREFIX}{id}")),
            digest: digest(secret.as_bytes()),
        },
        _ => Presented {
            id: KeyId::from(format!("{ID_PREFIX}none")),
            digest: digest(text.as_bytes()),
        },
    }
}

/// The digest of a whole secret text.
pub(crate) fn digest_of(secret: &SecretString) -> Digest {
    digest(secret.expose_secret().as_bytes())
}

/// The digest of some bytes.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Compares two digests in constant time.
pub(crate) fn equal(one: &Digest, other: &Digest) -> bool {
    one.ct_eq(other).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_key_is_recognized_and_an_altered_one_is_not() {
        let (row, text) = mint("ci", Role::Viewer, Timestamp::UNIX_EPOCH, Entropy([1, 2, 3]));
        let text = text.expose_secret();
        assert_eq!(text.len(), 4 + 32 + 1 + 64);
        let seen = presented(text);
        assert!(seen.id == row.id && equal(&seen.digest, &row.secret_hash));
        let altered = format!("{}0", &text[..text.len() - 1]);
        assert!(!equal(&presented(&altered).digest, &row.secret_hash));
        for odd in ["", "rcp_", "rcp__", "rcp_x_y", &text[..100], &format!("{text}0")] {
            assert_eq!(presented(odd).id.as_str(), "key_none", "{odd}");
        }
    }
}
