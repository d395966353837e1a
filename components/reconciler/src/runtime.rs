//! The domain's port to what runs workloads, over `windlass:runtime`.

use windlass_domain::future::PortFuture;
use windlass_domain::ids::{JobId, WorkloadId};
use windlass_domain::runtime::{
    Fault, Health, ImageState, IngressRoute, Job, JobState, Runtime, Volume, Workload,
    WorkloadKind, WorkloadState,
};
use windlass_domain::secrets::Sealed;

use crate::bindings::windlass::runtime::types::{self as wit, Error};
use crate::bindings::windlass::runtime::{images, ingress, jobs, workloads};

/// The host's runtime.
pub(crate) struct HostRuntime;

impl Runtime for HostRuntime {
    fn resolve<'a>(&'a self, image: &'a str) -> PortFuture<'a, Result<ImageState, Fault>> {
        Box::pin(async move { progress(images::resolve(image.to_owned()).await) })
    }

    fn resolve_container<'a>(
        &'a self,
        image: &'a str,
    ) -> PortFuture<'a, Result<ImageState, Fault>> {
        Box::pin(async move { progress(images::resolve_container(image.to_owned()).await) })
    }

    fn start<'a>(&'a self, workload: &'a Workload) -> PortFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let described = described(workload);
            if workload.sealed_variables.is_empty() {
                return workloads::start(described).await.map_err(fault);
            }
            let sealed = workload.sealed_variables.clone();
            workloads::start_sealed(described, sealed).await.map_err(fault)
        })
    }

    fn observe(&self, id: WorkloadId) -> PortFuture<'_, Result<WorkloadState, Fault>> {
        Box::pin(async move {
            Ok(match workloads::observe(id.to_string()).await.map_err(fault)? {
                wit::State::Absent => WorkloadState::Absent,
                wit::State::Starting => WorkloadState::Starting,
                wit::State::Healthy => WorkloadState::Healthy,
                wit::State::Unhealthy(reason) => WorkloadState::Unhealthy(reason),
                wit::State::Failed(reason) => WorkloadState::Failed(reason),
            })
        })
    }

    fn stop(&self, id: WorkloadId, grace_ms: u32) -> PortFuture<'_, Result<(), Fault>> {
        Box::pin(async move { workloads::stop(id.to_string(), grace_ms).await.map_err(fault) })
    }

    fn list(&self) -> PortFuture<'_, Result<Vec<WorkloadId>, Fault>> {
        Box::pin(async move {
            let ids = workloads::list().await.map_err(fault)?;
            // What has another kind of name was never started from here, and is left alone.
            Ok(ids.iter().filter_map(|id| WorkloadId::parse(id)).collect())
        })
    }

    fn address(&self, id: WorkloadId) -> PortFuture<'_, Result<Option<String>, Fault>> {
        Box::pin(async move { workloads::address(id.to_string()).await.map_err(fault) })
    }

    fn list_volumes(&self) -> PortFuture<'_, Result<Vec<String>, Fault>> {
        Box::pin(async move { workloads::list_volumes().await.map_err(fault) })
    }

    fn remove_volume<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<(), Fault>> {
        Box::pin(async move { workloads::remove_volume(name.to_owned()).await.map_err(fault) })
    }

    fn start_job<'a>(&'a self, job: &'a Job) -> PortFuture<'a, Result<(), Fault>> {
        Box::pin(async move { jobs::start(job_described(job)).await.map_err(fault) })
    }

    fn observe_job(&self, id: JobId) -> PortFuture<'_, Result<JobState, Fault>> {
        Box::pin(async move {
            Ok(match jobs::observe(id.to_string()).await.map_err(fault)? {
                jobs::State::Absent => JobState::Absent,
                jobs::State::Running => JobState::Running,
                jobs::State::Ended(outcome) => JobState::Ended {
                    exit_code: outcome.exit_code,
                    output_bytes: outcome.output_bytes,
                    output_sha256: outcome.output_sha256,
                    message: outcome.message,
                },
                jobs::State::Failed(reason) => JobState::Failed(reason),
            })
        })
    }

    fn remove_job(&self, id: JobId) -> PortFuture<'_, Result<(), Fault>> {
        Box::pin(async move { jobs::remove(id.to_string()).await.map_err(fault) })
    }

    fn list_archives(&self) -> PortFuture<'_, Result<Vec<String>, Fault>> {
        Box::pin(async move { jobs::list_archives().await.map_err(fault) })
    }

    fn remove_archive<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<(), Fault>> {
        Box::pin(async move { jobs::remove_archive(name.to_owned()).await.map_err(fault) })
    }

    fn publish<'a>(&'a self, routes: &'a [IngressRoute]) -> PortFuture<'a, Result<(), Fault>> {
        let route = |route: &IngressRoute| ingress::Route {
            host: route.host.clone(),
            workload: route.workload.to_string(),
        };
        let routes = routes.iter().map(route).collect();
        Box::pin(async move { ingress::publish(routes).await.map_err(fault) })
    }
}

fn progress(answer: Result<images::Progress, Error>) -> Result<ImageState, Fault> {
    match answer.map_err(fault)? {
        images::Progress::Pending => Ok(ImageState::Pending),
        images::Progress::Ready(images::Resolved { digest, size_bytes }) => {
            Ok(ImageState::Ready { digest, size_bytes })
        }
    }
}

fn described(workload: &Workload) -> wit::Workload {
    wit::Workload {
        id: workload.id.to_string(),
        service: workload.service.clone(),
        name: workload.name.clone(),
        network: workload.network.clone(),
        kind: match workload.kind {
            WorkloadKind::Web => wit::Kind::Web,
            WorkloadKind::Worker => wit::Kind::Worker,
            WorkloadKind::Cron => wit::Kind::Cron,
            WorkloadKind::Database => wit::Kind::Database,
        },
        image: workload.image.clone(),
        command: workload.command.clone(),
        variables: workload.variables.clone(),
        sealed: workload.sealed.iter().map(sealed).collect(),
        cpu_millis: workload.cpu_millis,
        memory_bytes: workload.memory_bytes,
        schedule: workload.schedule.clone(),
        volumes: workload.volumes.iter().map(volume).collect(),
        health: match &workload.health {
            Health::Http => wit::Health::Http,
            Health::Command(command) => wit::Health::Command(command.clone()),
            Health::Unasked => wit::Health::Unasked,
        },
        port: workload.port,
    }
}

fn sealed(sealed: &Sealed) -> wit::Sealed {
    wit::Sealed {
        placeholder: sealed.placeholder.clone(),
        context: sealed.context.clone(),
        envelope: sealed.envelope.clone(),
    }
}

fn volume(volume: &Volume) -> wit::Volume {
    wit::Volume { name: volume.name.clone(), path: volume.path.clone() }
}

fn job_described(job: &Job) -> jobs::Job {
    let input = job
        .input
        .as_ref()
        .map(|input| jobs::Input { archive: input.archive.clone(), sha256: input.sha256.clone() });
    jobs::Job {
        id: job.id.to_string(),
        image: job.image.clone(),
        command: job.command.clone(),
        variables: job.variables.clone(),
        sealed: job.sealed.iter().map(sealed).collect(),
        network: job.network.clone(),
        volumes: job.volumes.iter().map(volume).collect(),
        input,
        output: job.output.clone(),
        memory_bytes: job.memory_bytes,
        deadline_seconds: job.deadline_seconds,
    }
}

/// Whether trying again may help, by what the host says.
pub(crate) fn fault(error: Error) -> Fault {
    match error {
        Error::Unavailable(text) | Error::Timeout(text) | Error::Quota(text) => {
            Fault::Passing(text)
        }
        Error::Denied(text)
        | Error::NotFound(text)
        | Error::Conflict(text)
        | Error::Invalid(text)
        | Error::Other(text) => Fault::Permanent(text),
    }
}
