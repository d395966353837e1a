//! What a database is to the runtime: a workload, a volume, and the jobs that save it and bring it
//! back.

use crate::databases::{self, Database, filled};
use crate::ids::JobId;
use crate::runtime::{Health, Job, JobInput, Volume, Workload, WorkloadKind};

/// Memory of a job, in bytes: the tools pass on what they read.
const JOB_MEMORY_BYTES: u64 = 512 << 20;
/// How long a job may take, in seconds: less than an operation may.
const JOB_SECONDS: u32 = 25 * 60;

/// The volume of a database.
pub(super) fn volume(database: &Database) -> String {
    format!("database-{}", database.id)
}

/// The workload of a database. Its network is its own: nobody else's workload is on it.
pub(super) fn workload(database: &Database) -> Workload {
    let specification = database.engine.specification();
    let own = specification.variables.iter();
    let own = own.map(|(name, value)| ((*name).to_owned(), filled(value, database)));
    let others = database.variables.keys();
    let others = others.map(|name| (name.clone(), databases::variable_placeholder(name)));
    Workload {
        id: database.id.into(),
        service: database.id.to_string(),
        name: databases::HOST.to_owned(),
        network: database.id.to_string(),
        kind: WorkloadKind::Database,
        image: database.image_digest.clone(),
        command: command(specification.command, database),
        variables: own.chain(others).collect(),
        sealed_variables: Vec::new(),
        sealed: databases::sealed(database),
        cpu_millis: database.plan.cpu_millis(),
        memory_bytes: database.plan.memory_bytes(),
        schedule: String::new(),
        volumes: volumes(database),
        health: Health::Command(command(specification.health, database)),
        port: specification.port,
    }
}

/// A job beside a database.
pub(super) fn job(
    id: JobId,
    database: &Database,
    program: &[&str],
    input: Option<JobInput>,
    output: Option<String>,
    sees_files: bool,
) -> Job {
    let variables = database.engine.specification().client_variables.iter();
    Job {
        id,
        image: database.image_digest.clone(),
        command: command(program, database),
        variables: variables
            .map(|(name, value)| ((*name).to_owned(), filled(value, database)))
            .collect(),
        sealed: vec![databases::password(database)],
        network: database.id.to_string(),
        volumes: if sees_files { volumes(database) } else { Vec::new() },
        input,
        output,
        memory_bytes: JOB_MEMORY_BYTES,
        deadline_seconds: JOB_SECONDS,
    }
}

fn volumes(database: &Database) -> Vec<Volume> {
    let path = database.engine.specification().data_directory.to_owned();
    vec![Volume { name: volume(database), path }]
}

fn command(arguments: &[&str], database: &Database) -> Vec<String> {
    arguments.iter().map(|argument| filled(argument, database)).collect()
}
