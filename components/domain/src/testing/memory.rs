//! Storage in memory: one state, copied for a transaction and put back at its commit.

mod builds;
mod databases;
mod deployments;
mod git;
mod transaction;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::builds::Build;
use crate::databases::{Backup, Database};
use crate::deployments::{Deployment, LogLine};
use crate::environments::{Environment, PRODUCTION};
use crate::error::{Error, Result};
use crate::events::{ChainHead, Event, EventQuery};
use crate::future::PortFuture;
use crate::git::GitAccount;
use crate::ids::{DeploymentId, OrganizationId, ProjectId, ServiceId, UserId};
use crate::operations::Operation;
use crate::organizations::{Membership, Organization, Role};
use crate::page::{Page, PageRequest};
use crate::projects::{Project, ProjectAccess, ProjectSummary};
use crate::services::{Service, ServiceAccess};
use crate::store::{EventReads, ProjectReads, ServiceReads, Store, Transaction, UserReads};
use crate::time::Timestamp;
use crate::users::{Account, User};
use transaction::MemoryTransaction;

#[derive(Debug, Clone, Default)]
struct State {
    users: Vec<(User, String)>,
    organizations: Vec<(Organization, ChainHead)>,
    memberships: Vec<Membership>,
    projects: Vec<Project>,
    environments: Vec<Environment>,
    services: Vec<Service>,
    hostnames: Vec<(String, ServiceId)>,
    deployments: Vec<Deployment>,
    deployment_log: Vec<(DeploymentId, LogLine)>,
    builds: Vec<Build>,
    databases: Vec<Database>,
    backups: Vec<Backup>,
    operations: Vec<(Operation, String, Timestamp)>,
    git_accounts: Vec<GitAccount>,
    events: Vec<Event>,
}

/// Storage in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    faults: Mutex<Faults>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Faults {
    unreachable: bool,
    refuse_commits: bool,
    stale_writes: bool,
}

impl MemoryStore {
    /// From now on nothing can be read or written.
    pub fn become_unreachable(&self) {
        lock(&self.faults).unreachable = true;
    }

    /// From now on every commit fails.
    pub fn refuse_commits(&self) {
        lock(&self.faults).refuse_commits = true;
    }

    /// From now on every row was changed by someone else since it was read.
    pub fn make_writes_stale(&self) {
        lock(&self.faults).stale_writes = true;
    }

    /// Makes a user a member of another's organization.
    pub fn add_member(&self, organization_id: OrganizationId, user_id: UserId, role: Role) {
        let mut state = lock(&self.state);
        let created_at = Timestamp::from_seconds(0);
        state.memberships.push(Membership { organization_id, user_id, role, created_at });
    }

    /// Deletes a user with everything that is theirs.
    pub fn delete_user(&self, id: UserId) {
        let mut state = lock(&self.state);
        state.users.retain(|(user, _)| user.id != id);
        state.organizations.retain(|(organization, _)| organization.personal_of != Some(id));
        state.memberships.retain(|membership| membership.user_id != id);
        state.git_accounts.retain(|account| account.user_id != id);
    }

    /// Deletes the environments of a project.
    pub fn delete_environments(&self, project_id: ProjectId) {
        lock(&self.state).environments.retain(|environment| environment.project_id != project_id);
    }

    /// Every environment, in the order they were added.
    pub fn environments(&self) -> Vec<Environment> {
        lock(&self.state).environments.clone()
    }

    /// Every service, in the order they were added.
    pub fn services(&self) -> Vec<Service> {
        lock(&self.state).services.clone()
    }

    /// Every membership, in the order they were added.
    pub fn memberships(&self) -> Vec<Membership> {
        lock(&self.state).memberships.clone()
    }

    /// Every git account, in the order they were added.
    pub fn git_accounts(&self) -> Vec<GitAccount> {
        lock(&self.state).git_accounts.clone()
    }

    /// The whole audit trail, in the order it was written.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.state).events.clone()
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> T,
    ) -> PortFuture<'static, Result<T>> {
        let answer = self.reachable().map(|()| read(&lock(&self.state)));
        Box::pin(async move { answer })
    }

    fn reachable(&self) -> Result<()> {
        if lock(&self.faults).unreachable {
            return Err(Error::unavailable("the store in memory was told to be unreachable"));
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn account(&self, fits: impl Fn(&User) -> bool) -> Option<Account> {
        let (user, password_hash) = self.users.iter().find(|(user, _)| fits(user))?;
        let (organization, _) = self
            .organizations
            .iter()
            .find(|(organization, _)| organization.personal_of == Some(user.id))?;
        Some(Account {
            user: user.clone(),
            organization_id: organization.id,
            password_hash: password_hash.clone(),
        })
    }

    fn role(&self, organization_id: OrganizationId, user_id: UserId) -> Option<Role> {
        let fits = |membership: &&Membership| {
            membership.organization_id == organization_id && membership.user_id == user_id
        };
        self.memberships.iter().find(fits).map(|membership| membership.role)
    }

    fn email(&self, id: UserId) -> Option<String> {
        self.users.iter().find(|(user, _)| user.id == id).map(|(user, _)| user.email.clone())
    }

    fn summary(&self, project: &Project) -> ProjectSummary {
        let services = self.services.iter().filter(|service| service.project_id == project.id);
        ProjectSummary {
            project: project.clone(),
            services_count: i64::try_from(services.count()).unwrap_or(i64::MAX),
        }
    }

    fn project_access(&self, member: UserId, id: ProjectId) -> Option<ProjectAccess> {
        let project = self.projects.iter().find(|project| project.id == id)?;
        let production = self
            .environments
            .iter()
            .find(|environment| environment.project_id == id && environment.name == PRODUCTION);
        Some(ProjectAccess {
            summary: self.summary(project),
            production_id: production.map(|environment| environment.id),
            role: self.role(project.organization_id, member)?,
            email: self.email(member)?,
        })
    }

    fn service_access(&self, member: UserId, id: ServiceId) -> Option<ServiceAccess> {
        let service = self.services.iter().find(|service| service.id == id)?;
        let project = self.projects.iter().find(|project| project.id == service.project_id)?;
        Some(ServiceAccess {
            service: service.clone(),
            organization_id: project.organization_id,
            project_name: project.name.clone(),
            role: self.role(project.organization_id, member)?,
            email: self.email(member)?,
        })
    }

    /// Deletes what belongs to services that are gone.
    fn cascade(&mut self) {
        let is_there =
            |id: ServiceId, services: &[Service]| services.iter().any(|row| row.id == id);
        self.hostnames.retain(|(_, service)| is_there(*service, &self.services));
        self.deployments.retain(|row| is_there(row.service_id, &self.services));
        self.operations.retain(|(row, ..)| {
            row.subject.service_id().is_none_or(|service| is_there(service, &self.services))
        });
        let deployments = &self.deployments;
        self.deployment_log.retain(|(id, _)| deployments.iter().any(|row| row.id == *id));
    }

    fn list_projects(
        &self,
        member: UserId,
        search: Option<&str>,
        page: PageRequest,
    ) -> Page<ProjectSummary> {
        let mut found: Vec<&Project> = self
            .projects
            .iter()
            .filter(|project| self.role(project.organization_id, member).is_some())
            .filter(|project| search.is_none_or(|search| project.search_text().contains(search)))
            .collect();
        found.sort_by_key(|project| std::cmp::Reverse((project.updated_at, project.id)));
        Page {
            total: i64::try_from(found.len()).unwrap_or(i64::MAX),
            items: window(found, page.offset(), page.limit())
                .map(|project| self.summary(project))
                .collect(),
            page: page.page(),
            limit: page.limit(),
        }
    }

    fn list_events(&self, query: &EventQuery, offset: i64, limit: i64) -> Vec<Event> {
        let mut found: Vec<&Event> = self
            .events
            .iter()
            .filter(|event| event.actor_id == query.actor)
            .filter(|event| query.resource.is_none_or(|resource| event.resource == resource))
            .filter(|event| query.action.is_none_or(|action| event.action == action))
            .filter(|event| query.resource_id.as_ref().is_none_or(|id| event.resource_id == *id))
            .collect();
        found.sort_by_key(|event| std::cmp::Reverse((event.created_at, event.id)));
        window(found, offset, limit).cloned().collect()
    }
}

fn window<T>(items: Vec<T>, offset: i64, limit: i64) -> impl Iterator<Item = T> {
    let size = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    items.into_iter().skip(size(offset)).take(size(limit))
}

impl Store for MemoryStore {
    fn begin<'a>(&'a self) -> PortFuture<'a, Result<Box<dyn Transaction + 'a>>> {
        let answer = self.reachable().map(|()| {
            let work =
                MemoryTransaction { store: self, state: Mutex::new(lock(&self.state).clone()) };
            Box::new(work) as Box<dyn Transaction + 'a>
        });
        Box::pin(async move { answer })
    }
}

impl UserReads for MemoryStore {
    fn account(&self, id: UserId) -> PortFuture<'_, Result<Option<Account>>> {
        self.read(|state| state.account(|user| user.id == id))
    }

    fn account_by_email<'a>(&'a self, email: &'a str) -> PortFuture<'a, Result<Option<Account>>> {
        self.read(|state| state.account(|user| user.email == email))
    }
}

impl ProjectReads for MemoryStore {
    fn list_projects<'a>(
        &'a self,
        member: UserId,
        search: Option<&'a str>,
        page: PageRequest,
    ) -> PortFuture<'a, Result<Page<ProjectSummary>>> {
        self.read(|state| state.list_projects(member, search, page))
    }

    fn project(
        &self,
        member: UserId,
        id: ProjectId,
    ) -> PortFuture<'_, Result<Option<ProjectAccess>>> {
        self.read(|state| state.project_access(member, id))
    }
}

impl ServiceReads for MemoryStore {
    fn list_services(
        &self,
        project: ProjectId,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<Service>>> {
        self.read(|state| {
            let fits = |service: &&Service| service.project_id == project;
            let mut found: Vec<&Service> = state.services.iter().filter(fits).collect();
            found.sort_by_key(|service| (service.created_at, service.id));
            window(found, 0, limit).cloned().collect()
        })
    }

    fn service(
        &self,
        member: UserId,
        id: ServiceId,
    ) -> PortFuture<'_, Result<Option<ServiceAccess>>> {
        self.read(|state| state.service_access(member, id))
    }
}

impl EventReads for MemoryStore {
    fn list_events<'a>(
        &'a self,
        query: &'a EventQuery,
        offset: i64,
        limit: i64,
    ) -> PortFuture<'a, Result<Vec<Event>>> {
        self.read(|state| state.list_events(query, offset, limit))
    }

    fn event_chain(
        &self,
        organization: OrganizationId,
        after: i64,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<Event>>> {
        self.read(|state| {
            let fits =
                |event: &&Event| event.organization_id == organization && event.sequence > after;
            window(state.events.iter().filter(fits).collect(), 0, limit).cloned().collect()
        })
    }
}
