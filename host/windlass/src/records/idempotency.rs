//! Idempotency keys. Answers are kept sealed: the answer to a login is a credential.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use windlass_gateway::{Claim, IdempotencyRecords, RecordFuture, StoredAnswer};
use windlass_identity::Identity;
use windlass_storage::Database;
use windlass_store::platform;
use windlass_store::platform::idempotency::{self, AnswerRecord, Claimer};

use super::executor::Records;
use super::now;
use super::tokens::sentence;

/// How long a key is kept: 24 hours.
const KEPT_US: i64 = 24 * 3_600 * 1_000_000;
/// What a request may take over its deadline to keep its answer.
const GRACE_US: i64 = 2_000_000;

/// The records of idempotency keys.
pub(crate) struct Idempotency {
    records: Records,
    identity: Arc<Identity>,
}

impl Idempotency {
    /// Takes over from the process before. On an embedded database that was the only other one,
    /// and its requests have ended; on a shared one they end by their own deadlines.
    pub(crate) async fn start(
        database: &Database,
        identity: Arc<Identity>,
    ) -> anyhow::Result<Arc<Self>> {
        let records = Records::new(database);
        if database.is_embedded() {
            let ended = idempotency::end_running(&records).await;
            ended.map_err(|error| anyhow!("{error}")).context("idempotency keys")?;
        }
        Ok(Arc::new(Self { records, identity }))
    }

    /// Forgets what is too old.
    pub(crate) async fn purge(&self) -> Result<(), String> {
        let now = now();
        idempotency::forget_expired(&self.records, now).await.map_err(sentence)?;
        platform::tokens::forget_expired(&self.records, now).await.map_err(sentence)?;
        Ok(())
    }

    fn seal(&self, id: &str, answer: &StoredAnswer) -> Result<AnswerRecord, String> {
        let envelope = self.identity.seal(&context(id), &answer.body);
        let envelope = envelope.map_err(|error| error.to_string())?;
        Ok(AnswerRecord {
            status: i64::from(answer.status),
            headers: serde_json::to_string(&answer.headers).map_err(|error| error.to_string())?,
            body: envelope.into_bytes(),
        })
    }

    fn open(&self, id: &str, record: &AnswerRecord) -> Result<StoredAnswer, String> {
        let envelope = std::str::from_utf8(&record.body).map_err(|error| error.to_string())?;
        let body = self.identity.open_secret(&context(id), envelope);
        Ok(StoredAnswer {
            status: u16::try_from(record.status).map_err(|error| error.to_string())?,
            headers: serde_json::from_str(&record.headers).map_err(|error| error.to_string())?,
            body: body.map_err(|error| error.to_string())?.into(),
        })
    }
}

fn context(id: &str) -> String {
    format!("idempotency:{id}")
}

impl IdempotencyRecords for Idempotency {
    fn claim<'a>(
        &'a self,
        id: &'a str,
        fingerprint: &'a str,
        time_limit: Duration,
    ) -> RecordFuture<'a, Claim> {
        Box::pin(async move {
            let now_us = now();
            let limit_us = i64::try_from(time_limit.as_micros()).unwrap_or(KEPT_US) + GRACE_US;
            let claimer = Claimer {
                id,
                fingerprint,
                now_us,
                running_until_us: now_us.saturating_add(limit_us),
                expires_at_us: now_us + KEPT_US,
            };
            let claim = idempotency::claim(&self.records, claimer).await.map_err(sentence)?;
            Ok(match claim {
                idempotency::Claim::New => Claim::New,
                idempotency::Claim::InProgress => Claim::InProgress,
                idempotency::Claim::Mismatch => Claim::Mismatch,
                idempotency::Claim::CommittedWithoutAnswer => Claim::CommittedWithoutAnswer,
                idempotency::Claim::Replay(record) => Claim::Replay(self.open(id, &record)?),
            })
        })
    }

    fn complete<'a>(&'a self, id: &'a str, answer: &'a StoredAnswer) -> RecordFuture<'a, ()> {
        Box::pin(async move {
            let record = self.seal(id, answer)?;
            idempotency::complete(&self.records, id, record).await.map_err(sentence)
        })
    }

    fn release<'a>(&'a self, id: &'a str) -> RecordFuture<'a, ()> {
        Box::pin(async move { idempotency::release(&self.records, id).await.map_err(sentence) })
    }
}
