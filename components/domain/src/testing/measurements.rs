//! What workloads take, as a test says.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::future::PortFuture;
use crate::ids::WorkloadId;
use crate::measurements::{Measurements, Usage};

/// Measurements in memory. What a test did not say of a workload nobody counts.
#[derive(Debug, Default)]
pub struct MemoryMeasurements(Mutex<BTreeMap<WorkloadId, Usage>>);

impl MemoryMeasurements {
    /// From now on a workload takes this.
    pub fn set(&self, id: WorkloadId, usage: Usage) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, usage);
    }
}

impl Measurements for MemoryMeasurements {
    fn usage(&self, id: WorkloadId) -> PortFuture<'_, Result<Option<Usage>>> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
        Box::pin(async move { Ok(found) })
    }
}
