//! A driver in memory, which keeps the contract unless a test tells it not to.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use tokio::task::JoinHandle;
use windlass_engine::{
    Answer, AnswerBody, Destination, DestinationFuture, Failure, RequestContext,
};
use windlass_runtime::{
    Driver, DriverFuture, Error, Image, Job, JobState, Kind, LogBook, LogWriter, Output, State,
    Usage, Workload, WorkloadId,
};

use crate::stages::{Directories, Sample};

/// What goes wrong from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Nothing can be started.
    Start,
    /// What runs never works.
    Health,
    /// What ran has ended by itself.
    Crash,
    /// Nobody answers.
    Unavailable,
    /// What was asked for is done, and nobody says so.
    LostReply,
}

/// The driver.
pub(crate) struct FakeDriver {
    log: Arc<LogBook>,
    state: Mutex<(Fault, BTreeMap<WorkloadId, Running>)>,
}

struct Running {
    workload: Workload,
    target: Arc<Target>,
    writing: Option<JoinHandle<()>>,
}

struct Target(String);

impl FakeDriver {
    pub(crate) fn fault(&self, fault: Fault) {
        self.lock().0 = fault;
    }

    fn lock(&self) -> MutexGuard<'_, (Fault, BTreeMap<WorkloadId, Running>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<T: Send + 'static>(
        &self,
        act: impl FnOnce(Fault, &mut BTreeMap<WorkloadId, Running>) -> Result<T, Error>,
    ) -> DriverFuture<'static, T> {
        let mut state = self.lock();
        let fault = state.0;
        let unavailable = || Err(Error::Unavailable("the driver in memory is away".to_owned()));
        let answer = match fault {
            Fault::Unavailable => unavailable(),
            Fault::LostReply => act(fault, &mut state.1).and_then(|_| unavailable()),
            _ => act(fault, &mut state.1),
        };
        Box::pin(ready(answer))
    }

    fn run(&self, workload: Workload) -> Result<Running, Error> {
        if !["web", "worker", "crash"].contains(&workload.image.as_str()) {
            return Err(Error::NotFound("there is no such image".to_owned()));
        }
        if workload.kind == Kind::Cron && workload.schedule.split(' ').count() != 5 {
            return Err(Error::Invalid("no schedule".to_owned()));
        }
        let colour = workload.variables.first().map_or("", |(_, value)| value);
        let target = Arc::new(Target(format!("blue {colour}")));
        let log = self.log.writer(workload.id);
        let writing = (workload.image == "worker").then(|| tokio::spawn(tick(log)));
        Ok(Running { workload, target, writing })
    }
}

async fn tick(log: LogWriter) {
    for count in 1_u64.. {
        log.write(Output::Stdout, &format!("tick {count}"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(writing) = &self.writing {
            writing.abort();
        }
    }
}

impl Driver for FakeDriver {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn resolve<'a>(&'a self, name: &'a str) -> DriverFuture<'a, Option<Image>> {
        let digest = name.to_owned();
        self.answer(move |_, _| Ok(Some(Image { digest, size_bytes: 1 })))
    }

    fn has_made<'a>(&'a self, _name: &'a str) -> DriverFuture<'a, bool> {
        self.answer(|_, _| Ok(true))
    }

    fn start(&self, workload: Workload) -> DriverFuture<'_, ()> {
        self.answer(|fault, running| {
            if fault == Fault::Start {
                return Err(Error::Invalid("it cannot be started".to_owned()));
            }
            if let Entry::Vacant(free) = running.entry(workload.id) {
                free.insert(self.run(workload)?);
            }
            Ok(())
        })
    }

    fn observe(&self, id: WorkloadId) -> DriverFuture<'_, State> {
        self.answer(|fault, running| {
            let Some(found) = running.get(&id) else { return Ok(State::Absent) };
            Ok(match fault {
                Fault::Health => State::Unhealthy("GET / answered 500".to_owned()),
                Fault::Crash => State::Failed("it ended with exit code 3".to_owned()),
                _ if found.workload.image == "crash" => {
                    State::Failed("it ended with exit code 3".to_owned())
                }
                _ => State::Healthy,
            })
        })
    }

    fn stop(&self, id: WorkloadId, _grace: Duration) -> DriverFuture<'_, ()> {
        self.answer(|_, running| {
            if running.remove(&id).is_some() {
                self.log.close(id);
            }
            Ok(())
        })
    }

    fn list(&self) -> DriverFuture<'_, Vec<WorkloadId>> {
        self.answer(|_, running| Ok(running.keys().copied().collect()))
    }

    fn destination(&self, id: WorkloadId) -> Option<Arc<dyn Destination>> {
        let state = self.lock();
        let found = state.1.get(&id).filter(|found| found.workload.kind == Kind::Web)?;
        Some(Arc::clone(&found.target) as _)
    }

    fn address(&self, _id: WorkloadId) -> DriverFuture<'_, Option<String>> {
        self.answer(|_, _| Ok(None))
    }

    fn usage(&self, _id: WorkloadId) -> DriverFuture<'_, Option<Usage>> {
        self.answer(|_, _| Ok(None))
    }

    fn list_volumes(&self) -> DriverFuture<'_, Vec<String>> {
        self.answer(|_, _| Ok(Vec::new()))
    }

    fn remove_volume<'a>(&'a self, _name: &'a str) -> DriverFuture<'a, ()> {
        self.answer(|_, _| Ok(()))
    }

    fn start_job(&self, _job: Job) -> DriverFuture<'_, ()> {
        self.answer(|_, _| Err(Error::Invalid("it runs no jobs".to_owned())))
    }

    fn observe_job(&self, _id: WorkloadId) -> DriverFuture<'_, JobState> {
        self.answer(|_, _| Ok(JobState::Absent))
    }

    fn remove_job(&self, _id: WorkloadId) -> DriverFuture<'_, ()> {
        self.answer(|_, _| Ok(()))
    }
}

impl Destination for Target {
    fn time_limit(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn answer(
        self: Arc<Self>,
        _context: RequestContext,
        _request: http::Request<wasmtime_wasi_http::WasiBody>,
    ) -> DestinationFuture {
        let body = AnswerBody::Whole(Full::new(Bytes::from(self.0.clone())));
        Box::pin(ready(Ok::<Answer, Failure>(http::Response::new(body))))
    }
}

/// The driver with its log.
pub(crate) struct Stage {
    directories: Directories,
    log: Arc<LogBook>,
    pub(crate) driver: Arc<FakeDriver>,
}

impl crate::stages::Stage for Stage {
    const OUTLIVES: bool = false;

    fn start() -> Self {
        let directories = Directories::new();
        let log = directories.log();
        let driver = Arc::new(FakeDriver { log: Arc::clone(&log), state: Mutex::default() });
        Self { directories, log, driver }
    }

    fn driver(&self) -> Arc<dyn Driver> {
        Arc::clone(&self.driver) as _
    }

    fn log(&self) -> Arc<LogBook> {
        Arc::clone(&self.log)
    }

    fn image(&self, sample: Sample) -> String {
        let name = match sample {
            Sample::Web => "web",
            Sample::Worker => "worker",
            Sample::Crash => "crash",
        };
        name.to_owned()
    }

    fn restart(&mut self) {
        self.log = self.directories.log();
        let log = Arc::clone(&self.log);
        self.driver = Arc::new(FakeDriver { log, state: Mutex::default() });
    }
}
