//! Rate limits over all instances of a component, in bounded memory.
//!
//! A key is remembered by one moment: when all of its permits are back. Permits come back evenly,
//! so that moment says how many there are now, and a key whose moment has passed is like one that
//! was never seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// Keys one limit keeps count of. When there are more, those that have all permits back are
/// forgotten; when that does not help, new keys wait, and the known ones notice nothing.
const KEYS: usize = 100_000;
/// How often a limit that is full looks for keys to forget: it looks at every one of them.
const SWEEP: Duration = Duration::from_secs(1);
/// Limits of one component: each is a bucket, a burst and a period.
const LIMITS: usize = 100;

/// Texts of components are kept by their hash, so that long ones take no more memory.
type Hash = [u8; 32];

/// What makes two calls count together.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Limit {
    bucket: Hash,
    burst: u32,
    period_seconds: u32,
}

type Limits = HashMap<Limit, Arc<Mutex<Keys>>>;

/// All limits, by component.
#[derive(Default)]
pub(crate) struct Throttle {
    components: RwLock<HashMap<String, Limits>>,
}

impl Throttle {
    /// Takes a permit, or says for how many seconds there is none.
    pub(crate) fn admit(
        &self,
        component: &str,
        bucket: &str,
        key: &str,
        burst: u32,
        period_seconds: u32,
    ) -> Result<(), u32> {
        let pause = period_seconds.max(1);
        if burst == 0 {
            return Err(pause);
        }
        let limit = Limit { bucket: hash(bucket), burst, period_seconds };
        let keys = self.keys(component, limit).ok_or(pause)?;
        let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
        let period = Duration::from_secs(period_seconds.into());
        keys.admit(hash(key), period / burst, period, Instant::now())
    }

    fn keys(&self, component: &str, limit: Limit) -> Option<Arc<Mutex<Keys>>> {
        let known = self.components.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = known.get(component).and_then(|limits| limits.get(&limit)) {
            return Some(Arc::clone(keys));
        }
        drop(known);
        let mut components = self.components.write().unwrap_or_else(PoisonError::into_inner);
        let limits = components.entry(component.to_owned()).or_default();
        if limits.len() >= LIMITS && !limits.contains_key(&limit) {
            return None;
        }
        Some(Arc::clone(limits.entry(limit).or_default()))
    }
}

/// The keys of one limit.
#[derive(Default)]
struct Keys {
    /// When all permits of a key are back.
    whole_at: HashMap<Hash, Instant>,
    swept_at: Option<Instant>,
}

impl Keys {
    /// Takes a permit that comes back after `interval`; all of them are back after `period`.
    fn admit(
        &mut self,
        key: Hash,
        interval: Duration,
        period: Duration,
        now: Instant,
    ) -> Result<(), u32> {
        let known = self.whole_at.get(&key).copied();
        if known.is_none() && !self.has_room(now) {
            return Err(1);
        }
        let whole_at = known.map_or(now, |moment| moment.max(now)) + interval;
        // Fractions of nanoseconds are lost in the interval; they are not waited for.
        let wait = whole_at.saturating_duration_since(now + period);
        if !wait.is_zero() {
            return Err(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX - 1) + 1);
        }
        self.whole_at.insert(key, whole_at);
        Ok(())
    }

    fn has_room(&mut self, now: Instant) -> bool {
        if self.whole_at.len() < KEYS {
            return true;
        }
        let is_due = self.swept_at.is_none_or(|swept| now.duration_since(swept) >= SWEEP);
        if is_due {
            self.swept_at = Some(now);
            self.whole_at.retain(|_, whole_at| *whole_at > now);
        }
        self.whole_at.len() < KEYS
    }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(6);
    const PERIOD: Duration = Duration::from_secs(60);

    fn key(number: usize) -> Hash {
        hash(&number.to_string())
    }

    #[test]
    fn permits_come_back_evenly() {
        let (mut keys, start) = (Keys::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(keys.admit(key(0), INTERVAL, PERIOD, start), Ok(()));
        }
        assert_eq!(keys.admit(key(0), INTERVAL, PERIOD, start), Err(7));
        assert_eq!(keys.admit(key(1), INTERVAL, PERIOD, start), Ok(()));
        let later = start + INTERVAL;
        assert_eq!(keys.admit(key(0), INTERVAL, PERIOD, later), Ok(()));
        assert!(keys.admit(key(0), INTERVAL, PERIOD, later).is_err());
        let much_later = start + 3 * PERIOD;
        for _ in 0..10 {
            assert_eq!(keys.admit(key(0), INTERVAL, PERIOD, much_later), Ok(()));
        }
        assert!(keys.admit(key(0), INTERVAL, PERIOD, much_later).is_err());
    }

    #[test]
    fn when_the_limit_is_full_only_new_keys_wait() {
        let (mut keys, start) = (Keys::default(), Instant::now());
        for number in 0..KEYS {
            assert_eq!(keys.admit(key(number), INTERVAL, PERIOD, start), Ok(()));
        }
        assert_eq!(keys.admit(key(KEYS), INTERVAL, PERIOD, start), Err(1));
        assert_eq!(keys.admit(key(0), INTERVAL, PERIOD, start), Ok(()));
        // Permits are back, but the keys were looked at a moment ago.
        keys.swept_at = Some(start + INTERVAL);
        assert_eq!(keys.admit(key(KEYS), INTERVAL, PERIOD, start + INTERVAL), Err(1));
        let later = start + INTERVAL + SWEEP;
        assert_eq!(keys.admit(key(KEYS), INTERVAL, PERIOD, later), Ok(()));
        assert_eq!(keys.whole_at.len(), 2, "all but the one that lacks a permit are forgotten");
    }

    #[test]
    fn limits_of_one_component_are_bounded_and_leave_room_for_others() {
        let throttle = Throttle::default();
        for number in 0..LIMITS {
            assert_eq!(throttle.admit("greedy", &number.to_string(), "key", 1, 60), Ok(()));
        }
        assert_eq!(throttle.admit("greedy", "one more", "key", 1, 60), Err(60));
        assert_eq!(throttle.admit("modest", "one", "key", 1, 60), Ok(()));
        assert!(throttle.admit("modest", "one", "key", 1, 60).is_err());
    }

    #[test]
    fn no_permits_are_none_and_no_period_is_no_limit() {
        let throttle = Throttle::default();
        assert_eq!(throttle.admit("component", "bucket", "key", 0, 0), Err(1));
        for _ in 0..3 {
            assert_eq!(throttle.admit("component", "bucket", "key", 1, 0), Ok(()));
        }
    }
}
