//! The port to whatever runs workloads: the embedded wasm runtime, Docker, and others.
//!
//! A workload is one release of one service, and has the id of the deployment that made it. So
//! asking twice for the same thing never makes two, and what runs can always be compared with what
//! should. Only [`crate::reconcile`] works through this port.

use crate::future::{PortBound, PortFuture};
use crate::ids::{DeploymentId, ServiceId};

/// What a workload is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkloadKind {
    /// Answers requests.
    Web,
    /// Works in the background.
    Worker,
    /// Runs at set times.
    Cron,
}

/// A workload as it should be. A change is a new workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The deployment it is the release of.
    pub id: DeploymentId,
    /// The service it is a release of.
    pub service_id: ServiceId,
    /// What it is for.
    pub kind: WorkloadKind,
    /// The image, named by its content.
    pub image: String,
    /// Replaces the image's own command; empty: the image's own.
    pub command: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// Processor time, in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// When a cron workload runs, in the five fields of crontab(5), UTC.
    pub schedule: String,
}

/// How a workload is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkloadState {
    /// There is none of this id.
    Absent,
    /// It was told to start and cannot be used yet.
    Starting,
    /// It runs and works.
    Healthy,
    /// It runs and does not work; what was tried.
    Unhealthy(String),
    /// It ended by itself, or could not be started; how.
    Failed(String),
}

/// How far an image has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageState {
    /// It is being fetched.
    Pending,
    /// It is here.
    Ready {
        /// Names its content.
        digest: String,
        /// Its size, in bytes.
        size_bytes: u64,
    },
}

/// A host name and the workload behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressRoute {
    /// A label under the platform's base domain, or a whole host name.
    pub host: String,
    /// What answers.
    pub workload: DeploymentId,
}

/// Why the runtime did not do something. The texts are fit for the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Trying again would come to the same.
    Permanent(String),
    /// Trying again later may help.
    Passing(String),
}

/// Runs workloads.
pub trait Runtime: PortBound {
    /// Finds the content of an image by its name. Asked again while it answers `Pending`.
    fn resolve<'a>(&'a self, image: &'a str) -> PortFuture<'a, Result<ImageState, Fault>>;

    /// Sees to it that this workload runs; one that is there stays as it is.
    fn start<'a>(&'a self, workload: &'a Workload) -> PortFuture<'a, Result<(), Fault>>;

    /// How a workload is doing now.
    fn observe(&self, id: DeploymentId) -> PortFuture<'_, Result<WorkloadState, Fault>>;

    /// Sees to it that no workload of this id runs, after the requests it has ended or
    /// `grace_ms` passed. Returns at once.
    fn stop(&self, id: DeploymentId, grace_ms: u32) -> PortFuture<'_, Result<(), Fault>>;

    /// The ids of all workloads that are there, running or not.
    fn list(&self) -> PortFuture<'_, Result<Vec<DeploymentId>, Fault>>;

    /// Makes these routes, and no others, the ones that are served.
    fn publish<'a>(&'a self, routes: &'a [IngressRoute]) -> PortFuture<'a, Result<(), Fault>>;
}
