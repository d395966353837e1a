//! Password hashes: argon2id, a few at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use crate::IdentityError;

/// OWASP's parameters for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// A hash that asks for more than this was not made here, and would be an attack on memory.
const MEMORY_LIMIT_KIB: u32 = 64 * 1_024;
const PASSES_LIMIT: u32 = 8;
/// Longer passwords are refused.
const PASSWORD_BYTES: usize = 1_024;
/// Hashes worked on at once, each with a thread and [`MEMORY_KIB`].
const AT_ONCE: usize = 2;
/// Hashes that may wait for a place.
const WAITING: usize = 32;

/// Hashes and verifies.
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// What a password is compared with when there is no hash.
    dummy: Arc<str>,
}

impl Passwords {
    pub(crate) fn new() -> Result<Self, IdentityError> {
        let dummy = hash(&hex::encode(crate::keys::random::<16>()?))?;
        Ok(Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicUsize::new(0),
            dummy: dummy.into(),
        })
    }

    /// Hashes a password into a PHC string.
    pub(crate) async fn hash(
        &self,
        password: String,
        deadline: Instant,
    ) -> Result<String, IdentityError> {
        check_length(&password)?;
        self.work(deadline, move || hash(&password)).await
    }

    /// Whether a password fits a hash. Without one it fits none, after the same work.
    pub(crate) async fn verify(
        &self,
        password: String,
        expected: Option<String>,
        deadline: Instant,
    ) -> Result<bool, IdentityError> {
        check_length(&password)?;
        let is_known = expected.is_some();
        let expected = match expected {
            Some(expected) => {
                check_cost(&expected)?;
                Arc::from(expected)
            }
            None => Arc::clone(&self.dummy),
        };
        self.work(deadline, move || Ok(verify(&password, &expected) && is_known)).await
    }

    /// Runs a hash on a thread that may block, when a place is free.
    async fn work<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
    ) -> Result<T, IdentityError> {
        let _waiting = Waiting::enter(&self.waiting)?;
        let place = timeout_at(deadline.into(), Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| IdentityError::Timeout("no place for a password hash in time".into()))?
            .map_err(|_| IdentityError::Unavailable("the host is shutting down".into()))?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            // Held until the work has ended, also when nobody waits for it any more.
            drop(place);
            result
        });
        match timeout_at(deadline.into(), task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(IdentityError::Unavailable("a password hash failed".into())),
            Err(_) => Err(IdentityError::Timeout("the password hash took too long".into())),
        }
    }
}

/// A place in the queue, given back when the call ends or is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Result<Self, IdentityError> {
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= AT_ONCE + WAITING {
            return Err(IdentityError::Quota("too many password hashes at once".into()));
        }
        Ok(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn check_length(password: &str) -> Result<(), IdentityError> {
    if password.len() > PASSWORD_BYTES {
        return Err(IdentityError::Invalid(format!(
            "a password is at most {PASSWORD_BYTES} bytes"
        )));
    }
    Ok(())
}

fn check_cost(hash: &str) -> Result<(), IdentityError> {
    let no_hash = |_| IdentityError::Invalid("the hash is no argon2 hash in PHC form".into());
    let parsed = PasswordHash::new(hash).map_err(no_hash)?;
    let parameters = Params::try_from(&parsed)
        .map_err(|_| IdentityError::Invalid("the hash is no argon2 hash in PHC form".into()))?;
    if parameters.m_cost() > MEMORY_LIMIT_KIB || parameters.t_cost() > PASSES_LIMIT {
        return Err(IdentityError::Invalid(
            "the hash asks for more memory or time than ours".into(),
        ));
    }
    Ok(())
}

fn argon2() -> Result<Argon2<'static>, IdentityError> {
    let parameters = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| IdentityError::Unavailable(format!("argon2: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

fn hash(password: &str) -> Result<String, IdentityError> {
    let salt = crate::keys::random::<16>()?;
    let hash: PasswordHash = argon2()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| IdentityError::Unavailable(format!("no password hash: {error}")))?;
    Ok(hash.to_string())
}

fn verify(password: &str, expected: &str) -> bool {
    argon2().is_ok_and(|argon2| argon2.verify_password(password.as_bytes(), expected).is_ok())
}
