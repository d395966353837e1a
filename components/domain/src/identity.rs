//! The port to passwords, tokens and limits. The host keeps the keys and does the hashing.

use crate::error::Result;
use crate::future::{PortBound, PortFuture};
use crate::ids::UserId;
use crate::time::Timestamp;

/// A token that was just issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// Names the token in the audit trail and when it is revoked; no secret.
    pub id: String,
    /// What the client sends.
    pub token: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Passwords, tokens and limits.
pub trait Identity: PortBound {
    /// Hashes a password for storage.
    fn hash_password<'a>(&'a self, password: &'a str) -> PortFuture<'a, Result<String>>;

    /// Says whether the password fits the hash. Without a hash the answer is `false` after the
    /// same work.
    fn verify_password<'a>(
        &'a self,
        password: &'a str,
        hash: Option<&'a str>,
    ) -> PortFuture<'a, Result<bool>>;

    /// Issues a bearer token for a user.
    fn issue_token<'a>(
        &'a self,
        subject: UserId,
        lifetime_seconds: u64,
    ) -> PortFuture<'a, Result<IssuedToken>>;

    /// Takes one of `burst` permits of the key, which come back evenly over `period_seconds`.
    /// When there is none the inner error is the number of seconds to wait.
    fn admit<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        burst: u32,
        period_seconds: u32,
    ) -> PortFuture<'a, std::result::Result<(), u32>>;
}
