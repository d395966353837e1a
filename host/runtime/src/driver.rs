//! The trait of everything that can run a workload.
//!
//! A driver is told what should be, again and again, and makes it so: every function is idempotent,
//! and what is asked for twice is there once. It knows workloads by their id alone, and touches
//! nothing it did not start.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use windlass_engine::Destination;

use crate::images::Image;
use crate::job::{Job, JobState};

/// The id of a workload: the UUID of its deployment or database, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId(uuid::Uuid);

impl WorkloadId {
    /// Reads an id.
    ///
    /// # Errors
    /// A sentence that says what an id looks like.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parsed = uuid::Uuid::try_parse(text).map(Self);
        parsed.map_err(|_| Error::Invalid(format!("{text:?} is no id of a workload: use a UUID")))
    }
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(formatter)
    }
}

/// What a workload is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers HTTP requests.
    Web,
    /// Works in the background.
    Worker,
    /// Runs at set times.
    Cron,
    /// Keeps data in volumes and is reached by TCP.
    Database,
}

impl Kind {
    /// The lower-case word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Worker => "worker",
            Self::Cron => "cron",
            Self::Database => "database",
        }
    }
}

/// A volume in a workload. It is kept when the workload is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Where it is seen inside.
    pub path: String,
}

/// How a workload that runs is asked whether it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// By `GET /`: any answer below 500 will do.
    Http,
    /// By this program and its arguments, run inside.
    Command(Vec<String>),
    /// It is not asked: what has run for a moment works.
    Unasked,
}

/// A workload as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its id.
    pub id: WorkloadId,
    /// The service it is a release of, or the database it is; for labels and logs.
    pub service: String,
    /// Under which name the others on its network reach it.
    pub name: String,
    /// Whom it can reach: what is on one network is on no other.
    pub network: String,
    /// What it is for.
    pub kind: Kind,
    /// The image, by its digest.
    pub image: String,
    /// Replaces the image's own command; empty: the image's own.
    pub command: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// Processor time, in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// When a cron workload runs: five fields of crontab(5), UTC.
    pub schedule: String,
    /// What it keeps.
    pub volumes: Vec<Volume>,
    /// How it is asked whether it works.
    pub health: Health,
    /// The port inside it that is reached from outside; 0 leaves it to its variables and image.
    pub port: u16,
}

/// What a workload takes of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// How a workload is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none of this id.
    Absent,
    /// It was told to start and cannot be used yet.
    Starting,
    /// It runs and works.
    Healthy,
    /// It runs and does not work; what was tried.
    Unhealthy(String),
    /// It ended by itself or could not be started; how.
    Failed(String),
}

/// Why something was not done. The texts are fit for the tenant whose workload it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such image or workload.
    #[error("{0}")]
    NotFound(String),
    /// The state of the named thing stands against it.
    #[error("{0}")]
    Conflict(String),
    /// The image or the description of the workload cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// It cannot be reached now.
    #[error("{0}")]
    Unavailable(String),
    /// There is no room for it.
    #[error("{0}")]
    Quota(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What a driver answers, later.
pub type DriverFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Something that runs workloads.
pub trait Driver: Send + Sync {
    /// Its name, as a cluster names its driver.
    fn name(&self) -> &'static str;

    /// Finds the content of an image by its name and fetches it where it is not here; `None` while
    /// it is being fetched.
    fn resolve<'a>(&'a self, name: &'a str) -> DriverFuture<'a, Option<Image>>;

    /// Whether an image of this name was made on this machine, so that no registry has it.
    fn has_made<'a>(&'a self, name: &'a str) -> DriverFuture<'a, bool>;

    /// Sees to it that this workload runs. One that is there stays as it is.
    fn start(&self, workload: Workload) -> DriverFuture<'_, ()>;

    /// How a workload is doing now. A `web` workload that runs is asked a request.
    fn observe(&self, id: WorkloadId) -> DriverFuture<'_, State>;

    /// Sees to it that no workload of this id runs: what it has begun may end within `grace`.
    /// Returns at once.
    fn stop(&self, id: WorkloadId, grace: Duration) -> DriverFuture<'_, ()>;

    /// The ids of all workloads it has, running or not.
    fn list(&self) -> DriverFuture<'_, Vec<WorkloadId>>;

    /// Where the requests of a `web` workload go; `None` when it has none of this id.
    fn destination(&self, id: WorkloadId) -> Option<Arc<dyn Destination>>;

    /// Where a workload is reached on this machine; `None` for what is reached in no such way.
    fn address(&self, id: WorkloadId) -> DriverFuture<'_, Option<String>>;

    /// What a workload takes now; `None` when it does not run, and where nobody counts.
    fn usage(&self, id: WorkloadId) -> DriverFuture<'_, Option<Usage>>;

    /// The names of all volumes it has.
    fn list_volumes(&self) -> DriverFuture<'_, Vec<String>>;

    /// Sees to it that there is no volume of this name.
    fn remove_volume<'a>(&'a self, name: &'a str) -> DriverFuture<'a, ()>;

    /// Sees to it that this job runs or has run. One that is there stays as it is.
    fn start_job(&self, job: Job) -> DriverFuture<'_, ()>;

    /// How a job is doing now.
    fn observe_job(&self, id: WorkloadId) -> DriverFuture<'_, JobState>;

    /// Sees to it that there is no job of this id.
    fn remove_job(&self, id: WorkloadId) -> DriverFuture<'_, ()>;
}
