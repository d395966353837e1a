//! An identity over a temporary directory, a ledger in memory and a clock that is moved by hand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use tempfile::TempDir;
use windlass_engine::Authentication;
use windlass_identity::{ApiToken, Identity, LedgerFuture, Revocations, TokenLedger};

#[derive(Default)]
pub(crate) struct MemoryLedger {
    tokens: Mutex<HashMap<String, i64>>,
    subjects: Mutex<HashMap<String, i64>>,
    api_tokens: Mutex<Vec<ApiToken>>,
    pub(crate) is_broken: AtomicBool,
}

impl MemoryLedger {
    fn answer<T>(&self, answer: T) -> LedgerFuture<'_, T>
    where
        T: Send + 'static,
    {
        let is_broken = self.is_broken.load(Ordering::Relaxed);
        Box::pin(async move { if is_broken { Err("broken".to_owned()) } else { Ok(answer) } })
    }
}

impl TokenLedger for MemoryLedger {
    fn revoke_token<'a>(&'a self, token_id: &'a str, expires_at_us: i64) -> LedgerFuture<'a, ()> {
        self.tokens.lock().unwrap().insert(token_id.to_owned(), expires_at_us);
        self.answer(())
    }

    fn revoke_subject<'a>(
        &'a self,
        subject: &'a str,
        issued_until_us: i64,
    ) -> LedgerFuture<'a, ()> {
        self.subjects.lock().unwrap().insert(subject.to_owned(), issued_until_us);
        self.answer(())
    }

    fn revocations(&self, _now_us: i64) -> LedgerFuture<'_, Revocations> {
        self.answer(Revocations {
            tokens: self.tokens.lock().unwrap().clone().into_iter().collect(),
            subjects: self.subjects.lock().unwrap().clone().into_iter().collect(),
        })
    }

    fn create_api_token<'a>(&'a self, token: &'a ApiToken) -> LedgerFuture<'a, ()> {
        self.api_tokens.lock().unwrap().push(token.clone());
        self.answer(())
    }

    fn list_api_tokens(&self) -> LedgerFuture<'_, Vec<ApiToken>> {
        self.answer(self.api_tokens.lock().unwrap().clone())
    }

    fn delete_api_token<'a>(&'a self, token_id: &'a str) -> LedgerFuture<'a, ()> {
        self.api_tokens.lock().unwrap().retain(|token| token.id != token_id);
        self.answer(())
    }
}

pub(crate) struct Fixture {
    pub(crate) directory: TempDir,
    pub(crate) ledger: Arc<MemoryLedger>,
    pub(crate) now_us: Arc<AtomicI64>,
    pub(crate) identity: Identity,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Arc::<MemoryLedger>::default();
        let now_us = Arc::new(AtomicI64::new(1_700_000_000_500_000));
        let identity = open(&directory, &ledger, &now_us).await;
        Self { directory, ledger, now_us, identity }
    }

    /// The same host after a restart, or another one on the same database and keys.
    pub(crate) async fn reopen(&self) -> Identity {
        open(&self.directory, &self.ledger, &self.now_us).await
    }

    pub(crate) fn dir(&self) -> Dir {
        Dir::open_ambient_dir(self.directory.path(), ambient_authority()).unwrap()
    }

    pub(crate) fn advance(&self, microseconds: i64) {
        self.now_us.fetch_add(microseconds, Ordering::Relaxed);
    }
}

async fn open(
    directory: &TempDir,
    ledger: &Arc<MemoryLedger>,
    now_us: &Arc<AtomicI64>,
) -> Identity {
    let dir = Dir::open_ambient_dir(directory.path(), ambient_authority()).unwrap();
    let now_us = Arc::clone(now_us);
    let clock = Arc::new(move || now_us.load(Ordering::Relaxed));
    Identity::open_with_clock(&dir, Arc::<MemoryLedger>::clone(ledger), clock).await.unwrap()
}

/// Headers with these authorizations.
pub(crate) fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// Who sends a bearer token.
pub(crate) fn bearer(identity: &Identity, token: &str) -> Authentication {
    identity.authenticate(&headers(&[&format!("Bearer {token}")]))
}

/// The reason of a rejection, or who was let in.
pub(crate) fn reason(authentication: Authentication) -> String {
    match authentication {
        Authentication::Rejected(reason) => reason,
        other => format!("not rejected: {other:?}"),
    }
}
