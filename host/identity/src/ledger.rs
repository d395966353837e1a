//! What is remembered of tokens, and the port to where it is kept.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

/// What the ledger answers, later. The error is for the log.
pub type LedgerFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Where revocations and API tokens are kept. Moments are microseconds since the Unix epoch.
pub trait TokenLedger: Send + Sync {
    /// Keeps a revocation until the token would have expired by itself. Idempotent.
    fn revoke_token<'a>(&'a self, token_id: &'a str, expires_at_us: i64) -> LedgerFuture<'a, ()>;
    /// Keeps that all tokens of a subject issued up to a moment are revoked. Idempotent; the
    /// later moment wins.
    fn revoke_subject<'a>(&'a self, subject: &'a str, issued_until_us: i64)
    -> LedgerFuture<'a, ()>;
    /// Everything that is revoked at this moment; what expired before it may be forgotten.
    fn revocations(&self, now_us: i64) -> LedgerFuture<'_, Revocations>;
    /// Keeps a new API token.
    fn create_api_token<'a>(&'a self, token: &'a ApiToken) -> LedgerFuture<'a, ()>;
    /// All API tokens.
    fn list_api_tokens(&self) -> LedgerFuture<'_, Vec<ApiToken>>;
    /// Forgets an API token, which ends it. Idempotent.
    fn delete_api_token<'a>(&'a self, token_id: &'a str) -> LedgerFuture<'a, ()>;
}

/// What is revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revocations {
    /// Ids of tokens, and when they would have expired.
    pub tokens: Vec<(String, i64)>,
    /// Subjects, and the moment up to which their tokens are revoked.
    pub subjects: Vec<(String, i64)>,
}

/// A long-lived token for a program. Its text is not kept anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiToken {
    /// The SHA-256 of the text, in hexadecimal digits.
    pub hash: String,
    /// Names it in `revoke` and in the audit log.
    pub id: String,
    /// Whom it stands for.
    pub subject: String,
    /// When it was made.
    pub created_at_us: i64,
    /// When it ends, if ever.
    pub expires_at_us: Option<i64>,
}

/// An API token as it is looked up.
#[derive(Clone)]
pub(crate) struct KnownApiToken {
    pub(crate) id: Arc<str>,
    pub(crate) subject: Arc<str>,
    pub(crate) created_at_us: i64,
    pub(crate) expires_at_us: Option<i64>,
}

impl From<ApiToken> for KnownApiToken {
    fn from(token: ApiToken) -> Self {
        Self {
            id: token.id.into(),
            subject: token.subject.into(),
            created_at_us: token.created_at_us,
            expires_at_us: token.expires_at_us,
        }
    }
}

/// What of the ledger is looked at for every request.
#[derive(Default)]
pub(crate) struct Memory {
    tokens: HashMap<String, i64>,
    subjects: HashMap<String, i64>,
    api_tokens: HashMap<String, KnownApiToken>,
}

impl Memory {
    pub(crate) fn new(revocations: Revocations, api_tokens: Vec<ApiToken>) -> Self {
        Self {
            tokens: revocations.tokens.into_iter().collect(),
            subjects: revocations.subjects.into_iter().collect(),
            api_tokens: api_tokens
                .into_iter()
                .map(|token| (token.hash.clone(), token.into()))
                .collect(),
        }
    }

    /// Whether a token is revoked, by itself or with its subject.
    pub(crate) fn is_revoked(&self, token_id: &str, subject: &str, issued_at_us: i64) -> bool {
        self.tokens.contains_key(token_id)
            || self.subjects.get(subject).is_some_and(|until| issued_at_us <= *until)
    }

    pub(crate) fn api_token(&self, hash: &str) -> Option<&KnownApiToken> {
        self.api_tokens.get(hash)
    }

    pub(crate) fn revoke_token(&mut self, token_id: &str, expires_at_us: i64) {
        self.tokens.insert(token_id.to_owned(), expires_at_us);
        self.api_tokens.retain(|_, token| token.id.as_ref() != token_id);
    }

    pub(crate) fn revoke_subject(&mut self, subject: &str, issued_until_us: i64) {
        let until = self.subjects.entry(subject.to_owned()).or_insert(issued_until_us);
        *until = issued_until_us.max(*until);
    }

    pub(crate) fn create_api_token(&mut self, token: ApiToken) {
        self.api_tokens.insert(token.hash.clone(), token.into());
    }
}
