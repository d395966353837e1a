//! Services: reads `membership`, `user_account` and `project`; reads and writes `service`.

use std::collections::BTreeMap;

use windlass_domain::future::PortFuture;
use windlass_domain::ids::{EnvironmentId, OrganizationId, ProjectId, ServiceId, UserId};
use windlass_domain::organizations::Role;
use windlass_domain::services::{
    BuildConfig, Builder, Resources, Service, ServiceAccess, ServiceKind, ServiceStatus, Size,
    Source, SourceKind,
};
use windlass_domain::store::{ServiceReads, ServiceWrites};
use windlass_domain::{Error, Kind, Result, Revision};

use crate::deployments::optional_id;
use crate::errors::{unexpected, unique};
use crate::executor::{ExecutorError, Value};
use crate::rows::{self, Row};
use crate::{SqlStore, SqlTransaction};

/// The services of a project.
pub(crate) const LIST: &str = "\
    SELECT service.id, service.project_id, service.environment_id, service.name, service.kind, \
    service.status, service.source_kind, service.repository, service.branch, \
    service.root_directory, service.dockerfile, service.image, service.builder, \
    service.build_command, service.start_command, service.environment_variables, \
    service.sealed_variables, service.cpu, service.memory, service.storage, service.live_deployment_id, service.revision, service.created_at, service.updated_at \
    FROM service WHERE service.project_id = $1 \
    ORDER BY service.created_at, service.id LIMIT $2";

/// The services of a project after one of them, which is named by when it was made and its id.
pub(crate) const LIST_AFTER: &str = "\
    SELECT service.id, service.project_id, service.environment_id, service.name, service.kind, \
    service.status, service.source_kind, service.repository, service.branch, \
    service.root_directory, service.dockerfile, service.image, service.builder, \
    service.build_command, service.start_command, service.environment_variables, \
    service.sealed_variables, service.cpu, service.memory, service.storage, service.live_deployment_id, service.revision, \
    service.created_at, service.updated_at \
    FROM service WHERE service.project_id = $1 \
    AND (service.created_at > $2 OR service.created_at = $2 AND service.id > $3) \
    ORDER BY service.created_at, service.id LIMIT $4";

/// Services that fit into one answer of the database, 4 MiB, however large they are: variables, in the clear or
/// sealed, take at most 128 KiB as JSON, the two commands 32 KiB, everything else 12 KiB.
const PIECE: i64 = 20;

/// One service and what a member may do with it.
pub(crate) const VIEW: &str = "\
    SELECT service.id, service.project_id, service.environment_id, service.name, service.kind, \
    service.status, service.source_kind, service.repository, service.branch, \
    service.root_directory, service.dockerfile, service.image, service.builder, \
    service.build_command, service.start_command, service.environment_variables, \
    service.sealed_variables, service.cpu, service.memory, service.storage, service.live_deployment_id, service.revision, service.created_at, service.updated_at, \
    project.organization_id, project.name, membership.role, user_account.email \
    FROM service \
    JOIN project ON project.id = service.project_id \
    JOIN membership ON membership.organization_id = project.organization_id \
    JOIN user_account ON user_account.id = membership.user_id \
    WHERE membership.user_id = $1 AND service.id = $2";

const INSERT: &str = "\
    INSERT INTO service (id, project_id, environment_id, created_at, kind, source_kind, \
    repository, branch, root_directory, dockerfile, image, name, status, builder, build_command, \
    start_command, environment_variables, sealed_variables, cpu, memory, storage, revision, \
    updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
    $17, $18, $19, $20, $21, $22, $23) ON CONFLICT (project_id, name) DO NOTHING";

const UPDATE: &str = "\
    UPDATE service SET name = $1, status = $2, builder = $3, build_command = $4, \
    start_command = $5, environment_variables = $6, sealed_variables = $7, cpu = $8, \
    memory = $9, storage = $10, revision = $11, updated_at = $12 \
    WHERE id = $13 AND revision = $14";

const DELETE: &str = "DELETE FROM service WHERE id = $1 AND revision = $2";

impl ServiceReads for SqlStore<'_> {
    fn list_services(
        &self,
        project: ProjectId,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<Service>>> {
        Box::pin(async move {
            let parameters = vec![project.to_string().into(), limit.into()];
            match self.executor.query(LIST, parameters).await {
                // Together they are too large for one answer.
                Err(ExecutorError::Quota(_)) => self.list_in_pieces(project, limit).await,
                answer => rows::all("service", answer.map_err(unexpected(Kind::Service))?, service),
            }
        })
    }

    fn service(
        &self,
        member: UserId,
        id: ServiceId,
    ) -> PortFuture<'_, Result<Option<ServiceAccess>>> {
        Box::pin(async move {
            let parameters = vec![member.to_string().into(), id.to_string().into()];
            let answer = self.executor.query(VIEW, parameters).await;
            rows::first("service", answer.map_err(unexpected(Kind::Service))?, access)
        })
    }
}

impl SqlStore<'_> {
    async fn list_in_pieces(&self, project: ProjectId, limit: i64) -> Result<Vec<Service>> {
        let mut services: Vec<Service> = Vec::new();
        let (mut after, mut left) = ((i64::MIN, String::new()), limit);
        while left > 0 {
            let size = left.min(PIECE);
            let (created_at, id) = after;
            let parameters =
                vec![project.to_string().into(), created_at.into(), id.into(), size.into()];
            let answer = self.executor.query(LIST_AFTER, parameters).await;
            let piece = rows::all("service", answer.map_err(unexpected(Kind::Service))?, service)?;
            let Some(last) = piece.last() else { break };
            after = (last.created_at.microseconds(), last.id.to_string());
            left -= size;
            services.extend(piece);
        }
        Ok(services)
    }
}

impl ServiceWrites for SqlTransaction<'_> {
    fn insert_service<'a>(&'a self, service: &'a Service) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut parameters = fixed_parameters(service);
            parameters.extend(changing_parameters(service)?);
            match self.work.execute(INSERT, parameters).await {
                Ok(0) => Err(Error::AlreadyExists { kind: Kind::Service, field: "name" }),
                Ok(_) => Ok(()),
                // The name is taken care of above; what is left is a project that is gone.
                Err(ExecutorError::Conflict(_)) => {
                    Err(Error::not_found(Kind::Project, service.project_id))
                }
                Err(error) => Err(unexpected(Kind::Service)(error)),
            }
        })
    }

    fn update_service<'a>(
        &'a self,
        service: &'a Service,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        Box::pin(async move {
            let mut parameters = changing_parameters(service)?;
            parameters.extend([service.id.to_string().into(), read.number().into()]);
            let updated = self.work.execute(UPDATE, parameters).await;
            Ok(updated.map_err(unique(Kind::Service, "name"))? > 0)
        })
    }

    fn delete_service(&self, id: ServiceId, read: Revision) -> PortFuture<'_, Result<bool>> {
        Box::pin(async move {
            let parameters = vec![id.to_string().into(), read.number().into()];
            let deleted = self.work.execute(DELETE, parameters).await;
            Ok(deleted.map_err(unexpected(Kind::Service))? > 0)
        })
    }
}

/// What stays as it was made, in the order of the insertion.
fn fixed_parameters(service: &Service) -> Vec<Value> {
    let source = &service.source;
    vec![
        service.id.to_string().into(),
        service.project_id.to_string().into(),
        service.environment_id.to_string().into(),
        service.created_at.microseconds().into(),
        service.kind.as_str().into(),
        source.kind.map(SourceKind::as_str).unwrap_or_default().into(),
        source.repository.as_str().into(),
        source.branch.as_str().into(),
        source.root_directory.as_str().into(),
        source.dockerfile.as_str().into(),
        source.image.as_str().into(),
    ]
}

/// What an update writes, in the order of both statements.
fn changing_parameters(service: &Service) -> Result<Vec<Value>> {
    let column = |variables: &BTreeMap<String, String>| {
        serde_json::to_string(variables).map(Value::from).map_err(|error| {
            Error::internal_fault(format!("variables do not become JSON: {error}"))
        })
    };
    Ok(vec![
        service.name.as_str().into(),
        service.status.as_str().into(),
        service.build.builder.map(Builder::as_str).unwrap_or_default().into(),
        service.build.build_command.as_str().into(),
        service.build.start_command.as_str().into(),
        column(&service.build.variables)?,
        column(&service.build.sealed)?,
        service.resources.cpu.as_str().into(),
        service.resources.memory.as_str().into(),
        service.resources.storage.as_ref().map(Size::as_str).unwrap_or_default().into(),
        service.revision.number().into(),
        service.updated_at.microseconds().into(),
    ])
}

fn service(row: &mut Row) -> Result<Service> {
    Ok(Service {
        id: row.parsed(ServiceId::parse)?,
        project_id: row.parsed(ProjectId::parse)?,
        environment_id: row.parsed(EnvironmentId::parse)?,
        name: row.text()?,
        kind: row.parsed(ServiceKind::parse)?,
        status: row.parsed(ServiceStatus::parse)?,
        source: Source {
            kind: row.optional(SourceKind::parse)?,
            repository: row.text()?,
            branch: row.text()?,
            root_directory: row.text()?,
            dockerfile: row.text()?,
            image: row.text()?,
        },
        build: BuildConfig {
            builder: row.optional(Builder::parse)?,
            build_command: row.text()?,
            start_command: row.text()?,
            variables: row.parsed(variables)?,
            sealed: row.parsed(variables)?,
        },
        resources: resources(row)?,
        live_deployment_id: optional_id(row)?,
        revision: row.revision()?,
        created_at: row.timestamp()?,
        updated_at: row.timestamp()?,
    })
}

fn variables(text: &str) -> Option<BTreeMap<String, String>> {
    serde_json::from_str(text).ok()
}

fn resources(row: &mut Row) -> Result<Resources> {
    let (cpu, memory, storage) = (row.text()?, row.text()?, row.text()?);
    Resources::parse(&cpu, &memory, &storage)
        .map_err(|_| row.fault("or one of the two before it is no quantity"))
}

fn access(row: &mut Row) -> Result<ServiceAccess> {
    Ok(ServiceAccess {
        service: service(row)?,
        organization_id: row.parsed(OrganizationId::parse)?,
        project_name: row.text()?,
        role: row.parsed(Role::parse)?,
        email: row.text()?,
    })
}
