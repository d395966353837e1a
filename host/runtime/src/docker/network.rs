//! Networks and volumes: what containers share, and what outlives them.

use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{ListContainersOptions, ListVolumesOptions, RemoveVolumeOptions};
use tokio::sync::{Mutex, MutexGuard};

use super::client::Client;
use super::names::{Installation, volume_name};
use crate::driver::{Error, Volume};

/// Keeps a network from being taken away while somebody is put on it.
#[derive(Default)]
pub(super) struct Networks(Mutex<()>);

impl Networks {
    /// Sees to it that there is this network, and that it stays while what is answered is held.
    pub(super) async fn hold(
        &self,
        client: &Client,
        ours: &Installation,
        network: &str,
    ) -> Result<MutexGuard<'_, ()>, Error> {
        let name = ours.network(network)?;
        let held = self.0.lock().await;
        let found = client.find(async |docker| docker.inspect_network(&name, None).await).await?;
        match found {
            Some(found) => ours.check_owns(&name, found.labels.as_ref())?,
            None => {
                let request = NetworkCreateRequest {
                    name,
                    driver: Some("bridge".to_owned()),
                    labels: Some(ours.network_labels(network)),
                    ..NetworkCreateRequest::default()
                };
                client.ask(async |docker| docker.create_network(request).await).await?;
            }
        }
        Ok(held)
    }

    /// Takes a network away that nobody is on any more. Best-effort: an empty one costs little.
    pub(super) async fn let_go(&self, client: &Client, ours: &Installation, network: &str) {
        let Ok(name) = ours.network(network) else { return };
        let _held = self.0.lock().await;
        let options = ListContainersOptions {
            all: true,
            filters: Some(ours.on_network(network)),
            ..ListContainersOptions::default()
        };
        let left = client.ask(async |docker| docker.list_containers(Some(options)).await).await;
        let found = client.find(async |docker| docker.inspect_network(&name, None).await).await;
        let (Ok(left), Ok(Some(found))) = (left, found) else { return };
        if left.is_empty() && ours.owns(found.labels.as_ref()) {
            let removed = client.ask(async |docker| docker.remove_network(&name).await).await;
            if let Err(error) = removed {
                tracing::debug!(network = name, "not removed: {error}");
            }
        }
    }
}

/// Sees to it that there are these volumes.
pub(super) async fn volumes(
    client: &Client,
    ours: &Installation,
    volumes: &[Volume],
) -> Result<(), Error> {
    for volume in volumes {
        let name = ours.volume(&volume.name)?;
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(ours.volume_labels(volume)),
            ..VolumeCreateRequest::default()
        };
        // One that is there is answered as it is.
        let found = client.ask(async |docker| docker.create_volume(request).await).await?;
        ours.check_owns(&name, Some(&found.labels))?;
    }
    Ok(())
}

/// The names of all volumes that are ours.
pub(super) async fn list_volumes(
    client: &Client,
    ours: &Installation,
) -> Result<Vec<String>, Error> {
    if !client.is_there() {
        return Ok(Vec::new());
    }
    let options = ListVolumesOptions { filters: Some(ours.volumes()) };
    let found = client.ask(async |docker| docker.list_volumes(Some(options)).await).await?;
    Ok(found.volumes.iter().flatten().filter_map(|volume| volume_name(&volume.labels)).collect())
}

/// Sees to it that there is none of this name.
pub(super) async fn remove_volume(
    client: &Client,
    ours: &Installation,
    name: &str,
) -> Result<(), Error> {
    let full = ours.volume(name)?;
    if !client.is_there() {
        return Ok(());
    }
    let found = client.find(async |docker| docker.inspect_volume(&full).await).await?;
    let Some(found) = found else { return Ok(()) };
    ours.check_owns(&full, Some(&found.labels))?;
    let options = RemoveVolumeOptions { force: false };
    match client.ask(async |docker| docker.remove_volume(&full, Some(options)).await).await {
        Err(Error::Conflict(_)) => Err(Error::Conflict(format!("the volume {name} is in use"))),
        Err(Error::NotFound(_)) => Ok(()),
        other => other,
    }
}
