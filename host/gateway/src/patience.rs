//! How long a client is waited for when it is its turn to do something.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Knows whether the host or the client has something to do, and until when the client is waited
/// for. While the host is at work the client may rest.
#[derive(Debug)]
pub(crate) struct Patience {
    time: Duration,
    turn: Mutex<Turn>,
}

#[derive(Debug)]
struct Turn {
    at_work: usize,
    until: Instant,
}

impl Patience {
    /// Waits for the client from now on: for `first` at first, and for `time` whenever the host
    /// is done with its work.
    pub(crate) fn new(first: Duration, time: Duration) -> Self {
        let turn = Turn { at_work: 0, until: Instant::now() + first };
        Self { time, turn: Mutex::new(turn) }
    }

    /// The host has something to do until [`Patience::end`] is called as often as this was.
    pub(crate) fn begin(&self) {
        self.turn().at_work += 1;
    }

    /// The host is done with one thing.
    pub(crate) fn end(&self) {
        let until = Instant::now() + self.time;
        let mut turn = self.turn();
        turn.at_work = turn.at_work.saturating_sub(1);
        turn.until = until;
    }

    /// Waits for the client for another while.
    pub(crate) fn extend(&self, time: Duration) {
        self.turn().until = Instant::now() + time;
    }

    /// Returns when the client was waited for long enough.
    pub(crate) async fn ended(&self) {
        while let Some(moment) = self.next_look() {
            tokio::time::sleep_until(moment).await;
        }
    }

    /// When to look again. Timers are set once in a while and not for each request: whatever
    /// happens meanwhile, a wait that begins after now is not over before `time` has passed.
    fn next_look(&self) -> Option<Instant> {
        let now = Instant::now();
        let turn = self.turn();
        match turn.at_work {
            0 => (turn.until > now).then(|| turn.until.min(now + self.time)),
            _ => Some(now + self.time),
        }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something the host has to do, until it is dropped.
#[derive(Debug)]
pub(crate) struct Work(Arc<Patience>);

impl Work {
    /// Begins it.
    pub(crate) fn begin(patience: &Arc<Patience>) -> Self {
        patience.begin();
        Self(Arc::clone(patience))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(20);

    async fn ends(patience: &Patience) -> bool {
        tokio::time::timeout(10 * SHORT, patience.ended()).await.is_ok()
    }

    #[tokio::test]
    async fn the_first_wait_may_be_another_than_the_later_ones() {
        assert!(ends(&Patience::new(SHORT, LONG)).await);
        let patience = Arc::new(Patience::new(LONG, SHORT));
        assert!(!ends(&patience).await);
        let (ended, ()) = tokio::join!(ends(&patience), async { drop(Work::begin(&patience)) });
        assert!(ended, "it had begun to wait for longer");
    }

    #[tokio::test]
    async fn nobody_is_waited_for_while_the_host_is_at_work() {
        let patience = Arc::new(Patience::new(SHORT, SHORT));
        let (one, other) = (Work::begin(&patience), Work::begin(&patience));
        drop(one);
        assert!(!ends(&patience).await);
        drop(other);
        assert!(ends(&patience).await);
    }

    #[tokio::test]
    async fn a_wait_that_is_over_can_be_extended() {
        let patience = Patience::new(SHORT, SHORT);
        assert!(ends(&patience).await);
        patience.extend(LONG);
        assert!(!ends(&patience).await);
    }
}
