//! Memory that many share: each takes of it piece by piece, and gives it back when dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// So many bytes for all together.
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

/// What one of them has taken.
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    /// A share of nothing yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), bytes: 0 }
    }

    /// Whether less than a quarter is left: time to keep nothing that is only convenient.
    pub(crate) fn is_tight(&self) -> bool {
        self.used.load(Relaxed) > self.limit / 4 * 3
    }
}

impl Share {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes the share this large, if so much of the budget stays free for others. Answers whether
    /// it did; a share that becomes smaller always does.
    pub(crate) fn resize(&mut self, bytes: usize, left_to_others: usize) -> bool {
        let used = &self.budget.used;
        if let Some(more) = bytes.checked_sub(self.bytes) {
            let most = self.budget.limit.saturating_sub(left_to_others);
            let grown = used.fetch_update(Relaxed, Relaxed, |used| {
                used.checked_add(more).filter(|after| *after <= most)
            });
            if grown.is_err() {
                return false;
            }
        } else {
            used.fetch_sub(self.bytes - bytes, Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_together_stay_within_the_budget() {
        let budget = Budget::new(100);
        let (mut one, mut two) = (budget.share(), budget.share());
        assert!(one.resize(60, 0));
        assert!(!two.resize(41, 0), "more than there is");
        assert_eq!(two.bytes(), 0, "a refused share stays as it was");
        assert!(two.resize(40, 0));
        assert!(one.resize(10, 0) && two.resize(90, 0), "what one gave back another may take");
        drop(two);
        assert!(one.resize(100, 0), "what was dropped is free again");
    }

    #[test]
    fn what_is_left_to_others_is_not_taken() {
        let budget = Budget::new(100);
        let (mut large, mut small) = (budget.share(), budget.share());
        assert!(!large.resize(76, 25));
        assert!(large.resize(75, 25) && !budget.is_tight());
        assert!(small.resize(25, 0) && budget.is_tight());
    }
}
