//! Deployments: releases of a service, each with everything it runs with.
//!
//! A deployment is asked for here and carried out by [`crate::reconcile`]. What it runs with (image,
//! configuration, variables) is copied when it is asked for and never changes, so that going back to
//! it brings all of it back. A service has one live deployment at the most; the one before goes on
//! until the next one works.

pub mod hostname;

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::{Conflict, Error, Kind, Result};
use crate::events::{self, Action, Change, Entry, Resource};
use crate::ids::{DeploymentId, OperationId, OrganizationId, Revision, ServiceId, UserId};
use crate::operations::{MAXIMUM_UNFINISHED, Operation, Step, Subject};
use crate::organizations::Role;
use crate::projects;
use crate::services::build::{anew, check_variables};
use crate::services::source::is_branch;
use crate::services::{
    self, BuildConfig, Resources, Service, ServiceAccess, ServiceKind, ServiceStatus, Source,
};
use crate::store::Transaction;
use crate::text::Violations;
use crate::time::Timestamp;

/// How many deployments [`list`] answers.
pub const LISTED: i64 = 50;
/// How many lines of its log a deployment keeps. A deployment writes a handful; a build more.
pub const LOG_LINES: i64 = 2_000;
/// The longest word for what triggered a deployment.
pub const MAXIMUM_TRIGGER: usize = 64;
/// The variable that says when a cron service runs.
pub const SCHEDULE_VARIABLE: &str = "CRON_SCHEDULE";

/// How far a deployment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeploymentStatus {
    /// It was asked for.
    Pending,
    /// Its image is found, fetched or made.
    Preparing,
    /// It is started beside the release before it.
    Starting,
    /// It has the requests.
    Live,
    /// It had the requests until a later one took them.
    Retired,
    /// It never had the requests.
    Failed,
}

impl DeploymentStatus {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Preparing => "preparing",
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Retired => "retired",
            Self::Failed => "failed",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "pending" => Some(Self::Pending),
            "preparing" => Some(Self::Preparing),
            "starting" => Some(Self::Starting),
            "live" => Some(Self::Live),
            "retired" => Some(Self::Retired),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }

    /// Whether nothing more will be done for it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Live | Self::Retired | Self::Failed)
    }
}

/// What a deployment runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What the service is.
    pub kind: ServiceKind,
    /// Where it comes from.
    pub source: Source,
    /// How it is built and started, with the service's variables.
    pub build: BuildConfig,
    /// Variables over those of the service, for this deployment and what goes back to it.
    pub overrides: BTreeMap<String, String>,
    /// The same of variables that are sealed in the service.
    pub sealed_overrides: BTreeMap<String, String>,
    /// What it may take.
    pub resources: Resources,
    /// The content of its image; empty until it is known.
    pub image_digest: String,
}

impl Release {
    /// The variables it runs with, without those that are sealed.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = self.build.variables.clone();
        variables.extend(self.overrides.clone());
        variables
    }

    /// The sealed variables it runs with.
    pub fn sealed_variables(&self) -> BTreeMap<String, String> {
        let mut sealed = self.build.sealed.clone();
        sealed.extend(self.sealed_overrides.clone());
        sealed
    }
}

/// A release of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its id, which is also its workload's.
    pub id: DeploymentId,
    /// Whose release it is.
    pub service_id: ServiceId,
    /// How far it has come.
    pub status: DeploymentStatus,
    /// What caused it, as its asker calls it.
    pub trigger: String,
    /// The commit that was asked for; may be empty.
    pub commit_hash: String,
    /// The branch that was asked for; may be empty.
    pub branch: String,
    /// The deployment it goes back to.
    pub rollback_of: Option<DeploymentId>,
    /// What it runs with.
    pub release: Release,
    /// Why it failed; empty unless it did.
    pub error: String,
    /// Who asked for it.
    pub actor_id: UserId,
    /// The asker's address at the time.
    pub actor_email: String,
    /// When work on it began.
    pub started_at: Option<Timestamp>,
    /// When it was live, or had failed.
    pub completed_at: Option<Timestamp>,
    /// How often it was written.
    pub revision: Revision,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A deployment with what the rules need to judge a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentAccess {
    /// The deployment.
    pub deployment: Deployment,
    /// Whose project its service is in.
    pub organization_id: OrganizationId,
    /// What the member may do.
    pub role: Role,
    /// The member's address.
    pub email: String,
}

/// A line of a deployment's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// The line.
    pub message: String,
}

/// What a deployment is asked for with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewDeployment {
    /// 7 to 64 hexadecimal digits, or empty.
    pub commit_hash: String,
    /// A branch in place of the service's, or empty.
    pub branch: String,
    /// What caused it; `manual` when empty.
    pub trigger: String,
    /// Variables over those of the service.
    pub overrides: BTreeMap<String, String>,
}

/// The newest deployments of a service, newest first, at most [`LISTED`].
///
/// # Errors
/// `Unauthenticated`; `NotFound` for the service.
pub async fn list(ctx: &Context<'_>, service_id: &str) -> Result<Vec<Deployment>> {
    let access = services::access(ctx, service_id).await?;
    ctx.store.list_deployments(access.service.id, LISTED).await
}

/// The deployment with this id.
///
/// # Errors
/// `Unauthenticated`; `NotFound`.
pub async fn view(ctx: &Context<'_>, id: &str) -> Result<Deployment> {
    Ok(access(ctx, id).await?.deployment)
}

/// What was done to carry a deployment out, oldest first, at most [`LOG_LINES`].
///
/// # Errors
/// As the store's; the caller has viewed the deployment.
pub async fn log(ctx: &Context<'_>, deployment: &Deployment) -> Result<Vec<LogLine>> {
    ctx.user()?;
    ctx.store.deployment_log(deployment.id, LOG_LINES).await
}

/// Asks for a release of a service as it is now.
///
/// # Errors
/// `Unauthenticated`; `Invalid`; `NotFound` for the service; `Forbidden` for a viewer; `Conflict`
/// when the service says too little to be run; `QuotaExceeded` when too many are waiting.
pub async fn create(
    ctx: &Context<'_>,
    service_id: &str,
    mut new_deployment: NewDeployment,
) -> Result<Deployment> {
    ctx.user()?;
    check(&new_deployment)?;
    let overrides = std::mem::take(&mut new_deployment.overrides);
    let access = services::access(ctx, service_id).await?;
    projects::require(access.role.may_write(), "a viewer may not deploy services")?;
    let service = &access.service;
    // An override of something sealed must not be seen either.
    let (secrets, overrides) =
        overrides.into_iter().partition(|(name, _)| service.build.sealed.contains_key(name));
    let release = Release {
        kind: service.kind,
        source: service.source.clone(),
        build: service.build.clone(),
        overrides,
        sealed_overrides: services::sealed(ctx, service.id, anew(secrets)).await?,
        resources: service.resources.clone(),
        image_digest: String::new(),
    };
    check_release(&release)?;
    let mut deployment = fresh(ctx, &access, release)?;
    deployment.commit_hash = new_deployment.commit_hash;
    deployment.branch = match new_deployment.branch.is_empty() {
        true => service.source.branch.clone(),
        false => new_deployment.branch,
    };
    deployment.trigger = match new_deployment.trigger.trim() {
        "" => "manual".to_owned(),
        trigger => trigger.to_owned(),
    };
    let changes = vec![
        changed("service_id", service.id.to_string()),
        changed("trigger", deployment.trigger.clone()),
        changed("source.image", deployment.release.source.image.clone()),
    ];
    promise(ctx, &access, &deployment, service.clone(), Action::Deploy, changes).await?;
    Ok(deployment)
}

/// Asks for the release of an earlier deployment again: its image by content, its configuration
/// and its variables, which become the service's again.
///
/// # Errors
/// `Unauthenticated`; `NotFound`; `Forbidden` for a viewer; `Conflict` when it never had an image;
/// `QuotaExceeded` when too many are waiting.
pub async fn roll_back(ctx: &Context<'_>, id: &str) -> Result<Deployment> {
    let earlier = access(ctx, id).await?.deployment;
    let access = services::access(ctx, &earlier.service_id.to_string()).await?;
    projects::require(access.role.may_write(), "a viewer may not roll services back")?;
    if !earlier.status.is_final() || earlier.release.image_digest.is_empty() {
        return Err(Error::Conflict {
            kind: Kind::Deployment,
            cause: Conflict::State(
                "only a deployment that ended and had an image can be returned to",
            ),
        });
    }
    let mut service = access.service.clone();
    service.build = earlier.release.build.clone();
    service.resources = earlier.release.resources.clone();
    let mut deployment = fresh(ctx, &access, earlier.release)?;
    deployment.trigger = "rollback".to_owned();
    deployment.rollback_of = Some(earlier.id);
    deployment.commit_hash = earlier.commit_hash;
    deployment.branch = earlier.branch;
    let changes = vec![
        changed("service_id", service.id.to_string()),
        changed("rollback_of", earlier.id.to_string()),
        changed("image_digest", deployment.release.image_digest.clone()),
    ];
    promise(ctx, &access, &deployment, service, Action::Rollback, changes).await?;
    Ok(deployment)
}

pub(crate) async fn access(ctx: &Context<'_>, id: &str) -> Result<DeploymentAccess> {
    let member = ctx.user()?;
    let found = match DeploymentId::parse(id) {
        Some(id) => ctx.store.deployment(member, id).await?,
        None => None,
    };
    found.ok_or_else(|| Error::not_found(Kind::Deployment, id))
}

/// Writes the deployment, its operation, the service's new state and the event, all or none.
async fn promise(
    ctx: &Context<'_>,
    access: &ServiceAccess,
    deployment: &Deployment,
    mut service: Service,
    action: Action,
    changes: Vec<Change>,
) -> Result<()> {
    let now = deployment.created_at;
    let subject = Subject::Deployment { service_id: service.id, id: deployment.id };
    let operation = Operation::new(
        OperationId::from_u128(ctx.ids.fresh()),
        access.organization_id,
        subject,
        Step::Resolve,
        now,
    );
    let read = service.revision;
    service.status = ServiceStatus::Building;
    service.revision = read.next();
    service.updated_at = now;
    let transaction = ctx.store.begin().await?;
    if !transaction.update_service(&service, read).await? {
        return Err(Error::stale(Kind::Service, None));
    }
    // Counted behind the service's row, which the transaction holds, so that no two count at once.
    if transaction.unfinished_operations(&subject.lane()).await? >= MAXIMUM_UNFINISHED {
        let reason = "too many deployments of this service are waiting".into();
        return Err(Error::QuotaExceeded { reason, retry_after_seconds: Some(30) });
    }
    if service.kind == ServiceKind::Web {
        name_host(&*transaction, access, now).await?;
    }
    transaction.insert_deployment(deployment).await?;
    transaction.insert_operation(&operation).await?;
    let entry = Entry {
        organization_id: access.organization_id,
        actor_id: deployment.actor_id,
        actor_email: deployment.actor_email.clone(),
        resource: Resource::Deployment,
        resource_id: deployment.id.to_string(),
        action,
        changes,
    };
    events::record(ctx, &*transaction, entry).await?;
    transaction.commit().await?;
    ctx.signal.raise();
    Ok(())
}

/// Gives a service its host name, once. It keeps it when it or its project is renamed.
async fn name_host(
    transaction: &dyn Transaction,
    access: &ServiceAccess,
    now: Timestamp,
) -> Result<()> {
    let service = &access.service;
    if transaction.has_hostname(service.id).await? {
        return Ok(());
    }
    let plain = hostname::label(&service.name, &access.project_name);
    if transaction.insert_hostname(&plain, service.id, now).await? {
        return Ok(());
    }
    let distinct = hostname::distinct_label(&plain, service.id);
    if transaction.insert_hostname(&distinct, service.id, now).await? {
        return Ok(());
    }
    Err(Error::internal_fault(format!("the host name {distinct} is taken")))
}

fn fresh(ctx: &Context<'_>, access: &ServiceAccess, release: Release) -> Result<Deployment> {
    let now = ctx.clock.now();
    Ok(Deployment {
        id: DeploymentId::from_u128(ctx.ids.fresh()),
        service_id: access.service.id,
        status: DeploymentStatus::Pending,
        trigger: String::new(),
        commit_hash: String::new(),
        branch: String::new(),
        rollback_of: None,
        release,
        error: String::new(),
        actor_id: ctx.user()?,
        actor_email: access.email.clone(),
        started_at: None,
        completed_at: None,
        revision: Revision::FIRST,
        created_at: now,
        updated_at: now,
    })
}

fn check(new_deployment: &NewDeployment) -> Result<()> {
    let mut violations = Violations::default();
    violations.require(
        is_commit(&new_deployment.commit_hash),
        "commit_hash",
        "must be 7 to 64 hexadecimal digits",
    );
    violations.require(
        is_branch(&new_deployment.branch),
        "branch",
        "must be the name of a branch of at most 255 characters",
    );
    violations.line("trigger", &new_deployment.trigger, MAXIMUM_TRIGGER);
    check_variables("env_vars", &new_deployment.overrides, &mut violations);
    violations.finish()
}

/// `^([0-9a-fA-F]{7,64})?$`
pub(crate) fn is_commit(text: &str) -> bool {
    text.is_empty()
        || (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a service must say before it can be run. What the runtime finds wrong later fails the
/// deployment; this is what can be said at once.
fn check_release(release: &Release) -> Result<()> {
    let refuse =
        |reason| Err(Error::Conflict { kind: Kind::Service, cause: Conflict::State(reason) });
    if release.kind == ServiceKind::Database {
        return refuse("a service of the type database is not deployed; create a database instead");
    }
    let source = &release.source;
    if source.is_built() && !source.is_fetched() {
        return refuse(
            "the repository of the service is not an http or https address; give it one of those",
        );
    }
    if !source.is_built() && source.image.is_empty() {
        return refuse("the service has no source; create it with an image or a repository");
    }
    let variables = release.variables();
    let schedule = variables.get(SCHEDULE_VARIABLE).map_or("", |schedule| schedule.trim());
    if release.kind == ServiceKind::Cron && schedule.is_empty() {
        return refuse(
            "a service of the type cron needs the variable CRON_SCHEDULE: five fields, as in \
             crontab(5)",
        );
    }
    Ok(())
}

fn changed(field: &str, after: String) -> Change {
    Change {
        field: field.to_owned(),
        before: None,
        after: Some(after).filter(|text| !text.is_empty()),
    }
}

#[cfg(test)]
mod tests;
