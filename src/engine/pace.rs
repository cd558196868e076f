//! How fast mails leave: not too many a minute for one domain, not too many at once, fewer where a domain complains.
//!
//! The state belongs to the process and is rebuilt from nothing after a start: what was put back keeps its place in the
//! row, as its next instant and this room's reason. Replicas each let their own number go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::Inner;
use super::outbox::address;
use crate::clock::Stopwatch;
use crate::domain::calendar::secs_from;
use crate::domain::ids::NotificationId;
use crate::mailer::{CONNECTIONS_MAX, SendOutcome};
use crate::store::StoreError;
use crate::store::notifications::NotificationRow;

/// The reason of a message that waits for its place. It marks the row as one that has a place already.
pub(super) const WAITS: &str = "too many mails for its domain at a time";

/// How old the reading of an invoice may be when the mail about it leaves.
const FRESH_SECS: u64 = 5;
/// The most mails on their way to one domain at once: one fewer than the connections to the relay, so that a domain which
/// hangs does not hold them all.
const AT_ONCE_MAX: usize = 3;
/// The most mails of this process that wait for such a place or have one: half of all that are under way, so that a domain
/// which hangs leaves room for the others.
const IN_LINE_MAX: usize = 32;
/// The most messages of this process that are being made ready or are on their way: so many that the connections have work while
/// invoices are read and rows written, and so few that the first leaves soon and what was read of the last is fresh.
const IN_HAND_MAX: usize = 64;
/// How many messages may be marked as leaving beyond those that have a connection, so that no connection waits for a commit. As many
/// more may be unknown after a crash.
const AHEAD_MAX: usize = 2;
/// How long a message is put back for whose domain has a full line.
const LINE_SECS: i64 = 5;
/// The most domains that are kept in mind.
const DOMAINS_MAX: usize = 4096;
/// How long a domain that complains is left in peace at first; each complaint right after doubles it.
const SLOW_SECS: i64 = 300;
const SLOW_SECS_MAX: i64 = 3600;
/// The shortest and the longest wait of a message whose invoice cannot be read.
const PATIENCE_SECS: (i64, i64) = (600, 6 * 3600);

/// The pace of this process, by recipient domain.
pub(super) struct Pace {
    per_minute: u32,
    domains: Mutex<HashMap<String, Domain>>,
    in_hand: Semaphore,
    leaving: Semaphore,
}

/// One domain. Minutes are counted from the epoch.
struct Domain {
    /// The last minute in which places are taken, and how many.
    booked: (i64, u32),
    /// The last minute in which mails left, and how many.
    gone: (i64, u32),
    /// Until when nothing leaves, because the domain complained.
    slow_until: Timestamp,
    slow_secs: i64,
    line: Arc<Semaphore>,
    lanes: Arc<Semaphore>,
}

/// The right to be on the way to a domain, until it is dropped.
pub(super) struct Lane {
    _place: OwnedSemaphorePermit,
    _lane: OwnedSemaphorePermit,
}

/// What the pace says of a message.
pub(super) enum Turn {
    /// It may leave, by this lane where it has an address.
    Go(Option<Lane>),
    /// Not before this instant.
    Wait(Timestamp),
}

impl Pace {
    /// At most `per_minute` mails a minute for each domain; 0 sets no limit.
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            per_minute,
            domains: Mutex::default(),
            in_hand: Semaphore::new(IN_HAND_MAX),
            leaving: Semaphore::new(CONNECTIONS_MAX + AHEAD_MAX),
        }
    }

    /// Whether the message to `address` may leave at `now`, or the instant at which it may. `has_place` tells that it was
    /// put back to this instant before.
    fn ask(&self, address: &str, id: &NotificationId, has_place: bool, now: Timestamp) -> Option<Timestamp> {
        self.with(address, now, |domain| domain.ask(id, has_place, self.per_minute, now))
    }

    /// Notes what became of a message to `address`.
    pub(super) fn heard(&self, address: &str, outcome: &SendOutcome, now: Timestamp) {
        match outcome {
            SendOutcome::Throttled(_) => self.with(address, now, |domain| domain.slow_down(now)),
            SendOutcome::Sent => self.with(address, now, |domain| domain.slow_secs = 0),
            SendOutcome::Kept
            | SendOutcome::Transient(_)
            | SendOutcome::BadRecipient(_)
            | SendOutcome::Permanent(_)
            | SendOutcome::Unknown(_) => {}
        }
    }

    /// A lane to the domain of `address`, held while the message is on its way; none where too many wait for one already, or
    /// where the domain complained of those before.
    async fn lane(&self, address: &str, now: Timestamp) -> Option<Lane> {
        let (queue, lanes) = self.with(address, now, |domain| {
            (Arc::clone(&domain.line), Arc::clone(&domain.lanes))
        });
        let place = queue.try_acquire_owned().ok()?;
        let lane = lanes.acquire_owned().await.expect("the semaphore is never closed");
        let slow = self.with(address, now, |domain| domain.slow_until > now);
        (!slow).then_some(Lane {
            _place: place,
            _lane: lane,
        })
    }

    /// Waits until the message is one of the few that are made ready.
    pub(super) async fn in_hand(&self) -> SemaphorePermit<'_> {
        self.in_hand.acquire().await.expect("the semaphore is never closed")
    }

    /// Waits until a connection to the relay is free or nearly so, for of a message that counts as leaving it cannot be told after a
    /// crash whether it left. None where the invoice was read, `read` ago, too long before.
    pub(super) async fn leaving(&self, read: &Stopwatch) -> Option<SemaphorePermit<'_>> {
        let permit = self.leaving.acquire().await.expect("the semaphore is never closed");
        (read.elapsed().as_secs() < FRESH_SECS).then_some(permit)
    }

    fn with<T>(&self, address: &str, now: Timestamp, work: impl FnOnce(&mut Domain) -> T) -> T {
        let name = address.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        if domains.len() >= DOMAINS_MAX && !domains.contains_key(&name) {
            forget(&mut domains, now);
        }
        work(domains.entry(name).or_insert_with(Domain::new))
    }
}

/// Forgets the domains of which nothing need be known, and where there are none, the one whose mails are gone soonest.
fn forget(domains: &mut HashMap<String, Domain>, now: Timestamp) {
    domains.retain(|_, domain| {
        let idle = domain.line.available_permits() == IN_LINE_MAX;
        !idle || domain.slow_until > now || domain.booked.0 >= minute_of(now)
    });
    if domains.len() >= DOMAINS_MAX {
        let soonest = domains.iter().min_by_key(|(_, domain)| domain.booked.0);
        if let Some(name) = soonest.map(|(name, _)| name.clone()) {
            domains.remove(&name);
        }
    }
}

impl Domain {
    fn new() -> Self {
        Self {
            booked: (i64::MIN, 0),
            gone: (i64::MIN, 0),
            slow_until: Timestamp::MIN,
            slow_secs: 0,
            line: Arc::new(Semaphore::new(IN_LINE_MAX)),
            lanes: Arc::new(Semaphore::new(AT_ONCE_MAX)),
        }
    }

    fn ask(&mut self, id: &NotificationId, has_place: bool, per_minute: u32, now: Timestamp) -> Option<Timestamp> {
        if self.slow_until > now {
            return Some(secs_from(self.slow_until, spread_secs(id)));
        }
        if per_minute == 0 {
            return None;
        }
        let minute = minute_of(now);
        if self.gone.0 != minute {
            self.gone = (minute, 0);
        }
        if self.booked.0 < minute {
            self.booked = (minute, 0);
        }
        let first_in_line = self.booked.0 == minute && self.booked.1 < per_minute;
        if self.gone.1 < per_minute && (has_place || first_in_line) {
            self.gone.1 += 1;
            if self.booked.0 == minute {
                // One that has a place is counted already, unless it was given before a restart.
                self.booked.1 = if has_place { self.booked.1 } else { self.booked.1 + 1 }.max(self.gone.1);
            }
            return None;
        }
        self.booked = if self.booked.0 > minute && self.booked.1 < per_minute {
            (self.booked.0, self.booked.1 + 1)
        } else {
            (self.booked.0 + 1, 1)
        };
        Some(secs_from(Timestamp::UNIX_EPOCH, self.booked.0 * 60 + spread_secs(id)))
    }

    fn slow_down(&mut self, now: Timestamp) {
        // Those that were on their way at the same time say the same once more.
        if self.slow_until <= now {
            self.slow_secs = (self.slow_secs * 2).clamp(SLOW_SECS, SLOW_SECS_MAX);
            self.slow_until = secs_from(now, self.slow_secs);
        }
    }
}

/// Waits for the turn of a message, or says when to ask again because its domain has had enough for now.
pub(super) async fn turn(inner: &Inner, row: &NotificationRow) -> Result<Turn, StoreError> {
    let case = inner.storage.case(&row.case_id).await?;
    let Some(address) = case.and_then(|case| address(row, &case)) else {
        return Ok(Turn::Go(None));
    };
    Ok(turn_to(inner, &address, &row.id, row.reason.as_deref()).await)
}

/// The same for a message to an address, which waits for the reason that its row gives.
pub(super) async fn turn_to(inner: &Inner, address: &str, id: &NotificationId, reason: Option<&str>) -> Turn {
    let has_place = reason == Some(WAITS);
    if let Some(at) = inner.pace.ask(address, id, has_place, inner.now()) {
        return Turn::Wait(at);
    }
    let lane = inner.pace.lane(address, inner.now()).await;
    lane.map_or_else(
        || Turn::Wait(secs_from(inner.now(), LINE_SECS)),
        |lane| Turn::Go(Some(lane)),
    )
}

/// How long a message waits that cannot be sent for a reason outside it, in seconds: half as long as it has waited. Its
/// tries are no measure, since nothing was tried.
pub(super) fn patience_secs(queued_at: Timestamp, now: Timestamp) -> i64 {
    let (shortest, longest) = PATIENCE_SECS;
    (now.duration_since(queued_at).as_secs() / 2).clamp(shortest, longest)
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

/// 0 to 59 seconds by which a message keeps away from its neighbours, the same whenever it is asked (FNV-1a).
fn spread_secs(id: &NotificationId) -> i64 {
    let hash = id.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    i64::try_from(hash % 60).expect("less than 60")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use futures_util::FutureExt;

    use super::*;

    const NINE: &str = "2026-03-02T09:00:00Z";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn id(number: u32) -> NotificationId {
        NotificationId::new(at(NINE).as_millisecond() + i64::from(number), u128::from(number) * 7919)
    }

    /// Asks for `count` new messages at one instant; how many may leave at once.
    fn leave(pace: &Pace, first: u32, count: u32, has_place: bool, now: &str) -> usize {
        let ids = (first..first + count).map(id);
        ids.filter(|id| pace.ask("jo@example.com", id, has_place, at(now)).is_none())
            .count()
    }

    #[test]
    fn ten_thousand_mails_due_at_nine_leave_spread_in_their_order() {
        let pace = Pace::new(600);
        let mut due: BTreeSet<(Timestamp, u32, bool)> = (0..10_000).map(|number| (at(NINE), number, false)).collect();
        let mut left: BTreeMap<i64, Vec<(Timestamp, u32)>> = BTreeMap::new();
        let mut put_back = 0;
        while let Some((now, number, has_place)) = due.pop_first() {
            match pace.ask("jo@example.com", &id(number), has_place, now) {
                None => left.entry(minute_of(now)).or_default().push((now, number)),
                Some(later) => {
                    assert!(later > now && !has_place, "a message that has a place gets it");
                    put_back += 1;
                    due.insert((later, number, true));
                }
            }
        }
        assert_eq!(put_back, 9_400, "each but the first 600 waits once");
        let sizes: Vec<usize> = left.values().map(Vec::len).collect();
        assert_eq!(sizes, [vec![600; 16], vec![400]].concat());
        for (minute, mails) in left.values().enumerate() {
            for (_, number) in mails {
                assert_eq!(*number as usize / 600, minute, "who came first leaves first");
            }
        }
        let mut seconds: BTreeMap<Timestamp, u32> = BTreeMap::new();
        for (now, _) in left.values().skip(1).flatten() {
            *seconds.entry(*now).or_default() += 1;
        }
        let most = seconds.values().max().unwrap();
        assert!(*most <= 40, "{most} in one second; ten would be even");
    }

    #[test]
    fn a_newcomer_goes_behind_those_who_wait() {
        let pace = Pace::new(5);
        assert_eq!(leave(&pace, 0, 12, false, NINE), 5);
        // Of the next minute's places five are given; who comes then takes one of the minute after.
        let newcomer = pace
            .ask("jo@example.com", &id(50), false, at("2026-03-02T09:01:10Z"))
            .unwrap();
        assert_eq!(minute_of(newcomer), minute_of(at("2026-03-02T09:02:00Z")));
        assert_eq!(leave(&pace, 5, 5, true, "2026-03-02T09:01:59Z"), 5);
        assert_eq!(leave(&pace, 10, 2, true, "2026-03-02T09:02:00Z"), 2);
        assert_eq!(
            leave(&pace, 60, 9, false, "2026-03-02T09:02:30Z"),
            2,
            "the places not taken"
        );
        assert_eq!(
            leave(&pace, 80, 9, false, "2026-03-02T11:00:00Z"),
            5,
            "a later minute is a new one"
        );
    }

    #[test]
    fn after_a_restart_those_who_have_a_place_are_counted_too() {
        let pace = Pace::new(5);
        assert_eq!(leave(&pace, 0, 4, true, NINE), 4);
        assert_eq!(leave(&pace, 10, 4, false, NINE), 1);
        assert_eq!(
            leave(&pace, 20, 4, true, NINE),
            0,
            "five a minute, whatever was promised"
        );
    }

    #[test]
    fn a_complaint_slows_its_domain_alone_and_the_next_one_more() {
        let pace = Pace::new(0);
        let ask = |address: &str, now: &str| pace.ask(address, &id(1), true, at(now));
        let complain = |now: &str| pace.heard("jo@example.com", &SendOutcome::Throttled(String::new()), at(now));
        let off = spread_secs(&id(1));
        assert_eq!(ask("jo@example.com", NINE), None);
        complain(NINE);
        complain("2026-03-02T09:00:01Z");
        assert_eq!(
            ask("al@EXAMPLE.com", "2026-03-02T09:04:59Z"),
            Some(secs_from(at("2026-03-02T09:05:00Z"), off))
        );
        assert_eq!(ask("jo@example.org", "2026-03-02T09:04:59Z"), None);
        assert_eq!(ask("jo@example.com", "2026-03-02T09:05:00Z"), None);
        complain("2026-03-02T09:05:00Z");
        assert_eq!(
            ask("jo@example.com", "2026-03-02T09:14:59Z"),
            Some(secs_from(at("2026-03-02T09:15:00Z"), off))
        );
        for hour in 10..20 {
            complain(&format!("2026-03-02T{hour}:30:00Z"));
        }
        let longest = ask("jo@example.com", "2026-03-02T19:30:00Z");
        assert_eq!(
            longest,
            Some(secs_from(at("2026-03-02T20:30:00Z"), off)),
            "an hour at most"
        );
        pace.heard("jo@example.com", &SendOutcome::Sent, at("2026-03-02T20:30:00Z"));
        complain("2026-03-02T21:00:00Z");
        assert_eq!(
            ask("jo@example.com", "2026-03-02T21:05:00Z"),
            None,
            "five minutes again"
        );
    }

    #[tokio::test]
    async fn three_are_on_their_way_to_one_domain_and_no_more() {
        let pace = Pace::new(0);
        let mut lanes = Vec::new();
        for _ in 0..AT_ONCE_MAX {
            lanes.push(pace.lane("jo@example.com", at(NINE)).await.unwrap());
        }
        assert!(pace.lane("al@example.com", at(NINE)).now_or_never().is_none());
        assert!(pace.lane("al@example.org", at(NINE)).now_or_never().is_some());
        lanes.pop();
        assert!(pace.lane("al@example.com", at(NINE)).now_or_never().is_some());
    }

    #[test]
    fn the_domains_in_mind_are_bounded() {
        let pace = Pace::new(1);
        let domains = u32::try_from(DOMAINS_MAX).unwrap() * 2;
        for number in 0..domains {
            assert!(
                pace.ask(&format!("jo@d{number}.example"), &id(number), false, at(NINE))
                    .is_none()
            );
        }
        assert_eq!(pace.domains.lock().unwrap().len(), DOMAINS_MAX);
        assert!(
            pace.ask("jo@later.example", &id(1), false, at("2026-03-02T09:01:00Z"))
                .is_none()
        );
        assert_eq!(
            pace.domains.lock().unwrap().len(),
            1,
            "what is over is forgotten at once"
        );
    }

    #[test]
    fn what_cannot_be_read_is_asked_for_ever_more_seldom() {
        let wait = |now: &str| patience_secs(at(NINE), at(now)) / 60;
        let rows = [
            (NINE, 10),
            ("2026-03-02T09:20:00Z", 10),
            ("2026-03-02T10:00:00Z", 30),
            ("2026-03-02T15:00:00Z", 180),
            ("2026-03-02T21:00:00Z", 360),
            ("2026-03-09T09:00:00Z", 360),
            ("2026-03-02T08:00:00Z", 10),
        ];
        for (now, minutes) in rows {
            assert_eq!(wait(now), minutes, "{now}");
        }
    }
}
