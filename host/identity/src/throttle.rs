//! Rate limits over all instances of a component, in bounded memory.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Keys one limit keeps count of. When there are more, those that have all permits back are
/// forgotten; when that does not help, new keys wait.
const KEYS: usize = 100_000;
/// Limits of all components together: each is a component, a bucket, a burst and a period.
const LIMITS: usize = 1_000;

/// What makes two calls count together.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Limit {
    component: String,
    bucket: String,
    burst: NonZeroU32,
    period_seconds: u32,
}

/// All limits.
#[derive(Default)]
pub(crate) struct Throttle {
    limits: RwLock<HashMap<Limit, Arc<DefaultKeyedRateLimiter<String>>>>,
    clock: DefaultClock,
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
        let Some(burst) = NonZeroU32::new(burst) else { return Err(period_seconds.max(1)) };
        let period = Duration::from_secs(period_seconds.into());
        // No period is no limit.
        let Some(quota) = Quota::with_period(period / burst.get()) else { return Ok(()) };
        let quota = quota.allow_burst(burst);
        let limit =
            Limit { component: component.into(), bucket: bucket.into(), burst, period_seconds };
        let Some(limiter) = self.limiter(limit, quota) else { return Err(period_seconds) };
        if limiter.len() > KEYS {
            limiter.retain_recent();
            if limiter.len() > KEYS {
                return Err(1);
            }
        }
        limiter.check_key(&key.to_owned()).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            u32::try_from(wait.as_secs()).unwrap_or(u32::MAX - 1) + 1
        })
    }

    fn limiter(&self, limit: Limit, quota: Quota) -> Option<Arc<DefaultKeyedRateLimiter<String>>> {
        let known = self.limits.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(limiter) = known.get(&limit) {
            return Some(Arc::clone(limiter));
        }
        drop(known);
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        if limits.len() >= LIMITS && !limits.contains_key(&limit) {
            return None;
        }
        let limiter = limits.entry(limit).or_insert_with(|| Arc::new(RateLimiter::keyed(quota)));
        Some(Arc::clone(limiter))
    }
}
