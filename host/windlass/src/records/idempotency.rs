//! Idempotency keys. Answers are kept sealed: the answer to a login is a credential.

use std::sync::Arc;

use anyhow::Context;
use windlass_gateway::{Claim, IdempotencyRecords, RecordFuture, StoredAnswer};
use windlass_identity::Identity;
use windlass_storage::Database;
use windlass_store::platform::idempotency::{self, AnswerRecord, Claimer};
use windlass_store::platform::{self};

use super::executor::Records;
use super::now;
use super::tokens::sentence;

/// How long a key is kept: 24 hours.
const KEPT_US: i64 = 24 * 3_600 * 1_000_000;
/// The longest a request may run, on any host: twice the largest deadline a manifest can set.
const LONGEST_US: i64 = 1_200 * 1_000_000;

/// The records of idempotency keys.
pub(crate) struct Idempotency {
    records: Records,
    identity: Arc<Identity>,
    started_us: i64,
    alone: bool,
}

impl Idempotency {
    /// Takes over from the process before: what it claimed and never did can be claimed again.
    pub(crate) async fn start(
        database: &Database,
        identity: Arc<Identity>,
    ) -> anyhow::Result<Arc<Self>> {
        let idempotency = Self {
            records: Records::new(database),
            identity,
            started_us: now(),
            alone: database.is_embedded(),
        };
        idempotency.purge().await.map_err(anyhow::Error::msg).context("idempotency keys")?;
        Ok(Arc::new(idempotency))
    }

    /// Forgets keys that are too old, and gives back those of requests that cannot be running.
    pub(crate) async fn purge(&self) -> Result<(), String> {
        let now = now();
        idempotency::forget_expired(&self.records, now).await.map_err(sentence)?;
        idempotency::release_stale(&self.records, self.running_since(now))
            .await
            .map_err(sentence)?;
        platform::tokens::forget_expired(&self.records, now).await.map_err(sentence)?;
        Ok(())
    }

    /// Requests that began before this moment have ended. On an embedded database this process
    /// is the only one; on a shared one others may be at work.
    fn running_since(&self, now: i64) -> i64 {
        if self.alone { self.started_us } else { now - LONGEST_US }
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
    fn claim<'a>(&'a self, id: &'a str, fingerprint: &'a str) -> RecordFuture<'a, Claim> {
        Box::pin(async move {
            let now_us = now();
            let claimer = Claimer {
                id,
                fingerprint,
                now_us,
                expires_at_us: now_us + KEPT_US,
                running_since_us: self.running_since(now_us),
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
