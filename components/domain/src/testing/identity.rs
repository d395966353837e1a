//! Passwords, tokens and limits without cryptography.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::future::PortFuture;
use crate::identity::{Identity, IssuedToken};
use crate::ids::UserId;
use crate::time::Timestamp;

/// Hashes by writing `hash:` before the password, issues `token-<n>`, and counts permits without
/// giving them back.
#[derive(Debug, Default)]
pub struct FakeIdentity {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    permits: HashMap<(String, String), u32>,
    hashes: u32,
    verified_without_hash: u32,
    issued: u32,
}

impl FakeIdentity {
    /// How many passwords were hashed or verified.
    pub fn hashes(&self) -> u32 {
        self.state().hashes
    }

    /// How many verifications had no hash to compare with.
    pub fn verified_without_hash(&self) -> u32 {
        self.state().verified_without_hash
    }

    /// Gives every permit back, as time would.
    pub fn forget_attempts(&self) {
        self.state().permits.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Identity for FakeIdentity {
    fn hash_password<'a>(&'a self, password: &'a str) -> PortFuture<'a, Result<String>> {
        self.state().hashes += 1;
        Box::pin(async move { Ok(format!("hash:{password}")) })
    }

    fn verify_password<'a>(
        &'a self,
        password: &'a str,
        hash: Option<&'a str>,
    ) -> PortFuture<'a, Result<bool>> {
        let mut state = self.state();
        state.hashes += 1;
        state.verified_without_hash += u32::from(hash.is_none());
        let fits = hash.and_then(|hash| hash.strip_prefix("hash:")) == Some(password);
        Box::pin(async move { Ok(fits) })
    }

    fn issue_token<'a>(
        &'a self,
        subject: UserId,
        lifetime_seconds: u64,
    ) -> PortFuture<'a, Result<IssuedToken>> {
        let mut state = self.state();
        state.issued += 1;
        let number = state.issued;
        Box::pin(async move {
            Ok(IssuedToken {
                id: format!("token-{number}"),
                token: format!("secret-{number}-of-{subject}"),
                expires_at: Timestamp::from_seconds(lifetime_seconds.cast_signed()),
            })
        })
    }

    fn admit<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        burst: u32,
        period_seconds: u32,
    ) -> PortFuture<'a, std::result::Result<(), u32>> {
        let mut state = self.state();
        let taken = state.permits.entry((bucket.to_owned(), key.to_owned())).or_default();
        let admitted = *taken < burst;
        *taken += u32::from(admitted);
        Box::pin(async move { if admitted { Ok(()) } else { Err(period_seconds / burst) } })
    }
}
