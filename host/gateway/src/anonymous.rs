//! Idempotency keys of callers without credentials: how many of them there may be.
//!
//! Whoever reaches the listener can send a key. Each costs the database two writes, and a row for
//! 24 hours when its answer is kept; so both are counted, by network and in total. Counts are kept
//! in memory, for as many networks as there are counts, and are forgotten with their window.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What one network and all together may have within a time.
#[derive(Clone, Copy, Debug)]
struct Quota {
    time: Duration,
    each: usize,
    total: usize,
}

/// Keys that are claimed. One network may claim as many as the logins it may try. The total is a
/// small part of what a database on a small machine can write.
const CLAIMS: Quota = Quota { time: Duration::from_secs(60), each: 300, total: 6_000 };
/// Answers that are kept, for the time they are kept. Each is about a kibibyte: one network fills
/// ten mebibytes, and all together a hundred.
const KEPT: Quota = Quota { time: Duration::from_secs(24 * 3_600), each: 10_000, total: 100_000 };

/// Counts keys.
#[derive(Debug)]
pub(crate) struct AnonymousKeys(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    claims: Window,
    kept: Window,
}

impl AnonymousKeys {
    /// With nothing counted yet.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let counts = Counts { claims: Window::new(CLAIMS, now), kept: Window::new(KEPT, now) };
        Self(Mutex::new(counts))
    }

    /// Lets a client claim a key, or says how long there is none for it.
    pub(crate) fn admit(&self, client: IpAddr) -> Result<(), Duration> {
        let (now, network) = (Instant::now(), network(client));
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.kept.room(network, now)?;
        counts.claims.room(network, now)?;
        counts.claims.count(network);
        Ok(())
    }

    /// The answer of a client is kept.
    pub(crate) fn keep(&self, client: IpAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kept.count(network(client));
    }
}

/// What was counted since a moment.
#[derive(Debug)]
struct Window {
    quota: Quota,
    began: Instant,
    total: usize,
    each: HashMap<IpAddr, usize>,
}

impl Window {
    fn new(quota: Quota, began: Instant) -> Self {
        Self { quota, began, total: 0, each: HashMap::new() }
    }

    /// Whether there is room for one more, or how long there is none.
    fn room(&mut self, network: IpAddr, now: Instant) -> Result<(), Duration> {
        let age = now.saturating_duration_since(self.began);
        if age >= self.quota.time {
            *self = Self::new(self.quota, now);
        }
        let used = self.each.get(&network).copied().unwrap_or_default();
        if used < self.quota.each && self.total < self.quota.total {
            return Ok(());
        }
        Err(self.quota.time - age)
    }

    fn count(&mut self, network: IpAddr) {
        self.total += 1;
        *self.each.entry(network).or_default() += 1;
    }
}

/// What counts as one client: an address, or the 64 bits of one that a provider gives to a
/// customer (RFC 6177).
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { time: Duration::from_secs(60), each: 2, total: 3 };

    fn address(text: &str) -> IpAddr {
        text.parse().expect("it is an address")
    }

    #[test]
    fn one_network_and_all_together_have_a_bound_until_the_window_ends() {
        let now = Instant::now();
        let mut window = Window::new(QUOTA, now);
        let [one, two, three] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(address);
        for client in [one, one, two] {
            assert_eq!(window.room(client, now), Ok(()));
            window.count(client);
        }
        let later = now + Duration::from_secs(20);
        for client in [one, three] {
            assert_eq!(window.room(client, later), Err(Duration::from_secs(40)));
        }
        assert_eq!(window.room(one, now + QUOTA.time), Ok(()));
        assert_eq!(window.each.len(), 0, "what is over is forgotten");
    }

    #[test]
    fn the_answers_that_are_kept_have_a_bound_of_their_own() {
        let (keys, client) = (AnonymousKeys::new(), address("192.0.2.1"));
        for _ in 0..KEPT.each {
            keys.keep(client);
        }
        let wait = keys.admit(client).expect_err("there is no room");
        assert!(wait > CLAIMS.time, "{wait:?}");
        assert_eq!(keys.admit(address("192.0.2.2")), Ok(()));
    }

    #[test]
    fn a_client_is_its_network() {
        assert_eq!(network(address("2001:db8:1:2::5")), network(address("2001:db8:1:2:3::")));
        assert_ne!(network(address("2001:db8:1:2::5")), network(address("2001:db8:1:3::5")));
        assert_ne!(network(address("192.0.2.1")), network(address("192.0.2.2")));
        assert_eq!(network(address("::ffff:192.0.2.1")), network(address("192.0.2.1")));
    }
}
