//! Signals that are counted.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::operations::Signal;

/// Counts what was raised.
#[derive(Debug, Default)]
pub struct CountedSignal(AtomicU32);

impl CountedSignal {
    /// How often something was raised.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Signal for CountedSignal {
    fn raise(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
