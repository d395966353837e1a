//! Helpers that run one command to its end, and read or write an archive: this is how databases are
//! saved and brought back.

use crate::driver::{Volume, WorkloadId};

/// What a job reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobInput {
    /// The name of the archive.
    pub archive: String,
    /// What its content must hash to, in hexadecimal digits; empty: it is not compared.
    pub sha256: String,
}

/// A job as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: WorkloadId,
    /// The image, by its digest.
    pub image: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// Whom it can reach.
    pub network: String,
    /// What it sees of what others keep.
    pub volumes: Vec<Volume>,
    /// What it reads from its standard input.
    pub input: Option<JobInput>,
    /// The archive that its standard output becomes.
    pub output: Option<String>,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Seconds after which it is ended from outside.
    pub deadline_seconds: u32,
}

/// How a job that ran to its end came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobOutcome {
    /// 0 is success.
    pub exit_code: i64,
    /// The size of its archive.
    pub output_bytes: u64,
    /// What its archive hashes to, in hexadecimal digits.
    pub output_sha256: String,
    /// The last lines of its standard error.
    pub message: String,
}

/// How a job is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// There is none of this id.
    Absent,
    /// It is being started, or runs.
    Running,
    /// It ran to its end.
    Ended(JobOutcome),
    /// It did not run to its end; why.
    Failed(String),
}
