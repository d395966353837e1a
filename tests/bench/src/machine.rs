//! Which core does what, and what a process costs, as Linux tells it.

use std::fs;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores this program was started on.
static ALLOWED: OnceLock<CpuSet> = OnceLock::new();

/// The core of the servers whose throughput is measured.
pub(crate) const SERVER_CORE: usize = 0;
/// The core of this program, which generates the load.
pub(crate) const LOAD_CORE: usize = 1;

/// Where a process may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// On [`SERVER_CORE`] alone.
    Server,
    /// Wherever the system likes.
    All,
}

/// Whether servers and load have a core each.
pub(crate) fn has_two_cores() -> bool {
    ALLOWED.get().is_some_and(|cores| cores.is_set(SERVER_CORE) && cores.is_set(LOAD_CORE))
}

/// Keeps the calling thread, and what it starts from now on, on the core for the load, if there
/// are two cores. Call it before anything is started.
pub(crate) fn claim_load_core() -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let _first = ALLOWED.set(allowed);
    if has_two_cores() { pin(&only(LOAD_CORE)) } else { Ok(()) }
}

/// Keeps the calling thread, and what it starts from now on, where a server may run.
pub(crate) fn move_to(cores: Cores) -> io::Result<()> {
    match (cores, ALLOWED.get()) {
        (Cores::Server, _) if has_two_cores() => pin(&only(SERVER_CORE)),
        (_, Some(allowed)) => pin(allowed),
        (_, None) => Ok(()),
    }
}

fn only(core: usize) -> CpuSet {
    let mut cores = CpuSet::new();
    cores.set(core);
    cores
}

fn pin(cores: &CpuSet) -> io::Result<()> {
    Ok(sched_setaffinity(None, cores)?)
}

/// The time the threads of a process have spent on a core so far.
pub(crate) fn processor_time(process: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that has just ended is left out: its file is gone.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let on_core = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
        nanoseconds += on_core.unwrap_or_default();
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The resident memory of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All of it, in KiB.
    pub(crate) resident_kib: u64,
    /// Of it, what is not a mapped file, in KiB.
    pub(crate) anonymous_kib: u64,
}

/// The resident memory of a process now.
pub(crate) fn memory(process: u32) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let missing = || io::Error::other("the system does not tell the resident memory");
    Ok(Memory {
        resident_kib: value("VmRSS:").ok_or_else(missing)?,
        anonymous_kib: value("RssAnon:").ok_or_else(missing)?,
    })
}

/// Processes that ran or waited for a core over the last minute, on average.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}
