//! Whoever keeps sending bad signatures is turned away before its bodies are read.
//!
//! Only the socket's address is looked at, for anything else can be forged. Behind a proxy all peers share one address;
//! therefore an address that rightly signed events came from is spared for an hour.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many bad signatures of one address within [`WINDOW`] close the door to it.
pub const BAD_SIGNATURES_MAX: u32 = 100;
/// The time over which bad signatures are counted.
const WINDOW: Duration = Duration::from_mins(1);
/// How long the door stays closed.
pub const CLOSED: Duration = Duration::from_secs(30);
/// How long an address is spared after a good signature.
const SPARED: Duration = Duration::from_hours(1);
/// How many addresses are remembered; the oldest is forgotten first.
const ADDRESSES_MAX: usize = 4_096;

/// What is known of the addresses that signed events came from, rightly signed or not.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    standings: HashMap<IpAddr, Standing>,
    /// The addresses in the order in which they first came.
    oldest_first: VecDeque<IpAddr>,
}

#[derive(Debug)]
struct Standing {
    /// Bad signatures since `since`.
    bad: u32,
    since: Instant,
    closed_until: Option<Instant>,
    spared_until: Option<Instant>,
}

impl Limiter {
    /// How much longer the door is closed to `peer`; nothing where it is open.
    pub(crate) fn closed_for(&self, peer: IpAddr, now: Instant) -> Option<Duration> {
        let known = self.lock();
        let until = known.standings.get(&network(peer))?.closed_until?;
        until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Counts a bad signature of `peer`.
    pub(crate) fn bad(&self, peer: IpAddr, now: Instant) {
        let mut known = self.lock();
        let standing = known.standing(network(peer), now);
        if standing.spared_until.is_some_and(|until| now < until) {
            return;
        }
        if now.duration_since(standing.since) >= WINDOW {
            (standing.bad, standing.since) = (0, now);
        }
        standing.bad += 1;
        if standing.bad >= BAD_SIGNATURES_MAX {
            (standing.bad, standing.closed_until) = (0, Some(now + CLOSED));
        }
    }

    /// Notes a good signature of `peer`.
    pub(crate) fn good(&self, peer: IpAddr, now: Instant) {
        let mut known = self.lock();
        let standing = known.standing(network(peer), now);
        (standing.bad, standing.spared_until) = (0, Some(now + SPARED));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn standing(&mut self, peer: IpAddr, now: Instant) -> &mut Standing {
        if !self.standings.contains_key(&peer) {
            if self.oldest_first.len() == ADDRESSES_MAX
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.standings.remove(&oldest);
            }
            self.oldest_first.push_back(peer);
        }
        self.standings.entry(peer).or_insert(Standing {
            bad: 0,
            since: now,
            closed_until: None,
            spared_until: None,
        })
    }
}

/// The address itself, or the network of an IPv6 address: one peer has 2⁶⁴ addresses of its own.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
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
        many_bad(&limiter, peer, BAD_SIGNATURES_MAX - 1, start + WINDOW);
        assert_eq!(limiter.closed_for(peer, start + WINDOW), None);
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
    fn only_so_many_addresses_are_remembered() {
        let (limiter, now) = (Limiter::default(), tokio::time::Instant::now());
        many_bad(&limiter, address(PEER), BAD_SIGNATURES_MAX, now);
        let others = u32::try_from(ADDRESSES_MAX).unwrap();
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
            (ADDRESSES_MAX, ADDRESSES_MAX)
        );
    }
}
