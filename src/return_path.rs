//! Where mail servers send what they could not deliver: an address of its own for each message, so that a report that comes back tells
//! by the address alone which message it is about.
//!
//! The address of a message is `LOCAL+TOKEN@DOMAIN`. The token holds the bits of the notification's id and a quarter of an HMAC-SHA256
//! over them, in hexadecimal digits, since some mail servers make small letters of capitals.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::ids::NotificationId;

/// Keeps these signatures apart from any other that is made with the same key.
const LABEL: &[u8] = b"recoup return path";
/// How every identifier of a notification begins.
const PREFIX: &str = "ntf_";
const ID_BYTES: usize = 16;
const MAC_BYTES: usize = 8;
/// The most characters before the `@` of an address, by the standard.
const LOCAL_CHARS_MAX: usize = 64;
/// The most characters that a configured address may have before its `@`: the rest is for the token.
pub const OWN_CHARS_MAX: usize = LOCAL_CHARS_MAX - 1 - 2 * (ID_BYTES + MAC_BYTES);

/// Makes and reads the addresses.
#[derive(Clone)]
pub struct ReturnPath {
    local: String,
    domain: String,
    key: [u8; 32],
}

impl std::fmt::Debug for ReturnPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReturnPath({}@{})", self.local, self.domain)
    }
}

impl ReturnPath {
    /// Addresses below `local@domain`, signed with `key`.
    pub fn new(local: &str, domain: &str, key: [u8; 32]) -> Self {
        Self {
            local: local.to_owned(),
            domain: domain.to_owned(),
            key,
        }
    }

    /// The address of a message. Nothing for a foreign form of identifier.
    pub fn address(&self, id: &NotificationId) -> Option<String> {
        let mut bytes = hex::decode(id.as_str().strip_prefix(PREFIX)?).ok()?;
        if bytes.len() != ID_BYTES {
            return None;
        }
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend(&mac[..MAC_BYTES]);
        Some(format!("{}+{}@{}", self.local, hex::encode(bytes), self.domain))
    }

    /// The message that an address is of; nothing where it is none of ours.
    pub fn read(&self, address: &str) -> Option<NotificationId> {
        let (local, domain) = address.rsplit_once('@')?;
        let (own, token) = local.rsplit_once('+')?;
        if !own.eq_ignore_ascii_case(&self.local) || !domain.eq_ignore_ascii_case(&self.domain) {
            return None;
        }
        let bytes = hex::decode(token).ok()?;
        let (id, mac) = bytes.split_at_checked(ID_BYTES)?;
        if mac.len() != MAC_BYTES {
            return None;
        }
        self.mac(id).verify_truncated_left(mac).ok()?;
        Some(NotificationId::from(format!("{PREFIX}{}", hex::encode(id))))
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(LABEL);
        mac.update(bytes);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(key: u8) -> ReturnPath {
        ReturnPath::new("bounces", "mail.acme.example", [key; 32])
    }

    #[test]
    fn an_address_is_read_back_whatever_its_case() {
        let id = NotificationId::new(1_767_225_600_000, 7);
        let address = path(1).address(&id).unwrap();
        assert!(
            address.starts_with("bounces+") && address.ends_with("@mail.acme.example"),
            "{address}"
        );
        assert!(address.split('@').next().unwrap().len() <= LOCAL_CHARS_MAX);
        assert_eq!(path(1).read(&address), Some(id.clone()));
        assert_eq!(path(1).read(&address.to_uppercase()), Some(id));
    }

    #[test]
    fn the_longest_address_that_may_be_configured_leaves_room_for_the_token() {
        let long = ReturnPath::new(&"b".repeat(OWN_CHARS_MAX), "acme.example", [1; 32]);
        let address = long.address(&NotificationId::new(0, 7)).unwrap();
        assert_eq!(address.split('@').next().unwrap().len(), LOCAL_CHARS_MAX);
    }

    #[test]
    fn no_other_address_is_one() {
        let address = path(1).address(&NotificationId::new(1_767_225_600_000, 7)).unwrap();
        assert_eq!(path(2).read(&address), None, "made with another key");
        let at = address.find('+').unwrap() + 1..address.find('@').unwrap();
        for place in at {
            let mut forged = address.clone();
            let other = if &address[place..=place] == "0" { "1" } else { "0" };
            forged.replace_range(place..=place, other);
            assert_eq!(path(1).read(&forged), None, "{forged}");
        }
        for broken in [
            "",
            "bounces@mail.acme.example",
            "bounces+@mail.acme.example",
            "bounces+00@mail.acme.example",
            &address.replace("bounces", "billing"),
            &address.replace("mail.", ""),
            &address.replace('@', "00@"),
        ] {
            assert_eq!(path(1).read(broken), None, "{broken}");
        }
        assert!(path(1).address(&NotificationId::from("in_1".to_owned())).is_none());
    }
}
