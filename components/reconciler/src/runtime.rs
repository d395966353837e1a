//! The domain's port to what runs workloads, over `windlass:runtime`.

use windlass_domain::future::PortFuture;
use windlass_domain::ids::DeploymentId;
use windlass_domain::runtime::{
    Fault, ImageState, IngressRoute, Runtime, Workload, WorkloadKind, WorkloadState,
};

use crate::bindings::windlass::runtime::types::{self as wit, Error};
use crate::bindings::windlass::runtime::{images, ingress, workloads};

/// The host's runtime.
pub(crate) struct HostRuntime;

impl Runtime for HostRuntime {
    fn resolve<'a>(&'a self, image: &'a str) -> PortFuture<'a, Result<ImageState, Fault>> {
        Box::pin(async move {
            match images::resolve(image.to_owned()).await.map_err(fault)? {
                images::Progress::Pending => Ok(ImageState::Pending),
                images::Progress::Ready(images::Resolved { digest, size_bytes }) => {
                    Ok(ImageState::Ready { digest, size_bytes })
                }
            }
        })
    }

    fn start<'a>(&'a self, workload: &'a Workload) -> PortFuture<'a, Result<(), Fault>> {
        Box::pin(async move { workloads::start(described(workload)).await.map_err(fault) })
    }

    fn observe(&self, id: DeploymentId) -> PortFuture<'_, Result<WorkloadState, Fault>> {
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

    fn stop(&self, id: DeploymentId, grace_ms: u32) -> PortFuture<'_, Result<(), Fault>> {
        Box::pin(async move { workloads::stop(id.to_string(), grace_ms).await.map_err(fault) })
    }

    fn list(&self) -> PortFuture<'_, Result<Vec<DeploymentId>, Fault>> {
        Box::pin(async move {
            let ids = workloads::list().await.map_err(fault)?;
            // What has another kind of name was never started from here, and is left alone.
            Ok(ids.iter().filter_map(|id| DeploymentId::parse(id)).collect())
        })
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

fn described(workload: &Workload) -> wit::Workload {
    wit::Workload {
        id: workload.id.to_string(),
        service: workload.service_id.to_string(),
        kind: match workload.kind {
            WorkloadKind::Web => wit::Kind::Web,
            WorkloadKind::Worker => wit::Kind::Worker,
            WorkloadKind::Cron => wit::Kind::Cron,
        },
        image: workload.image.clone(),
        command: workload.command.clone(),
        variables: workload.variables.clone(),
        cpu_millis: workload.cpu_millis,
        memory_bytes: workload.memory_bytes,
        schedule: workload.schedule.clone(),
    }
}

/// Whether trying again may help, by what the host says.
fn fault(error: Error) -> Fault {
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
