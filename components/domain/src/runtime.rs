//! The port to whatever runs workloads: the embedded wasm runtime, Docker, and others.
//!
//! A workload is one release of one service, or a database, and has the id of the deployment or the
//! database that made it. So asking twice for the same thing never makes two, and what runs can
//! always be compared with what should. Only [`crate::reconcile`] works through this port.

use crate::builders::Builders;
use crate::future::PortFuture;
use crate::ids::{JobId, WorkloadId};
use crate::secrets::Sealed;

/// What a workload is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkloadKind {
    /// Answers requests.
    Web,
    /// Works in the background.
    Worker,
    /// Runs at set times.
    Cron,
    /// Keeps data in volumes and is reached by TCP. One at a time on its volumes.
    Database,
}

/// A volume in a workload. It is made where it is not there yet, and kept when the workload is
/// stopped: it belongs to the service or the database, not to a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name: letters, digits and hyphens.
    pub name: String,
    /// Where it is seen inside: an absolute path.
    pub path: String,
}

/// How a workload that runs is asked whether it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// By `GET /`: any answer below 500 will do. For what answers requests.
    Http,
    /// By this program and its arguments, run inside: it works when that ends with 0.
    Command(Vec<String>),
    /// It is not asked: what has run for a moment works.
    Unasked,
}

/// A workload as it should be. A change is a new workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The deployment or the database it is.
    pub id: WorkloadId,
    /// The id of the service it is a release of, or of the database it is.
    pub service: String,
    /// Under which name the others on its network reach it: that of the service.
    pub name: String,
    /// Whom it can reach: the id of its project. What is on one network is on no other.
    pub network: String,
    /// What it is for.
    pub kind: WorkloadKind,
    /// The image, named by its content.
    pub image: String,
    /// Replaces the image's own command; empty: the image's own.
    pub command: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// Further variables, sealed: names and envelopes. They are opened where it runs.
    pub sealed_variables: Vec<(String, String)>,
    /// What the host puts into its variables and commands in the places of their placeholders.
    pub sealed: Vec<Sealed>,
    /// Processor time, in thousandths of a core.
    pub cpu_millis: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// When a cron workload runs, in the five fields of crontab(5), UTC.
    pub schedule: String,
    /// What it keeps.
    pub volumes: Vec<Volume>,
    /// How it is asked whether it works.
    pub health: Health,
    /// The port inside it that is reached from outside; 0 leaves it to its variable `PORT` and to
    /// its image.
    pub port: u16,
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

/// What a job reads from its standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInput {
    /// The name of an archive.
    pub archive: String,
    /// What its content must hash to, in hexadecimal digits; empty: it is not compared.
    pub sha256: String,
}

/// A helper that runs one command to its end, on the network and the volumes of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The image, named by its content.
    pub image: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// What the host puts into its variables and command in the places of their placeholders.
    pub sealed: Vec<Sealed>,
    /// Whom it can reach, as for a workload.
    pub network: String,
    /// What it sees of what others keep.
    pub volumes: Vec<Volume>,
    /// What it reads from its standard input.
    pub input: Option<JobInput>,
    /// The archive that its standard output becomes; it is there, whole, when the job ended with 0.
    pub output: Option<String>,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Seconds after which it is ended from outside.
    pub deadline_seconds: u32,
}

/// How a job is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// There is none of this id.
    Absent,
    /// It is being started, or runs.
    Running,
    /// It ran to its end.
    Ended {
        /// 0 is success.
        exit_code: i64,
        /// The size of its archive, in bytes.
        output_bytes: u64,
        /// What its archive hashes to, in hexadecimal digits.
        output_sha256: String,
        /// The last lines of its standard error.
        message: String,
    },
    /// It did not run to its end; why. Another id is another try.
    Failed(String),
}

/// A host name and the workload behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressRoute {
    /// A label under the platform's base domain, or a whole host name.
    pub host: String,
    /// What answers.
    pub workload: WorkloadId,
}

/// Why the runtime did not do something. The texts are fit for the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Trying again would come to the same.
    Permanent(String),
    /// Trying again later may help.
    Passing(String),
}

/// Runs workloads, and makes their images.
pub trait Runtime: Builders {
    /// Finds the content of an image by its name. Asked again while it answers `Pending`.
    fn resolve<'a>(&'a self, image: &'a str) -> PortFuture<'a, Result<ImageState, Fault>>;

    /// The same for what can only be a container's image, such as that of a database.
    fn resolve_container<'a>(&'a self, image: &'a str)
    -> PortFuture<'a, Result<ImageState, Fault>>;

    /// Sees to it that this workload runs; one that is there stays as it is.
    fn start<'a>(&'a self, workload: &'a Workload) -> PortFuture<'a, Result<(), Fault>>;

    /// How a workload is doing now.
    fn observe(&self, id: WorkloadId) -> PortFuture<'_, Result<WorkloadState, Fault>>;

    /// Sees to it that no workload of this id runs, after the requests it has ended or
    /// `grace_ms` passed. Returns at once.
    fn stop(&self, id: WorkloadId, grace_ms: u32) -> PortFuture<'_, Result<(), Fault>>;

    /// The ids of all workloads that are there, running or not.
    fn list(&self) -> PortFuture<'_, Result<Vec<WorkloadId>, Fault>>;

    /// Where a web or database workload is reached on this machine, such as `127.0.0.1:49153`. It
    /// may be another one after the workload was started again.
    fn address(&self, id: WorkloadId) -> PortFuture<'_, Result<Option<String>, Fault>>;

    /// The names of all volumes that are there.
    fn list_volumes(&self) -> PortFuture<'_, Result<Vec<String>, Fault>>;

    /// Sees to it that there is no volume of this name; what was in it is lost.
    fn remove_volume<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<(), Fault>>;

    /// Sees to it that this job runs or has run; one that is there, ended or not, stays as it is.
    fn start_job<'a>(&'a self, job: &'a Job) -> PortFuture<'a, Result<(), Fault>>;

    /// How a job is doing now.
    fn observe_job(&self, id: JobId) -> PortFuture<'_, Result<JobState, Fault>>;

    /// Sees to it that there is no job of this id. What it wrote stays.
    fn remove_job(&self, id: JobId) -> PortFuture<'_, Result<(), Fault>>;

    /// The names of all archives that are there.
    fn list_archives(&self) -> PortFuture<'_, Result<Vec<String>, Fault>>;

    /// Sees to it that there is no archive of this name.
    fn remove_archive<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<(), Fault>>;

    /// Makes these routes, and no others, the ones that are served.
    fn publish<'a>(&'a self, routes: &'a [IngressRoute]) -> PortFuture<'a, Result<(), Fault>>;
}
