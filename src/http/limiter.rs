//! Whoever keeps sending what is wrong is turned away for a while: bad signatures before their bodies are read, passwords before
//! they are looked at.
//!
//! Of addresses only the socket's is looked at, for anything else can be forged. Behind a proxy all peers share one; therefore an
//! address that something right came from is spared for an hour.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many bad signatures of one address within a minute close the door to it.
pub const BAD_SIGNATURES_MAX: u32 = 100;
/// How long the door stays closed after bad signatures.
pub const CLOSED: Duration = Duration::from_secs(30);
/// How long an address is spared after something right.
const SPARED: Duration = Duration::from_hours(1);
/// How many are remembered; the oldest is forgotten first.
const KNOWN_MAX: usize = 4_096;

/// When the door closes, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// So many wrong things within the window close it.
    pub wrong_max: u32,
    /// The time over which they are counted.
    pub window: Duration,
    /// How long it stays closed.
    pub closed: Duration,
    /// How long nothing is counted after something right.
    pub spared: Duration,
}

/// For signatures.
const SIGNATURES: Limits = Limits {
    wrong_max: BAD_SIGNATURES_MAX,
    window: Duration::from_mins(1),
    closed: CLOSED,
    spared: SPARED,
};
/// For sign-ins from one address.
pub(crate) const SIGN_INS_OF_ADDRESS: Limits = Limits {
    wrong_max: 20,
    window: Duration::from_mins(5),
    closed: Duration::from_mins(5),
    spared: SPARED,
};
/// For sign-ins of one account. It is never spared, or its owner would open the door to who guesses.
pub(crate) const SIGN_INS_OF_ACCOUNT: Limits = Limits {
    wrong_max: 5,
    window: Duration::from_mins(5),
    closed: Duration::from_mins(5),
    spared: Duration::ZERO,
};
/// For entries of the audit log that anybody can cause.
pub(crate) const AUDITED_FAILURES: Limits = Limits {
    wrong_max: 60,
    window: Duration::from_hours(1),
    closed: Duration::from_hours(1),
    spared: Duration::ZERO,
};

/// What is known of those that something came from, right or wrong.
#[derive(Debug)]
pub(crate) struct Limiter<K = Network> {
    limits: Limits,
    known: Mutex<Known<K>>,
}

#[derive(Debug)]
struct Known<K> {
    standings: HashMap<K, Standing>,
    /// In the order in which they first came.
    oldest_first: VecDeque<K>,
}

#[derive(Debug)]
struct Standing {
    /// Wrong things since `since`.
    wrong: u32,
    since: Instant,
    closed_until: Option<Instant>,
    spared_until: Option<Instant>,
}

impl Default for Limiter {
    /// For signatures, by address.
    fn default() -> Self {
        Self::new(SIGNATURES)
    }
}

impl<K: Copy + Eq + Hash> Limiter<K> {
    /// Nobody is known yet.
    pub(crate) fn new(limits: Limits) -> Self {
        let known = Known {
            standings: HashMap::new(),
            oldest_first: VecDeque::new(),
        };
        Self {
            limits,
            known: Mutex::new(known),
        }
    }

    /// How much longer the door is closed; nothing where it is open.
    pub(crate) fn closed_for(&self, who: impl Into<K>, now: Instant) -> Option<Duration> {
        let known = self.lock();
        let until = known.standings.get(&who.into())?.closed_until?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Counts something wrong.
    pub(crate) fn bad(&self, who: impl Into<K>, now: Instant) {
        let mut known = self.lock();
        let standing = known.standing(who.into(), now);
        if standing.spared_until.is_some_and(|until| now < until) {
            return;
        }
        if now.duration_since(standing.since) >= self.limits.window {
            (standing.wrong, standing.since) = (0, now);
        }
        standing.wrong += 1;
        if standing.wrong >= self.limits.wrong_max {
            (standing.wrong, standing.closed_until) = (0, Some(now + self.limits.closed));
        }
    }

    /// Notes something right: the door is open again.
    pub(crate) fn good(&self, who: impl Into<K>, now: Instant) {
        let mut known = self.lock();
        let standing = known.standing(who.into(), now);
        (standing.wrong, standing.closed_until) = (0, None);
        standing.spared_until = Some(now + self.limits.spared);
    }

    fn lock(&self) -> MutexGuard<'_, Known<K>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Known<K> {
    fn standing(&mut self, who: K, now: Instant) -> &mut Standing {
        if !self.standings.contains_key(&who) {
            if self.oldest_first.len() == KNOWN_MAX
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.standings.remove(&oldest);
            }
            self.oldest_first.push_back(who);
        }
        self.standings.entry(who).or_insert(Standing {
            wrong: 0,
            since: now,
            closed_until: None,
            spared_until: None,
        })
    }
}

/// The address itself, or the network of an IPv6 address: one peer has 2⁶⁴ addresses of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(peer: IpAddr) -> Self {
        Self(match peer.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "203.0.113.7";

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn many_bad(limiter: &Limiter, peer: IpAddr, times: u32, now: Instant) {
        for _ in 0..times {
            limiter.bad(peer, now);
        }
    }

    #[test]
    fn the_door_closes_at_the_limit_and_opens_again() {
        let (limiter, peer, start) = (Limiter::default(), address(PEER), tokio::time::Instant::now());
        many_bad(&limiter, peer, BAD_SIGNATURES_MAX - 1, start);
        assert_eq!(limiter.closed_for(peer, start), None);
        limiter.bad(peer, start + Duration::from_secs(59));
        let closed_at = start + Duration::from_secs(59);
        assert_eq!(limiter.closed_for(peer, closed_at), Some(CLOSED));
        assert_eq!(limiter.closed_for(address("203.0.113.8"), closed_at), None);
        assert_eq!(limiter.closed_for(peer, closed_at + CLOSED), None);
        limiter.bad(peer, closed_at + CLOSED);
        assert_eq!(
            limiter.closed_for(peer, closed_at + CLOSED),
            None,
            "counted from nothing"
        );
    }

    #[test]
    fn bad_signatures_of_another_minute_do_not_count() {
        let (limiter, peer, start) = (Limiter::default(), address(PEER), tokio::time::Instant::now());
        many_bad(&limiter, peer, BAD_SIGNATURES_MAX - 1, start);
        many_bad(&limiter, peer, BAD_SIGNATURES_MAX - 1, start + SIGNATURES.window);
        assert_eq!(limiter.closed_for(peer, start + SIGNATURES.window), None);
    }

    #[test]
    fn an_address_of_good_signatures_is_spared_for_an_hour() {
        let (limiter, peer, start) = (Limiter::default(), address(PEER), tokio::time::Instant::now());
        limiter.good(peer, start);
        let last = start + SPARED.checked_sub(Duration::from_secs(1)).unwrap();
        many_bad(&limiter, peer, 2 * BAD_SIGNATURES_MAX, last);
        assert_eq!(limiter.closed_for(peer, last), None);
        many_bad(&limiter, peer, BAD_SIGNATURES_MAX, start + SPARED);
        assert_eq!(limiter.closed_for(peer, start + SPARED), Some(CLOSED));
    }

    #[test]
    fn one_network_of_version_6_is_one_peer() {
        let (limiter, now) = (Limiter::default(), tokio::time::Instant::now());
        for host in 0..BAD_SIGNATURES_MAX {
            limiter.bad(address(&format!("2001:db8:1:2::{host:x}")), now);
        }
        assert!(limiter.closed_for(address("2001:db8:1:2:ffff::1"), now).is_some());
        assert!(limiter.closed_for(address("2001:db8:1:3::1"), now).is_none());
        many_bad(&limiter, address(PEER), BAD_SIGNATURES_MAX, now);
        assert!(limiter.closed_for(address("::ffff:203.0.113.7"), now).is_some());
    }

    #[test]
    fn a_right_password_opens_the_door_and_spares_no_account() {
        let account = [7_u8; 32];
        let (limiter, now) = (
            Limiter::<[u8; 32]>::new(SIGN_INS_OF_ACCOUNT),
            tokio::time::Instant::now(),
        );
        for _ in 0..SIGN_INS_OF_ACCOUNT.wrong_max {
            limiter.bad(account, now);
        }
        assert_eq!(limiter.closed_for(account, now), Some(SIGN_INS_OF_ACCOUNT.closed));
        limiter.good(account, now);
        assert_eq!(limiter.closed_for(account, now), None);
        for _ in 0..SIGN_INS_OF_ACCOUNT.wrong_max {
            limiter.bad(account, now);
        }
        assert_eq!(limiter.closed_for(account, now), Some(SIGN_INS_OF_ACCOUNT.closed));
        assert_eq!(limiter.closed_for(account, now + SIGN_INS_OF_ACCOUNT.closed), None);
    }

    #[test]
    fn only_so_many_addresses_are_remembered() {
        let (limiter, now) = (Limiter::default(), tokio::time::Instant::now());
        many_bad(&limiter, address(PEER), BAD_SIGNATURES_MAX, now);
        let others = u32::try_from(KNOWN_MAX).unwrap();
        for number in 1..others {
            limiter.bad(IpAddr::V4(number.into()), now);
        }
        assert!(limiter.closed_for(address(PEER), now).is_some());
        limiter.bad(IpAddr::V4(others.into()), now);
        assert!(
            limiter.closed_for(address(PEER), now).is_none(),
            "the oldest is forgotten"
        );
        let known = limiter.lock();
        assert_eq!(
            (known.standings.len(), known.oldest_first.len()),
            (KNOWN_MAX, KNOWN_MAX)
        );
    }
}
