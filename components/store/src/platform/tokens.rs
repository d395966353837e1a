//! Tokens that are refused, and API tokens.

use super::{each, execute, integer, optional, text};
use crate::executor::{Answer, Executor, Value};

const REVOKE: &str = "INSERT INTO host_revoked_token (token_id, expires_at_us) VALUES ($1, $2) \
     ON CONFLICT (token_id) DO NOTHING";
const REVOKE_SUBJECT: &str = "INSERT INTO host_revoked_subject (subject, issued_before_us) \
     VALUES ($1, $2) ON CONFLICT (subject) DO UPDATE SET issued_before_us = \
     CASE WHEN excluded.issued_before_us > host_revoked_subject.issued_before_us \
     THEN excluded.issued_before_us ELSE host_revoked_subject.issued_before_us END";
const REVOKED: &str =
    "SELECT token_id, expires_at_us FROM host_revoked_token WHERE expires_at_us > $1";
const REVOKED_SUBJECTS: &str = "SELECT subject, issued_before_us FROM host_revoked_subject";
const FORGET_EXPIRED: &str = "DELETE FROM host_revoked_token WHERE expires_at_us <= $1";
const CREATE_API_TOKEN: &str = "INSERT INTO host_api_token \
     (hash, id, subject, created_at_us, expires_at_us) VALUES ($1, $2, $3, $4, $5)";
const API_TOKENS: &str =
    "SELECT hash, id, subject, created_at_us, expires_at_us FROM host_api_token";
const DELETE_API_TOKEN: &str = "DELETE FROM host_api_token WHERE id = $1";

/// An API token as it is kept: by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTokenRecord {
    /// The SHA-256 of its text, in hexadecimal digits.
    pub hash: String,
    /// Its id.
    pub id: String,
    /// Whom it stands for.
    pub subject: String,
    /// When it was made.
    pub created_at_us: i64,
    /// When it ends, if ever.
    pub expires_at_us: Option<i64>,
}

/// Keeps a revocation. Idempotent.
///
/// # Errors
/// Whatever the database says.
pub async fn revoke(executor: &dyn Executor, token_id: &str, expires_at_us: i64) -> Answer<()> {
    execute(executor, REVOKE, vec![token_id.into(), expires_at_us.into()]).await.map(drop)
}

/// Keeps that tokens of a subject are revoked; the later moment wins.
///
/// # Errors
/// Whatever the database says.
pub async fn revoke_subject(
    executor: &dyn Executor,
    subject: &str,
    issued_until_us: i64,
) -> Answer<()> {
    let parameters = vec![subject.into(), issued_until_us.into()];
    execute(executor, REVOKE_SUBJECT, parameters).await.map(drop)
}

/// Ids of revoked tokens that have not expired, and when they do.
///
/// # Errors
/// Whatever the database says.
pub async fn revoked(executor: &dyn Executor, now_us: i64) -> Answer<Vec<(String, i64)>> {
    each(executor.query(REVOKED, vec![now_us.into()]).await?, pair)
}

/// Revoked subjects, and up to which moment of issue.
///
/// # Errors
/// Whatever the database says.
pub async fn revoked_subjects(executor: &dyn Executor) -> Answer<Vec<(String, i64)>> {
    each(executor.query(REVOKED_SUBJECTS, Vec::new()).await?, pair)
}

/// Forgets revocations of tokens that have expired by themselves.
///
/// # Errors
/// Whatever the database says.
pub async fn forget_expired(executor: &dyn Executor, now_us: i64) -> Answer<u64> {
    execute(executor, FORGET_EXPIRED, vec![now_us.into()]).await
}

/// Keeps a new API token.
///
/// # Errors
/// Whatever the database says.
pub async fn create_api_token(executor: &dyn Executor, token: &ApiTokenRecord) -> Answer<()> {
    let parameters = vec![
        token.hash.as_str().into(),
        token.id.as_str().into(),
        token.subject.as_str().into(),
        token.created_at_us.into(),
        token.expires_at_us.into(),
    ];
    execute(executor, CREATE_API_TOKEN, parameters).await.map(drop)
}

/// All API tokens.
///
/// # Errors
/// Whatever the database says.
pub async fn api_tokens(executor: &dyn Executor) -> Answer<Vec<ApiTokenRecord>> {
    each(executor.query(API_TOKENS, Vec::new()).await?, |row| match row {
        [hash, id, subject, created, expires] => Some(ApiTokenRecord {
            hash: text(hash)?,
            id: text(id)?,
            subject: text(subject)?,
            created_at_us: integer(created)?,
            expires_at_us: optional(expires, integer)?,
        }),
        _ => None,
    })
}

/// Forgets an API token. Idempotent.
///
/// # Errors
/// Whatever the database says.
pub async fn delete_api_token(executor: &dyn Executor, id: &str) -> Answer<()> {
    execute(executor, DELETE_API_TOKEN, vec![id.into()]).await.map(drop)
}

fn pair(row: &[Value]) -> Option<(String, i64)> {
    match row {
        [name, moment] => Some((text(name)?, integer(moment)?)),
        _ => None,
    }
}
