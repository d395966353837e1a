//! What bounds a call, and how much a value counts towards it.

use std::time::Duration;

use crate::{Error, Rows, Value};

/// How long a component may keep others from writing. A unit of work takes milliseconds, and
/// everybody who writes at the same time waits for it.
const COMPONENT_TRANSACTION: Duration = Duration::from_secs(2);

/// What one call may take and return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Rows of one answer.
    pub(crate) rows: usize,
    /// Bytes of one answer, all values together.
    pub(crate) bytes: usize,
    /// Parameters of one statement; SQLite's own limit in its older versions.
    pub(crate) parameters: usize,
    /// The longest a statement may run, whatever the request's deadline.
    pub(crate) statement_time: Duration,
    /// Reads that may be slow at the same time on SQLite, where each takes a processor of ours.
    pub(crate) slow_reads: usize,
    /// The longest a transaction waits for the writers before it.
    pub(crate) writer_wait: Duration,
    /// The longest a transaction may stay open: it holds the only writer of SQLite.
    pub(crate) transaction_time: Duration,
}

impl Limits {
    /// For components. A page of an API is 100 rows; the rest is room for exports.
    pub(crate) const COMPONENT: Self = Self {
        rows: 10_000,
        bytes: 4 * 1_048_576,
        parameters: 999,
        statement_time: Duration::from_secs(5),
        // The rest of a component's reads wait; so do none of its neighbours.
        slow_reads: 2,
        writer_wait: Duration::from_secs(5),
        transaction_time: COMPONENT_TRANSACTION,
    };
    /// For the host's own records, which include the compiled-from bytes of components.
    pub(crate) const HOST: Self = Self {
        rows: 1_000_000,
        bytes: 512 * 1_048_576,
        parameters: 999,
        statement_time: Duration::from_secs(30),
        // They are written by us, and few.
        slow_reads: 16,
        // A client waits for these; whoever is first in the queue gets through.
        writer_wait: COMPONENT_TRANSACTION.saturating_add(Duration::from_millis(500)),
        transaction_time: Duration::from_secs(60),
    };
}

/// Collects an answer and stops at its limits.
pub(crate) struct Collector {
    rows: Rows,
    bytes: usize,
    limits: Limits,
}

impl Collector {
    pub(crate) fn new(columns: Vec<String>, limits: Limits) -> Self {
        Self { rows: Rows { columns, rows: Vec::new() }, bytes: 0, limits }
    }

    pub(crate) fn has_columns(&self) -> bool {
        !self.rows.columns.is_empty()
    }

    pub(crate) fn set_columns(&mut self, columns: Vec<String>) {
        self.rows.columns = columns;
    }

    pub(crate) fn push(&mut self, row: Vec<Value>) -> Result<(), Error> {
        if self.rows.rows.len() == self.limits.rows {
            let limit = self.limits.rows;
            return Err(Error::Quota(format!("more than {limit} rows; ask for a page")));
        }
        self.bytes += row.iter().map(size_bytes).sum::<usize>();
        if self.bytes > self.limits.bytes {
            let limit = self.limits.bytes;
            return Err(Error::Quota(format!("more than {limit} bytes; ask for a page")));
        }
        self.rows.rows.push(row);
        Ok(())
    }

    pub(crate) fn finish(self) -> Rows {
        self.rows
    }
}

/// What a value takes in memory, about.
fn size_bytes(value: &Value) -> usize {
    16 + match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Real(_) => 0,
    }
}
