//! A runtime in memory, which does what it is told and fails where a test says so.

mod builds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::future::PortFuture;
use crate::ids::{JobId, WorkloadId};
use crate::runtime::{
    Fault, ImageState, IngressRoute, Job, JobState, Runtime, Workload, WorkloadKind, WorkloadState,
};

/// A runtime in memory. It knows the images it was given and fetches each in one look.
#[derive(Debug, Default)]
pub struct FakeRuntime(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    images: BTreeMap<String, String>,
    fetched: BTreeSet<String>,
    workloads: BTreeMap<WorkloadId, Workload>,
    conditions: BTreeMap<String, WorkloadState>,
    volumes: BTreeSet<String>,
    jobs: BTreeMap<JobId, Job>,
    ran: Vec<Job>,
    job_ends: BTreeMap<String, JobState>,
    archives: BTreeSet<String>,
    routes: Vec<IngressRoute>,
    started: u32,
    unreachable: bool,
    workshop: builds::Workshop,
}

impl FakeRuntime {
    /// Offers an image. Workloads of it are healthy.
    pub fn add_image(&self, name: &str, digest: &str) {
        self.lock().images.insert(name.to_owned(), digest.to_owned());
    }

    /// From now on workloads of this image are in this state.
    pub fn condition(&self, digest: &str, state: WorkloadState) {
        self.lock().conditions.insert(digest.to_owned(), state);
    }

    /// From now on nothing answers, or everything does again.
    pub fn set_unreachable(&self, unreachable: bool) {
        self.lock().unreachable = unreachable;
    }

    /// Everything it runs is gone, as after a restart of the machine.
    pub fn lose_everything(&self) {
        let mut state = self.lock();
        state.workloads.clear();
        state.routes.clear();
    }

    /// Runs a workload nobody asked for.
    pub fn smuggle(&self, workload: Workload) {
        self.lock().workloads.insert(workload.id, workload);
    }

    /// What runs.
    pub fn workloads(&self) -> Vec<Workload> {
        self.lock().workloads.values().cloned().collect()
    }

    /// From now on jobs whose command begins with this word come to this; they succeed otherwise.
    pub fn end_jobs(&self, program: &str, state: JobState) {
        self.lock().job_ends.insert(program.to_owned(), state);
    }

    /// The jobs that were started and not removed.
    pub fn jobs(&self) -> Vec<Job> {
        self.lock().jobs.values().cloned().collect()
    }

    /// Every job that was ever started, in that order.
    pub fn ran(&self) -> Vec<Job> {
        self.lock().ran.clone()
    }

    /// What is reached.
    pub fn routes(&self) -> Vec<IngressRoute> {
        self.lock().routes.clone()
    }

    /// How many workloads were started that were not there.
    pub fn started(&self) -> u32 {
        self.lock().started
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&mut State) -> Result<T, Fault>,
    ) -> PortFuture<'static, Result<T, Fault>> {
        let mut state = self.lock();
        let answer = match state.unreachable {
            true => Err(Fault::Passing("the runtime in memory is unreachable".to_owned())),
            false => answer(&mut state),
        };
        Box::pin(async move { answer })
    }
}

impl Runtime for FakeRuntime {
    fn resolve<'a>(&'a self, image: &'a str) -> PortFuture<'a, Result<ImageState, Fault>> {
        self.answer(|state| {
            let Some(digest) = state.images.get(image).cloned() else {
                return Err(Fault::Permanent(format!("there is no image {image}")));
            };
            match state.fetched.insert(image.to_owned()) {
                true => Ok(ImageState::Pending),
                false => Ok(ImageState::Ready { digest, size_bytes: 1_000 }),
            }
        })
    }

    fn resolve_container<'a>(
        &'a self,
        image: &'a str,
    ) -> PortFuture<'a, Result<ImageState, Fault>> {
        self.resolve(image)
    }

    fn start<'a>(&'a self, workload: &'a Workload) -> PortFuture<'a, Result<(), Fault>> {
        self.answer(|state| {
            if !state.workloads.contains_key(&workload.id) {
                state.started += 1;
                let volumes = workload.volumes.iter().map(|volume| volume.name.clone());
                state.volumes.extend(volumes);
                state.workloads.insert(workload.id, workload.clone());
            }
            Ok(())
        })
    }

    fn observe(&self, id: WorkloadId) -> PortFuture<'_, Result<WorkloadState, Fault>> {
        self.answer(|state| {
            let Some(workload) = state.workloads.get(&id) else { return Ok(WorkloadState::Absent) };
            let condition = state.conditions.get(&workload.image).cloned();
            Ok(condition.unwrap_or(WorkloadState::Healthy))
        })
    }

    fn stop(&self, id: WorkloadId, _grace_ms: u32) -> PortFuture<'_, Result<(), Fault>> {
        self.answer(|state| {
            state.workloads.remove(&id);
            Ok(())
        })
    }

    fn list(&self) -> PortFuture<'_, Result<Vec<WorkloadId>, Fault>> {
        self.answer(|state| Ok(state.workloads.keys().copied().collect()))
    }

    fn address(&self, id: WorkloadId) -> PortFuture<'_, Result<Option<String>, Fault>> {
        self.answer(|state| {
            let is_reached = |workload: &&Workload| {
                matches!(workload.kind, WorkloadKind::Web | WorkloadKind::Database)
            };
            let found = state.workloads.get(&id).filter(is_reached);
            Ok(found.map(|_| "127.0.0.1:49153".to_owned()))
        })
    }

    fn list_volumes(&self) -> PortFuture<'_, Result<Vec<String>, Fault>> {
        self.answer(|state| Ok(state.volumes.iter().cloned().collect()))
    }

    fn remove_volume<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<(), Fault>> {
        self.answer(|state| {
            state.volumes.remove(name);
            Ok(())
        })
    }

    fn start_job<'a>(&'a self, job: &'a Job) -> PortFuture<'a, Result<(), Fault>> {
        self.answer(|state| {
            if !state.jobs.contains_key(&job.id) {
                if !matches!(job_end(state, job), JobState::Failed(_)) {
                    state.archives.extend(job.output.clone());
                }
                state.jobs.insert(job.id, job.clone());
                state.ran.push(job.clone());
            }
            Ok(())
        })
    }

    fn observe_job(&self, id: JobId) -> PortFuture<'_, Result<JobState, Fault>> {
        self.answer(|state| {
            Ok(state.jobs.get(&id).map_or(JobState::Absent, |job| job_end(state, job)))
        })
    }

    fn remove_job(&self, id: JobId) -> PortFuture<'_, Result<(), Fault>> {
        self.answer(|state| {
            state.jobs.remove(&id);
            Ok(())
        })
    }

    fn list_archives(&self) -> PortFuture<'_, Result<Vec<String>, Fault>> {
        self.answer(|state| Ok(state.archives.iter().cloned().collect()))
    }

    fn remove_archive<'a>(&'a self, name: &'a str) -> PortFuture<'a, Result<(), Fault>> {
        self.answer(|state| {
            state.archives.remove(name);
            Ok(())
        })
    }

    fn publish<'a>(&'a self, routes: &'a [IngressRoute]) -> PortFuture<'a, Result<(), Fault>> {
        self.answer(|state| {
            state.routes = routes.to_vec();
            Ok(())
        })
    }
}

/// What becomes of a job: what a test said of its program, or success with an archive of a size.
fn job_end(state: &State, job: &Job) -> JobState {
    let said = job.command.first().and_then(|program| state.job_ends.get(program));
    said.cloned().unwrap_or_else(|| JobState::Ended {
        exit_code: 0,
        output_bytes: if job.output.is_some() { 1_000 } else { 0 },
        output_sha256: job.output.as_ref().map(|_| "ab".repeat(32)).unwrap_or_default(),
        message: String::new(),
    })
}
