//! `ServiceLogEntry` and the answers that list it.

use serde::Serialize;
use windlass_domain::deployments::LogLine;
use windlass_domain::logs::LogEntry;

use super::Time;

/// `ServiceLogEntry`.
#[derive(Serialize)]
pub struct LogEntryView<'a> {
    timestamp: Time,
    message: &'a str,
    stream: &'static str,
}

impl<'a> LogEntryView<'a> {
    /// A line that a service wrote.
    pub fn of_service(entry: &'a LogEntry) -> Self {
        Self { timestamp: Time(entry.at), message: &entry.message, stream: entry.output.as_str() }
    }

    /// A line that a deployment's workload wrote.
    pub fn of_runtime(entry: &'a LogEntry) -> Self {
        Self { stream: "runtime", ..Self::of_service(entry) }
    }

    /// A line about how a deployment was carried out.
    pub fn of_build(line: &'a LogLine) -> Self {
        Self { timestamp: Time(line.at), message: &line.message, stream: "build" }
    }
}

/// `ServiceLogsResponse`.
#[derive(Serialize)]
pub struct ServiceLogsView<'a> {
    /// The lines.
    pub logs: Vec<LogEntryView<'a>>,
    /// Why there are none; empty when there are.
    pub message: &'a str,
}

/// `DeploymentLogsResponse`.
#[derive(Serialize)]
pub struct DeploymentLogsView<'a> {
    /// The lines that were asked for.
    pub logs: Vec<LogEntryView<'a>>,
    /// The whole log of the build, whatever was asked for.
    pub build_log: &'a str,
    /// The whole log of the workload, whatever was asked for.
    pub runtime_log: &'a str,
}
