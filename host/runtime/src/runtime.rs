//! What the reconciler works with: one driver, the images, the ingress and the log.

use std::sync::Arc;
use std::time::Duration;

use crate::driver::{Driver, Error, State, Workload, WorkloadId};
use crate::images::{Image, Images};
use crate::ingress::{Ingress, Route};
use crate::logbook::LogBook;

/// The longest time a stopped workload may take to end what it has begun.
const LONGEST_GRACE: Duration = Duration::from_secs(300);

/// Everything behind `windlass:runtime`.
pub struct Runtime {
    /// Runs workloads.
    driver: Arc<dyn Driver>,
    /// Finds their images.
    pub(crate) images: Arc<Images>,
    /// Leads requests to them.
    ingress: Arc<Ingress>,
    /// Keeps what they write.
    pub(crate) log: Arc<LogBook>,
    /// Names this host among those that share a database.
    pub(crate) holder: String,
}

impl Runtime {
    /// A runtime over one driver.
    pub fn new(
        driver: Arc<dyn Driver>,
        images: Arc<Images>,
        ingress: Arc<Ingress>,
        log: Arc<LogBook>,
        holder: String,
    ) -> Self {
        Self { driver, images, ingress, log, holder }
    }

    pub(crate) async fn resolve(&self, name: &str) -> Result<Option<Image>, Error> {
        self.images.resolve(name).await
    }

    pub(crate) async fn start(&self, workload: Workload) -> Result<(), Error> {
        let id = workload.id;
        let started = self.driver.start(workload).await;
        if let Err(error) = &started {
            tracing::warn!(workload = %id, driver = self.driver.name(), "not started: {error}");
        }
        started
    }

    pub(crate) async fn observe(&self, id: WorkloadId) -> Result<State, Error> {
        self.driver.observe(id).await
    }

    pub(crate) async fn stop(&self, id: WorkloadId, grace: Duration) -> Result<(), Error> {
        self.driver.stop(id, grace.min(LONGEST_GRACE)).await
    }

    pub(crate) async fn list(&self) -> Result<Vec<WorkloadId>, Error> {
        self.driver.list().await
    }

    pub(crate) fn publish(&self, routes: Vec<Route>) {
        self.ingress.publish(routes, |id| self.driver.destination(id));
    }
}
