//! The ports to sealed secrets. What is sealed is opened by the host alone, where it is used: in the
//! variables and arguments of a workload, and in the connection URL that its owner is answered.
//! Neither the rules nor the database ever hold one in the clear.

use crate::error::Result;
use crate::future::{PortBound, PortFuture};

/// A secret in its envelope, and where it stands in texts until the host opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// What stands in its place in a text, as `{password}`.
    pub placeholder: String,
    /// The one place it may be used in, which is sealed along with it.
    pub context: String,
    /// The envelope.
    pub envelope: String,
}

/// Sealing.
pub trait Secrets: PortBound {
    /// Seals a secret of 1 byte to 64 KiB for the one place that `context` names, as printable
    /// ASCII.
    fn seal<'a>(&'a self, context: &'a str, plaintext: &'a str) -> PortFuture<'a, Result<String>>;

    /// Makes a secret that nobody can guess, of letters and digits, and seals it.
    fn generate<'a>(&'a self, context: &'a str) -> PortFuture<'a, Result<String>>;
}

/// How a database is reached, for those who may know.
pub trait Connections: PortBound {
    /// The URL with the secret in the place of its placeholder, encoded as a URL demands. Refuses
    /// secrets that are no database's.
    fn render(&self, url: &str, password: &Sealed) -> Result<String>;
}
