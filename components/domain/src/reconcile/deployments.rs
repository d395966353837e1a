//! One release made live, step by step.

use super::{builds, save, tidy};
use crate::builders::{BuildState, Ending, Method, Order, Progress, Recipe};
use crate::context::Context;
use crate::deployments::{Deployment, DeploymentStatus, Release, SCHEDULE_VARIABLE, hostname};
use crate::error::Result;
use crate::events::{self, Action, Change, Entry, Resource};
use crate::ids::BuildId;
use crate::operations::{MAXIMUM_ATTEMPTS, Operation, Step};
use crate::runtime::{Fault, Health, ImageState, Runtime, Workload, WorkloadKind, WorkloadState};
use crate::services::{Builder, ServiceKind, SourceKind};
use crate::store::{ServicePlace, Transaction};
use crate::time::Timestamp;

/// How long a new release may take until it works, in seconds.
pub const HEALTHY_WITHIN_SECONDS: i64 = 60;
/// How often a release that is starting is looked at, in milliseconds.
const LOOK_AGAIN_MS: i64 = 100;
/// How often an image that is being fetched is asked for, in milliseconds.
const FETCH_AGAIN_MS: i64 = 500;

/// The operation of a deployment in this holder's hands.
pub(super) struct Work<'a> {
    pub(super) ctx: &'a Context<'a>,
    pub(super) runtime: &'a dyn Runtime,
    pub(super) operation: Operation,
    pub(super) deployment: Deployment,
    /// The deployment as it was read.
    pub(super) read: Deployment,
    pub(super) now: Timestamp,
}

impl Work<'_> {
    pub(super) async fn carry_on(self) -> Result<()> {
        // What is live stays so, however long it takes to clear away what was before it.
        if self.now >= self.operation.deadline_at && self.operation.step != Step::Drain {
            return self.fail("it did not end within its time of 30 minutes".to_owned()).await;
        }
        match self.operation.step {
            Step::Resolve => self.resolve().await,
            Step::Start => self.start().await,
            Step::Await => self.wait().await,
            Step::Switch => self.switch().await,
            Step::Drain => self.drain().await,
            // Steps of databases. No operation of a deployment is ever there.
            Step::Stop | Step::Save | Step::Load | Step::Erase => {
                self.fail("it came to a step that deployments do not have".to_owned()).await
            }
        }
    }

    /// A rollback names its content already, and a tag may have moved since.
    async fn resolve(self) -> Result<()> {
        if !self.deployment.release.image_digest.is_empty() {
            let line = format!("returning to {}", self.deployment.release.image_digest);
            return self.go_on(Step::Start, DeploymentStatus::Preparing, Some(line)).await;
        }
        match self.deployment.release.source.is_built() {
            true => self.build().await,
            false => self.find().await,
        }
    }

    /// An image that exists: one that the organization built, or one that the runtime can find.
    async fn find(mut self) -> Result<()> {
        let image = self.deployment.release.source.image.clone();
        if let Some((name, tag)) = image.rsplit_once(':') {
            let organization = self.operation.organization_id;
            if let Some(built) = self.ctx.store.built_image(organization, name, tag).await? {
                let (digest, size) = (built.digest, built.size_bytes);
                let line = format!("image {image} was built and is {digest} ({size} bytes)");
                self.deployment.release.image_digest = digest;
                return self.go_on(Step::Start, DeploymentStatus::Preparing, Some(line)).await;
            }
        }
        match self.runtime.resolve(&image).await {
            Ok(ImageState::Ready { digest, size_bytes }) => {
                let line = format!("image {image} is {digest} ({size_bytes} bytes)");
                self.deployment.release.image_digest = digest;
                self.go_on(Step::Start, DeploymentStatus::Preparing, Some(line)).await
            }
            Ok(ImageState::Pending) if self.deployment.status == DeploymentStatus::Pending => {
                self.begin(format!("fetching image {image}")).await
            }
            Ok(ImageState::Pending) => self.look_again(FETCH_AGAIN_MS).await,
            Err(fault) => self.faulted(fault).await,
        }
    }

    /// An image that is made of the service's repository. What the builder writes is read from its
    /// own log; what is written here is how it went on.
    async fn build(mut self) -> Result<()> {
        let id = BuildId::of_deployment(self.deployment.id);
        match self.runtime.observe_build(id).await {
            Ok(BuildState::Absent) => self.start_build(id).await,
            Ok(BuildState::Waiting | BuildState::Running(_)) => {
                self.look_again(builds::LOOK_AGAIN_MS).await
            }
            Ok(BuildState::Ended(progress, Ending::Made { digest, size_bytes })) => {
                let Progress { commit, builder, .. } = progress;
                let line = format!("{builder} made {digest} ({size_bytes} bytes) of {commit}");
                self.deployment.release.image_digest = digest;
                self.deployment.commit_hash = commit;
                self.go_on(Step::Start, DeploymentStatus::Preparing, Some(line)).await
            }
            Ok(BuildState::Ended(progress, Ending::Failed(reason))) => {
                if !progress.commit.is_empty() {
                    self.deployment.commit_hash = progress.commit;
                }
                self.fail(format!("the build failed: {reason}")).await
            }
            Err(fault) => self.faulted(fault).await,
        }
    }

    /// Begins the build, or begins it again on a host that does not know it any more.
    async fn start_build(self, id: BuildId) -> Result<()> {
        let recipe = recipe(&self.deployment);
        let line = format!("building {}", recipe.repository);
        let order = Order { id, image: String::new(), recipe };
        match self.runtime.start_build(&order).await {
            Ok(()) if self.deployment.status == DeploymentStatus::Pending => self.begin(line).await,
            Ok(()) => {
                let now = self.now;
                let change = |work: &mut Self| {
                    work.operation = work.operation.clone().later(now, builds::LOOK_AGAIN_MS);
                };
                let line = "the host was restarted; building again".to_owned();
                self.write(change, Some(line)).await
            }
            Err(fault) => self.faulted(fault).await,
        }
    }

    async fn start(self) -> Result<()> {
        let Some(place) = self.ctx.store.service_place(self.deployment.service_id).await? else {
            // It was deleted in this moment, and its operation with it.
            return Ok(());
        };
        let workload = match workload(&self.deployment, place) {
            Ok(workload) => workload,
            Err(reason) => return self.fail(reason).await,
        };
        match self.runtime.start(&workload).await {
            Ok(()) => {
                let line = Some("started".to_owned());
                self.go_on(Step::Await, DeploymentStatus::Starting, line).await
            }
            Err(fault) => self.faulted(fault).await,
        }
    }

    async fn wait(self) -> Result<()> {
        let patience = self.operation.step_since.plus_seconds(HEALTHY_WITHIN_SECONDS);
        let impatient = self.now >= patience;
        match self.runtime.observe(self.deployment.id.into()).await {
            Ok(WorkloadState::Healthy) => {
                let line = Some("healthy".to_owned());
                self.go_on(Step::Switch, DeploymentStatus::Starting, line).await
            }
            Ok(WorkloadState::Failed(reason)) => self.fail(reason).await,
            Ok(WorkloadState::Starting) if impatient => {
                let reason = format!("it was not up within {HEALTHY_WITHIN_SECONDS} seconds");
                self.fail(reason).await
            }
            Ok(WorkloadState::Unhealthy(reason)) if impatient => {
                let within = HEALTHY_WITHIN_SECONDS;
                self.fail(format!("it did not work within {within} seconds: {reason}")).await
            }
            Ok(WorkloadState::Starting | WorkloadState::Unhealthy(_)) => {
                self.look_again(LOOK_AGAIN_MS).await
            }
            // It was there: the machine was restarted. Starting is idempotent.
            Ok(WorkloadState::Absent) if impatient => {
                self.fail("it was gone again each time it was started".to_owned()).await
            }
            Ok(WorkloadState::Absent) => self.restart().await,
            Err(fault) => self.faulted(fault).await,
        }
    }

    /// The requests go to the new release, and then it is written that they do: who is told that it
    /// is live can rely on it. After a crash in between, the one before has them again until this is
    /// repeated.
    async fn switch(mut self) -> Result<()> {
        let service_id = self.deployment.service_id;
        tidy::publish(self.ctx, self.runtime, (service_id, self.deployment.id)).await?;
        let transaction = self.ctx.store.begin().await?;
        let before = transaction.make_live(service_id, self.deployment.id, self.now).await?;
        if let Some(before) = before.filter(|before| *before != self.deployment.id) {
            transaction.retire_deployment(before, self.now).await?;
        }
        self.deployment.status = DeploymentStatus::Live;
        self.deployment.completed_at = Some(self.now);
        self.log(&*transaction, "live").await?;
        self.record_outcome(&*transaction).await?;
        self.operation = self.operation.at(Step::Drain, self.now);
        self.save(transaction).await
    }

    /// The release before is nobody's wish any more, which is what tidying looks for.
    async fn drain(mut self) -> Result<()> {
        tidy::tidy(self.ctx, self.runtime).await?;
        self.operation = self.operation.finished(self.now);
        let transaction = self.ctx.store.begin().await?;
        self.save(transaction).await
    }

    async fn faulted(self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Permanent(reason) => self.fail(reason).await,
            Fault::Passing(reason) if self.operation.attempts >= MAXIMUM_ATTEMPTS => {
                let attempts = MAXIMUM_ATTEMPTS;
                self.fail(format!("given up after {attempts} attempts: {reason}")).await
            }
            Fault::Passing(reason) => {
                let (line, now) = (format!("trying again: {reason}"), self.now);
                self.write(|work| work.operation = work.operation.clone().again(now), Some(line))
                    .await
            }
        }
    }

    /// Ends it: the release never gets a request, and the one before stays as it is.
    async fn fail(mut self, reason: String) -> Result<()> {
        // If these fail they are taken away with whatever else nobody wants.
        _ = self.runtime.remove_build(BuildId::of_deployment(self.deployment.id)).await;
        _ = self.runtime.stop(self.deployment.id.into(), 0).await;
        let transaction = self.ctx.store.begin().await?;
        transaction.settle_service(self.deployment.service_id, self.now).await?;
        self.deployment.status = DeploymentStatus::Failed;
        self.deployment.completed_at = Some(self.now);
        self.log(&*transaction, &format!("failed: {reason}")).await?;
        self.deployment.error = reason;
        self.record_outcome(&*transaction).await?;
        self.operation = self.operation.finished(self.now);
        self.save(transaction).await
    }

    async fn begin(self, line: String) -> Result<()> {
        let now = self.now;
        let change = |work: &mut Self| {
            work.deployment.status = DeploymentStatus::Preparing;
            work.operation = work.operation.clone().later(now, FETCH_AGAIN_MS);
        };
        self.write(change, Some(line)).await
    }

    async fn go_on(self, step: Step, status: DeploymentStatus, line: Option<String>) -> Result<()> {
        let now = self.now;
        let change = |work: &mut Self| {
            work.deployment.status = status;
            work.operation = work.operation.clone().at(step, now);
        };
        self.write(change, line).await
    }

    async fn look_again(self, milliseconds: i64) -> Result<()> {
        let now = self.now;
        let change = |work: &mut Self| {
            work.operation = work.operation.clone().later(now, milliseconds);
        };
        self.write(change, None).await
    }

    /// Back to starting, with the patience it had.
    async fn restart(self) -> Result<()> {
        let change = |work: &mut Self| work.operation.step = Step::Start;
        self.write(change, Some("it is gone; starting it again".to_owned())).await
    }

    async fn write(mut self, change: impl FnOnce(&mut Self), line: Option<String>) -> Result<()> {
        change(&mut self);
        let transaction = self.ctx.store.begin().await?;
        if let Some(line) = line {
            self.log(&*transaction, &line).await?;
        }
        self.save(transaction).await
    }

    async fn log(&self, transaction: &dyn Transaction, message: &str) -> Result<()> {
        transaction.append_deployment_log(self.deployment.id, self.now, message).await
    }

    /// Writes what changed, if it is still as it was read. Who lost its lease in between writes
    /// nothing.
    async fn save(mut self, transaction: Box<dyn Transaction + '_>) -> Result<()> {
        let saved = self.save_deployment(&*transaction).await?;
        if saved { save(self.operation, transaction).await } else { Ok(()) }
    }

    /// A step that only looked, or only cleared away, leaves the deployment as it was told.
    async fn save_deployment(&mut self, transaction: &dyn Transaction) -> Result<bool> {
        self.deployment.started_at = self.deployment.started_at.or(Some(self.now));
        if self.deployment == self.read {
            return Ok(true);
        }
        self.deployment.updated_at = self.now;
        self.deployment.revision = self.read.revision.next();
        transaction.update_deployment(&self.deployment, self.read.revision).await
    }

    async fn record_outcome(&self, transaction: &dyn Transaction) -> Result<()> {
        let deployment = &self.deployment;
        let said = [
            ("status", deployment.status.as_str()),
            ("image_digest", &deployment.release.image_digest),
            ("error", &deployment.error),
        ];
        let change = |(field, after): (&str, &str)| Change {
            field: field.to_owned(),
            before: None,
            after: Some(after.to_owned()),
        };
        let entry = Entry {
            organization_id: self.operation.organization_id,
            actor_id: deployment.actor_id,
            actor_email: deployment.actor_email.clone(),
            resource: Resource::Deployment,
            resource_id: deployment.id.to_string(),
            action: Action::Finish,
            changes: said.into_iter().filter(|(_, after)| !after.is_empty()).map(change).collect(),
        };
        events::record(self.ctx, transaction, entry).await
    }
}

/// How the image of a deployment is made.
fn recipe(deployment: &Deployment) -> Recipe {
    let Release { source, build, .. } = &deployment.release;
    let method = match (source.kind, build.builder) {
        (_, Some(Builder::Dockerfile)) | (Some(SourceKind::Dockerfile), _) => {
            Some(Method::Dockerfile)
        }
        (_, Some(Builder::Nixpacks)) => Some(Method::Nixpacks),
        // Whoever says that nothing is built has the image in the repository.
        (_, Some(Builder::Image) | None) => None,
    };
    Recipe {
        method,
        repository: source.repository.clone(),
        branch: deployment.branch.clone(),
        commit: deployment.commit_hash.clone(),
        root_directory: source.root_directory.clone(),
        dockerfile: source.dockerfile.clone(),
        build_command: build.build_command.clone(),
        start_command: build.start_command.clone(),
        variables: deployment.release.variables(),
        ..Recipe::default()
    }
}

/// The workload of a deployment. The error is for the tenant.
pub(super) fn workload(
    deployment: &Deployment,
    place: ServicePlace,
) -> std::result::Result<Workload, String> {
    let release = &deployment.release;
    let (kind, health) = match release.kind {
        ServiceKind::Web => (WorkloadKind::Web, Health::Http),
        ServiceKind::Worker => (WorkloadKind::Worker, Health::Unasked),
        ServiceKind::Cron => (WorkloadKind::Cron, Health::Unasked),
        ServiceKind::Database => return Err("a database is not deployed".to_owned()),
    };
    let command = shlex::split(&release.build.start_command)
        .ok_or("build_config.start_command has a quote that does not end")?;
    let variables = release.variables();
    let schedule = match kind {
        WorkloadKind::Cron => variables.get(SCHEDULE_VARIABLE).cloned().unwrap_or_default(),
        WorkloadKind::Web | WorkloadKind::Worker | WorkloadKind::Database => String::new(),
    };
    Ok(Workload {
        id: deployment.id.into(),
        service: deployment.service_id.to_string(),
        name: hostname::network_name(&place.name),
        network: place.project_id.to_string(),
        kind,
        image: release.image_digest.clone(),
        command,
        variables: variables.into_iter().collect(),
        sealed_variables: release.sealed_variables().into_iter().collect(),
        sealed: Vec::new(),
        cpu_millis: release.resources.cpu.millicores(),
        memory_bytes: release.resources.memory.bytes(),
        schedule,
        volumes: Vec::new(),
        health,
        port: 0,
    })
}
