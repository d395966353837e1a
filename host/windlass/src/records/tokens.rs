//! What is remembered of tokens.

use windlass_identity::{ApiToken, LedgerFuture, Revocations, TokenLedger};
use windlass_storage::Database;
use windlass_store::ExecutorError;
use windlass_store::platform::tokens::{self, ApiTokenRecord};

use super::executor::Records;

/// The ledger of tokens.
pub(super) struct Tokens(Records);

impl Tokens {
    pub(super) fn new(database: &Database) -> Self {
        Self(Records::new(database))
    }
}

impl TokenLedger for Tokens {
    fn revoke_token<'a>(&'a self, token_id: &'a str, expires_at_us: i64) -> LedgerFuture<'a, ()> {
        Box::pin(
            async move { tokens::revoke(&self.0, token_id, expires_at_us).await.map_err(sentence) },
        )
    }

    fn revoke_subject<'a>(
        &'a self,
        subject: &'a str,
        issued_until_us: i64,
    ) -> LedgerFuture<'a, ()> {
        Box::pin(async move {
            tokens::revoke_subject(&self.0, subject, issued_until_us).await.map_err(sentence)
        })
    }

    fn revocations(&self, now_us: i64) -> LedgerFuture<'_, Revocations> {
        Box::pin(async move {
            Ok(Revocations {
                tokens: tokens::revoked(&self.0, now_us).await.map_err(sentence)?,
                subjects: tokens::revoked_subjects(&self.0).await.map_err(sentence)?,
            })
        })
    }

    fn create_api_token<'a>(&'a self, token: &'a ApiToken) -> LedgerFuture<'a, ()> {
        let ApiToken { hash, id, subject, created_at_us, expires_at_us } = token.clone();
        let record = ApiTokenRecord { hash, id, subject, created_at_us, expires_at_us };
        Box::pin(async move { tokens::create_api_token(&self.0, &record).await.map_err(sentence) })
    }

    fn list_api_tokens(&self) -> LedgerFuture<'_, Vec<ApiToken>> {
        Box::pin(async move {
            let records = tokens::api_tokens(&self.0).await.map_err(sentence)?;
            let known = records.into_iter().map(|record| {
                let ApiTokenRecord { hash, id, subject, created_at_us, expires_at_us } = record;
                ApiToken { hash, id, subject, created_at_us, expires_at_us }
            });
            Ok(known.collect())
        })
    }

    fn delete_api_token<'a>(&'a self, token_id: &'a str) -> LedgerFuture<'a, ()> {
        Box::pin(async move { tokens::delete_api_token(&self.0, token_id).await.map_err(sentence) })
    }
}

pub(super) fn sentence(error: ExecutorError) -> String {
    error.to_string()
}
