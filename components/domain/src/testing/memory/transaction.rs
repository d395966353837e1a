//! Writing in memory: a copy of the state that takes its place at the commit.

use std::sync::Mutex;

use super::{MemoryStore, State, lock};
use crate::environments::Environment;
use crate::error::{Error, Kind, Result};
use crate::events::{ChainHead, Event};
use crate::future::PortFuture;
use crate::ids::{OrganizationId, ProjectId, Revision, ServiceId};
use crate::organizations::{Membership, Organization};
use crate::projects::Project;
use crate::services::Service;
use crate::store::{
    EnvironmentWrites, EventWrites, OrganizationWrites, ProjectWrites, ServiceWrites, Transaction,
    UserWrites,
};
use crate::users::User;

pub(super) struct MemoryTransaction<'a> {
    pub(super) store: &'a MemoryStore,
    pub(super) state: Mutex<State>,
}

impl MemoryTransaction<'_> {
    pub(super) fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut State) -> Result<T>,
    ) -> PortFuture<'static, Result<T>> {
        let answer = self.store.reachable().and_then(|()| write(&mut lock(&self.state)));
        Box::pin(async move { answer })
    }

    /// Runs the change on the one row that has the revision, or says that there is none.
    pub(super) fn write_row(
        &self,
        change: impl FnOnce(&mut State) -> Result<bool>,
    ) -> PortFuture<'static, Result<bool>> {
        if lock(&self.store.faults).stale_writes {
            return Box::pin(async { Ok(false) });
        }
        self.write(change)
    }
}

impl Transaction for MemoryTransaction<'_> {
    fn commit<'a>(self: Box<Self>) -> PortFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        let answer = if lock(&self.store.faults).refuse_commits {
            Err(Error::unavailable("the store in memory was told to refuse commits"))
        } else {
            *lock(&self.store.state) = lock(&self.state).clone();
            Ok(())
        };
        Box::pin(async move { answer })
    }
}

impl UserWrites for MemoryTransaction<'_> {
    fn insert_user<'a>(
        &'a self,
        user: &'a User,
        password_hash: &'a str,
    ) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            refuse_taken(Kind::User, "email", &state.users, |(other, _)| {
                other.email == user.email
            })?;
            state.users.push((user.clone(), password_hash.to_owned()));
            Ok(())
        })
    }

    fn update_user<'a>(&'a self, user: &'a User, read: Revision) -> PortFuture<'a, Result<bool>> {
        self.write_row(|state| {
            refuse_taken(Kind::User, "email", &state.users, |(other, _)| {
                other.email == user.email && other.id != user.id
            })?;
            let row = state
                .users
                .iter_mut()
                .find(|(other, _)| other.id == user.id && other.revision == read);
            Ok(row.map(|(row, _)| *row = user.clone()).is_some())
        })
    }
}

impl OrganizationWrites for MemoryTransaction<'_> {
    fn insert_organization<'a>(
        &'a self,
        organization: &'a Organization,
        member: &'a Membership,
    ) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            state.organizations.push((organization.clone(), ChainHead::EMPTY));
            state.memberships.push(member.clone());
            Ok(())
        })
    }
}

impl ProjectWrites for MemoryTransaction<'_> {
    fn insert_project<'a>(&'a self, project: &'a Project) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            state.projects.push(project.clone());
            Ok(())
        })
    }

    fn update_project<'a>(
        &'a self,
        project: &'a Project,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        self.write_row(|state| {
            let row = state
                .projects
                .iter_mut()
                .find(|other| other.id == project.id && other.revision == read);
            Ok(row.map(|row| *row = project.clone()).is_some())
        })
    }

    fn delete_project(&self, id: ProjectId, read: Revision) -> PortFuture<'_, Result<bool>> {
        self.write_row(|state| {
            let before = state.projects.len();
            state.projects.retain(|project| project.id != id || project.revision != read);
            let deleted = state.projects.len() < before;
            if deleted {
                state.environments.retain(|environment| environment.project_id != id);
                state.services.retain(|service| service.project_id != id);
                state.cascade();
            }
            Ok(deleted)
        })
    }
}

impl EnvironmentWrites for MemoryTransaction<'_> {
    fn insert_environments<'a>(
        &'a self,
        environments: &'a [Environment; 3],
    ) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            state.environments.extend_from_slice(environments);
            Ok(())
        })
    }
}

impl ServiceWrites for MemoryTransaction<'_> {
    fn insert_service<'a>(&'a self, service: &'a Service) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            refuse_taken(Kind::Service, "name", &state.services, |other| {
                other.project_id == service.project_id && other.name == service.name
            })?;
            state.services.push(service.clone());
            Ok(())
        })
    }

    fn update_service<'a>(
        &'a self,
        service: &'a Service,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        self.write_row(|state| {
            refuse_taken(Kind::Service, "name", &state.services, |other| {
                other.project_id == service.project_id
                    && other.name == service.name
                    && other.id != service.id
            })?;
            let row = state
                .services
                .iter_mut()
                .find(|other| other.id == service.id && other.revision == read);
            Ok(row.map(|row| *row = service.clone()).is_some())
        })
    }

    fn delete_service(&self, id: ServiceId, read: Revision) -> PortFuture<'_, Result<bool>> {
        self.write_row(|state| {
            let before = state.services.len();
            state.services.retain(|service| service.id != id || service.revision != read);
            state.cascade();
            Ok(state.services.len() < before)
        })
    }
}

impl EventWrites for MemoryTransaction<'_> {
    fn lock_event_chain(&self, organization: OrganizationId) -> PortFuture<'_, Result<ChainHead>> {
        self.write(|state| {
            let found = state.organizations.iter().find(|(other, _)| other.id == organization);
            let not_found = || Error::not_found(Kind::Organization, organization);
            found.map(|(_, head)| *head).ok_or_else(not_found)
        })
    }

    fn append_event<'a>(&'a self, event: &'a Event) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            for (organization, head) in &mut state.organizations {
                if organization.id == event.organization_id {
                    *head = ChainHead { sequence: event.sequence, hash: event.hash };
                }
            }
            state.events.push(event.clone());
            Ok(())
        })
    }
}

pub(super) fn refuse_taken<T>(
    kind: Kind,
    field: &'static str,
    rows: &[T],
    taken: impl Fn(&T) -> bool,
) -> Result<()> {
    if rows.iter().any(taken) {
        return Err(Error::AlreadyExists { kind, field });
    }
    Ok(())
}
