//! What workloads wrote, in memory.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::future::PortFuture;
use crate::ids::LogId;
use crate::logs::{LogEntry, Logs, Output};
use crate::time::Timestamp;

/// Lines in memory. Who waits for more is told that there will be none.
#[derive(Debug, Default)]
pub struct MemoryLogs(Mutex<Vec<(LogId, LogEntry)>>);

impl MemoryLogs {
    /// Writes a line.
    pub fn write(&self, id: impl Into<LogId>, output: Output, message: &str) {
        let id = id.into();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = lines.iter().filter(|(of, _)| *of == id).count() as u64 + 1;
        let at = Timestamp::from_seconds(1_767_225_600);
        lines.push((id, LogEntry { sequence, at, output, message: message.to_owned() }));
    }

    fn of(&self, id: LogId) -> Vec<LogEntry> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|(of, _)| *of == id).map(|(_, entry)| entry.clone()).collect()
    }
}

impl Logs for MemoryLogs {
    fn tail(&self, id: LogId, limit: u32) -> PortFuture<'_, Result<Vec<LogEntry>>> {
        let mut entries = self.of(id);
        let older = entries.len().saturating_sub(limit as usize);
        entries.drain(..older);
        Box::pin(async move { Ok(entries) })
    }

    fn after(
        &self,
        id: LogId,
        sequence: u64,
        _wait_ms: u32,
    ) -> PortFuture<'_, Result<Option<Vec<LogEntry>>>> {
        let mut entries = self.of(id);
        entries.retain(|entry| entry.sequence > sequence);
        Box::pin(async move { Ok(Some(entries).filter(|entries| !entries.is_empty())) })
    }
}
