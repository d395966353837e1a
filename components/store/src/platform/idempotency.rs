//! Idempotency keys: who claimed one, whether its request had an effect, and the answer.
//!
//! A record is claimed, then perhaps marked committed together with the request's own writes,
//! then completed with the answer. What a crash leaves behind tells how far the request got.

use super::{blob, each, execute, integer, optional, text};
use crate::executor::{Answer, Executor, Value};

/// Marks a record committed on SQLite; the host runs it inside the request's transaction. Its
/// parameter is the record's id.
pub const MARK_COMMITTED: &str = "UPDATE host_idempotency SET committed = 1 WHERE id = $1";
/// The same on PostgreSQL, where a component's role runs it and may do nothing else to records.
pub const MARK_COMMITTED_POSTGRES: &str = "SELECT host_mark_committed($1)";
/// The function that statement calls, with its parameter types.
pub const MARK_COMMITTED_POSTGRES_FUNCTION: &str = "host_mark_committed(text)";

const FORGET_EXPIRED: &str = "DELETE FROM host_idempotency WHERE expires_at_us <= $1";
const CLAIM: &str = "INSERT INTO host_idempotency \
     (id, fingerprint, running_until_us, expires_at_us) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (id) DO UPDATE SET fingerprint = excluded.fingerprint, \
     running_until_us = excluded.running_until_us, expires_at_us = excluded.expires_at_us, \
     committed = 0, status = NULL, headers = NULL, body = NULL \
     WHERE host_idempotency.expires_at_us <= $5 OR (host_idempotency.committed = 0 \
     AND host_idempotency.status IS NULL AND host_idempotency.running_until_us < $5)";
const FIND: &str = "SELECT fingerprint, committed, status, headers, body, running_until_us \
     FROM host_idempotency WHERE id = $1";
const COMPLETE: &str =
    "UPDATE host_idempotency SET status = $1, headers = $2, body = $3 WHERE id = $4";
const RELEASE: &str = "DELETE FROM host_idempotency WHERE id = $1 AND committed = 0";
const END_RUNNING: &str = "UPDATE host_idempotency SET running_until_us = 0 WHERE status IS NULL";

/// What claiming a key came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is the claimer's.
    New,
    /// Another request has it and has not ended.
    InProgress,
    /// It was used with another request.
    Mismatch,
    /// Its request ended, and this was the answer.
    Replay(AnswerRecord),
    /// Its request had an effect, and the answer was not kept.
    CommittedWithoutAnswer,
}

/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRecord {
    /// The HTTP status.
    pub status: i64,
    /// The headers; JSON, written and read by the host.
    pub headers: String,
    /// The body; sealed, written and read by the host.
    pub body: Vec<u8>,
}

/// Who claims a key, for what, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Claimer<'a> {
    /// The id of the record.
    pub id: &'a str,
    /// What makes two requests the same.
    pub fingerprint: &'a str,
    /// Now.
    pub now_us: i64,
    /// When the request has ended, one way or another.
    pub running_until_us: i64,
    /// When the record may be forgotten.
    pub expires_at_us: i64,
}

/// Claims a key: one that is new, or too old, or whose request ended without effect or answer.
///
/// # Errors
/// Whatever the database says.
pub async fn claim(executor: &dyn Executor, claimer: Claimer<'_>) -> Answer<Claim> {
    let Claimer { id, fingerprint, now_us, running_until_us, expires_at_us } = claimer;
    let work = executor.begin().await?;
    let moments = [running_until_us, expires_at_us, now_us].map(Value::from);
    let parameters = [id.into(), fingerprint.into()].into_iter().chain(moments).collect();
    if work.execute(CLAIM, parameters).await? == 1 {
        work.commit().await?;
        return Ok(Claim::New);
    }
    let found = each(work.query(FIND, vec![id.into()]).await?, Record::read)?;
    let Some(record) = found.into_iter().next() else {
        // It was released between the two statements: the client may ask again.
        return Ok(Claim::InProgress);
    };
    Ok(record.judge(fingerprint, now_us))
}

/// Keeps the answer of a claimed key.
///
/// # Errors
/// Whatever the database says.
pub async fn complete(executor: &dyn Executor, id: &str, answer: AnswerRecord) -> Answer<()> {
    let AnswerRecord { status, headers, body } = answer;
    let parameters = vec![status.into(), headers.into(), Value::Blob(body), id.into()];
    execute(executor, COMPLETE, parameters).await.map(drop)
}

/// Gives a key back whose request had no effect. One that had stays.
///
/// # Errors
/// Whatever the database says.
pub async fn release(executor: &dyn Executor, id: &str) -> Answer<()> {
    execute(executor, RELEASE, vec![id.into()]).await.map(drop)
}

/// Says that no request is running: their process is gone, and it was the only one.
///
/// # Errors
/// Whatever the database says.
pub async fn end_running(executor: &dyn Executor) -> Answer<u64> {
    execute(executor, END_RUNNING, Vec::new()).await
}

/// Forgets what is older than its time.
///
/// # Errors
/// Whatever the database says.
pub async fn forget_expired(executor: &dyn Executor, now_us: i64) -> Answer<u64> {
    execute(executor, FORGET_EXPIRED, vec![now_us.into()]).await
}

struct Record {
    fingerprint: String,
    committed: bool,
    status: Option<i64>,
    headers: Option<String>,
    body: Option<Vec<u8>>,
    running_until_us: i64,
}

impl Record {
    fn read(row: &[Value]) -> Option<Self> {
        let [fingerprint, committed, status, headers, body, running] = row else { return None };
        Some(Self {
            fingerprint: text(fingerprint)?,
            committed: integer(committed)? != 0,
            status: optional(status, integer)?,
            headers: optional(headers, text)?,
            body: optional(body, blob)?,
            running_until_us: integer(running)?,
        })
    }

    fn judge(self, fingerprint: &str, now_us: i64) -> Claim {
        if self.fingerprint != fingerprint {
            return Claim::Mismatch;
        }
        match (self.status, self.headers, self.body) {
            (Some(status), Some(headers), Some(body)) => {
                Claim::Replay(AnswerRecord { status, headers, body })
            }
            _ if self.committed && self.running_until_us < now_us => Claim::CommittedWithoutAnswer,
            _ => Claim::InProgress,
        }
    }
}
