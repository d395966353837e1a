//! Deployments and operations in memory.

use std::collections::BTreeMap;

use super::transaction::MemoryTransaction;
use super::{MemoryStore, lock};
use crate::deployments::{Deployment, DeploymentAccess, DeploymentStatus, LogLine};
use crate::error::{Error, Kind, Result};
use crate::future::PortFuture;
use crate::ids::{DeploymentId, OperationId, Revision, ServiceId, UserId};
use crate::operations::{Operation, Subject};
use crate::services::ServiceStatus;
use crate::store::{
    DeploymentReads, DeploymentWrites, LiveService, OperationReads, OperationWrites, ServicePlace,
};
use crate::time::Timestamp;

impl MemoryStore {
    /// Every host name, in the order they were added.
    pub fn hostnames(&self) -> Vec<String> {
        lock(&self.state).hostnames.iter().map(|(host, _)| host.clone()).collect()
    }

    /// Every operation, in the order they were added.
    pub fn operations(&self) -> Vec<Operation> {
        lock(&self.state).operations.iter().map(|(operation, ..)| operation.clone()).collect()
    }
}

impl DeploymentReads for MemoryStore {
    fn list_deployments(
        &self,
        service: ServiceId,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<Deployment>>> {
        self.read(|state| {
            let fits = |row: &&Deployment| row.service_id == service;
            let mut found: Vec<&Deployment> = state.deployments.iter().filter(fits).collect();
            found.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
            super::window(found, 0, limit).cloned().collect()
        })
    }

    fn deployment(
        &self,
        member: UserId,
        id: DeploymentId,
    ) -> PortFuture<'_, Result<Option<DeploymentAccess>>> {
        self.read(|state| {
            let deployment = state.deployments.iter().find(|row| row.id == id)?;
            let access = state.service_access(member, deployment.service_id)?;
            Some(DeploymentAccess {
                deployment: deployment.clone(),
                organization_id: access.organization_id,
                role: access.role,
                email: access.email,
            })
        })
    }

    fn deployment_log(&self, id: DeploymentId, limit: i64) -> PortFuture<'_, Result<Vec<LogLine>>> {
        self.read(|state| {
            let lines = state.deployment_log.iter().filter(|(of, _)| *of == id);
            super::window(lines.collect(), 0, limit).map(|(_, line)| line.clone()).collect()
        })
    }
}

impl DeploymentWrites for MemoryTransaction<'_> {
    fn insert_deployment<'a>(&'a self, deployment: &'a Deployment) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            if !state.services.iter().any(|row| row.id == deployment.service_id) {
                return Err(Error::not_found(Kind::Service, deployment.service_id));
            }
            state.deployments.push(deployment.clone());
            Ok(())
        })
    }

    fn update_deployment<'a>(
        &'a self,
        deployment: &'a Deployment,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        self.write_row(|state| {
            let mut rows = state.deployments.iter_mut();
            let row = rows.find(|row| row.id == deployment.id && row.revision == read);
            Ok(row.map(|row| *row = deployment.clone()).is_some())
        })
    }

    fn retire_deployment(&self, id: DeploymentId, now: Timestamp) -> PortFuture<'_, Result<()>> {
        self.write(|state| {
            for row in state.deployments.iter_mut().filter(|row| row.id == id) {
                row.status = DeploymentStatus::Retired;
                row.updated_at = now;
                row.revision = row.revision.next();
            }
            Ok(())
        })
    }

    fn append_deployment_log<'a>(
        &'a self,
        id: DeploymentId,
        at: Timestamp,
        message: &'a str,
    ) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            state.deployment_log.push((id, LogLine { at, message: message.to_owned() }));
            Ok(())
        })
    }

    fn has_hostname(&self, service: ServiceId) -> PortFuture<'_, Result<bool>> {
        self.write(|state| Ok(state.hostnames.iter().any(|(_, of)| *of == service)))
    }

    fn insert_hostname<'a>(
        &'a self,
        host: &'a str,
        service: ServiceId,
        _now: Timestamp,
    ) -> PortFuture<'a, Result<bool>> {
        self.write(|state| {
            let taken = state.hostnames.iter().any(|(other, _)| other == host);
            if !taken {
                state.hostnames.push((host.to_owned(), service));
            }
            Ok(!taken)
        })
    }

    fn make_live(
        &self,
        service: ServiceId,
        deployment: DeploymentId,
        now: Timestamp,
    ) -> PortFuture<'_, Result<Option<DeploymentId>>> {
        self.write(|state| {
            let mut before = None;
            for row in state.services.iter_mut().filter(|row| row.id == service) {
                before = row.live_deployment_id.replace(deployment);
                row.status = ServiceStatus::Running;
                row.revision = row.revision.next();
                row.updated_at = now;
            }
            Ok(before)
        })
    }

    fn settle_service(&self, service: ServiceId, now: Timestamp) -> PortFuture<'_, Result<()>> {
        self.write(|state| {
            for row in state.services.iter_mut().filter(|row| row.id == service) {
                row.status = match row.live_deployment_id {
                    Some(_) => ServiceStatus::Running,
                    None => ServiceStatus::Failed,
                };
                row.revision = row.revision.next();
                row.updated_at = now;
            }
            Ok(())
        })
    }
}

impl OperationReads for MemoryStore {
    fn claim_operation<'a>(
        &'a self,
        holder: &'a str,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> PortFuture<'a, Result<Option<Operation>>> {
        let answer = self.reachable().map(|()| {
            let mut state = lock(&self.state);
            let open = |row: &&(Operation, String, Timestamp)| row.0.finished_at.is_none();
            let first: BTreeMap<String, _> = state
                .operations
                .iter()
                .filter(open)
                .map(|(row, ..)| (row.subject.lane(), (row.created_at, row.id)))
                .fold(BTreeMap::new(), |mut first, (lane, place)| {
                    let earliest = first.entry(lane).or_insert(place);
                    *earliest = place.min(*earliest);
                    first
                });
            let free = state.operations.iter_mut().find(|(row, held_by, until)| {
                first.values().any(|(_, id)| *id == row.id)
                    && row.due_at <= now
                    && (held_by == holder || *until <= now)
            })?;
            free.0.revision = free.0.revision.next();
            free.1 = holder.to_owned();
            free.2 = lease_until;
            Some(free.0.clone())
        });
        Box::pin(async move { answer })
    }

    fn next_due(&self) -> PortFuture<'_, Result<Option<Timestamp>>> {
        self.read(|state| {
            let open = state.operations.iter().filter(|(row, ..)| row.finished_at.is_none());
            open.map(|(row, ..)| row.due_at).min()
        })
    }

    fn deployment_to_carry_out(
        &self,
        id: DeploymentId,
    ) -> PortFuture<'_, Result<Option<Deployment>>> {
        self.read(|state| state.deployments.iter().find(|row| row.id == id).cloned())
    }

    fn live_services(&self) -> PortFuture<'_, Result<Vec<LiveService>>> {
        self.read(|state| {
            let live = state.services.iter().filter_map(|service| {
                let host = state.hostnames.iter().find(|(_, of)| *of == service.id);
                Some(LiveService {
                    service_id: service.id,
                    deployment_id: service.live_deployment_id?,
                    host: host.map(|(host, _)| host.clone()),
                })
            });
            live.collect()
        })
    }

    fn hostname(&self, service: ServiceId) -> PortFuture<'_, Result<Option<String>>> {
        self.read(|state| {
            let found = state.hostnames.iter().find(|(_, of)| *of == service);
            found.map(|(host, _)| host.clone())
        })
    }

    fn service_place(&self, id: ServiceId) -> PortFuture<'_, Result<Option<ServicePlace>>> {
        self.read(|state| {
            let found = state.services.iter().find(|service| service.id == id);
            found.map(|service| ServicePlace {
                project_id: service.project_id,
                name: service.name.clone(),
            })
        })
    }

    fn unfinished(&self) -> PortFuture<'_, Result<Vec<(OperationId, Subject)>>> {
        self.read(|state| {
            let open = state.operations.iter().filter(|(row, ..)| row.finished_at.is_none());
            open.map(|(row, ..)| (row.id, row.subject)).collect()
        })
    }
}

impl OperationWrites for MemoryTransaction<'_> {
    fn insert_operation<'a>(&'a self, operation: &'a Operation) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            let nobody = (operation.clone(), String::new(), Timestamp::from_seconds(0));
            state.operations.push(nobody);
            Ok(())
        })
    }

    fn update_operation<'a>(
        &'a self,
        operation: &'a Operation,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        self.write_row(|state| {
            let mut rows = state.operations.iter_mut();
            let row = rows.find(|(row, ..)| row.id == operation.id && row.revision == read);
            Ok(row.map(|(row, ..)| *row = operation.clone()).is_some())
        })
    }

    fn unfinished_operations<'a>(&'a self, lane: &'a str) -> PortFuture<'a, Result<i64>> {
        self.write(|state| {
            let open = state
                .operations
                .iter()
                .filter(|(row, ..)| row.subject.lane() == lane && row.finished_at.is_none());
            Ok(i64::try_from(open.count()).unwrap_or(i64::MAX))
        })
    }
}
