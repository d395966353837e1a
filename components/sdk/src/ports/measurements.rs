//! What workloads take of the machine, by way of `windlass:runtime/measurements`.

use windlass_domain::future::PortFuture;
use windlass_domain::ids::WorkloadId;
use windlass_domain::measurements::{Measurements, Usage};
use windlass_domain::{Error, Result};

use super::{Host, Nothing};
use crate::bindings::windlass::runtime::measurements as wit;
use crate::bindings::windlass::runtime::types::Error as RuntimeError;

impl Measurements for Host {
    fn usage(&self, id: WorkloadId) -> PortFuture<'_, Result<Option<Usage>>> {
        Box::pin(async move {
            let found = wit::measure(id.to_string()).await.map_err(failed)?;
            Ok(found.map(|usage| Usage {
                cpu_millis: usage.cpu_millis,
                memory_bytes: usage.memory_bytes,
                memory_limit_bytes: usage.memory_limit_bytes,
                block_read_bytes: usage.block_read_bytes,
                block_written_bytes: usage.block_written_bytes,
                network_received_bytes: usage.network_received_bytes,
                network_sent_bytes: usage.network_sent_bytes,
            }))
        })
    }
}

impl Measurements for Nothing {
    fn usage(&self, _id: WorkloadId) -> PortFuture<'_, Result<Option<Usage>>> {
        Box::pin(async {
            Err(Error::internal_fault("the component was made without `measurements`"))
        })
    }
}

/// What the host refuses, in the domain's words.
fn failed(error: RuntimeError) -> Error {
    match error {
        RuntimeError::Unavailable(text)
        | RuntimeError::Timeout(text)
        | RuntimeError::Quota(text)
        | RuntimeError::NotFound(text)
        | RuntimeError::Conflict(text) => Error::unavailable(format!("measurements: {text}")),
        RuntimeError::Denied(text) | RuntimeError::Invalid(text) | RuntimeError::Other(text) => {
            Error::internal_fault(format!("measurements: {text}"))
        }
    }
}
