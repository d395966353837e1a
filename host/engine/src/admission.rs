//! Who may work now: a bound on requests at one time, a bounded queue before it, and a quarantine
//! for components that keep failing.
//!
//! A component whose requests trap, run out of time or overrun their limits one after the other
//! is served one request at a time, with a pause after each failure that is several times as long
//! as the failure took. So it costs its neighbours a fixed small share of the machine, however
//! hard it is called, and the first good answer lets it out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::answer::Failure;

/// Failures in a row that put a component into quarantine.
const FAILURES: u32 = 3;
/// How many times as long as it took a failure is followed by a pause.
const PAUSE_FACTOR: u32 = 10;
/// The shortest and the longest pause.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(300));

/// The door of one controller.
pub(crate) struct Admission {
    permits: Arc<Semaphore>,
    places: usize,
    waiting: AtomicUsize,
    failures: AtomicU32,
    quarantine: Arc<Mutex<()>>,
}

/// What the end of a request says about the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answered and can be asked again.
    Well,
    /// Nothing: the client, or the host, ended it.
    Neutral,
    /// It trapped, ran out of time or overran a limit.
    Failed,
}

/// Leave to work on one request. Ends with [`Admission::ended`], or when dropped.
pub(crate) struct Admitted {
    permit: OwnedSemaphorePermit,
    quarantine: Option<OwnedMutexGuard<()>>,
    since: Instant,
}

impl Admission {
    pub(crate) fn new(concurrency: u32, queue: u32) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(concurrency as usize)),
            places: queue as usize,
            waiting: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            quarantine: Arc::default(),
        }
    }

    /// Waits for leave, but never in a long queue and never past the deadline.
    pub(crate) async fn admit(&self, deadline: Instant) -> Result<Admitted, Failure> {
        let quarantined = self.is_quarantined();
        if !quarantined && let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(Admitted { permit, quarantine: None, since: Instant::now() });
        }
        let _place = Waiting::enter(&self.waiting, self.places)?;
        let admitted = async {
            let quarantine = match quarantined {
                true => Some(Arc::clone(&self.quarantine).lock_owned().await),
                false => None,
            };
            let permit = Arc::clone(&self.permits).acquire_owned().await;
            let permit = permit.map_err(|_| Failure::Overloaded)?;
            Ok(Admitted { permit, quarantine, since: Instant::now() })
        };
        let waited = tokio::time::timeout_at(deadline.into(), admitted).await;
        waited.unwrap_or(Err(Failure::Overloaded))
    }

    /// Whether the component is in quarantine.
    pub(crate) fn is_quarantined(&self) -> bool {
        self.failures.load(Relaxed) >= FAILURES
    }

    /// Learns how the work on a request ended, and makes a quarantined component pause.
    pub(crate) async fn ended(&self, admitted: Admitted, verdict: Verdict) {
        let Admitted { permit, quarantine, since } = admitted;
        drop(permit);
        match verdict {
            Verdict::Well => self.failures.store(0, Relaxed),
            Verdict::Neutral => {}
            Verdict::Failed => {
                self.failures.fetch_add(1, Relaxed);
                if let Some(quarantine) = quarantine {
                    let pause = (since.elapsed() * PAUSE_FACTOR).clamp(PAUSE.0, PAUSE.1);
                    tokio::time::sleep(pause).await;
                    drop(quarantine);
                }
            }
        }
    }
}

/// A place in the queue, given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, places: usize) -> Result<Self, Failure> {
        if waiting.fetch_add(1, Relaxed) >= places {
            waiting.fetch_sub(1, Relaxed);
            return Err(Failure::Overloaded);
        }
        Ok(Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let admission = Admission::new(1, 0);
        let first = admission.admit(soon()).await.unwrap();
        assert!(matches!(admission.admit(soon()).await, Err(Failure::Overloaded)));
        admission.ended(first, Verdict::Well).await;
        assert!(admission.admit(soon()).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_waits_past_the_deadline() {
        let admission = Admission::new(1, 8);
        let _first = admission.admit(soon()).await.unwrap();
        let begun = Instant::now();
        assert!(admission.admit(soon()).await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert_eq!(admission.waiting.load(Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_failing_works_alone_until_it_answers_well() {
        let admission = Admission::new(8, 8);
        for _ in 0..FAILURES {
            let admitted = admission.admit(soon()).await.unwrap();
            admission.ended(admitted, Verdict::Failed).await;
        }
        let alone = admission.admit(soon()).await.unwrap();
        assert!(alone.quarantine.is_some());
        assert!(admission.admit(soon()).await.is_err(), "a second one works beside it");
        admission.ended(alone, Verdict::Well).await;
        let one = admission.admit(soon()).await.unwrap();
        let two = admission.admit(soon()).await.unwrap();
        assert!(one.quarantine.is_none() && two.quarantine.is_none());
    }

    #[tokio::test]
    async fn what_clients_and_the_host_end_is_neither_good_nor_bad() {
        let admission = Admission::new(8, 8);
        for verdict in [
            [Verdict::Neutral; FAILURES as usize],
            [Verdict::Failed, Verdict::Neutral, Verdict::Failed],
        ]
        .concat()
        {
            let admitted = admission.admit(soon()).await.unwrap();
            admission.ended(admitted, verdict).await;
            assert!(!admission.is_quarantined());
        }
        let admitted = admission.admit(soon()).await.unwrap();
        admission.ended(admitted, Verdict::Failed).await;
        assert!(admission.is_quarantined(), "what was neutral did not wipe out the failures");
    }
}
