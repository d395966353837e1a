//! Why something about identities could not be done.

/// Why something about identities could not be done. The texts are for the log and for the
/// author of a component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// An argument is malformed or out of bounds.
    #[error("{0}")]
    Invalid(String),
    /// Keys, randomness or the ledger cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// Too many password hashes at once.
    #[error("{0}")]
    Quota(String),
    /// The work took longer than the request may.
    #[error("{0}")]
    Timeout(String),
}
