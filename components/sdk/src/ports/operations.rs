//! Waking the reconciler by way of `windlass:operations/signal`.

use windlass_domain::operations::Signal;

use super::{Host, Nothing};
use crate::bindings::windlass::operations::signal;

impl Signal for Host {
    fn raise(&self) {
        // A signal that is not taken costs time and no operation.
        _ = signal::raise("operation");
    }
}

impl Signal for Nothing {
    fn raise(&self) {}
}
