//! The port to sealed secrets. The host keeps the keys; here a secret is sealed and stored, and never
//! opened again. It is opened by the host alone, at the one place its context names.

use crate::error::Result;
use crate::future::{PortBound, PortFuture};

/// Seals secrets.
pub trait Secrets: PortBound {
    /// Seals a secret of 1 byte to 64 KiB for the one place that `context` names, as printable
    /// ASCII.
    fn seal<'a>(&'a self, context: &'a str, plaintext: &'a str) -> PortFuture<'a, Result<String>>;
}
