//! What may be read of workloads: what they wrote, and what they take.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Accessor;

use super::{Answered, Calls, failed, identified, logs_call, measurements_call};
use crate::bindings::windlass::runtime::{logs, measurements, types};
use crate::driver::Usage;
use crate::logbook::{Entry, Output};
use crate::runtime::Runtime;

/// The most lines `logs.tail` answers.
const TAIL: u32 = 10_000;
/// The most lines `logs.after` answers.
const AFTER: usize = 1_000;
/// The longest wait of `logs.after`.
const LONGEST_WAIT_MS: u32 = 30_000;

impl<T: Send> logs::HostWithStore<T> for Calls {
    async fn tail(
        accessor: &Accessor<T, Self>,
        workload: String,
        limit: u32,
    ) -> Answered<Vec<logs::Entry>> {
        let tail = async |runtime: Arc<Runtime>| {
            let entries = runtime.log.tail(identified(&workload)?, limit.min(TAIL) as usize);
            Ok(entries.into_iter().map(entry).collect())
        };
        logs_call(accessor, |functions| &functions.tail, tail).await
    }

    async fn after(
        accessor: &Accessor<T, Self>,
        workload: String,
        sequence: u64,
        wait_ms: u32,
    ) -> Answered<Vec<logs::Entry>> {
        let after = async |runtime: Arc<Runtime>| {
            let wait = Duration::from_millis(wait_ms.min(LONGEST_WAIT_MS).into());
            let found = runtime.log.after(identified(&workload)?, sequence, AFTER, wait).await;
            let ended = || types::Error::NotFound(format!("{workload} writes no more"));
            Ok(found.ok_or_else(ended)?.into_iter().map(entry).collect())
        };
        logs_call(accessor, |functions| &functions.after, after).await
    }
}

impl<T: Send> measurements::HostWithStore<T> for Calls {
    async fn measure(
        accessor: &Accessor<T, Self>,
        workload: String,
    ) -> Answered<Option<measurements::Usage>> {
        let measure = async |runtime: Arc<Runtime>| {
            let found = runtime.usage(identified(&workload)?).await.map_err(failed)?;
            Ok(found.map(taken))
        };
        measurements_call(accessor, |functions| &functions.measure, measure).await
    }
}

fn taken(usage: Usage) -> measurements::Usage {
    measurements::Usage {
        cpu_millis: usage.cpu_millis,
        memory_bytes: usage.memory_bytes,
        memory_limit_bytes: usage.memory_limit_bytes,
        block_read_bytes: usage.block_read_bytes,
        block_written_bytes: usage.block_written_bytes,
        network_received_bytes: usage.network_received_bytes,
        network_sent_bytes: usage.network_sent_bytes,
    }
}

fn entry(entry: Entry) -> logs::Entry {
    logs::Entry {
        sequence: entry.sequence,
        at: entry.at,
        output: match entry.output {
            Output::Stdout => logs::Output::Stdout,
            Output::Stderr => logs::Output::Stderr,
        },
        message: entry.message,
    }
}
