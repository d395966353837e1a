//! Everything about identities in one place, as the gateway and the binary use it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cap_std::fs::Dir;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use uuid::Uuid;
use windlass_engine::Authentication;

use crate::keys::Keys;
use crate::ledger::{ApiToken, Memory, TokenLedger};
use crate::passwords::Passwords;
use crate::throttle::Throttle;
use crate::tokens::Tokens;
use crate::vault::Vault;
use crate::{IdentityError, api_tokens, keys};

/// The longest lifetime of a bearer token.
const LIFETIME_SECONDS: u64 = 30 * 24 * 60 * 60;
/// The longest subject and token id.
const NAME_BYTES: usize = 256;
/// What is said of a header that is none of ours.
const SHAPE: &str = "the authorization header must be 'Bearer <token>'";

/// Tells the time, in microseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A token that was just issued. Its text is not kept anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedToken {
    /// Names the token in [`Identity::revoke`] and in the audit log.
    pub id: String,
    /// What the client sends in `Authorization`.
    pub token: String,
    /// When it ends, in seconds since the Unix epoch.
    pub expires_at_seconds: u64,
}

/// Keys, tokens, passwords, limits and secrets of one host.
pub struct Identity {
    /// Exchanged as a whole when the key is rotated.
    tokens: RwLock<Tokens>,
    passwords: Passwords,
    throttle: Throttle,
    vault: Vault,
    ledger: Arc<dyn TokenLedger>,
    memory: RwLock<Memory>,
    /// Held while the ledger is written or read as a whole, so that a refresh that began before
    /// a revocation does not undo it in memory.
    writing: tokio::sync::Mutex<()>,
    clock: Clock,
}

impl Identity {
    /// Opens the keys in the data directory, making them at first start, and reads the ledger.
    ///
    /// # Errors
    /// When keys are damaged or open to others, or the ledger cannot be read.
    pub async fn open(data: &Dir, ledger: Arc<dyn TokenLedger>) -> Result<Self, IdentityError> {
        Self::open_with_clock(data, ledger, Arc::new(now)).await
    }

    /// The same with a clock of the caller's choice.
    ///
    /// # Errors
    /// As [`Identity::open`].
    pub async fn open_with_clock(
        data: &Dir,
        ledger: Arc<dyn TokenLedger>,
        clock: Clock,
    ) -> Result<Self, IdentityError> {
        let keys = Keys::load(data)?;
        let identity = Self {
            tokens: RwLock::new(Tokens::new(&keys.tokens)?),
            passwords: Passwords::new()?,
            throttle: Throttle::default(),
            vault: Vault::new(&keys.secrets),
            ledger,
            memory: RwLock::default(),
            writing: tokio::sync::Mutex::default(),
            clock,
        };
        identity.refresh().await?;
        Ok(identity)
    }

    /// The secret that passwords of database roles are made from: hosts that share their keys
    /// share it, so that several of them can work on one database.
    ///
    /// # Errors
    /// When keys are damaged or open to others.
    pub fn role_secret(data: &Dir) -> Result<[u8; 32], IdentityError> {
        Ok(derive(&Keys::load(data)?, b"windlass database roles\0"))
    }

    /// Reads the ledger anew, for what other hosts have written there.
    ///
    /// # Errors
    /// `unavailable` when it cannot be read; what was known stays known.
    pub async fn refresh(&self) -> Result<(), IdentityError> {
        let _writing = self.writing.lock().await;
        let revocations = self.ledger.revocations((self.clock)()).await.map_err(unavailable)?;
        let api_tokens = self.ledger.list_api_tokens().await.map_err(unavailable)?;
        let memory = Memory::new(revocations, api_tokens);
        *self.memory.write().unwrap_or_else(PoisonError::into_inner) = memory;
        Ok(())
    }

    /// Who sends a request with these headers.
    pub fn authenticate(&self, headers: &HeaderMap) -> Authentication {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Authentication::Anonymous };
        if values.next().is_some() {
            return rejected("there is more than one authorization header");
        }
        let Some((scheme, text)) = value.to_str().ok().and_then(|value| value.split_once(' '))
        else {
            return rejected(SHAPE);
        };
        let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let result = if !is_token {
            Err(SHAPE)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            self.authenticate_bearer(text)
        } else if scheme.eq_ignore_ascii_case("token") {
            self.authenticate_api_token(text)
        } else {
            Err(SHAPE)
        };
        match result {
            Ok((subject, token_id)) => Authentication::Authenticated { subject, token_id },
            Err(reason) => rejected(reason),
        }
    }

    fn authenticate_bearer(&self, text: &str) -> Result<(Arc<str>, Arc<str>), &'static str> {
        let token = self.tokens().verify(text, (self.clock)())?;
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        if memory.is_revoked(&token.token_id, &token.subject, token.issued_at_us) {
            return Err("the token was revoked");
        }
        Ok((token.subject, token.token_id))
    }

    fn authenticate_api_token(&self, text: &str) -> Result<(Arc<str>, Arc<str>), &'static str> {
        let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
        let token = memory
            .api_token(&api_tokens::hash(text))
            .ok_or("the API token is unknown or revoked")?;
        if token.expires_at_us.is_some_and(|end| (self.clock)() >= end) {
            return Err("the API token has expired");
        }
        if memory.is_revoked(&token.id, &token.subject, token.created_at_us) {
            return Err("the API token was revoked");
        }
        Ok((Arc::clone(&token.subject), Arc::clone(&token.id)))
    }

    /// Issues a bearer token.
    ///
    /// # Errors
    /// `invalid` for an empty or overlong subject, or a lifetime of none or over 30 days.
    pub fn issue(
        &self,
        subject: &str,
        lifetime_seconds: u64,
    ) -> Result<IssuedToken, IdentityError> {
        check_name("the subject", subject)?;
        if !(1..=LIFETIME_SECONDS).contains(&lifetime_seconds) {
            return Err(IdentityError::Invalid(format!(
                "the lifetime of a token is 1 to {LIFETIME_SECONDS} seconds"
            )));
        }
        let id = Uuid::new_v4().to_string();
        let now = (self.clock)();
        let token = self.tokens().issue(subject, &id, now, lifetime_seconds)?;
        let expires_at_seconds = (now / 1_000_000).unsigned_abs() + lifetime_seconds;
        Ok(IssuedToken { id, token, expires_at_seconds })
    }

    /// Makes a new key for signing bearer tokens and signs with it from now on. Tokens signed with
    /// the keys before it stay good until they expire or their key file is taken away.
    ///
    /// # Errors
    /// When the keys in the data directory cannot be read or written; the key before it then goes
    /// on signing.
    pub async fn rotate_token_key(&self, data: &Dir) -> Result<(), IdentityError> {
        // One after the other, so that each rotation makes a file of its own.
        let _writing = self.writing.lock().await;
        keys::rotate_token_key(data)?;
        let tokens = Tokens::new(&Keys::load(data)?.tokens)?;
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
        Ok(())
    }

    fn tokens(&self) -> RwLockReadGuard<'_, Tokens> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Issues an API token, good for `lifetime_seconds` or for ever. Its text is answered once.
    ///
    /// # Errors
    /// `invalid` for an empty or overlong subject, or a lifetime of none; `unavailable`.
    pub async fn create_api_token(
        &self,
        subject: &str,
        lifetime_seconds: Option<u64>,
    ) -> Result<(ApiToken, String), IdentityError> {
        check_name("the subject", subject)?;
        if lifetime_seconds == Some(0) {
            let reason = "the lifetime of an API token is at least 1 second, or left out";
            return Err(IdentityError::Invalid(reason.to_owned()));
        }
        let text = api_tokens::generate()?;
        let created_at_us = (self.clock)();
        let token = ApiToken {
            hash: api_tokens::hash(&text),
            id: Uuid::new_v4().to_string(),
            subject: subject.to_owned(),
            created_at_us,
            expires_at_us: lifetime_seconds.map(|seconds| {
                created_at_us.saturating_add_unsigned(seconds.saturating_mul(1_000_000))
            }),
        };
        let _writing = self.writing.lock().await;
        self.ledger.create_api_token(&token).await.map_err(unavailable)?;
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.create_api_token(token.clone());
        Ok((token, text))
    }

    /// All API tokens that were not revoked by themselves, expired ones among them.
    ///
    /// # Errors
    /// `unavailable` when the ledger cannot be read.
    pub async fn list_api_tokens(&self) -> Result<Vec<ApiToken>, IdentityError> {
        self.ledger.list_api_tokens().await.map_err(unavailable)
    }

    /// Revokes one token, of either kind. Idempotent.
    ///
    /// # Errors
    /// `unavailable` when the ledger cannot be written; the token is then still good.
    pub async fn revoke(&self, token_id: &str) -> Result<(), IdentityError> {
        check_name("the token id", token_id)?;
        // No bearer token outlives this; an API token is forgotten altogether.
        let lifetime_us = LIFETIME_SECONDS * 1_000_000;
        let expires_at_us = (self.clock)().saturating_add_unsigned(lifetime_us);
        let _writing = self.writing.lock().await;
        self.ledger.revoke_token(token_id, expires_at_us).await.map_err(unavailable)?;
        self.ledger.delete_api_token(token_id).await.map_err(unavailable)?;
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.revoke_token(token_id, expires_at_us);
        Ok(())
    }

    /// Revokes every token of a subject issued until now. Idempotent.
    ///
    /// # Errors
    /// `unavailable` when the ledger cannot be written; the tokens are then still good.
    pub async fn revoke_subject(&self, subject: &str) -> Result<(), IdentityError> {
        check_name("the subject", subject)?;
        let now = (self.clock)();
        let _writing = self.writing.lock().await;
        self.ledger.revoke_subject(subject, now).await.map_err(unavailable)?;
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.revoke_subject(subject, now);
        Ok(())
    }

    /// Hashes a password (argon2id, PHC string).
    ///
    /// # Errors
    /// `invalid` over 1,024 bytes, `quota` when too many wait, `timeout`.
    pub async fn hash_password(
        &self,
        password: String,
        deadline: Instant,
    ) -> Result<String, IdentityError> {
        self.passwords.hash(password, deadline).await
    }

    /// Whether a password fits a hash; without a hash `false`, after the same work.
    ///
    /// # Errors
    /// `invalid` for no argon2 hash or over 1,024 bytes, `quota` when too many wait, `timeout`.
    pub async fn verify_password(
        &self,
        password: String,
        hash: Option<String>,
        deadline: Instant,
    ) -> Result<bool, IdentityError> {
        self.passwords.verify(password, hash, deadline).await
    }

    /// Takes one of `burst` permits of a key that come back over `period_seconds`.
    ///
    /// # Errors
    /// The seconds to wait.
    pub fn admit(
        &self,
        component: &str,
        bucket: &str,
        key: &str,
        burst: u32,
        period_seconds: u32,
    ) -> Result<(), u32> {
        self.throttle.admit(component, bucket, key, burst, period_seconds)
    }

    /// Seals a secret for the one place its context names.
    ///
    /// # Errors
    /// `invalid` when the context is empty or too long.
    pub fn seal(&self, context: &str, plaintext: &[u8]) -> Result<String, IdentityError> {
        self.vault.seal(context, plaintext)
    }

    /// Opens a sealed secret, at its place of use.
    ///
    /// # Errors
    /// `invalid` when the envelope was changed or sealed for another place; `unavailable` when
    /// its key is not here.
    pub fn open_secret(&self, context: &str, envelope: &str) -> Result<Vec<u8>, IdentityError> {
        self.vault.open(context, envelope)
    }
}

fn derive(keys: &Keys, purpose: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(purpose);
    // The oldest key stays the same through rotations.
    digest.update(keys.secrets.first().map_or(&[][..], |key| key.as_slice()));
    digest.finalize().into()
}

fn check_name(what: &str, name: &str) -> Result<(), IdentityError> {
    if (1..=NAME_BYTES).contains(&name.len()) {
        return Ok(());
    }
    Err(IdentityError::Invalid(format!("{what} is of 1 to {NAME_BYTES} bytes")))
}

fn rejected(reason: &str) -> Authentication {
    Authentication::Rejected(reason.to_owned())
}

fn unavailable(error: String) -> IdentityError {
    IdentityError::Unavailable(format!("the ledger of tokens cannot be reached: {error}"))
}

/// The system's time, in microseconds since the Unix epoch.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
}
