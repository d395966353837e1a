//! Linear memory: a limit for each instance, and one for all of them together.

use std::fs;
use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::budget::{Budget, Share};

/// Elements all tables of an instance may have together; a first-party controller needs hundreds.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;
/// What all instances may have together where the machine does not say how much memory it has.
const FALLBACK_BYTES: usize = 1_024 * 1_048_576;

/// The memory of all instances together: half of what the machine, or the control group the host
/// runs in, has. The other half is for answers, bodies, the database's pages and the host itself.
pub(crate) fn for_all_instances() -> Arc<Budget> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max");
    // A group without a limit says `max`, which is no number.
    let group = group.ok().and_then(|text| text.trim().parse::<usize>().ok());
    let least = machine.into_iter().chain(group).min();
    Budget::new(least.map_or(FALLBACK_BYTES, |bytes| bytes / 2))
}

/// Reads `MemTotal` of `/proc/meminfo`, which is in KiB.
fn total_bytes(meminfo: &str) -> Option<usize> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.split_whitespace().next()?.parse::<usize>().ok()?.checked_mul(1_024)
}

/// Counts linear memory over all memories of an instance and refuses growth over its limit, and
/// growth that the instances together have no memory for.
pub(crate) struct MemoryLimit {
    share: Share,
    limit: usize,
    starved: bool,
}

impl MemoryLimit {
    pub(crate) fn new(limit: usize, all_instances: &Arc<Budget>) -> Self {
        Self { share: all_instances.share(), limit, starved: false }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.share.bytes()
    }

    /// Whether growth within the limit was refused, because of all the other instances.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let after = self.used().saturating_add(desired.saturating_sub(current));
        // What the memory's own maximum forbids would not be grown, and must not be counted.
        if after > self.limit || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.starved = !self.share.resize(after, 0);
        Ok(!self.starved)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 65_536;

    #[test]
    fn an_instance_does_not_grow_past_its_limit_or_its_own_maximum() -> wasmtime::Result<()> {
        let mut limit = MemoryLimit::new(4 * PAGE, &Budget::new(100 * PAGE));
        assert!(limit.memory_growing(0, 3 * PAGE, None)?);
        assert!(!limit.memory_growing(3 * PAGE, 4 * PAGE, Some(3 * PAGE))?);
        assert!(!limit.memory_growing(0, 2 * PAGE, None)?, "a second memory counts too");
        assert_eq!(limit.used(), 3 * PAGE);
        assert!(!limit.is_starved(), "its own limits refused it");
        Ok(())
    }

    #[test]
    fn instances_together_do_not_grow_past_theirs() -> wasmtime::Result<()> {
        let all = Budget::new(5 * PAGE);
        let (mut one, mut two) =
            (MemoryLimit::new(4 * PAGE, &all), MemoryLimit::new(4 * PAGE, &all));
        assert!(one.memory_growing(0, 4 * PAGE, None)?);
        assert!(!two.memory_growing(0, 2 * PAGE, None)?);
        assert!(two.is_starved() && two.used() == 0);
        drop(one);
        assert!(two.memory_growing(0, 2 * PAGE, None)?, "what was freed can be had");
        assert!(!two.is_starved());
        Ok(())
    }

    #[test]
    fn the_memory_of_the_machine_is_read() {
        let text = "MemFree: 1 kB\nMemTotal:       16384 kB\n";
        assert_eq!(total_bytes(text), Some(16_384 * 1_024));
        assert_eq!(total_bytes("MemTotal: much"), None);
    }
}
