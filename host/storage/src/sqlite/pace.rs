//! Which statements may run on the asynchronous thread that asks.
//!
//! A statement that computed little whenever it ran may. It is trusted and watched: on an
//! asynchronous thread it is interrupted after a moment and begins anew elsewhere, it is
//! slow from then on, and its component gets no such thread for a while. The text alone says
//! nothing: the same one is quick with one parameter and endless with another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What a quick statement computes. A page of rows takes tens of microseconds.
const QUICK: Duration = Duration::from_millis(1);
/// How long a statement may keep an asynchronous thread, computing or not: other requests of the
/// thread wait that long.
pub(super) const INLINE: Duration = Duration::from_millis(20);
/// Quick runs in a row after which a slow statement is trusted again: a machine that stood still
/// once should not cost a good statement its speed for ever, and who is slow once in a thousand
/// runs gains nothing by it.
const PROBATION: u32 = 1_000;
/// How long a component keeps off asynchronous threads after one of its statements was slow there:
/// with ever new texts it would else take each thread for a moment again and again.
const PENALTY: Duration = Duration::from_secs(1);
/// Statement texts whose pace is remembered.
const KNOWN_STATEMENTS: usize = 1_024;

/// What is known of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nothing; not even that it passes the checks.
    New,
    /// It was slow, and has not been quick often enough since.
    Slow,
    /// It was quick whenever it ran.
    Quick,
}

/// The paces of one component's statements.
pub(super) struct Paces {
    /// By text, the quick runs that are still missing until it is trusted.
    missing: RwLock<HashMap<Box<str>, u32>>,
    made_at: Instant,
    /// When the penalty ends, in microseconds since `made_at`.
    penalty_ends: AtomicU64,
}

impl Paces {
    pub(super) fn new() -> Self {
        Self {
            missing: RwLock::default(),
            made_at: Instant::now(),
            penalty_ends: AtomicU64::new(0),
        }
    }

    pub(super) fn of(&self, statement: &str) -> Pace {
        match self.missing(statement) {
            None => Pace::New,
            Some(0) => Pace::Quick,
            Some(_) => Pace::Slow,
        }
    }

    /// Whether the component may have an asynchronous thread now.
    pub(super) fn may_run_inline(&self) -> bool {
        self.penalty_ends.load(Relaxed) <= micros(self.made_at.elapsed())
    }

    /// Takes note of a run, however it ended.
    pub(super) fn ran(&self, statement: &str, run: Run) {
        let was_slow = run.was_interrupted || run.computed > QUICK;
        if was_slow && run.was_inline {
            let ends = self.made_at.elapsed() + PENALTY;
            self.penalty_ends.store(micros(ends), Relaxed);
        }
        let known = self.missing(statement);
        let missing = match known {
            _ if was_slow => PROBATION,
            None => 0,
            Some(missing) => missing.saturating_sub(1),
        };
        if known != Some(missing) {
            self.remember(statement, missing);
        }
    }

    fn missing(&self, statement: &str) -> Option<u32> {
        let known = self.missing.read().unwrap_or_else(PoisonError::into_inner);
        known.get(statement).copied()
    }

    /// What is quick is forgotten first: it is the more easily learnt again.
    fn remember(&self, statement: &str, missing: u32) {
        let mut known = self.missing.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_STATEMENTS && !known.contains_key(statement) {
            known.retain(|_, missing| *missing > 0);
            if known.len() >= KNOWN_STATEMENTS {
                return;
            }
        }
        known.insert(statement.into(), missing);
    }
}

/// How a statement ran.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// What it computed, which leaves out that it waited for a processor.
    pub(super) computed: Duration,
    /// Whether its time was up before it ended.
    pub(super) was_interrupted: bool,
    /// Whether it had an asynchronous thread.
    pub(super) was_inline: bool,
}

/// Says what `run` came to, and what this thread computed for it.
pub(super) fn measured<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let before = thread_time();
    let result = run();
    (result, thread_time().saturating_sub(before))
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "SELECT 1";

    fn run(milliseconds: u64) -> Run {
        let computed = Duration::from_millis(milliseconds);
        Run { computed, was_interrupted: false, was_inline: false }
    }

    #[test]
    fn what_was_slow_once_has_to_be_quick_for_long() {
        let paces = Paces::new();
        assert_eq!(paces.of(TEXT), Pace::New);
        paces.ran(TEXT, run(0));
        assert_eq!(paces.of(TEXT), Pace::Quick);
        paces.ran(TEXT, run(2));
        for _ in 0..PROBATION {
            assert_eq!(paces.of(TEXT), Pace::Slow);
            paces.ran(TEXT, run(0));
        }
        assert_eq!(paces.of(TEXT), Pace::Quick);
    }

    #[test]
    fn an_interrupted_statement_is_slow_although_it_computed_nothing() {
        let paces = Paces::new();
        paces.ran(TEXT, Run { was_interrupted: true, ..run(0) });
        assert_eq!(paces.of(TEXT), Pace::Slow);
    }

    #[test]
    fn who_was_slow_on_an_asynchronous_thread_gets_none_for_a_while() {
        let paces = Paces::new();
        paces.ran(TEXT, run(2));
        assert!(paces.may_run_inline());
        paces.ran(TEXT, Run { was_inline: true, ..run(2) });
        assert!(!paces.may_run_inline());
    }

    #[test]
    fn new_texts_do_not_push_slow_ones_out() {
        let paces = Paces::new();
        paces.ran(TEXT, run(2));
        for number in 0..2 * KNOWN_STATEMENTS {
            paces.ran(&format!("SELECT {number} + 1"), run(0));
        }
        assert_eq!(paces.of(TEXT), Pace::Slow);
        for number in 0..2 * KNOWN_STATEMENTS {
            paces.ran(&format!("SELECT {number} + 2"), run(2));
        }
        assert_eq!(paces.of("SELECT 'one more'"), Pace::New);
        assert!(paces.missing.read().is_ok_and(|known| known.len() <= KNOWN_STATEMENTS));
    }
}
