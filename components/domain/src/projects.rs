//! Projects: groups of services that belong to an organization.
//!
//! A caller sees the projects of every organization in which they are a member. To everyone else
//! a project does not exist, whatever they try. Which organization a new project belongs to is
//! the caller's personal one until surfaces can name another.

use crate::context::Context;
use crate::environments;
use crate::error::{Conflict, Error, Kind, Result};
use crate::events::{self, Action, Change, Entry, Resource};
use crate::ids::{EnvironmentId, OrganizationId, ProjectId, Revision, UserId};
use crate::organizations::Role;
use crate::page::{Page, PageRequest};
use crate::text::{self, Violations};
use crate::time::Timestamp;

/// The shortest name.
pub const MINIMUM_NAME: usize = 2;
/// The longest name.
pub const MAXIMUM_NAME: usize = 100;
/// The longest description.
pub const MAXIMUM_DESCRIPTION: usize = 2000;
/// The longest text to search for.
pub const MAXIMUM_SEARCH: usize = 200;

/// A group of services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Who made it.
    pub owner_id: UserId,
    /// What people call it.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// How often it was written.
    pub revision: Revision,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Project {
    /// Name and description as they are searched in.
    pub fn search_text(&self) -> String {
        // The description follows a character that neither a name nor a search can hold.
        text::fold(&format!("{}\n{}", self.name, self.description))
    }
}

/// A project as it is answered. The revision does not count the services: an entity tag for
/// conditional reads must hold both numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectSummary {
    /// The project.
    pub project: Project,
    /// How many services it has.
    pub services_count: i64,
}

/// A project with what the rules need to judge a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectAccess {
    /// The project.
    pub summary: ProjectSummary,
    /// Where its services go, unless that environment was deleted.
    pub production_id: Option<EnvironmentId>,
    /// What the member may do.
    pub role: Role,
    /// The member's address.
    pub email: String,
}

/// What to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFilter {
    /// Only projects with this text in their name or description, in any case of letters. The
    /// empty text finds all.
    pub search: Option<String>,
}

/// What a project is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewProject {
    /// 2 to 100 characters after trimming.
    pub name: String,
    /// Up to 2,000 characters; may be empty.
    pub description: String,
}

/// What to change in a project; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectChange {
    /// A new name.
    pub name: Option<String>,
    /// A new description; may be empty.
    pub description: Option<String>,
}

/// A page of the caller's projects, newest change first.
///
/// # Errors
/// `Unauthenticated`; `Invalid`.
pub async fn list(
    ctx: &Context<'_>,
    filter: &ProjectFilter,
    page: PageRequest,
) -> Result<Page<ProjectSummary>> {
    let member = ctx.user()?;
    let search = filter.search.as_deref().filter(|search| !search.is_empty());
    if let Some(search) = search {
        let mut violations = Violations::default();
        violations.line("search", search, MAXIMUM_SEARCH);
        violations.finish()?;
    }
    let search = search.map(text::fold);
    ctx.store.list_projects(member, search.as_deref(), page).await
}

/// Makes a project with its environments in the caller's personal organization.
///
/// # Errors
/// `Unauthenticated`, also when the account is gone; `Invalid`.
pub async fn create(ctx: &Context<'_>, new_project: NewProject) -> Result<ProjectSummary> {
    let caller = ctx.user()?;
    let mut violations = Violations::default();
    let name = violations.name("name", &new_project.name, MINIMUM_NAME, MAXIMUM_NAME);
    violations.lines("description", &new_project.description, MAXIMUM_DESCRIPTION);
    violations.finish()?;
    let account = ctx.store.account(caller).await?;
    let account =
        account.ok_or_else(|| Error::Unauthenticated("the account no longer exists".to_owned()))?;
    let now = ctx.clock.now();
    let project = Project {
        id: ProjectId::from_u128(ctx.ids.fresh()),
        organization_id: account.organization_id,
        owner_id: caller,
        name,
        description: new_project.description,
        revision: Revision::FIRST,
        created_at: now,
        updated_at: now,
    };
    let environments = environments::initial(ctx.ids, project.id, now);
    let transaction = ctx.store.begin().await?;
    transaction.insert_project(&project).await?;
    transaction.insert_environments(&environments).await?;
    let changes = events::differences(&[], &audited(&project));
    let entry = entry(caller, account.user.email, &project, Action::Create, changes);
    events::record(ctx, &*transaction, entry).await?;
    transaction.commit().await?;
    Ok(ProjectSummary { project, services_count: 0 })
}

/// The project with this id.
///
/// # Errors
/// `Unauthenticated`; `NotFound`.
pub async fn view(ctx: &Context<'_>, id: &str) -> Result<ProjectSummary> {
    Ok(access(ctx, id).await?.summary)
}

/// Changes a project. A change that changes nothing writes nothing.
///
/// # Errors
/// `Unauthenticated`; `NotFound`; `Forbidden` for a viewer; `Invalid`; `Conflict`.
pub async fn update(
    ctx: &Context<'_>,
    id: &str,
    change: ProjectChange,
    expected_revision: Option<Revision>,
) -> Result<ProjectSummary> {
    ctx.user()?;
    let change = check_change(change)?;
    let access = access(ctx, id).await?;
    require(access.role.may_write(), "a viewer may not change projects")?;
    let before = &access.summary.project;
    check_expected(before.revision, expected_revision)?;
    let mut project = before.clone();
    if let Some(name) = change.name {
        project.name = name;
    }
    if let Some(description) = change.description {
        project.description = description;
    }
    if project == *before {
        return Ok(access.summary);
    }
    project.revision = before.revision.next();
    project.updated_at = ctx.clock.now();
    let transaction = ctx.store.begin().await?;
    if !transaction.update_project(&project, before.revision).await? {
        return Err(Error::stale(Kind::Project, expected_revision));
    }
    let changes = events::differences(&audited(before), &audited(&project));
    let entry = entry(ctx.user()?, access.email, &project, Action::Update, changes);
    events::record(ctx, &*transaction, entry).await?;
    transaction.commit().await?;
    Ok(ProjectSummary { project, services_count: access.summary.services_count })
}

/// Deletes a project with its environments and services.
///
/// # Errors
/// `Unauthenticated`; `NotFound`; `Forbidden` for everyone but an owner; `Conflict`.
pub async fn delete(
    ctx: &Context<'_>,
    id: &str,
    expected_revision: Option<Revision>,
) -> Result<()> {
    let access = access(ctx, id).await?;
    require(access.role.may_delete_projects(), "only an owner may delete projects")?;
    let project = &access.summary.project;
    check_expected(project.revision, expected_revision)?;
    let transaction = ctx.store.begin().await?;
    if !transaction.delete_project(project.id, project.revision).await? {
        return Err(Error::stale(Kind::Project, expected_revision));
    }
    let mut changes = events::differences(&audited(project), &[]);
    changes.push(Change {
        field: "services_count".to_owned(),
        before: Some(access.summary.services_count.to_string()),
        after: None,
    });
    let entry = entry(ctx.user()?, access.email, project, Action::Delete, changes);
    events::record(ctx, &*transaction, entry).await?;
    transaction.commit().await?;
    // What ran of it is nobody's wish any more.
    ctx.signal.raise();
    Ok(())
}

/// The project and what the caller may do with it. A malformed id is an id that does not exist.
pub(crate) async fn access(ctx: &Context<'_>, id: &str) -> Result<ProjectAccess> {
    let member = ctx.user()?;
    let found = match ProjectId::parse(id) {
        Some(id) => ctx.store.project(member, id).await?,
        None => None,
    };
    found.ok_or_else(|| Error::not_found(Kind::Project, id))
}

/// Refuses what a role does not allow.
pub(crate) fn require(allowed: bool, otherwise: &'static str) -> Result<()> {
    if allowed { Ok(()) } else { Err(Error::Forbidden(otherwise)) }
}

fn check_expected(read: Revision, expected: Option<Revision>) -> Result<()> {
    if expected.is_some_and(|expected| expected != read) {
        return Err(Error::Conflict { kind: Kind::Project, cause: Conflict::PreconditionFailed });
    }
    Ok(())
}

fn check_change(change: ProjectChange) -> Result<ProjectChange> {
    let mut violations = Violations::default();
    if change == ProjectChange::default() {
        violations.add("body", "must contain at least one of name and description");
    }
    let name = change.name.map(|name| violations.name("name", &name, MINIMUM_NAME, MAXIMUM_NAME));
    if let Some(description) = &change.description {
        violations.lines("description", description, MAXIMUM_DESCRIPTION);
    }
    violations.finish()?;
    Ok(ProjectChange { name, description: change.description })
}

fn audited(project: &Project) -> [(&'static str, String); 2] {
    [("name", project.name.clone()), ("description", project.description.clone())]
}

fn entry(
    actor_id: UserId,
    actor_email: String,
    project: &Project,
    action: Action,
    changes: Vec<Change>,
) -> Entry {
    Entry {
        organization_id: project.organization_id,
        actor_id,
        actor_email,
        resource: Resource::Project,
        resource_id: project.id.to_string(),
        action,
        changes,
    }
}

#[cfg(test)]
mod tests;
