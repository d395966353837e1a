//! What workloads and builds wrote, for those who may see it.

use crate::context::Context;
use crate::deployments::Deployment;
use crate::error::Result;
use crate::future::{PortBound, PortFuture};
use crate::ids::{BuildId, DeploymentId, LogId};
use crate::services;
use crate::time::Timestamp;

/// The most lines that are answered at once.
pub const MAXIMUM_TAIL: u32 = 10_000;

/// Where a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Output {
    /// The lower-case word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A line of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it stands: grows with every line of the workload, from 1.
    pub sequence: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Where it was written.
    pub output: Output,
    /// The line.
    pub message: String,
}

/// The port to what workloads wrote, and builds. It answers for any id: whose it is, is judged here.
pub trait Logs: PortBound {
    /// The newest lines of a workload or a build, oldest of them first.
    fn tail(&self, id: LogId, limit: u32) -> PortFuture<'_, Result<Vec<LogEntry>>>;

    /// The lines after a sequence number, oldest first; waits for the first one. `None` when the
    /// workload is gone, or the build has ended, and there will be no more.
    fn after(
        &self,
        id: LogId,
        sequence: u64,
        wait_ms: u32,
    ) -> PortFuture<'_, Result<Option<Vec<LogEntry>>>>;
}

/// The lines of a service's live deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceLog {
    /// What is live; `None` when nothing is.
    pub deployment_id: Option<DeploymentId>,
    /// Its newest lines, oldest of them first.
    pub entries: Vec<LogEntry>,
}

/// The newest lines of a service's live deployment, at most `limit` (and [`MAXIMUM_TAIL`]).
///
/// # Errors
/// `Unauthenticated`; `NotFound` for the service; `Unavailable` when the runtime does not answer.
pub async fn of_service(
    ctx: &Context<'_>,
    logs: &dyn Logs,
    service_id: &str,
    limit: u32,
) -> Result<ServiceLog> {
    let service = services::access(ctx, service_id).await?.service;
    let entries = match service.live_deployment_id {
        Some(id) if limit > 0 => logs.tail(id.into(), limit.min(MAXIMUM_TAIL)).await?,
        _ => Vec::new(),
    };
    Ok(ServiceLog { deployment_id: service.live_deployment_id, entries })
}

/// The newest lines of the builder that made a deployment's image, at most `limit` (and
/// [`MAXIMUM_TAIL`]); none when nothing was built for it.
///
/// # Errors
/// `Unavailable` when the runtime does not answer; the caller has viewed the deployment.
pub async fn of_deployment_build(
    ctx: &Context<'_>,
    logs: &dyn Logs,
    deployment: &Deployment,
    limit: u32,
) -> Result<Vec<LogEntry>> {
    ctx.user()?;
    // What a rollback returns to was built for another deployment.
    if !deployment.release.source.is_built() || deployment.rollback_of.is_some() {
        return Ok(Vec::new());
    }
    logs.tail(BuildId::of_deployment(deployment.id).into(), limit.min(MAXIMUM_TAIL)).await
}

/// The newest lines of a deployment, at most `limit` (and [`MAXIMUM_TAIL`]).
///
/// # Errors
/// `Unavailable` when the runtime does not answer; the caller has viewed the deployment.
pub async fn of_deployment(
    ctx: &Context<'_>,
    logs: &dyn Logs,
    deployment: &Deployment,
    limit: u32,
) -> Result<Vec<LogEntry>> {
    ctx.user()?;
    logs.tail(deployment.id.into(), limit.min(MAXIMUM_TAIL)).await
}
