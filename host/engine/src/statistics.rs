//! What a component did since the host started: counted for all of its versions together, so
//! that a swap does not hide what happened before it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Two significant digits from 1 microsecond to 10 minutes.
const LONGEST_MICROSECONDS: u64 = 600_000_000;

/// Counters of one component.
pub struct Statistics {
    component: String,
    requests: AtomicU64,
    errors: AtomicU64,
    instances: AtomicI64,
    busy: AtomicI64,
    memory_bytes: AtomicI64,
    latency: Mutex<Histogram<u32>>,
    requests_total: metrics::Counter,
    errors_total: metrics::Counter,
    seconds: metrics::Histogram,
}

/// Counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Snapshot {
    /// Requests ended, however they ended.
    pub requests: u64,
    /// Of these, answered with 5xx or not at all.
    pub errors: u64,
    /// Half of the requests took no longer, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 requests took no longer, in milliseconds.
    pub p99_ms: f64,
    /// Instances alive, idle ones included.
    pub instances: i64,
    /// Their linear memory, in bytes.
    pub memory_bytes: i64,
}

impl Statistics {
    /// Counters that are also written to the metrics recorder.
    pub(crate) fn new(component: &str) -> Self {
        let label = component.to_owned();
        Self {
            requests_total: metrics::counter!("windlass_component_requests_total", "component" => label.clone()),
            errors_total: metrics::counter!("windlass_component_errors_total", "component" => label.clone()),
            seconds: metrics::histogram!("windlass_component_request_seconds", "component" => label.clone()),
            component: label,
            ..Self::scratch()
        }
    }

    /// Counters nobody sees, for what is tried in private.
    pub(crate) fn scratch() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST_MICROSECONDS, 2);
        Self {
            component: String::new(),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            instances: AtomicI64::new(0),
            busy: AtomicI64::new(0),
            memory_bytes: AtomicI64::new(0),
            latency: Mutex::new(latency.expect("constant bounds are valid")),
            requests_total: metrics::Counter::noop(),
            errors_total: metrics::Counter::noop(),
            seconds: metrics::Histogram::noop(),
        }
    }

    pub(crate) fn request_ended(&self, took: Duration, failed: bool) {
        self.requests.fetch_add(1, Relaxed);
        self.requests_total.increment(1);
        if failed {
            self.errors.fetch_add(1, Relaxed);
            self.errors_total.increment(1);
        }
        self.seconds.record(took.as_secs_f64());
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(LONGEST_MICROSECONDS);
        self.lock_latency().saturating_record(microseconds);
    }

    pub(crate) fn instance_made(&self, memory_bytes: usize) {
        self.instances.fetch_add(1, Relaxed);
        self.memory_changed(0, memory_bytes);
    }

    pub(crate) fn instance_gone(&self, memory_bytes: usize) {
        self.instances.fetch_sub(1, Relaxed);
        self.memory_changed(memory_bytes, 0);
    }

    pub(crate) fn memory_changed(&self, before: usize, after: usize) {
        let signed = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.memory_bytes.fetch_add(signed(after) - signed(before), Relaxed);
    }

    /// Counts an instance as busy until the guard is dropped.
    pub(crate) fn instance_busy(&self) -> impl Drop + Send + use<'_> {
        self.busy.fetch_add(1, Relaxed);
        Busy(&self.busy)
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let latency = self.lock_latency();
        let milliseconds = |quantile| latency.value_at_quantile(quantile) as f64 / 1_000.0;
        Snapshot {
            requests: self.requests.load(Relaxed),
            errors: self.errors.load(Relaxed),
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
            instances: self.instances.load(Relaxed),
            memory_bytes: self.memory_bytes.load(Relaxed),
        }
    }

    /// Writes what is a level rather than a count to the metrics recorder.
    pub fn publish_levels(&self) {
        let label = || self.component.clone();
        let gauge = |name: &'static str, value: i64| {
            metrics::gauge!(name, "component" => label()).set(value as f64);
        };
        gauge("windlass_component_instances", self.instances.load(Relaxed));
        gauge("windlass_component_instances_busy", self.busy.load(Relaxed));
        gauge("windlass_component_memory_bytes", self.memory_bytes.load(Relaxed));
    }

    fn lock_latency(&self) -> std::sync::MutexGuard<'_, Histogram<u32>> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Busy<'a>(&'a AtomicI64);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
