//! How an entry of the audit log is bound to the one before. What is hashed here is stored: it must never change.

use sha2::{Digest, Sha256};

/// What the first entry is bound to.
pub const START: [u8; 32] = [0; 32];

/// An entry as it is hashed.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// Its id.
    pub id: &'a str,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// Who.
    pub actor: &'a str,
    /// What.
    pub action: &'a str,
    /// To what.
    pub object: &'a str,
    /// The remark.
    pub comment: Option<&'a str>,
}

impl Link<'_> {
    /// SHA-256 over the hash before and every field with its length, so that no two entries are written alike.
    pub fn hash(&self, before: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(before);
        let at = self.at.to_string();
        let comment = self.comment.map(|comment| format!("={comment}"));
        let fields = [
            self.id,
            &at,
            self.actor,
            self.action,
            self.object,
            comment.as_deref().unwrap_or(""),
        ];
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field.as_bytes());
        }
        hash.finalize().into()
    }
}
