//! The measurements, a file for each kind. Each starts the servers it needs and ends them.

pub(crate) mod deploys;
pub(crate) mod memory;
pub(crate) mod starts;
pub(crate) mod swaps;
pub(crate) mod throughput;
