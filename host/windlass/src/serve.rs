//! `windlass serve`: wires the host together and serves until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windlass_engine::{Capability, Engine, Fleet};
use windlass_gateway::{Authenticator, Gateway, Operations, OperationsCapability, reconcile};
use windlass_identity::{Identity, IdentityCapability, SecretsCapability};
use windlass_runtime::RuntimeCapability;
use windlass_runtime::builds::BuildsCapability;
use windlass_source::{Hosting, SourceCapability};
use windlass_storage::{Database, StorageCapability};

use crate::configuration::Configuration;
use crate::data::{DataDirectory, MANAGEMENT_TOKEN};
use crate::management::{self, Management};
use crate::pages::Reference;
use crate::runtime::{Visitors, Workloads};
use crate::telemetry::{self, Telemetry};
use crate::vault::Vault;
use crate::{installed, printer, records, source, tls};

/// How often idle instances, old idempotency keys and collected metrics are looked after.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How long the last step of the reconciler is waited for when the host stops.
const LAST_STEP: Duration = Duration::from_secs(5);
/// How often images and logs that nobody needs any more are looked for.
const TIDYING: Duration = Duration::from_secs(3_600);
/// How often revocations made by other hosts on the same database are read.
const REVOCATIONS: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT, then lets requests end.
pub(crate) fn run(configuration: Configuration) -> anyhow::Result<ExitCode> {
    let telemetry = Telemetry::start(&configuration)?;
    // Only builds for tests have points at which they fail; others pass over the variable.
    let _failures = fail::FailScenario::setup();
    // More threads than cores: a component that computes is then one of several the system
    // shares the cores among, and never all of them.
    let threads = std::thread::available_parallelism().map_or(2, usize::from) + 2;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let served = runtime.block_on(serve(configuration, telemetry.metrics.clone()));
    runtime.shutdown_timeout(Duration::from_secs(5));
    telemetry.finish();
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(
    configuration: Configuration,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) -> anyhow::Result<()> {
    // What runs beside the requests, and ends with them.
    let mut beside = JoinSet::new();
    let stop = CancellationToken::new();
    beside.spawn(stop_on_signal(stop.clone())?);
    let tls = tls::acceptor(&configuration)?;
    let map = installed::Map::read(&configuration.manifest)?;
    let pages = Arc::new(Reference::load(map.base(), map.openapi())?);
    let data = DataDirectory::open(&configuration.data_dir)?;
    let _only_host = data.lock()?;
    let (token, token_is_new) = data.management_token()?;
    let database = Arc::new(records::open(&configuration, &data).await?);
    records::migrate(&database).await?;
    let identity = Arc::new(records::identity(&database, &data).await?);
    let idempotency = records::Idempotency::start(&database, Arc::clone(&identity)).await?;
    let operations = Arc::new(Operations::default());

    let client = source::client(&configuration)?;
    let vault = Arc::new(Vault(Arc::clone(&identity)));
    let workloads = Workloads::open(&configuration, &data, &database, &client, &vault)?;
    let workloads = Arc::new(workloads);
    let hosting = source::hosting(&configuration, client, &vault);
    let capabilities =
        capabilities(&database, &identity, &operations, &workloads, (hosting, vault));
    let fleet = fleet(&data, capabilities, &database, &workloads, &map).await?;

    // Whatever can be wrong was said by now, but for the listeners themselves.
    let listener = listen("listen", configuration.listen).await?;
    let manage = listen("manage", configuration.manage).await?;
    let mut gateway = Gateway::new(
        Arc::clone(&fleet),
        Arc::new(Callers(Arc::clone(&identity))),
        Arc::clone(&idempotency) as _,
        pages,
        configuration.limits.clone(),
    )
    .with_cors(configuration.cors.clone())
    .with_trusted_proxies(configuration.trusted_proxies.clone())
    .with_ingress(Arc::new(Visitors(Arc::clone(&workloads.ingress))));
    if configuration.otlp_endpoint.is_some() {
        gateway = gateway.with_joined_traces(telemetry::join_trace);
    }

    let scheme = if tls.is_some() { "https" } else { "http" };
    announce(&format!("{scheme}://{}", listener.local_addr()?), &manage, &data, &fleet)?;
    if token_is_new {
        printer::line(format!("management token (shown once): {token}"));
        data.management_token_shown()?;
    }
    let management = management::router(Arc::new(Management {
        fleet: Arc::clone(&fleet),
        identity: Arc::clone(&identity),
        database,
        metrics: metrics.clone(),
        data,
        token,
        images: Arc::clone(&workloads.images),
        image_records: Arc::clone(&workloads.records),
    }));
    let mut reconciling = JoinSet::new();
    if let Some(reconciler) = map.reconciler().cloned() {
        let (fleet, stop) = (Arc::clone(&fleet), stop.clone());
        reconciling.spawn(reconcile(fleet, operations, reconciler, stop));
    }
    beside.spawn(look_after(Arc::clone(&fleet), idempotency, Arc::clone(&workloads), metrics));
    beside.spawn(tidy_up(workloads));
    beside.spawn(follow_revocations(identity));
    beside.spawn(manage_until_stopped(manage, management, stop.clone()));
    Arc::new(gateway).serve(listener, tls, stop, configuration.drain).await;
    // A step is not cut off in the middle; the next start would only have to do it again.
    _ = tokio::time::timeout(LAST_STEP, reconciling.join_next()).await;
    // A client that hangs at the management listener holds nobody up.
    beside.shutdown().await;
    tracing::info!("drained; goodbye");
    Ok(())
}

/// Everything components may be granted.
fn capabilities(
    database: &Arc<Database>,
    identity: &Arc<Identity>,
    operations: &Arc<Operations>,
    workloads: &Workloads,
    (hosting, vault): (Hosting, Arc<Vault>),
) -> Vec<Arc<dyn Capability>> {
    vec![
        Arc::new(StorageCapability::new(Arc::clone(database))),
        Arc::new(IdentityCapability::new(Arc::clone(identity))),
        Arc::new(SecretsCapability::new(Arc::clone(identity))),
        Arc::new(OperationsCapability::new(Arc::clone(operations))),
        Arc::new(RuntimeCapability::new(Arc::clone(&workloads.runtime), vault)),
        Arc::new(BuildsCapability::new(Arc::clone(&workloads.builds))),
        Arc::new(SourceCapability::new(Arc::new(hosting))),
    ]
}

/// Puts the engine together with what components may be granted, and starts what should run.
async fn fleet(
    data: &DataDirectory,
    capabilities: Vec<Arc<dyn Capability>>,
    database: &Arc<Database>,
    workloads: &Workloads,
    map: &installed::Map,
) -> anyhow::Result<Arc<Fleet>> {
    let engine = Arc::new(Engine::new(&data.cache()?, capabilities)?);
    workloads.driver.attach(Arc::clone(&engine));
    let ledger = Arc::new(records::Releases::new(database, map.named()));
    let start = installed::resolve(map, &ledger).await?;
    if start.named.is_empty() && start.installed.is_empty() {
        bail!("the manifest {} has no components", map.file().display());
    }
    let fleet = Arc::new(Fleet::new(engine, ledger));
    fleet.start(start).await?;
    Ok(fleet)
}

async fn listen(key: &str, address: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{key} is {address}, which cannot be listened on; is another host running there?")
    })
}

fn announce(
    api: &str,
    manage: &TcpListener,
    data: &DataDirectory,
    fleet: &Fleet,
) -> anyhow::Result<()> {
    printer::line(format!("listening on {api}"));
    printer::line(format!("management on http://{}", manage.local_addr()?));
    printer::line(format!("data in {}", data.path().display()));
    printer::line(format!("api reference at {api}/reference"));
    match first_canary(fleet) {
        Some(path) => {
            printer::line(format!("next: curl {api}{path}, then the quick tour in README.md"));
        }
        None => printer::line("next: the quick tour in README.md"),
    }
    printer::line(format!(
        "the management token is in {}",
        data.path().join(MANAGEMENT_TOKEN).display()
    ));
    Ok(())
}

/// A path that answers without credentials: whatever the map has a component tried with.
fn first_canary(fleet: &Fleet) -> Option<String> {
    let table = fleet.table();
    table.slots().values().find_map(|slot| slot.stable().manifest().canary.clone())
}

async fn manage_until_stopped(listener: TcpListener, management: Router, stop: CancellationToken) {
    let serving = axum::serve(listener, management).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = serving.await {
        tracing::error!("the management listener failed: {error}");
    }
}

async fn look_after(
    fleet: Arc<Fleet>,
    idempotency: Arc<records::Idempotency>,
    workloads: Arc<Workloads>,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    loop {
        ticks.tick().await;
        fleet.release_idle();
        metrics.run_upkeep();
        workloads.release_idle();
        if let Err(error) = idempotency.purge().await {
            tracing::warn!("old idempotency keys were not removed: {error}");
        }
    }
}

async fn tidy_up(workloads: Arc<Workloads>) {
    let mut ticks = tokio::time::interval(TIDYING);
    loop {
        ticks.tick().await;
        workloads.forget_the_old().await;
    }
}

async fn follow_revocations(identity: Arc<Identity>) {
    let mut ticks = tokio::time::interval(REVOCATIONS);
    loop {
        ticks.tick().await;
        if let Err(error) = identity.refresh().await {
            tracing::warn!("revocations were not read: {error}");
        }
    }
}

fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: requests that have begun may end");
        stop.cancel();
    })
}

/// Tells the gateway who calls.
struct Callers(Arc<Identity>);

impl Authenticator for Callers {
    fn authenticate(&self, headers: &http::HeaderMap) -> windlass_engine::Authentication {
        self.0.authenticate(headers)
    }
}
