//! Images, workloads, and what the world reaches of them.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Accessor;

use super::{Admitted, Answered, Calls, Secrets, WORKLOADS, failed, identified, workloads_call};
use crate::bindings::windlass::runtime::{images, ingress, types, workloads};
use crate::driver::{Health, Kind, State, Volume, Workload, WorkloadId};
use crate::images::Image;
use crate::ingress::Route;
use crate::runtime::Runtime;
use crate::sealed::Sealed;

impl<T: Send> images::HostWithStore<T> for Calls {
    async fn resolve(accessor: &Accessor<T, Self>, name: String) -> Answered<images::Progress> {
        let resolve = async |runtime: Arc<Runtime>| {
            runtime.resolve(&name).await.map(progress).map_err(failed)
        };
        workloads_call(accessor, |functions| &functions.resolve, resolve).await
    }

    async fn resolve_container(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> Answered<images::Progress> {
        let resolve = async |runtime: Arc<Runtime>| {
            runtime.resolve_container(&name).await.map(progress).map_err(failed)
        };
        workloads_call(accessor, |functions| &functions.resolve_container, resolve).await
    }
}

fn progress(found: Option<Image>) -> images::Progress {
    match found {
        None => images::Progress::Pending,
        Some(Image { digest, size_bytes }) => {
            images::Progress::Ready(images::Resolved { digest, size_bytes })
        }
    }
}

impl<T: Send> workloads::HostWithStore<T> for Calls {
    async fn start(accessor: &Accessor<T, Self>, workload: types::Workload) -> Answered<()> {
        let start = async |runtime: Arc<Runtime>| {
            let (workload, secrets) = described(workload)?;
            runtime.start(workload, &secrets).await.map_err(failed)
        };
        workloads_call(accessor, |functions| &functions.start, start).await
    }

    async fn start_sealed(
        accessor: &Accessor<T, Self>,
        workload: types::Workload,
        sealed: Vec<(String, String)>,
    ) -> Answered<()> {
        let secrets = accessor.with(|mut access| {
            access.get().capability::<Admitted>().map(|admitted| Arc::clone(&admitted.secrets))
        });
        let start = async |runtime: Arc<Runtime>| {
            let denied = || types::Error::Denied(format!("the grant `{WORKLOADS}` is missing"));
            let opened = opened(workload, sealed, &*secrets.ok_or_else(denied)?)?;
            let (workload, secrets) = described(opened)?;
            runtime.start(workload, &secrets).await.map_err(failed)
        };
        workloads_call(accessor, |functions| &functions.start_sealed, start).await
    }

    async fn observe(accessor: &Accessor<T, Self>, id: String) -> Answered<types::State> {
        let observe = async |runtime: Arc<Runtime>| {
            Ok(match runtime.observe(identified(&id)?).await.map_err(failed)? {
                State::Absent => types::State::Absent,
                State::Starting => types::State::Starting,
                State::Healthy => types::State::Healthy,
                State::Unhealthy(reason) => types::State::Unhealthy(reason),
                State::Failed(reason) => types::State::Failed(reason),
            })
        };
        workloads_call(accessor, |functions| &functions.observe, observe).await
    }

    async fn stop(accessor: &Accessor<T, Self>, id: String, grace_ms: u32) -> Answered<()> {
        let stop = async |runtime: Arc<Runtime>| {
            let grace = Duration::from_millis(grace_ms.into());
            runtime.stop(identified(&id)?, grace).await.map_err(failed)
        };
        workloads_call(accessor, |functions| &functions.stop, stop).await
    }

    async fn list(accessor: &Accessor<T, Self>) -> Answered<Vec<String>> {
        let list = async |runtime: Arc<Runtime>| {
            let ids = runtime.list().await.map_err(failed)?;
            Ok(ids.iter().map(WorkloadId::to_string).collect())
        };
        workloads_call(accessor, |functions| &functions.list, list).await
    }

    async fn address(accessor: &Accessor<T, Self>, id: String) -> Answered<Option<String>> {
        let address =
            async |runtime: Arc<Runtime>| runtime.address(identified(&id)?).await.map_err(failed);
        workloads_call(accessor, |functions| &functions.address, address).await
    }

    async fn list_volumes(accessor: &Accessor<T, Self>) -> Answered<Vec<String>> {
        let list = async |runtime: Arc<Runtime>| runtime.list_volumes().await.map_err(failed);
        workloads_call(accessor, |functions| &functions.list_volumes, list).await
    }

    async fn remove_volume(accessor: &Accessor<T, Self>, name: String) -> Answered<()> {
        let remove =
            async |runtime: Arc<Runtime>| runtime.remove_volume(&name).await.map_err(failed);
        workloads_call(accessor, |functions| &functions.remove_volume, remove).await
    }
}

impl<T: Send> ingress::HostWithStore<T> for Calls {
    async fn publish(accessor: &Accessor<T, Self>, routes: Vec<ingress::Route>) -> Answered<()> {
        let publish = async |runtime: Arc<Runtime>| {
            let route = |route: ingress::Route| {
                Ok(Route { host: route.host, workload: identified(&route.workload)? })
            };
            runtime.publish(routes.into_iter().map(route).collect::<Answered<_>>()?);
            Ok(())
        };
        workloads_call(accessor, |functions| &functions.publish, publish).await
    }
}

/// A workload with its sealed variables opened. What one of them holds is in no message.
fn opened(
    mut workload: types::Workload,
    sealed: Vec<(String, String)>,
    secrets: &dyn Secrets,
) -> Answered<types::Workload> {
    workload.variables.retain(|(name, _)| !sealed.iter().any(|(other, _)| other == name));
    for (name, envelope) in sealed {
        let context = format!("service:{}:variable:{name}", workload.service);
        let value = secrets.open(&context, &envelope).ok().map(String::from_utf8);
        let Some(Ok(value)) = value else {
            return Err(types::Error::Invalid(format!(
                "the sealed variable {name} cannot be opened; set it anew"
            )));
        };
        workload.variables.push((name, value));
    }
    Ok(workload)
}

fn described(workload: types::Workload) -> Answered<(Workload, Vec<Sealed>)> {
    let secrets = workload.sealed.into_iter().map(sealed).collect();
    let workload = Workload {
        id: identified(&workload.id)?,
        service: workload.service,
        name: workload.name,
        network: workload.network,
        kind: match workload.kind {
            types::Kind::Web => Kind::Web,
            types::Kind::Worker => Kind::Worker,
            types::Kind::Cron => Kind::Cron,
            types::Kind::Database => Kind::Database,
        },
        image: workload.image,
        command: workload.command,
        variables: workload.variables,
        cpu_millis: workload.cpu_millis,
        memory_bytes: workload.memory_bytes,
        schedule: workload.schedule,
        volumes: workload.volumes.into_iter().map(volume).collect(),
        health: match workload.health {
            types::Health::Http => Health::Http,
            types::Health::Command(command) => Health::Command(command),
            types::Health::Unasked => Health::Unasked,
        },
        port: workload.port,
    };
    Ok((workload, secrets))
}

pub(super) fn sealed(sealed: types::Sealed) -> Sealed {
    Sealed { placeholder: sealed.placeholder, context: sealed.context, envelope: sealed.envelope }
}

pub(super) fn volume(volume: types::Volume) -> Volume {
    Volume { name: volume.name, path: volume.path }
}
