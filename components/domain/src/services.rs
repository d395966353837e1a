//! Services: what a project runs.
//!
//! Here a service is described, not run: a new one is `stopped`, and only deployments and the
//! reconciler change its status. Members of the project's organization see its services; viewers
//! change none.

pub mod build;
pub mod resources;
pub mod source;

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::{Conflict, Error, Kind, Result};
use crate::events::{self, Action, Change, Entry, Resource};
use crate::ids::{
    DeploymentId, EnvironmentId, OrganizationId, ProjectId, Revision, ServiceId, UserId,
};
use crate::organizations::Role;
use crate::projects;
use crate::text::Violations;
use crate::time::Timestamp;

pub use build::{BuildConfig, BuildConfigChange, Builder};
pub use resources::{Cpu, Resources, ResourcesInput, Size};
pub use source::{Source, SourceKind};

/// The longest name.
pub const MAXIMUM_NAME: usize = 255;

/// The most services of a project: they are listed without pages.
pub const MAXIMUM_SERVICES: i64 = 200;

/// What a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// Answers requests.
    Web,
    /// Works in the background.
    Worker,
    /// Keeps data.
    Database,
    /// Runs at set times.
    Cron,
}

impl ServiceKind {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Worker => "worker",
            Self::Database => "database",
            Self::Cron => "cron",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "web" => Some(Self::Web),
            "worker" => Some(Self::Worker),
            "database" => Some(Self::Database),
            "cron" => Some(Self::Cron),
            _ => None,
        }
    }
}

/// How a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceStatus {
    /// A release is live.
    Running,
    /// Nothing runs.
    Stopped,
    /// A release is being made.
    Building,
    /// The last release could not be made.
    Failed,
}

impl ServiceStatus {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Building => "building",
            Self::Failed => "failed",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "running" => Some(Self::Running),
            "stopped" => Some(Self::Stopped),
            "building" => Some(Self::Building),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// What a project runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Where it stands.
    pub environment_id: EnvironmentId,
    /// Unique in the project.
    pub name: String,
    /// What it is.
    pub kind: ServiceKind,
    /// How it is doing.
    pub status: ServiceStatus,
    /// Where it comes from.
    pub source: Source,
    /// How it is built and started.
    pub build: BuildConfig,
    /// What it may take.
    pub resources: Resources,
    /// The deployment that is live.
    pub live_deployment_id: Option<DeploymentId>,
    /// How often it was written.
    pub revision: Revision,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A service with what the rules need to judge a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccess {
    /// The service.
    pub service: Service,
    /// Whose project it is in.
    pub organization_id: OrganizationId,
    /// The name of its project.
    pub project_name: String,
    /// What the member may do.
    pub role: Role,
    /// The member's address.
    pub email: String,
}

/// What a service is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewService {
    /// 1 to 255 characters after trimming.
    pub name: String,
    /// What it is.
    pub kind: ServiceKind,
    /// Where it comes from.
    pub source: Source,
    /// How it is built and started.
    pub build: BuildConfig,
    /// What it may take.
    pub resources: ResourcesInput,
}

/// What to change in a service; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceChange {
    /// A new name.
    pub name: Option<String>,
    /// How it is built and started.
    pub build: BuildConfigChange,
    /// What it may take.
    pub resources: ResourcesInput,
}

/// The services of a project, oldest first. A project has at most [`MAXIMUM_SERVICES`].
///
/// # Errors
/// `Unauthenticated`; `NotFound` for the project.
pub async fn list(ctx: &Context<'_>, project_id: &str) -> Result<Vec<Service>> {
    let access = projects::access(ctx, project_id).await?;
    // A project without services is known to be empty already.
    if access.summary.services_count == 0 {
        return Ok(Vec::new());
    }
    ctx.store.list_services(access.summary.project.id, MAXIMUM_SERVICES).await
}

/// Makes a service in the production environment of a project.
///
/// # Errors
/// `Unauthenticated`; `Invalid`; `NotFound` for the project; `Forbidden` for a viewer;
/// `QuotaExceeded` over [`MAXIMUM_SERVICES`]; `AlreadyExists` when the name is taken.
pub async fn create(
    ctx: &Context<'_>,
    project_id: &str,
    new_service: NewService,
) -> Result<Service> {
    create_with(ctx, project_id, new_service, BTreeMap::new(), Vec::new()).await
}

/// The same with variables that are sealed, and with more to tell the trail.
pub(crate) async fn create_with(
    ctx: &Context<'_>,
    project_id: &str,
    new_service: NewService,
    secrets: BTreeMap<String, String>,
    mut told: Vec<Change>,
) -> Result<Service> {
    ctx.user()?;
    let mut violations = Violations::default();
    let name = violations.name("name", &new_service.name, 1, MAXIMUM_NAME);
    new_service.source.check(&mut violations);
    new_service.build.check(&mut violations);
    new_service.build.check_together(&secrets, &mut violations);
    let resources = new_service.resources.resolve(None, &mut violations);
    violations.finish()?;
    let resources = resources.ok_or_else(|| Error::internal_fault("resources did not resolve"))?;
    let access = projects::access(ctx, project_id).await?;
    projects::require(access.role.may_write(), "a viewer may not create services")?;
    if access.summary.services_count >= MAXIMUM_SERVICES {
        let reason = "a project has at most 200 services".into();
        return Err(Error::QuotaExceeded { reason, retry_after_seconds: None });
    }
    let environment_id = access.production_id.ok_or(Error::Conflict {
        kind: Kind::Environment,
        cause: Conflict::State("the project has no production environment"),
    })?;
    let now = ctx.clock.now();
    let mut service = Service {
        id: ServiceId::from_u128(ctx.ids.fresh()),
        project_id: access.summary.project.id,
        environment_id,
        name,
        kind: new_service.kind,
        status: ServiceStatus::Stopped,
        source: new_service.source,
        build: new_service.build,
        resources,
        live_deployment_id: None,
        revision: Revision::FIRST,
        created_at: now,
        updated_at: now,
    };
    service.build.sealed = sealed(ctx, service.id, secrets).await?;
    let transaction = ctx.store.begin().await?;
    transaction.insert_service(&service).await?;
    let actor = Actor {
        organization_id: access.summary.project.organization_id,
        id: ctx.user()?,
        email: access.email,
    };
    let mut changes = events::differences(&[], &audited(&service));
    changes.append(&mut told);
    events::record(ctx, &*transaction, actor.entry(&service, Action::Create, changes)).await?;
    transaction.commit().await?;
    Ok(service)
}

/// The service with this id.
///
/// # Errors
/// `Unauthenticated`; `NotFound`.
pub async fn view(ctx: &Context<'_>, id: &str) -> Result<Service> {
    Ok(access(ctx, id).await?.service)
}

/// Changes a service. A change that changes nothing writes nothing.
///
/// # Errors
/// `Unauthenticated`; `NotFound`; `Forbidden` for a viewer; `Invalid`; `AlreadyExists` when the
/// name is taken; `Conflict`.
pub async fn update(
    ctx: &Context<'_>,
    id: &str,
    change: ServiceChange,
    expected_revision: Option<Revision>,
) -> Result<Service> {
    ctx.user()?;
    check_change(&change)?;
    let access = access(ctx, id).await?;
    projects::require(access.role.may_write(), "a viewer may not change services")?;
    let before = access.service;
    check_expected(before.revision, expected_revision)?;
    let (mut service, to_seal) = apply(&before, change)?;
    service.build.sealed.extend(sealed(ctx, service.id, to_seal).await?);
    if service == before {
        return Ok(service);
    }
    service.revision = before.revision.next();
    service.updated_at = ctx.clock.now();
    let transaction = ctx.store.begin().await?;
    if !transaction.update_service(&service, before.revision).await? {
        return Err(Error::stale(Kind::Service, expected_revision));
    }
    let mut changes = events::differences(&audited(&before), &audited(&service));
    let values = service.build.changed_values(&before.build);
    if !values.is_empty() {
        let field = "build_config.environment_variables.changed".to_owned();
        changes.push(Change { field, before: None, after: Some(values) });
    }
    let actor =
        Actor { organization_id: access.organization_id, id: ctx.user()?, email: access.email };
    events::record(ctx, &*transaction, actor.entry(&service, Action::Update, changes)).await?;
    transaction.commit().await?;
    Ok(service)
}

/// Deletes a service.
///
/// # Errors
/// `Unauthenticated`; `NotFound`; `Forbidden` for a viewer; `Conflict`.
pub async fn delete(
    ctx: &Context<'_>,
    id: &str,
    expected_revision: Option<Revision>,
) -> Result<()> {
    let access = access(ctx, id).await?;
    projects::require(access.role.may_write(), "a viewer may not delete services")?;
    let service = access.service;
    check_expected(service.revision, expected_revision)?;
    let transaction = ctx.store.begin().await?;
    if !transaction.delete_service(service.id, service.revision).await? {
        return Err(Error::stale(Kind::Service, expected_revision));
    }
    let actor =
        Actor { organization_id: access.organization_id, id: ctx.user()?, email: access.email };
    let changes = events::differences(&audited(&service), &[]);
    events::record(ctx, &*transaction, actor.entry(&service, Action::Delete, changes)).await?;
    transaction.commit().await?;
    // What ran of it is nobody's wish any more.
    ctx.signal.raise();
    Ok(())
}

pub(crate) async fn access(ctx: &Context<'_>, id: &str) -> Result<ServiceAccess> {
    let member = ctx.user()?;
    let found = match ServiceId::parse(id) {
        Some(id) => ctx.store.service(member, id).await?,
        None => None,
    };
    found.ok_or_else(|| Error::not_found(Kind::Service, id))
}

/// Seals values of a service's variables, each for its place alone.
pub(crate) async fn sealed(
    ctx: &Context<'_>,
    id: ServiceId,
    values: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let mut sealed = BTreeMap::new();
    for (name, value) in values {
        let context = format!("service:{id}:variable:{name}");
        let envelope = ctx.secrets.seal(&context, &value).await?;
        sealed.insert(name, envelope);
    }
    Ok(sealed)
}

fn check_expected(read: Revision, expected: Option<Revision>) -> Result<()> {
    if expected.is_some_and(|expected| expected != read) {
        return Err(Error::Conflict { kind: Kind::Service, cause: Conflict::PreconditionFailed });
    }
    Ok(())
}

/// Checks what is asked for by itself, before it is known whether the service exists.
fn check_change(change: &ServiceChange) -> Result<()> {
    let mut violations = Violations::default();
    if *change == ServiceChange::default() {
        violations
            .add("body", "must contain at least one field of name, build_config and resources");
    }
    if let Some(name) = &change.name {
        violations.name("name", name, 1, MAXIMUM_NAME);
    }
    let mut build = BuildConfig::default();
    build.apply(change.build.clone());
    build.check(&mut violations);
    change.resources.resolve(None, &mut violations);
    violations.finish()
}

/// The service after a change, and the values that are to be sealed for it.
fn apply(before: &Service, change: ServiceChange) -> Result<(Service, BTreeMap<String, String>)> {
    let mut violations = Violations::default();
    let mut service = before.clone();
    if let Some(name) = change.name {
        service.name = violations.name("name", &name, 1, MAXIMUM_NAME);
    }
    let to_seal = service.build.apply(change.build);
    service.build.check_together(&to_seal, &mut violations);
    if let Some(resources) = change.resources.resolve(Some(&before.resources), &mut violations) {
        service.resources = resources;
    }
    violations.finish()?;
    Ok((service, to_seal))
}

/// Who changes a service.
struct Actor {
    organization_id: OrganizationId,
    id: UserId,
    email: String,
}

impl Actor {
    fn entry(self, service: &Service, action: Action, changes: Vec<Change>) -> Entry {
        Entry {
            organization_id: self.organization_id,
            actor_id: self.id,
            actor_email: self.email,
            resource: Resource::Service,
            resource_id: service.id.to_string(),
            action,
            changes,
        }
    }
}

fn audited(service: &Service) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("name", service.name.clone()),
        ("type", service.kind.as_str().to_owned()),
        ("project_id", service.project_id.to_string()),
    ];
    fields.extend(service.source.audited());
    fields.extend(service.build.audited());
    fields.extend(service.resources.audited());
    fields
}

#[cfg(test)]
mod tests;
