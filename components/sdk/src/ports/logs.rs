//! What workloads wrote, by way of `windlass:runtime/logs`.

use windlass_domain::future::PortFuture;
use windlass_domain::ids::LogId;
use windlass_domain::logs::{LogEntry, Logs, Output};
use windlass_domain::{Error, Result, Timestamp};

use super::{Host, Nothing};
use crate::bindings::windlass::runtime::logs as wit;
use crate::bindings::windlass::runtime::types::Error as RuntimeError;

impl Logs for Host {
    fn tail(&self, id: LogId, limit: u32) -> PortFuture<'_, Result<Vec<LogEntry>>> {
        Box::pin(async move {
            let entries = wit::tail(id.to_string(), limit).await.map_err(failed)?;
            Ok(entries.into_iter().map(entry).collect())
        })
    }

    fn after(
        &self,
        id: LogId,
        sequence: u64,
        wait_ms: u32,
    ) -> PortFuture<'_, Result<Option<Vec<LogEntry>>>> {
        Box::pin(async move {
            match wit::after(id.to_string(), sequence, wait_ms).await {
                Ok(entries) => Ok(Some(entries.into_iter().map(entry).collect())),
                Err(RuntimeError::NotFound(_)) => Ok(None),
                Err(error) => Err(failed(error)),
            }
        })
    }
}

impl Logs for Nothing {
    fn tail(&self, _id: LogId, _limit: u32) -> PortFuture<'_, Result<Vec<LogEntry>>> {
        Box::pin(async { Err(Error::internal_fault("the component was made without `logs`")) })
    }

    fn after(
        &self,
        _id: LogId,
        _sequence: u64,
        _wait_ms: u32,
    ) -> PortFuture<'_, Result<Option<Vec<LogEntry>>>> {
        Box::pin(async { Err(Error::internal_fault("the component was made without `logs`")) })
    }
}

fn entry(entry: wit::Entry) -> LogEntry {
    LogEntry {
        sequence: entry.sequence,
        at: Timestamp::from_microseconds(entry.at),
        output: match entry.output {
            wit::Output::Stdout => Output::Stdout,
            wit::Output::Stderr => Output::Stderr,
        },
        message: entry.message,
    }
}

/// What the host's log refuses, in the domain's words.
fn failed(error: RuntimeError) -> Error {
    match error {
        RuntimeError::Unavailable(text)
        | RuntimeError::Timeout(text)
        | RuntimeError::Quota(text)
        | RuntimeError::NotFound(text)
        | RuntimeError::Conflict(text) => Error::unavailable(format!("logs: {text}")),
        RuntimeError::Denied(text) | RuntimeError::Invalid(text) | RuntimeError::Other(text) => {
            Error::internal_fault(format!("logs: {text}"))
        }
    }
}
