//! What runs workloads, put together: the embedded driver over the host's engine, images in the
//! database, logs in the data directory, and the ingress the gateway asks.

use std::sync::Arc;
use std::time::Duration;

use windlass_gateway::Deployed;
use windlass_outbound::Client;
use windlass_runtime::builds::Builds;
use windlass_runtime::{
    Archives, DockerDriver, Driver, Drivers, Found, Images, Ingress, LogBook, OciRegistry, Runtime,
    WasmDriver,
};
use windlass_storage::Database;

use crate::builds::Trees;
use crate::configuration::Configuration;
use crate::data::DataDirectory;
use crate::records;
use crate::vault::Vault;

/// How long instances of a service are kept that nobody asks anything.
const IDLE_FOR: Duration = Duration::from_secs(60);
/// How long the log of a workload is kept after its last line: thirty days.
const LOG_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Everything around workloads.
pub(crate) struct Workloads {
    pub(crate) driver: Arc<WasmDriver>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) builds: Arc<Builds>,
    pub(crate) images: Arc<Images>,
    pub(crate) records: Arc<records::Images>,
    pub(crate) ingress: Arc<Ingress>,
    log: Arc<LogBook>,
}

impl Workloads {
    /// Puts it together. The driver runs nothing before it is given the engine.
    pub(crate) fn open(
        configuration: &Configuration,
        data: &DataDirectory,
        database: &Arc<Database>,
        client: &Client,
        vault: &Arc<Vault>,
    ) -> anyhow::Result<Self> {
        let records = Arc::new(records::Images::new(database));
        let registry = Arc::new(OciRegistry::new(client.clone()));
        let images = Images::new(Arc::clone(&records) as _, Some(registry));
        let log = Arc::new(LogBook::new(data.workload_logs()?));
        let driver = Arc::new(WasmDriver::new(Arc::clone(&images), Arc::clone(&log)));
        let ingress = Arc::new(Ingress::new(&configuration.base_domain));
        let archives = Archives::new(data.backups()?);
        let host_name = data.host_name()?;
        let containers = configuration.docker_host.as_ref().map(|socket| {
            let log = Arc::clone(&log);
            Arc::new(DockerDriver::new(socket, &host_name, log, archives.clone()))
                as Arc<dyn Driver>
        });
        let runtime = Runtime::new(
            Drivers { components: Arc::clone(&driver) as _, containers },
            Arc::clone(&ingress),
            Arc::clone(&log),
            archives,
            host_name,
        );
        let runtime = runtime
            .with_secrets(Arc::clone(vault) as _)
            .with_substitutes(configuration.image_substitutes.clone());
        let runtime = Arc::new(runtime);
        let trees = Arc::new(Trees::open(client, data)?);
        let builds = Builds::new(Arc::clone(&runtime), Arc::clone(&images), trees, None);
        Ok(Self { driver, runtime, builds, images, records, ingress, log })
    }

    /// Gives back the memory of services that nobody asks anything.
    pub(crate) fn release_idle(&self) {
        self.driver.release_idle(IDLE_FOR);
    }

    /// Lets go of images and logs that nobody needs any more.
    pub(crate) async fn forget_the_old(&self) {
        if let Err(error) = self.log.prune(LOG_KEPT_FOR) {
            tracing::warn!("old logs of workloads were not removed: {error}");
        }
        if let Err(error) = self.records.purge().await {
            tracing::warn!("old images were not removed: {error}");
        }
    }
}

/// Tells the gateway what tenants deployed.
pub(crate) struct Visitors(pub(crate) Arc<Ingress>);

impl windlass_gateway::Ingress for Visitors {
    fn find(&self, host: &str) -> Deployed {
        match self.0.find(host) {
            Found::Elsewhere => Deployed::Not,
            Found::Nothing => Deployed::Nothing,
            Found::Live(destination) => Deployed::Live(destination),
        }
    }
}
