//! Links to our page for customers: signed, for one purpose, and good for two weeks; those to unsubscribe for two months.
//!
//! A link holds no personal data: the version, the purpose, the case, and until when it is good, as hexadecimal digits, with half of
//! an HMAC-SHA256 over all of it. It opens nothing but the page of its case, and what it lets one do can be done twice without harm.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use url::Url;

use crate::domain::ids::CaseId;

/// For how long a link is good.
const GOOD_SECS: i64 = 14 * 24 * 3600;
/// For how long one to unsubscribe is: whoever reads an old mail may want no more of them, too.
const UNSUBSCRIBE_GOOD_SECS: i64 = 60 * 24 * 3600;
/// The first byte of every link; another form of link begins with another one.
const VERSION: u8 = 1;
/// Keeps these signatures apart from any other that is made with the same key.
const LABEL: &[u8] = b"recoup customer link";
const CASE_BYTES: usize = 16;
/// Version, purpose, case, instant.
const SIGNED_BYTES: usize = 2 + CASE_BYTES + 8;
const MAC_BYTES: usize = 16;
/// How every identifier of a case begins.
const CASE_PREFIX: &str = "case_";

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The whole page: pay, change the payment method, promise, stop reminders, answer.
    Page,
    /// Only to stop reminders about the invoice.
    Stop,
    /// Only to get no more invitations.
    Unsubscribe,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Page, Self::Stop, Self::Unsubscribe];

    const fn byte(self) -> u8 {
        match self {
            Self::Page => 1,
            Self::Stop => 2,
            Self::Unsubscribe => 3,
        }
    }

    const fn good_secs(self) -> i64 {
        match self {
            Self::Page | Self::Stop => GOOD_SECS,
            Self::Unsubscribe => UNSUBSCRIBE_GOOD_SECS,
        }
    }
}

/// Makes and reads links.
#[derive(Clone)]
pub struct Links {
    base: Url,
    key: [u8; 32],
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Links({})", self.base)
    }
}

impl Links {
    /// Links below `base`, signed with `key`.
    pub fn new(base: Url, key: [u8; 32]) -> Self {
        Self { base, key }
    }

    /// The link of a case, made at `now`. Nothing for a case of a foreign form of identifier.
    pub fn url(&self, purpose: Purpose, case: &CaseId, now: Timestamp) -> Option<String> {
        let id = hex::decode(case.as_str().strip_prefix(CASE_PREFIX)?).ok()?;
        let until = now.as_second().saturating_add(purpose.good_secs());
        let mut bytes = vec![VERSION, purpose.byte()];
        bytes.extend(<[u8; CASE_BYTES]>::try_from(id).ok()?);
        bytes.extend(until.to_be_bytes());
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend(&mac[..MAC_BYTES]);
        let base = self.base.as_str().trim_end_matches('/');
        Some(format!("{base}/p/{}", hex::encode(bytes)))
    }

    /// The page of a case in the dashboard, for staff.
    pub fn of_staff(&self, case: &CaseId) -> String {
        format!("{}/dashboard/cases/{case}", self.base.as_str().trim_end_matches('/'))
    }

    /// The dashboard, for staff.
    pub fn dashboard(&self) -> String {
        format!("{}/dashboard", self.base.as_str().trim_end_matches('/'))
    }

    /// What a link is for, and of which case; nothing where it is forged or no longer good.
    pub fn read(&self, token: &str, now: Timestamp) -> Option<(Purpose, CaseId)> {
        let bytes = hex::decode(token).ok()?;
        let (signed, mac) = bytes.split_at_checked(SIGNED_BYTES)?;
        if mac.len() != MAC_BYTES {
            return None;
        }
        self.mac(signed).verify_truncated_left(mac).ok()?;
        let (head, rest) = signed.split_at_checked(2)?;
        let (id, until) = rest.split_at_checked(CASE_BYTES)?;
        let until = i64::from_be_bytes(until.try_into().ok()?);
        let purpose = Purpose::ALL
            .into_iter()
            .find(|purpose| head == [VERSION, purpose.byte()])?;
        let case = CaseId::from(format!("{CASE_PREFIX}{}", hex::encode(id)));
        (now.as_second() < until).then_some((purpose, case))
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

    fn links(key: u8) -> Links {
        Links::new("https://billing.example/recoup/".parse().unwrap(), [key; 32])
    }

    #[test]
    fn a_link_is_read_back_until_it_is_no_longer_good() {
        let now: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let case = CaseId::new(now.as_millisecond(), 7);
        for purpose in Purpose::ALL {
            let url = links(1).url(purpose, &case, now).unwrap();
            let token = url.strip_prefix("https://billing.example/recoup/p/").unwrap();
            let read = |at: &str| links(1).read(token, at.parse().unwrap());
            let [last, gone] = match purpose {
                Purpose::Page | Purpose::Stop => ["2026-03-16T09:59:59Z", "2026-03-16T10:00:00Z"],
                Purpose::Unsubscribe => ["2026-05-01T09:59:59Z", "2026-05-01T10:00:00Z"],
            };
            assert_eq!(read(last), Some((purpose, case.clone())));
            assert_eq!(read(gone), None);
        }
    }

    #[test]
    fn no_other_bytes_are_a_link() {
        let now: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let case = CaseId::new(now.as_millisecond(), 7);
        let url = links(1).url(Purpose::Stop, &case, now).unwrap();
        let token = url.rsplit('/').next().unwrap();
        assert!(links(2).read(token, now).is_none(), "signed with another key");
        for at in 0..token.len() {
            let mut forged = token.to_owned();
            let other = if &token[at..=at] == "0" { "1" } else { "0" };
            forged.replace_range(at..=at, other);
            assert!(links(1).read(&forged, now).is_none(), "{forged}");
        }
        for broken in [
            "",
            "00",
            "zz",
            &token[..token.len() - 2],
            &format!("{token}00"),
            &"0".repeat(84),
        ] {
            assert!(links(1).read(broken, now).is_none(), "{broken}");
        }
        assert!(
            links(1)
                .url(Purpose::Page, &CaseId::from("in_1".to_owned()), now)
                .is_none()
        );
    }
}
