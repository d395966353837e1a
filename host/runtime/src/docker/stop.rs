//! Taking containers away: no new requests, time for those that have begun, and then the container
//! and everything that was its own. Volumes with a name are nobody's own, and stay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::query_parameters::{RemoveContainerOptions, StopContainerOptions};

use super::Docker;
use super::carried::Container;
use super::client::Client;
use crate::driver::{Error, WorkloadId};

/// How often requests that have begun are counted.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The longest a program may take to end by itself when it is asked to, in seconds. Databases write
/// down what they have in memory.
const LONGEST_END_SECONDS: u64 = 30;
/// How long the last lines are waited for.
const LAST_LINES: Duration = Duration::from_secs(3);

/// Sees to it that no container of this workload runs. Returns at once.
pub(super) async fn stop(
    docker: &Arc<Docker>,
    id: WorkloadId,
    grace: Duration,
) -> Result<(), Error> {
    let name = docker.ours.container(id);
    if !docker.client.is_there() && docker.carried.get(id).is_none() {
        return Ok(());
    }
    let Some(found) = docker.inspect(&name).await? else {
        docker.carried.keep_only(|known| known != id);
        return Ok(());
    };
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    docker.ours.check_owns(&name, labels)?;
    let network = labels.and_then(super::known).map(|known| known.network);
    let Some(container) = docker.carried.begin_stop(id) else { return Ok(()) };
    let docker = Arc::clone(docker);
    tokio::spawn(async move {
        if let Err(error) = take_away(&docker, &name, container.as_deref(), grace).await {
            // It is still listed, and so it is tried again.
            tracing::warn!(workload = %id, "not stopped: {error}");
        }
        docker.log.close(id);
        docker.carried.end_stop(id);
        if let Some(network) = network {
            docker.networks.let_go(&docker.client, &docker.ours, &network).await;
        }
    });
    Ok(())
}

async fn take_away(
    docker: &Docker,
    name: &str,
    container: Option<&Container>,
    grace: Duration,
) -> Result<(), Error> {
    let until = Instant::now() + grace;
    let proxy = container.and_then(|container| container.proxy.as_ref());
    while proxy.is_some_and(|proxy| !proxy.is_idle()) && Instant::now() < until {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    // Without grace nothing is lost that anybody waits for.
    let seconds = grace.as_secs().clamp(1, LONGEST_END_SECONDS);
    let options = StopContainerOptions { t: i32::try_from(seconds).ok(), signal: None };
    let engine = docker.client.docker().await?;
    let stopped = engine.stop_container(name, Some(options));
    let within = Duration::from_secs(seconds + LONGEST_END_SECONDS);
    match tokio::time::timeout(within, stopped).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => match docker.client.words(error) {
            Error::NotFound(_) => return Ok(()),
            error => return Err(error),
        },
        Err(_) => tracing::warn!(container = name, "it does not end, and is removed by force"),
    }
    if let Some(follower) = container.and_then(Container::take_follower) {
        follower.finish(LAST_LINES).await;
    }
    remove(&docker.client, name).await
}

/// Removes a container with the volumes that have no name.
pub(super) async fn remove(client: &Client, name: &str) -> Result<(), Error> {
    let options = RemoveContainerOptions { v: true, force: true, ..Default::default() };
    let removed = client.ask(async |docker| docker.remove_container(name, Some(options)).await);
    match removed.await {
        // Somebody else is removing it.
        Ok(()) | Err(Error::NotFound(_) | Error::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
