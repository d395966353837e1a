//! Comparing what runs with what should: routes are published, what nobody wants is taken away,
//! and what should run and does not is started again.

use std::collections::BTreeSet;

use super::databases;
use super::deployments::workload;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::ids::{BuildId, DeploymentId, OperationId, ServiceId, WorkloadId};
use crate::operations::Subject;
use crate::runtime::{Fault, IngressRoute, Runtime};
use crate::store::LiveService;

/// How long requests that have begun may go on when a release is taken away, in milliseconds.
const GRACE_MS: u32 = 10_000;

pub(super) async fn tidy(ctx: &Context<'_>, runtime: &dyn Runtime) -> Result<()> {
    // First what runs, then what is wanted: what is started in between is in the second then.
    let running: BTreeSet<WorkloadId> =
        runtime.list().await.map_err(unavailable)?.into_iter().collect();
    let live = ctx.store.live_services().await?;
    let coming = ctx.store.unfinished().await?;
    for missing in live.iter().filter(|live| !running.contains(&live.deployment_id.into())) {
        bring_back(ctx, runtime, missing.deployment_id).await?;
    }
    publish_live(runtime, &live).await?;
    clear_builds(runtime, &coming).await?;
    let kept = databases::Kept::read(ctx, &coming).await?;
    let coming = coming.into_iter().filter_map(|(_, subject)| match subject {
        Subject::Deployment { id, .. } => Some(id),
        Subject::Build(_) | Subject::Database(_) => None,
    });
    let deployments = live.iter().map(|live| live.deployment_id).chain(coming);
    let wanted: BTreeSet<WorkloadId> =
        deployments.map(WorkloadId::from).chain(kept.wanted()).collect();
    for unwanted in running.difference(&wanted) {
        runtime.stop(*unwanted, GRACE_MS).await.map_err(unavailable)?;
    }
    databases::tidy(ctx, runtime, &kept, &running).await
}

/// Takes away builds that no operation waits for.
async fn clear_builds(runtime: &dyn Runtime, coming: &[(OperationId, Subject)]) -> Result<()> {
    let wanted: BTreeSet<BuildId> = coming
        .iter()
        .filter_map(|(_, subject)| match subject {
            Subject::Deployment { id, .. } => Some(BuildId::of_deployment(*id)),
            Subject::Build(id) => Some(*id),
            Subject::Database(_) => None,
        })
        .collect();
    for id in runtime.list_builds().await.map_err(unavailable)? {
        if !wanted.contains(&id) {
            runtime.remove_build(id).await.map_err(unavailable)?;
        }
    }
    Ok(())
}

/// Publishes the routes of what is live, and of one service's next release in place of its present
/// one.
pub(super) async fn publish(
    ctx: &Context<'_>,
    runtime: &dyn Runtime,
    (service_id, deployment_id): (ServiceId, DeploymentId),
) -> Result<()> {
    let mut live = ctx.store.live_services().await?;
    match live.iter_mut().find(|live| live.service_id == service_id) {
        Some(live) => live.deployment_id = deployment_id,
        None => {
            let host = ctx.store.hostname(service_id).await?;
            live.push(LiveService { service_id, deployment_id, host });
        }
    }
    publish_live(runtime, &live).await
}

async fn publish_live(runtime: &dyn Runtime, live: &[LiveService]) -> Result<()> {
    runtime.publish(&routes(live)).await.map_err(unavailable)
}

/// A live release is not here: the machine was restarted, or somebody removed it by hand.
async fn bring_back(ctx: &Context<'_>, runtime: &dyn Runtime, id: DeploymentId) -> Result<()> {
    let Some(deployment) = ctx.store.deployment_to_carry_out(id).await? else { return Ok(()) };
    let Some(place) = ctx.store.service_place(deployment.service_id).await? else { return Ok(()) };
    if let Ok(workload) = workload(&deployment, place) {
        // One that cannot be started keeps nobody else from it; it is tried again next time.
        _ = runtime.start(&workload).await;
    }
    Ok(())
}

fn routes(live: &[LiveService]) -> Vec<IngressRoute> {
    let route = |live: &LiveService| {
        live.host
            .as_ref()
            .map(|host| IngressRoute { host: host.clone(), workload: live.deployment_id.into() })
    };
    live.iter().filter_map(route).collect()
}

fn unavailable(fault: Fault) -> Error {
    match fault {
        Fault::Permanent(reason) | Fault::Passing(reason) => {
            Error::unavailable(format!("the runtime: {reason}"))
        }
    }
}
