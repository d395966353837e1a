//! The embedded driver: a workload is a WebAssembly component, run by the host's own engine.
//!
//! A `web` workload has no instance until a request comes, and gives its instances back when none
//! does. A `worker` is one program that is started again when it ends; a `cron` one runs at its
//! times, never twice at once. Nothing survives the process: after a restart the reconciler finds
//! nothing here and starts what should run.

mod program;

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use windlass_engine::{
    ComponentId, Controller, Destination, Engine, Failure, Limits, Lines, RequestContext, Stream,
    Surroundings, WorkloadSettings,
};

use crate::driver::{
    Driver, DriverFuture, Error, Health, Kind, State, Usage, Workload, WorkloadId,
};
use crate::images::{Image, Images, LOCAL};
use crate::job::{Job, JobState};
use crate::logbook::{LINE_BYTES, LogBook, LogWriter, Output};
use program::Supervised;

/// The most memory of an instance, in MiB: what the engine's pool has room for.
const MEMORY_MIB: u64 = 512;
/// Requests of one service at a time, which is instances at a time.
const CONCURRENCY: u32 = 64;
/// How long a request of a service may take.
const DEADLINE_MS: u32 = 60_000;
/// How long the question whether it works may take.
const PROBE_TIME: Duration = Duration::from_secs(10);
/// What is asked.
const PROBE_PATH: &str = "/";
/// Bytes of one answer of a service, in KiB. Beyond what is collected it is streamed.
const ANSWER_KIB: u32 = 1_048_576;

/// Runs workloads on the host's engine.
pub struct WasmDriver {
    engine: OnceLock<Arc<Engine>>,
    images: Arc<Images>,
    log: Arc<LogBook>,
    workloads: Mutex<BTreeMap<WorkloadId, Arc<Running>>>,
}

/// A workload that is there.
enum Running {
    Service(Arc<Controller>),
    Program(Supervised),
}

impl WasmDriver {
    /// With the images and the log of its runtime. It runs nothing before [`Self::attach`].
    pub fn new(images: Arc<Images>, log: Arc<LogBook>) -> Self {
        Self { engine: OnceLock::new(), images, log, workloads: Mutex::default() }
    }

    /// Gives it the host's engine. The engine has capabilities, one of them works with this driver,
    /// and so the engine comes last.
    pub fn attach(&self, engine: Arc<Engine>) {
        // A second one changes nothing: there is one engine in a host.
        _ = self.engine.set(engine);
    }

    /// Gives back the memory of instances that nobody asked anything for so long.
    pub fn release_idle(&self, longer_than: Duration) {
        let running: Vec<_> = self.workloads().values().cloned().collect();
        for workload in running {
            if let Running::Service(service) = &*workload {
                service.release_idle(longer_than);
            }
        }
    }

    async fn run(&self, workload: Workload) -> Result<Running, Error> {
        check(&workload)?;
        let starting = || Error::Unavailable("the host is starting".to_owned());
        let engine = self.engine.get().ok_or_else(starting)?;
        let content = self.images.content(&workload.image).await?;
        let settings = self.settings(&workload)?;
        let refused = |refusal: windlass_engine::Refusal| Error::Invalid(refusal.to_string());
        Ok(match workload.kind {
            Kind::Web => {
                let loaded = engine.load_service(settings, content).await;
                Running::Service(loaded.map_err(refused)?)
            }
            Kind::Worker | Kind::Cron | Kind::Database => {
                let program = engine.load_program(settings, content).await.map_err(refused)?;
                let log = self.log.writer(workload.id);
                Running::Program(Supervised::start(program, &workload, log)?)
            }
        })
    }

    fn settings(&self, workload: &Workload) -> Result<WorkloadSettings, Error> {
        let id = ComponentId::new(&format!("workload-{}", workload.id)).map_err(Error::Other)?;
        let mut arguments = workload.command.clone();
        if arguments.is_empty() {
            arguments.push("component".to_owned());
        }
        let memory = (workload.memory_bytes >> 20).clamp(1, MEMORY_MIB);
        Ok(WorkloadSettings {
            id,
            limits: Limits {
                memory_mib: u32::try_from(memory).unwrap_or(1),
                deadline_ms: DEADLINE_MS,
                concurrency: CONCURRENCY,
                answer_kib: ANSWER_KIB,
                ..Limits::default()
            },
            surroundings: Surroundings {
                arguments,
                variables: workload.variables.clone(),
                lines: Some(Arc::new(LogLines(self.log.writer(workload.id)))),
                cpu_millis: workload.cpu_millis,
            },
        })
    }

    fn workloads(&self) -> MutexGuard<'_, BTreeMap<WorkloadId, Arc<Running>>> {
        self.workloads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver for WasmDriver {
    fn name(&self) -> &'static str {
        "wasm"
    }

    fn resolve<'a>(&'a self, name: &'a str) -> DriverFuture<'a, Option<Image>> {
        Box::pin(self.images.resolve(name))
    }

    fn has_made<'a>(&'a self, name: &'a str) -> DriverFuture<'a, bool> {
        Box::pin(ready(Ok(name.starts_with(LOCAL))))
    }

    fn start(&self, workload: Workload) -> DriverFuture<'_, ()> {
        Box::pin(async move {
            if self.workloads().contains_key(&workload.id) {
                return Ok(());
            }
            let id = workload.id;
            let running = Arc::new(self.run(workload).await?);
            // Only the reconciler starts workloads, one at a time; whoever came first stays.
            self.workloads().entry(id).or_insert(running);
            Ok(())
        })
    }

    fn observe(&self, id: WorkloadId) -> DriverFuture<'_, State> {
        Box::pin(async move {
            let found = self.workloads().get(&id).cloned();
            Ok(match found.as_deref() {
                None => State::Absent,
                Some(Running::Service(service)) => {
                    // On a task of its own: who asks is a component, whose call into the host may
                    // not drive another instance from within.
                    let probing = tokio::spawn(probe(Arc::clone(service)));
                    probing.await.map_err(|error| Error::Other(error.to_string()))?
                }
                Some(Running::Program(program)) => program.observe(),
            })
        })
    }

    fn stop(&self, id: WorkloadId, grace: Duration) -> DriverFuture<'_, ()> {
        Box::pin(async move {
            let gone = self.workloads().remove(&id);
            if let Some(gone) = gone {
                if let Running::Service(service) = &*gone {
                    service.retire();
                }
                let log = Arc::clone(&self.log);
                tokio::spawn(async move {
                    // Requests that have begun hold the service by themselves, and may still write.
                    tokio::time::sleep(grace).await;
                    drop(gone);
                    log.close(id);
                });
            }
            Ok(())
        })
    }

    fn list(&self) -> DriverFuture<'_, Vec<WorkloadId>> {
        Box::pin(async move { Ok(self.workloads().keys().copied().collect()) })
    }

    fn destination(&self, id: WorkloadId) -> Option<Arc<dyn Destination>> {
        match &**self.workloads().get(&id)? {
            Running::Service(service) => Some(Arc::clone(service) as Arc<dyn Destination>),
            Running::Program(_) => None,
        }
    }

    fn address(&self, _id: WorkloadId) -> DriverFuture<'_, Option<String>> {
        Box::pin(ready(Ok(None)))
    }

    fn usage(&self, _id: WorkloadId) -> DriverFuture<'_, Option<Usage>> {
        Box::pin(ready(Ok(None)))
    }

    fn list_volumes(&self) -> DriverFuture<'_, Vec<String>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn remove_volume<'a>(&'a self, _name: &'a str) -> DriverFuture<'a, ()> {
        Box::pin(ready(Ok(())))
    }

    fn start_job(&self, _job: Job) -> DriverFuture<'_, ()> {
        let reason = "a component cannot be run as a job; name the image of a container";
        Box::pin(ready(Err(Error::Invalid(reason.to_owned()))))
    }

    fn observe_job(&self, _id: WorkloadId) -> DriverFuture<'_, JobState> {
        Box::pin(ready(Ok(JobState::Absent)))
    }

    fn remove_job(&self, _id: WorkloadId) -> DriverFuture<'_, ()> {
        Box::pin(ready(Ok(())))
    }
}

/// What a component cannot have: it has no files to keep and opens no ports.
fn check(workload: &Workload) -> Result<(), Error> {
    let wrong = if workload.kind == Kind::Database {
        "a component cannot be a database"
    } else if !workload.volumes.is_empty() {
        "a component has no files, and so no volumes"
    } else if matches!(workload.health, Health::Command(_)) {
        "a component has no programs inside that could say whether it works"
    } else {
        return Ok(());
    };
    Err(Error::Invalid(format!("{wrong}; name the image of a container")))
}

/// Asks a service for its root, as the ingress would. Any answer below 500 will do: what it has
/// there is its own business.
async fn probe(service: Arc<Controller>) -> State {
    let request = http::Request::get(PROBE_PATH)
        .header(http::header::HOST, "health.invalid")
        .header(http::header::USER_AGENT, "windlass-health")
        .body(Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync());
    let Ok(request) = request else { return State::Starting };
    let context = RequestContext::internal("health", PROBE_TIME);
    match service.handle(context, request).await {
        Ok(answer) if answer.status().is_server_error() => {
            State::Unhealthy(format!("GET {PROBE_PATH} answered {}", answer.status()))
        }
        Ok(_) => State::Healthy,
        // It would trap again: there is nothing to wait for.
        Err(failure @ (Failure::Trapped(_) | Failure::Refused(_) | Failure::Unanswered)) => {
            State::Failed(format!("GET {PROBE_PATH}: {failure}"))
        }
        Err(failure) => State::Unhealthy(format!("GET {PROBE_PATH}: {failure}")),
    }
}

/// Lines of a workload on their way into its log.
struct LogLines(LogWriter);

impl Lines for LogLines {
    fn line(&self, stream: Stream, line: &str) {
        let output = match stream {
            Stream::Stdout => Output::Stdout,
            Stream::Stderr => Output::Stderr,
        };
        let mut rest = line;
        while rest.len() > LINE_BYTES {
            let mut end = LINE_BYTES;
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, more) = rest.split_at(end);
            self.0.write(output, piece);
            rest = more;
        }
        self.0.write(output, rest);
    }
}
