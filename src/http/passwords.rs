//! Passwords of people: argon2id, off the threads that serve, and never more than a few at a time.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use super::error::Problem;
use crate::clock::entropy;

/// The shortest password, in characters.
pub const CHARS_MIN: usize = 12;
/// The longest password, in characters.
pub const CHARS_MAX: usize = 256;

/// Memory in KiB, passes and lanes: the second of the equal choices in the Password Storage Cheat Sheet of OWASP
/// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id>, read in November 2026).
const COSTS: (u32, u32, u32) = (19_456, 2, 1);
/// How many passwords are worked on at once, each with its memory.
const AT_ONCE: usize = 2;
/// How many may be worked on or wait for it; whoever comes then is sent away.
const PENDING_MAX: usize = 32;
/// What a password is held against where there is none, so that it takes the same time. No password is known that fits.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$cmVjb3VwIGRlY295IHNhbA$YSBoYXNoIHRoYXQgbm8gcGFzc3dvcmQgbWFrZXMuLi4";

/// What everybody tries first, of those that are long enough: the beginnings of lists that were stolen, drawn out.
const COMMON: [&str; 24] = [
    "passwordpassword",
    "password1234",
    "password12345",
    "password123456",
    "password123!",
    "123456789012",
    "1234567890123",
    "1234567890123456",
    "0123456789ab",
    "012345678910",
    "123456123456",
    "123123123123",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "qwertyqwerty",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "abcdefghijkl",
    "abc123abc123",
    "iloveyouiloveyou",
    "letmeinletmein",
    "administrator",
    "correcthorsebatterystaple",
];
/// A password of fewer different characters is no better than a short one.
const LETTERS_MIN: usize = 5;

/// Works on passwords.
pub(crate) struct Passwords {
    at_once: Arc<Semaphore>,
    pending: Semaphore,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            pending: Semaphore::new(PENDING_MAX),
        }
    }
}

impl Passwords {
    /// What is kept of a password: a PHC string with a salt of 128 random bits.
    pub(crate) async fn hash(&self, password: SecretString) -> Result<String, Problem> {
        self.work(move || {
            let hash = hasher().hash_password_with_salt(password.expose_secret().as_bytes(), &entropy().to_be_bytes());
            hash.map(|hash| hash.to_string()).ok()
        })
        .await?
        .ok_or_else(Problem::internal)
    }

    /// Whether a password is the one of which `kept` was kept. Where nothing was, it is wrong and takes as long.
    pub(crate) async fn fits(&self, password: SecretString, kept: Option<String>) -> Result<bool, Problem> {
        let known = kept.is_some();
        let fits = self
            .work(move || {
                let kept = kept.as_deref().unwrap_or(DECOY);
                hasher()
                    .verify_password(password.expose_secret().as_bytes(), kept)
                    .is_ok()
            })
            .await?;
        Ok(known && fits)
    }

    async fn work<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let busy = || Problem::too_many("too many passwords are being checked", 1);
        let _pending = self.pending.try_acquire().map_err(|_| busy())?;
        let place = Arc::clone(&self.at_once).acquire_owned().await.map_err(|_| busy())?;
        // The place is given up by the job itself: whoever asked may have gone away meanwhile.
        let done = tokio::task::spawn_blocking(move || {
            let done = job();
            drop(place);
            done
        });
        done.await.map_err(|_| Problem::internal())
    }
}

fn hasher() -> Argon2<'static> {
    let (memory_kib, passes, lanes) = COSTS;
    let params = Params::new(memory_kib, passes, lanes, None).expect("a test makes a hash with these costs");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// What is wrong with a password that somebody wants to have from now on: `short`, `long` or `common`.
pub(crate) fn fault(password: &str, email: &str) -> Option<&'static str> {
    let length = password.chars().count();
    if length < CHARS_MIN {
        return Some("short");
    }
    if length > CHARS_MAX {
        return Some("long");
    }
    let small = password.to_lowercase();
    let mut letters: Vec<char> = small.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    let common = COMMON.contains(&small.as_str()) || small == email || letters.len() < LETTERS_MIN;
    common.then_some("common")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_what_was_kept_of_it_and_nothing_else() {
        let passwords = Passwords::default();
        let kept = passwords.hash("a long enough one".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        let other = passwords.hash("a long enough one".into()).await.unwrap();
        assert_ne!(kept, other, "each has a salt of its own");
        let fits = async |password: &str, kept: Option<&str>| {
            let kept = kept.map(str::to_owned);
            passwords.fits(password.into(), kept).await.unwrap()
        };
        assert!(fits("a long enough one", Some(&kept)).await);
        assert!(!fits("a long enough One", Some(&kept)).await);
        assert!(!fits("a long enough one", None).await);
    }

    #[test]
    fn the_decoy_costs_what_a_real_one_does() {
        let decoy = argon2::PasswordHash::new(DECOY).unwrap();
        let params = Params::try_from(&decoy).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), COSTS);
        assert_eq!(decoy.hash.unwrap().len(), Params::DEFAULT_OUTPUT_LEN);
        assert_eq!(decoy.salt.unwrap().len(), 16);
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_is_sent_away() {
        let passwords = Passwords::default();
        let all = passwords.pending.try_acquire_many(u32::try_from(PENDING_MAX).unwrap());
        let told = passwords.hash("a long enough one".into()).await.unwrap_err();
        assert_eq!(told.status, actix_web::http::StatusCode::TOO_MANY_REQUESTS);
        drop(all);
        assert!(passwords.hash("a long enough one".into()).await.is_ok());
    }

    #[test]
    fn short_long_and_common_ones_are_refused() {
        let told = |password: &str| fault(password, "ada.albers@acme.example");
        assert_eq!(told("elevenchars"), Some("short"));
        assert_eq!(told("zwölf Zeiche"), None, "characters, not bytes");
        assert_eq!(told(&"abcdefghij".repeat(26)), Some("long"));
        for common in ["PasswordPassword", "abababababab", "Ada.Albers@acme.example"] {
            assert_eq!(told(common), Some("common"), "{common}");
        }
        assert!(COMMON.iter().all(|common| common.chars().count() >= CHARS_MIN));
    }
}
