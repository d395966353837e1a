//! What containers take, by the engine's own counters.

use std::time::{Duration, Instant};

use bollard::models::{ContainerMemoryStats, ContainerStatsResponse};
use bollard::query_parameters::StatsOptions;
use futures::StreamExt;

use super::carried::Container;
use super::client::Client;
use crate::driver::{Error, Usage};

/// A share of a processor is one of the time between two looks: the shortest that says anything.
const SHORTEST: Duration = Duration::from_millis(500);
/// The longest that says anything of the present.
const LONGEST: Duration = Duration::from_secs(60);

/// What a container had taken at some time.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    at: Instant,
    cpu_nanoseconds: u64,
}

/// What it takes now; `None` when it does not run.
pub(super) async fn usage(client: &Client, container: &Container) -> Result<Option<Usage>, Error> {
    let known = *container.sample.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let before = match known {
        Some(sample) if sample.at.elapsed() < LONGEST => sample,
        _ => match look(client, &container.name).await? {
            Some((sample, _)) => sample,
            None => return Ok(None),
        },
    };
    if let Some(rest) = SHORTEST.checked_sub(before.at.elapsed()) {
        tokio::time::sleep(rest).await;
    }
    let Some((now, found)) = look(client, &container.name).await? else { return Ok(None) };
    *container.sample.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(now);
    Ok(Some(Usage { cpu_millis: cpu_millis(before, now), ..counted(&found) }))
}

async fn look(
    client: &Client,
    container: &str,
) -> Result<Option<(Sample, ContainerStatsResponse)>, Error> {
    let options = StatsOptions { stream: false, one_shot: true };
    let found = client
        .find(async |docker| {
            let mut stats = docker.stats(container, Some(options));
            stats.next().await.transpose()
        })
        .await?;
    let Some(found) = found.flatten() else { return Ok(None) };
    let cpu = found.cpu_stats.as_ref().and_then(|stats| stats.cpu_usage.as_ref());
    let cpu_nanoseconds = cpu.and_then(|usage| usage.total_usage).unwrap_or_default();
    // What does not run is counted as nothing at all.
    let limit = found.memory_stats.as_ref().and_then(|memory| memory.limit).unwrap_or_default();
    if limit == 0 && cpu_nanoseconds == 0 {
        return Ok(None);
    }
    Ok(Some((Sample { at: Instant::now(), cpu_nanoseconds }, found)))
}

fn cpu_millis(before: Sample, now: Sample) -> u32 {
    let passed = now.at.saturating_duration_since(before.at).as_nanos().max(1);
    // Less than before after it was started again.
    let taken = u128::from(now.cpu_nanoseconds.saturating_sub(before.cpu_nanoseconds));
    u32::try_from(taken * 1_000 / passed).unwrap_or(u32::MAX)
}

fn counted(found: &ContainerStatsResponse) -> Usage {
    let memory = found.memory_stats.as_ref();
    let mut usage = Usage {
        memory_bytes: memory.map(memory_bytes).unwrap_or_default(),
        memory_limit_bytes: memory.and_then(|memory| memory.limit).unwrap_or_default(),
        ..Usage::default()
    };
    let blocks = found.blkio_stats.as_ref();
    for entry in
        blocks.and_then(|stats| stats.io_service_bytes_recursive.as_ref()).into_iter().flatten()
    {
        let bytes = entry.value.unwrap_or_default();
        match entry.op.as_deref().unwrap_or_default() {
            op if op.eq_ignore_ascii_case("read") => usage.block_read_bytes += bytes,
            op if op.eq_ignore_ascii_case("write") => usage.block_written_bytes += bytes,
            _ => {}
        }
    }
    for network in found.networks.iter().flat_map(|networks| networks.values()) {
        usage.network_received_bytes += network.rx_bytes.unwrap_or_default();
        usage.network_sent_bytes += network.tx_bytes.unwrap_or_default();
    }
    usage
}

/// Without what the kernel keeps of files and would give back at once.
fn memory_bytes(memory: &ContainerMemoryStats) -> u64 {
    let stats = memory.stats.as_ref();
    let cached = ["total_inactive_file", "inactive_file"]
        .into_iter()
        .find_map(|name| stats.and_then(|stats| stats.get(name)).copied())
        .unwrap_or_default();
    memory.usage.unwrap_or_default().saturating_sub(cached)
}
