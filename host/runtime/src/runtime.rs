//! What the reconciler works with: the drivers, the images, the ingress and the log.
//!
//! A workload is carried by one driver for its whole life, and which one is said by its image: a
//! component is named by its digest alone, a container's image by its name and its digest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::archives::Archives;
use crate::capability::Secrets;
use crate::driver::{Driver, Error, State, Usage, Workload, WorkloadId};
use crate::images::{Image, LOCAL};
use crate::ingress::{Ingress, Route};
use crate::job::{Job, JobState};
use crate::logbook::LogBook;
use crate::sealed::{Opened, Sealed};

/// The longest time a stopped workload may take to end what it has begun.
const LONGEST_GRACE: Duration = Duration::from_secs(300);

/// How long an image is taken for a container's: a deployment has half an hour, and a tag may move
/// from one to the other.
const NO_COMPONENT_FOR: Duration = Duration::from_secs(600);
/// How many names are remembered so.
const NO_COMPONENTS: u64 = 1_000;

/// What carries workloads.
pub struct Drivers {
    /// Runs components.
    pub components: Arc<dyn Driver>,
    /// Runs containers, where this host has something that does.
    pub containers: Option<Arc<dyn Driver>>,
}

/// Everything behind `windlass:runtime`.
pub struct Runtime {
    /// Run workloads.
    drivers: Drivers,
    /// Leads requests to them.
    ingress: Arc<Ingress>,
    /// Keeps what they write.
    pub(crate) log: Arc<LogBook>,
    /// What jobs write and read.
    pub(crate) archives: Archives,
    /// Names this host among those that share a database.
    pub(crate) holder: String,
    /// Names of images that are no components, for as long as one may take to be fetched.
    no_components: Cache<String, ()>,
    /// Opens the secrets of workloads, where this host has keys.
    secrets: Option<Arc<dyn Secrets>>,
    /// Images by the names that others are asked for by.
    substitutes: BTreeMap<String, String>,
}

impl Drivers {
    /// The one that carries workloads of an image, by its digest.
    fn of(&self, digest: &str) -> Result<&Arc<dyn Driver>, Error> {
        if digest.contains('@') { self.containers() } else { Ok(&self.components) }
    }

    fn containers(&self) -> Result<&Arc<dyn Driver>, Error> {
        self.containers.as_ref().ok_or_else(|| {
            Error::Invalid(format!(
                "this host runs no containers: docker_host is `none`; name a pushed component \
                 {LOCAL}<name>:<tag>, or have the operator set docker_host"
            ))
        })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn Driver>> {
        std::iter::once(&self.components).chain(&self.containers)
    }
}

impl Runtime {
    /// A runtime over these drivers.
    pub fn new(
        drivers: Drivers,
        ingress: Arc<Ingress>,
        log: Arc<LogBook>,
        archives: Archives,
        holder: String,
    ) -> Self {
        let no_components =
            Cache::builder().max_capacity(NO_COMPONENTS).time_to_live(NO_COMPONENT_FOR).build();
        let (secrets, substitutes) = (None, BTreeMap::new());
        Self { drivers, ingress, log, archives, holder, no_components, secrets, substitutes }
    }

    /// With the keys of the secrets that workloads are started with.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Arc<dyn Secrets>) -> Self {
        self.secrets = Some(secrets);
        self
    }

    /// With these images in the places of those that are asked for: of a mirror, or of one's own.
    #[must_use]
    pub fn with_substitutes(mut self, substitutes: BTreeMap<String, String>) -> Self {
        self.substitutes = substitutes;
        self
    }

    /// What a registry has under a name is a component or a container's image, which only the
    /// registry can say. So it is asked for a component first; whatever it answers otherwise, the
    /// image may be one for containers, which perhaps is on this machine already.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Option<Image>, Error> {
        let name = self.substitutes.get(name).map_or(name, String::as_str);
        let Some(containers) =
            self.drivers.containers.as_ref().filter(|_| !name.starts_with(LOCAL))
        else {
            return self.drivers.components.resolve(name).await;
        };
        // What was made on this machine is in no registry, and none need hear of its name.
        if containers.has_made(name).await.unwrap_or(false) {
            return containers.resolve(name).await;
        }
        if !self.no_components.contains_key(name) {
            match self.drivers.components.resolve(name).await {
                Ok(found) => return Ok(found),
                Err(error) => {
                    tracing::debug!(image = name, "taken for a container's: {error}");
                    self.no_components.insert(name.to_owned(), ());
                }
            }
        }
        containers.resolve(name).await
    }

    /// Finds an image that is a container's, whatever else has its name.
    pub(crate) async fn resolve_container(&self, name: &str) -> Result<Option<Image>, Error> {
        let name = self.substitutes.get(name).map_or(name, String::as_str);
        self.drivers.containers()?.resolve(name).await
    }

    pub(crate) async fn start(
        &self,
        mut workload: Workload,
        sealed: &[Sealed],
    ) -> Result<(), Error> {
        Opened::open(self.secrets.as_ref(), sealed)?.fill_workload(&mut workload);
        let id = workload.id;
        let driver = self.drivers.of(&workload.image)?;
        let started = driver.start(workload).await;
        if let Err(error) = &started {
            tracing::warn!(workload = %id, driver = driver.name(), "not started: {error}");
        }
        started
    }

    pub(crate) async fn observe(&self, id: WorkloadId) -> Result<State, Error> {
        for driver in self.drivers.all() {
            match driver.observe(id).await? {
                State::Absent => {}
                found => return Ok(found),
            }
        }
        Ok(State::Absent)
    }

    pub(crate) async fn stop(&self, id: WorkloadId, grace: Duration) -> Result<(), Error> {
        let grace = grace.min(LONGEST_GRACE);
        // A component is stopped whether or not whoever runs containers answers.
        let components = &self.drivers.components;
        if components.list().await?.contains(&id) {
            return components.stop(id, grace).await;
        }
        match &self.drivers.containers {
            Some(containers) => containers.stop(id, grace).await,
            None => Ok(()),
        }
    }

    /// What a driver has that cannot be reached is left out: what the others have needs looking
    /// after all the same, and what is missing here is at the most started where it is.
    pub(crate) async fn list(&self) -> Result<Vec<WorkloadId>, Error> {
        let mut ids = Vec::new();
        for driver in self.drivers.all() {
            match driver.list().await {
                Ok(found) => ids.extend(found),
                Err(error) => tracing::warn!(driver = driver.name(), "not listed: {error}"),
            }
        }
        Ok(ids)
    }

    pub(crate) fn publish(&self, routes: Vec<Route>) {
        let destination = |id| self.drivers.all().find_map(|driver| driver.destination(id));
        self.ingress.publish(routes, destination);
    }

    pub(crate) async fn address(&self, id: WorkloadId) -> Result<Option<String>, Error> {
        for driver in self.drivers.all() {
            if let Some(address) = driver.address(id).await? {
                return Ok(Some(address));
            }
        }
        Ok(None)
    }

    pub(crate) async fn usage(&self, id: WorkloadId) -> Result<Option<Usage>, Error> {
        for driver in self.drivers.all() {
            if let Some(usage) = driver.usage(id).await? {
                return Ok(Some(usage));
            }
        }
        Ok(None)
    }

    pub(crate) async fn list_volumes(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for driver in self.drivers.all() {
            names.extend(driver.list_volumes().await?);
        }
        Ok(names)
    }

    pub(crate) async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        for driver in self.drivers.all() {
            driver.remove_volume(name).await?;
        }
        Ok(())
    }

    pub(crate) async fn start_job(&self, mut job: Job, sealed: &[Sealed]) -> Result<(), Error> {
        Opened::open(self.secrets.as_ref(), sealed)?.fill_job(&mut job);
        self.drivers.of(&job.image)?.start_job(job).await
    }

    pub(crate) async fn observe_job(&self, id: WorkloadId) -> Result<JobState, Error> {
        for driver in self.drivers.all() {
            match driver.observe_job(id).await? {
                JobState::Absent => {}
                found => return Ok(found),
            }
        }
        Ok(JobState::Absent)
    }

    pub(crate) async fn remove_job(&self, id: WorkloadId) -> Result<(), Error> {
        for driver in self.drivers.all() {
            driver.remove_job(id).await?;
        }
        Ok(())
    }
}
