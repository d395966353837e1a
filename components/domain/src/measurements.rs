//! What workloads take of the machine, for those who may see it.

use crate::error::Result;
use crate::future::{PortBound, PortFuture};
use crate::ids::WorkloadId;

/// What a workload takes, as whoever carries it counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time at present, in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory at present, in bytes.
    pub memory_bytes: u64,
    /// The most memory it may take, in bytes.
    pub memory_limit_bytes: u64,
    /// Bytes read from disks since it was started.
    pub block_read_bytes: u64,
    /// Bytes written to disks since it was started.
    pub block_written_bytes: u64,
    /// Bytes received over its network since it was started.
    pub network_received_bytes: u64,
    /// Bytes sent over its network since it was started.
    pub network_sent_bytes: u64,
}

/// The port to what workloads take. It answers for any id: whose it is, is judged by the rules.
pub trait Measurements: PortBound {
    /// What a workload takes now; `None` when it does not run, and where nobody counts.
    fn usage(&self, id: WorkloadId) -> PortFuture<'_, Result<Option<Usage>>>;
}
