//! Jobs and their archives.

use std::sync::Arc;

use wasmtime::component::Accessor;

use super::workloads::{sealed, volume};
use super::{Answered, Calls, failed, identified, types, workloads_call};
use crate::bindings::windlass::runtime::jobs;
use crate::driver::Error;
use crate::job::{Job, JobInput, JobOutcome, JobState};
use crate::runtime::Runtime;
use crate::sealed::Sealed;

impl<T: Send> jobs::HostWithStore<T> for Calls {
    async fn start(accessor: &Accessor<T, Self>, job: jobs::Job) -> Answered<()> {
        let start = async |runtime: Arc<Runtime>| {
            let (job, secrets) = described(job)?;
            runtime.start_job(job, &secrets).await.map_err(failed)
        };
        workloads_call(accessor, |functions| &functions.start_job, start).await
    }

    async fn observe(accessor: &Accessor<T, Self>, id: String) -> Answered<jobs::State> {
        let observe = async |runtime: Arc<Runtime>| {
            Ok(match runtime.observe_job(identified(&id)?).await.map_err(failed)? {
                JobState::Absent => jobs::State::Absent,
                JobState::Running => jobs::State::Running,
                JobState::Ended(outcome) => jobs::State::Ended(came_out(outcome)),
                JobState::Failed(reason) => jobs::State::Failed(reason),
            })
        };
        workloads_call(accessor, |functions| &functions.observe_job, observe).await
    }

    async fn remove(accessor: &Accessor<T, Self>, id: String) -> Answered<()> {
        let remove = async |runtime: Arc<Runtime>| {
            runtime.remove_job(identified(&id)?).await.map_err(failed)
        };
        workloads_call(accessor, |functions| &functions.remove_job, remove).await
    }

    async fn list_archives(accessor: &Accessor<T, Self>) -> Answered<Vec<String>> {
        let list = async |runtime: Arc<Runtime>| {
            let archives = runtime.archives.clone();
            on_disk(move || archives.list()).await
        };
        workloads_call(accessor, |functions| &functions.list_archives, list).await
    }

    async fn remove_archive(accessor: &Accessor<T, Self>, name: String) -> Answered<()> {
        let remove = async |runtime: Arc<Runtime>| {
            let archives = runtime.archives.clone();
            on_disk(move || archives.remove(&name)).await
        };
        workloads_call(accessor, |functions| &functions.remove_archive, remove).await
    }
}

/// Works with files where that holds up nobody else.
async fn on_disk<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Error> + Send + 'static,
) -> Answered<R> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.map_err(|error| types::Error::Other(error.to_string()))?.map_err(failed)
}

fn described(job: jobs::Job) -> Answered<(Job, Vec<Sealed>)> {
    let secrets = job.sealed.into_iter().map(sealed).collect();
    let job = Job {
        id: identified(&job.id)?,
        image: job.image,
        command: job.command,
        variables: job.variables,
        network: job.network,
        volumes: job.volumes.into_iter().map(volume).collect(),
        input: job.input.map(|input| JobInput { archive: input.archive, sha256: input.sha256 }),
        output: job.output,
        memory_bytes: job.memory_bytes,
        deadline_seconds: job.deadline_seconds,
    };
    Ok((job, secrets))
}

fn came_out(outcome: JobOutcome) -> jobs::Outcome {
    jobs::Outcome {
        exit_code: outcome.exit_code,
        output_bytes: outcome.output_bytes,
        output_sha256: outcome.output_sha256,
        message: outcome.message,
    }
}
