//! The logs of a deployment: how it was carried out, and what its workload wrote.

use std::fmt::Write as _;

use containr_common::Result;
use containr_common::views::{DeploymentLogsView, LogEntryView};
use windlass_domain::deployments::{self, Deployment, LogLine};
use windlass_domain::logs::{self, LogEntry};
use windlass_domain::{Error, Timestamp};
use windlass_sdk::{Call, Refusal, Response, StatusCode};

/// Lines of a workload that a deployment is answered with. All of them are at the service's logs.
const RUNTIME_LINES: u32 = 1_000;

/// Lines of a builder that a deployment is answered with.
const BUILD_LINES: u32 = 5_000;

/// What there is to read about a deployment.
pub(crate) struct Logs {
    build: Vec<LogLine>,
    runtime: Vec<LogEntry>,
    pub(crate) build_text: String,
    pub(crate) runtime_text: String,
}

/// Reads both logs. When the runtime cannot be reached, its part is empty: how the deployment went
/// is known all the same.
pub(crate) async fn texts(call: &Call<'_>, deployment: &Deployment) -> Result<Logs> {
    let (context, port) = (call.context, call.ports.logs);
    let mut build = deployments::log(context, deployment).await?;
    let made = logs::of_deployment_build(context, port, deployment, BUILD_LINES).await;
    let line = |LogEntry { at, message, .. }| LogLine { at, message };
    build.extend(unless_unavailable(made)?.into_iter().map(line));
    // Both are in order, and so is what is written at the same moment.
    build.sort_by_key(|line| line.at);
    let runtime = logs::of_deployment(context, port, deployment, RUNTIME_LINES).await;
    let runtime = unless_unavailable(runtime)?;
    let build_text = text(build.iter().map(|line| (line.at, line.message.as_str())));
    let runtime_text = text(runtime.iter().map(|entry| (entry.at, entry.message.as_str())));
    Ok(Logs { build, runtime, build_text, runtime_text })
}

fn unless_unavailable(
    found: windlass_domain::Result<Vec<LogEntry>>,
) -> windlass_domain::Result<Vec<LogEntry>> {
    match found {
        Err(Error::Unavailable { .. }) => Ok(Vec::new()),
        other => other,
    }
}

/// `GET /api/v1/deployments/{id}/logs`.
pub(crate) async fn list(call: Call<'_>) -> Result<Response> {
    let query = call.request.query()?;
    let (with_build, with_runtime) = match query.text("type")?.unwrap_or("all") {
        "all" => (true, true),
        "build" => (true, false),
        "runtime" => (false, true),
        _ => return Err(Refusal::field("type", "must be all, build or runtime").into()),
    };
    let deployment = deployments::view(call.context, call.parameter("id")).await?;
    let found = texts(&call, &deployment).await?;
    let build = found.build.iter().filter(|_| with_build).map(LogEntryView::of_build);
    let runtime = found.runtime.iter().filter(|_| with_runtime).map(LogEntryView::of_runtime);
    let view = DeploymentLogsView {
        logs: build.chain(runtime).collect(),
        build_log: &found.build_text,
        runtime_log: &found.runtime_text,
    };
    Ok(Response::json(StatusCode::OK, &view))
}

fn text<'a>(lines: impl Iterator<Item = (Timestamp, &'a str)>) -> String {
    let mut text = String::new();
    for (at, message) in lines {
        // Writing into a text cannot fail.
        _ = writeln!(text, "{} {message}", containr_common::views::time(at));
    }
    text
}
