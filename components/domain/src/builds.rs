//! Builds: images made of a repository, or of an image that exists.
//!
//! A build is asked for here and carried out by [`crate::reconcile`]. Its image belongs to the
//! organization: the name it is given means it there and nowhere else, and a service of the
//! organization may name it as its image. A build has one end, and whoever writes it first has
//! decided: what was cancelled does not succeed any more, and what succeeded is not cancelled.

pub mod request;

use std::collections::BTreeMap;

use crate::builders::Recipe;
use crate::context::Context;
use crate::error::{Conflict, Error, Kind, Result};
use crate::events::{self, Action, Change, Entry, Resource};
use crate::ids::{BuildId, OperationId, OrganizationId, ProjectId, Revision, ServiceId, UserId};
use crate::logs::{LogEntry, Logs, MAXIMUM_TAIL};
use crate::operations::{Operation, Step, Subject};
use crate::organizations::Role;
use crate::page::{Page, PageRequest};
use crate::projects;
use crate::services;
use crate::time::Timestamp;

pub use crate::builders::Method;
pub use request::NewBuild;

/// The most builds of an organization that have not ended.
pub const MAXIMUM_UNFINISHED: i64 = 20;
/// How often a cancellation is tried again that the reconciler came before. It writes when a step
/// is done, which is seldom more often than a request is answered.
const CANCEL_ATTEMPTS: usize = 8;

/// How far a build has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BuildStatus {
    /// It was asked for.
    Pending,
    /// It is being worked on.
    Running,
    /// There is an image.
    Success,
    /// There is none.
    Failed,
    /// It is not wanted any more.
    Cancelled,
}

impl BuildStatus {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "pending" => Some(Self::Pending),
            "running" => Some(Self::Running),
            "success" => Some(Self::Success),
            "failed" => Some(Self::Failed),
            "cancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// Whether nothing more will be done for it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled)
    }
}

/// An image being made, or the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its id.
    pub id: BuildId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The project it was made for.
    pub project_id: Option<ProjectId>,
    /// The service it was made for.
    pub service_id: Option<ServiceId>,
    /// How far it has come.
    pub status: BuildStatus,
    /// From what and how.
    pub recipe: Recipe,
    /// The name of the image.
    pub image_name: String,
    /// The tag of the image.
    pub image_tag: String,
    /// In hundredths of the whole.
    pub progress: i64,
    /// What makes it; empty until it is known.
    pub builder: String,
    /// The commit it is made of; empty until it is known.
    pub commit: String,
    /// The content of the image; empty until there is one.
    pub digest: String,
    /// The size of the image, in bytes; 0 until there is one.
    pub size_bytes: i64,
    /// Why it failed; empty unless it did.
    pub error: String,
    /// Who asked for it.
    pub actor_id: UserId,
    /// The asker's address at the time.
    pub actor_email: String,
    /// When work on it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// How often it was written.
    pub revision: Revision,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Build {
    /// The name of its image that no other organization's image has.
    pub fn qualified_image(&self) -> String {
        format!("{}/{}:{}", self.organization_id, self.image_name, self.image_tag)
    }

    /// What else is known about it, by name.
    pub fn metadata(&self) -> BTreeMap<&'static str, String> {
        let recipe = &self.recipe;
        let method = recipe.method.map(Method::as_str).unwrap_or_default();
        [
            ("build_type", method.to_owned()),
            ("builder", self.builder.clone()),
            ("repository", recipe.repository.clone()),
            ("branch", recipe.branch.clone()),
            ("commit", if self.commit.is_empty() { &recipe.commit } else { &self.commit }.clone()),
            ("prebuilt_image", recipe.prebuilt_image.clone()),
            ("digest", self.digest.clone()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
    }
}

/// A build with what the rules need to judge a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildAccess {
    /// The build.
    pub build: Build,
    /// What the member may do.
    pub role: Role,
    /// The member's address.
    pub email: String,
}

/// Which builds to list. What names nothing fits no build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildFilter {
    /// Only builds for this project.
    pub project_id: Option<String>,
    /// Only builds for this service.
    pub service_id: Option<String>,
    /// Only builds in this state.
    pub status: Option<BuildStatus>,
}

/// What the store is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildQuery {
    /// Of whose organizations.
    pub member: UserId,
    /// For which project, or any.
    pub project_id: Option<ProjectId>,
    /// For which service, or any.
    pub service_id: Option<ServiceId>,
    /// In which state, or any.
    pub status: Option<BuildStatus>,
}

/// An image that a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltImage {
    /// Names its content.
    pub digest: String,
    /// Its size, in bytes.
    pub size_bytes: i64,
}

/// A page of the builds of the caller's organizations, newest first.
///
/// # Errors
/// `Unauthenticated`.
pub async fn list(
    ctx: &Context<'_>,
    filter: &BuildFilter,
    page: PageRequest,
) -> Result<Page<Build>> {
    let member = ctx.user()?;
    let nothing = Page { items: Vec::new(), total: 0, page: page.page(), limit: page.limit() };
    let project_id = match filter.project_id.as_deref().map(ProjectId::parse) {
        Some(None) => return Ok(nothing),
        other => other.flatten(),
    };
    let service_id = match filter.service_id.as_deref().map(ServiceId::parse) {
        Some(None) => return Ok(nothing),
        other => other.flatten(),
    };
    let query = BuildQuery { member, project_id, service_id, status: filter.status };
    ctx.store.list_builds(&query, page).await
}

/// The build with this id.
///
/// # Errors
/// `Unauthenticated`; `NotFound`.
pub async fn view(ctx: &Context<'_>, id: &str) -> Result<Build> {
    Ok(access(ctx, id).await?.build)
}

/// The newest lines of a build, at most `limit` (and [`MAXIMUM_TAIL`]).
///
/// # Errors
/// `Unavailable` when the runtime does not answer; the caller has viewed the build.
pub async fn log(
    ctx: &Context<'_>,
    logs: &dyn Logs,
    build: &Build,
    limit: u32,
) -> Result<Vec<LogEntry>> {
    ctx.user()?;
    logs.tail(build.id.into(), limit.min(MAXIMUM_TAIL)).await
}

/// Asks for an image.
///
/// # Errors
/// `Unauthenticated`; `Invalid`; `NotFound` for the project or the service; `Forbidden` for a
/// viewer; `QuotaExceeded` when too many are waiting.
pub async fn create(ctx: &Context<'_>, new_build: NewBuild) -> Result<Build> {
    ctx.user()?;
    request::check(&new_build)?;
    let home = home(ctx, &new_build).await?;
    let recipe = request::recipe(&new_build, home.source.as_ref())?;
    let now = ctx.clock.now();
    let build = Build {
        id: BuildId::from_u128(ctx.ids.fresh()),
        organization_id: home.organization_id,
        project_id: home.project_id,
        service_id: home.service_id,
        status: BuildStatus::Pending,
        recipe,
        image_name: new_build.image_name,
        image_tag: new_build.image_tag,
        progress: 0,
        builder: String::new(),
        commit: String::new(),
        digest: String::new(),
        size_bytes: 0,
        error: String::new(),
        actor_id: ctx.user()?,
        actor_email: home.email,
        started_at: None,
        completed_at: None,
        revision: Revision::FIRST,
        created_at: now,
        updated_at: now,
    };
    promise(ctx, &build).await?;
    Ok(build)
}

/// Breaks a build off. From here on it is cancelled, whatever was about to become of it; whoever
/// works on it is told within seconds.
///
/// # Errors
/// `Unauthenticated`; `NotFound`; `Forbidden` for a viewer; `Conflict` when it has ended.
pub async fn cancel(ctx: &Context<'_>, id: &str) -> Result<Build> {
    for _ in 0..CANCEL_ATTEMPTS {
        let access = access(ctx, id).await?;
        projects::require(access.role.may_write(), "a viewer may not cancel builds")?;
        if access.build.status.is_final() {
            let cause = Conflict::State("the build is already finished");
            return Err(Error::Conflict { kind: Kind::Build, cause });
        }
        if let Some(cancelled) = cancel_as_read(ctx, access).await? {
            ctx.signal.raise();
            return Ok(cancelled);
        }
    }
    Err(Error::stale(Kind::Build, None))
}

/// `None` when the build was written since it was read.
async fn cancel_as_read(ctx: &Context<'_>, access: BuildAccess) -> Result<Option<Build>> {
    let BuildAccess { build: before, email, .. } = access;
    let now = ctx.clock.now();
    let build = Build {
        status: BuildStatus::Cancelled,
        completed_at: Some(now),
        updated_at: now,
        revision: before.revision.next(),
        ..before.clone()
    };
    let transaction = ctx.store.begin().await?;
    if !transaction.update_build(&build, before.revision).await? {
        return Ok(None);
    }
    let entry = Entry {
        organization_id: build.organization_id,
        actor_id: ctx.user()?,
        actor_email: email,
        resource: Resource::Build,
        resource_id: build.id.to_string(),
        action: Action::Cancel,
        changes: vec![Change {
            field: "status".to_owned(),
            before: Some(before.status.as_str().to_owned()),
            after: Some(build.status.as_str().to_owned()),
        }],
    };
    events::record(ctx, &*transaction, entry).await?;
    transaction.commit().await?;
    Ok(Some(build))
}

async fn access(ctx: &Context<'_>, id: &str) -> Result<BuildAccess> {
    let member = ctx.user()?;
    let found = match BuildId::parse(id) {
        Some(id) => ctx.store.build(member, id).await?,
        None => None,
    };
    found.ok_or_else(|| Error::not_found(Kind::Build, id))
}

/// What a build is made for, and who may ask for it there.
struct Home {
    organization_id: OrganizationId,
    project_id: Option<ProjectId>,
    service_id: Option<ServiceId>,
    source: Option<services::Source>,
    email: String,
}

/// The service's, the project's, or the caller's own.
async fn home(ctx: &Context<'_>, new_build: &NewBuild) -> Result<Home> {
    const VIEWER: &str = "a viewer may not start builds";
    if !new_build.service_id.is_empty() {
        let access = services::access(ctx, &new_build.service_id).await?;
        projects::require(access.role.may_write(), VIEWER)?;
        let service = access.service;
        if !new_build.project_id.is_empty()
            && ProjectId::parse(&new_build.project_id) != Some(service.project_id)
        {
            return Err(Error::invalid("project_id", "must be the project of the service"));
        }
        return Ok(Home {
            organization_id: access.organization_id,
            project_id: Some(service.project_id),
            service_id: Some(service.id),
            source: Some(service.source),
            email: access.email,
        });
    }
    if !new_build.project_id.is_empty() {
        let access = projects::access(ctx, &new_build.project_id).await?;
        projects::require(access.role.may_write(), VIEWER)?;
        let project = access.summary.project;
        return Ok(Home {
            organization_id: project.organization_id,
            project_id: Some(project.id),
            service_id: None,
            source: None,
            email: access.email,
        });
    }
    let account = ctx.store.account(ctx.user()?).await?;
    let account = account
        .ok_or_else(|| Error::Unauthenticated("the account does not exist any more".to_owned()))?;
    Ok(Home {
        organization_id: account.organization_id,
        project_id: None,
        service_id: None,
        source: None,
        email: account.user.email,
    })
}

/// Writes the build, its operation and the event, all or none.
async fn promise(ctx: &Context<'_>, build: &Build) -> Result<()> {
    let operation = Operation::new(
        OperationId::from_u128(ctx.ids.fresh()),
        build.organization_id,
        Subject::Build(build.id),
        Step::Start,
        build.created_at,
    );
    let transaction = ctx.store.begin().await?;
    // Two that count at once may each come to one less; the bound is against floods.
    if transaction.unfinished_builds(build.organization_id).await? >= MAXIMUM_UNFINISHED {
        let reason = "too many builds are waiting".into();
        return Err(Error::QuotaExceeded { reason, retry_after_seconds: Some(30) });
    }
    transaction.insert_build(build).await?;
    transaction.insert_operation(&operation).await?;
    let image = format!("{}:{}", build.image_name, build.image_tag);
    let said = [
        ("image", image),
        ("build_type", build.recipe.method.map(Method::as_str).unwrap_or_default().to_owned()),
        ("repository", build.recipe.repository.clone()),
        ("branch", build.recipe.branch.clone()),
        ("commit", build.recipe.commit.clone()),
        ("prebuilt_image", build.recipe.prebuilt_image.clone()),
        ("project_id", build.project_id.map(|id| id.to_string()).unwrap_or_default()),
        ("service_id", build.service_id.map(|id| id.to_string()).unwrap_or_default()),
    ];
    let entry = Entry {
        organization_id: build.organization_id,
        actor_id: build.actor_id,
        actor_email: build.actor_email.clone(),
        resource: Resource::Build,
        resource_id: build.id.to_string(),
        action: Action::Create,
        changes: events::differences(&[], &said),
    };
    events::record(ctx, &*transaction, entry).await?;
    transaction.commit().await?;
    ctx.signal.raise();
    Ok(())
}

#[cfg(test)]
mod tests;
