//! Making images.
//!
//! A build is begun by an id, carried out on a task of its own, and looked at until it has ended.
//! What it does is written into the log of its id. What it takes is bounded: so many at a time, so
//! long each, and whoever does not want one any more breaks it off.
//!
//! The builders are tried in this order where a recipe names none: a component that is in the tree,
//! a Dockerfile, and a plan for the program that is there. Nothing of a tenant's is compiled or run
//! in this process.

mod capability;
mod component;
mod containers;
mod recipe;
mod report;
mod source;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::driver::{Error, WorkloadId};
use crate::images::{Image, Images};
use crate::runtime::Runtime;

pub use capability::BuildsCapability;
pub use containers::{ContainerBuilder, ContainerOrder};
pub use recipe::{Method, Recipe};
pub use report::{Progress, Report};
pub use source::{Entry as TreeEntry, EntryKind, Source, Sources, Tree};

/// Builds that are worked on at a time. Each may hold a repository and a component in memory.
const TOGETHER: usize = 2;
/// Builds that are remembered, ended or not. The reconciler takes ended ones away within seconds.
const REMEMBERED: usize = 1_024;
/// How long a build may take. The reconciler gives up at the same time; this is for when it is not
/// there to do so.
const LONGEST: Duration = Duration::from_secs(30 * 60);
/// How often an image that is being fetched is asked for.
const FETCH_AGAIN: Duration = Duration::from_millis(200);

/// How a build is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildState {
    /// There is none of this id.
    Absent,
    /// It waits for others to end.
    Waiting,
    /// It is being worked on.
    Running(Progress),
    /// There is an image.
    Succeeded(Progress, Image),
    /// There is none; why, fit for the tenant.
    Failed(Progress, String),
}

/// What makes images.
pub struct Builds {
    runtime: Arc<Runtime>,
    images: Arc<Images>,
    sources: Arc<dyn Sources>,
    containers: Option<Arc<dyn ContainerBuilder>>,
    room: Semaphore,
    builds: Mutex<HashMap<WorkloadId, Build>>,
}

struct Build {
    report: Arc<Report>,
    outcome: Arc<Mutex<Option<Result<Image, String>>>>,
    /// Breaks the task off when the build is removed.
    _guard: DropGuard,
}

impl Builds {
    /// For what a runtime runs: over where its components are kept, where sources come from, and
    /// what is built of Dockerfiles, if anything is.
    pub fn new(
        runtime: Arc<Runtime>,
        images: Arc<Images>,
        sources: Arc<dyn Sources>,
        containers: Option<Arc<dyn ContainerBuilder>>,
    ) -> Arc<Self> {
        let room = Semaphore::new(TOGETHER);
        Arc::new(Self { runtime, images, sources, containers, room, builds: Mutex::default() })
    }

    /// Sees to it that a build is carried out. One that is there stays as it is.
    ///
    /// # Errors
    /// `Quota` when there are too many.
    pub fn start(
        self: &Arc<Self>,
        id: WorkloadId,
        image: String,
        recipe: Recipe,
    ) -> Result<(), Error> {
        let mut builds = self.builds();
        if builds.contains_key(&id) {
            return Ok(());
        }
        if builds.len() >= REMEMBERED {
            return Err(Error::Quota("too many builds are waiting on this host".to_owned()));
        }
        let cancelled = CancellationToken::new();
        let report = Arc::new(Report::new(self.runtime.log.writer(id), cancelled.clone()));
        let outcome = Arc::default();
        let build = Build {
            report: Arc::clone(&report),
            outcome: Arc::clone(&outcome),
            _guard: cancelled.clone().drop_guard(),
        };
        builds.insert(id, build);
        drop(builds);
        let this = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = cancelled.cancelled() => report.line("broken off"),
                made = this.carry_out(&image, &recipe, &report) => {
                    match &made {
                        Ok(image) => report.line(&format!("completed: {}", image.digest)),
                        Err(reason) => report.line(&format!("failed: {reason}")),
                    }
                    *lock(&outcome) = Some(made);
                }
            }
            this.runtime.log.close(id);
        });
        Ok(())
    }

    /// How a build is doing now.
    pub fn observe(&self, id: WorkloadId) -> BuildState {
        let builds = self.builds();
        let Some(build) = builds.get(&id) else { return BuildState::Absent };
        let progress = build.report.progress();
        match &*lock(&build.outcome) {
            Some(Ok(image)) => BuildState::Succeeded(progress, image.clone()),
            Some(Err(reason)) => BuildState::Failed(progress, reason.clone()),
            None if build.report.has_begun() => BuildState::Running(progress),
            None => BuildState::Waiting,
        }
    }

    /// Sees to it that there is no build of this id.
    pub fn remove(&self, id: WorkloadId) {
        let removed = self.builds().remove(&id);
        if removed.is_none() {
            // Whoever follows a build that never began is told that nothing will come.
            self.runtime.log.close(id);
        }
    }

    /// The ids of all builds that are there, ended or not.
    pub fn list(&self) -> Vec<WorkloadId> {
        self.builds().keys().copied().collect()
    }

    async fn carry_out(
        &self,
        image: &str,
        recipe: &Recipe,
        report: &Arc<Report>,
    ) -> Result<Image, String> {
        report.line("queued");
        // Closed only when the host ends, and with it the build.
        let _room = self.room.acquire().await.map_err(|error| error.to_string())?;
        report.begin();
        report.line("started");
        let too_long = format!("it took longer than {} minutes", LONGEST.as_secs() / 60);
        tokio::time::timeout(LONGEST, self.make(image, recipe, report))
            .await
            .unwrap_or(Err(too_long))
    }

    async fn make(
        &self,
        image: &str,
        recipe: &Recipe,
        report: &Arc<Report>,
    ) -> Result<Image, String> {
        match recipe.method {
            Some(Method::Prebuilt) => self.take(recipe, report).await,
            Some(Method::Nixpacks | Method::Railpack) => Err(NO_PLANNER.to_owned()),
            Some(Method::Dockerfile) if self.containers.is_none() => Err(NO_CONTAINERS.to_owned()),
            Some(Method::Dockerfile) | None => self.build(image, recipe, report).await,
        }
    }

    /// An image that exists.
    async fn take(&self, recipe: &Recipe, report: &Arc<Report>) -> Result<Image, String> {
        report.builder("prebuilt");
        report.steps(1);
        no_registry(recipe)?;
        let name = &recipe.prebuilt_image;
        report.line(&format!("taking {name}"));
        loop {
            match self.runtime.resolve(name).await {
                Ok(Some(image)) => {
                    report.step_done();
                    return Ok(image);
                }
                Ok(None) => tokio::time::sleep(FETCH_AGAIN).await,
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// An image of a repository.
    async fn build(
        &self,
        image: &str,
        recipe: &Recipe,
        report: &Arc<Report>,
    ) -> Result<Image, String> {
        let source = Source {
            repository: recipe.repository.clone(),
            branch: recipe.branch.clone(),
            commit: recipe.commit.clone(),
        };
        report.line(&format!("fetching {}", recipe.repository));
        let tree = self.sources.fetch(source, Arc::clone(report)).await?;
        report.commit(tree.commit());
        report.line(&format!("commit {} has {} files", tree.commit(), tree.entries().len()));
        if recipe.method.is_none()
            && let Some(component) = component::find(&tree, &recipe.root_directory).await?
        {
            return self.keep(component, recipe, report).await;
        }
        let Some(dockerfile) = recipe.dockerfile_in(&*tree) else {
            return Err(recipe.nothing_to_build());
        };
        let containers = self.containers.as_ref().ok_or(NO_CONTAINERS)?;
        report.builder("dockerfile");
        let order = ContainerOrder { image: image.to_owned(), dockerfile, recipe: recipe.clone() };
        containers.build(order, tree, Arc::clone(report)).await
    }

    /// A component that is in the tree.
    async fn keep(
        &self,
        component: component::Found,
        recipe: &Recipe,
        report: &Arc<Report>,
    ) -> Result<Image, String> {
        report.builder("component");
        // It was fetched and found; what is left is to keep it.
        report.steps(3);
        report.step_done();
        report.step_done();
        no_registry(recipe)?;
        report.line(&format!("{} is a component", component.path));
        let image = self.images.keep(component.content).await.map_err(|error| error.to_string())?;
        report.step_done();
        Ok(image)
    }

    fn builds(&self) -> MutexGuard<'_, HashMap<WorkloadId, Build>> {
        lock(&self.builds)
    }
}

const NO_PLANNER: &str = "this host has no planner for nixpacks or railpack; put a Dockerfile or a \
                          built component into the repository and leave build_type out";
const NO_CONTAINERS: &str = "this host builds no Dockerfiles; put a built component into the \
                             repository, or push the image to a registry and name it as the image";

/// What is no container is not sent anywhere, and that is said before anything is done.
fn no_registry(recipe: &Recipe) -> Result<(), String> {
    if recipe.registry_url.is_empty() {
        return Ok(());
    }
    Err("an image that is not built of a Dockerfile is kept on this host and sent to no registry; \
         leave registry_url out"
        .to_owned())
}

/// Nothing is left half done behind these locks, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
