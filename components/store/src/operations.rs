//! Operations and what the reconciler reads beside them: reads `service`, `hostname` and
//! `deployment`; reads and writes `operation`.

use windlass_domain::deployments::Deployment;
use windlass_domain::future::PortFuture;
use windlass_domain::ids::{DeploymentId, OperationId, OrganizationId, ProjectId, ServiceId};
use windlass_domain::operations::{Operation, Step, Subject};
use windlass_domain::store::{LiveService, OperationReads, OperationWrites, ServicePlace};
use windlass_domain::{Kind, Result, Revision, Timestamp};

use crate::deployments::{CARRY_OUT, HOSTNAME, deployment};
use crate::errors::{of_transaction, unexpected};
use crate::rows::{self, Row};
use crate::{SqlStore, SqlTransaction};

const SERVICE_PLACE: &str =
    "SELECT service.project_id, service.name FROM service WHERE service.id = $1";

/// What can be claimed: due, the first of its lane, held by nobody else.
pub(crate) const CLAIMABLE: &str = "\
    SELECT operation.id FROM operation \
    WHERE operation.finished_at IS NULL AND operation.due_at <= $1 \
    AND (operation.lease_until <= $1 OR operation.lease_holder = $2) \
    AND NOT EXISTS (SELECT 1 FROM operation AS earlier \
    WHERE earlier.lane = operation.lane AND earlier.finished_at IS NULL \
    AND (earlier.created_at < operation.created_at OR \
    (earlier.created_at = operation.created_at AND earlier.id < operation.id))) \
    ORDER BY operation.due_at LIMIT 1";

/// When the next one is due. The condition on the time holds for all: it makes the index of those
/// that have not ended the one that is searched.
pub(crate) const NEXT_DUE: &str = "\
    SELECT operation.due_at FROM operation WHERE operation.finished_at IS NULL \
    AND operation.due_at >= 0 ORDER BY operation.due_at LIMIT 1";

/// Services with a live deployment, a page of them by id.
pub(crate) const LIVE_SERVICES: &str = "\
    SELECT service.id, service.live_deployment_id, hostname.host FROM service \
    LEFT JOIN hostname ON hostname.service_id = service.id \
    WHERE service.live_deployment_id IS NOT NULL AND service.id > $1 \
    ORDER BY service.id LIMIT $2";

/// Operations that have not ended, a page of them by id.
pub(crate) const OPEN: &str = "\
    SELECT operation.id, operation.subject, operation.subject_id, operation.service_id \
    FROM operation WHERE operation.finished_at IS NULL AND operation.id > $1 \
    ORDER BY operation.id LIMIT $2";

/// How many operations of a lane have not ended.
pub(crate) const UNFINISHED: &str = "\
    SELECT COUNT(*) FROM operation WHERE operation.lane = $1 \
    AND operation.finished_at IS NULL";

const CLAIM: &str = "\
    UPDATE operation SET lease_holder = $1, lease_until = $2, revision = revision + 1 \
    WHERE id = $3 AND finished_at IS NULL AND (lease_until <= $4 OR lease_holder = $1) \
    RETURNING id, organization_id, subject, subject_id, service_id, step, step_since, attempts, \
    due_at, deadline_at, finished_at, revision, created_at";

const INSERT: &str = "\
    INSERT INTO operation (id, organization_id, subject, subject_id, lane, service_id, step, \
    step_since, attempts, due_at, deadline_at, lease_holder, lease_until, revision, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, '', 0, $12, $13)";

const UPDATE: &str = "\
    UPDATE operation SET step = $1, step_since = $2, attempts = $3, due_at = $4, \
    finished_at = $5, revision = $6 WHERE id = $7 AND revision = $8";

/// Rows of one page of what is read whole.
const PAGE: usize = 1_000;

impl OperationReads for SqlStore<'_> {
    fn claim_operation<'a>(
        &'a self,
        holder: &'a str,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> PortFuture<'a, Result<Option<Operation>>> {
        Box::pin(async move {
            // Looking costs no writer; most looks find nothing.
            let parameters = vec![now.microseconds().into(), holder.into()];
            let answer = self.executor.query(CLAIMABLE, parameters).await.map_err(failed)?;
            let found = rows::first("operation", answer, |row| row.parsed(OperationId::parse))?;
            let Some(id) = found else { return Ok(None) };
            let work = self.executor.begin().await.map_err(of_transaction)?;
            let parameters = vec![
                holder.into(),
                lease_until.microseconds().into(),
                id.to_string().into(),
                now.microseconds().into(),
            ];
            let answer = work.query(CLAIM, parameters).await.map_err(failed)?;
            let claimed = rows::first("operation", answer, operation)?;
            work.commit().await.map_err(of_transaction)?;
            Ok(claimed)
        })
    }

    fn next_due(&self) -> PortFuture<'_, Result<Option<Timestamp>>> {
        Box::pin(async move {
            let answer = self.executor.query(NEXT_DUE, Vec::new()).await.map_err(failed)?;
            rows::first("operation", answer, Row::timestamp)
        })
    }

    fn deployment_to_carry_out(
        &self,
        id: DeploymentId,
    ) -> PortFuture<'_, Result<Option<Deployment>>> {
        Box::pin(async move {
            let answer = self.executor.query(CARRY_OUT, vec![id.to_string().into()]).await;
            rows::first("deployment", answer.map_err(failed)?, deployment)
        })
    }

    fn live_services(&self) -> PortFuture<'_, Result<Vec<LiveService>>> {
        Box::pin(async move {
            self.pages(LIVE_SERVICES, live_service, |live| live.service_id.to_string()).await
        })
    }

    fn hostname(&self, service: ServiceId) -> PortFuture<'_, Result<Option<String>>> {
        Box::pin(async move {
            let answer = self.executor.query(HOSTNAME, vec![service.to_string().into()]).await;
            rows::first("host name", answer.map_err(failed)?, Row::text)
        })
    }

    fn service_place(&self, id: ServiceId) -> PortFuture<'_, Result<Option<ServicePlace>>> {
        Box::pin(async move {
            let answer = self.executor.query(SERVICE_PLACE, vec![id.to_string().into()]).await;
            let read = |row: &mut Row| {
                Ok(ServicePlace { project_id: row.parsed(ProjectId::parse)?, name: row.text()? })
            };
            rows::first("service", answer.map_err(failed)?, read)
        })
    }

    fn unfinished(&self) -> PortFuture<'_, Result<Vec<(OperationId, Subject)>>> {
        Box::pin(async move {
            let read = |row: &mut Row| Ok((row.parsed(OperationId::parse)?, subject(row)?));
            self.pages(OPEN, read, |(id, _)| id.to_string()).await
        })
    }
}

impl SqlStore<'_> {
    /// Everything a statement finds, page by page after the last id of the page before.
    pub(crate) async fn pages<T>(
        &self,
        statement: &'static str,
        read: impl Fn(&mut Row) -> Result<T>,
        id: impl Fn(&T) -> String,
    ) -> Result<Vec<T>> {
        let mut found: Vec<T> = Vec::new();
        loop {
            let after = found.last().map(&id).unwrap_or_default();
            let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
            let answer = self.executor.query(statement, vec![after.into(), limit.into()]).await;
            let page = rows::all("live service or operation", answer.map_err(failed)?, &read)?;
            let is_last = page.len() < PAGE;
            found.extend(page);
            if is_last {
                return Ok(found);
            }
        }
    }
}

impl OperationWrites for SqlTransaction<'_> {
    fn insert_operation<'a>(&'a self, operation: &'a Operation) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let parameters = vec![
                operation.id.to_string().into(),
                operation.organization_id.to_string().into(),
                operation.subject.kind().into(),
                operation.subject.id().into(),
                operation.subject.lane().into(),
                operation.subject.service_id().map(|id| id.to_string()).into(),
                operation.step.as_str().into(),
                operation.step_since.microseconds().into(),
                operation.attempts.into(),
                operation.due_at.microseconds().into(),
                operation.deadline_at.microseconds().into(),
                operation.revision.number().into(),
                operation.created_at.microseconds().into(),
            ];
            self.work.execute(INSERT, parameters).await.map(drop).map_err(failed)
        })
    }

    fn update_operation<'a>(
        &'a self,
        operation: &'a Operation,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        Box::pin(async move {
            let parameters = vec![
                operation.step.as_str().into(),
                operation.step_since.microseconds().into(),
                operation.attempts.into(),
                operation.due_at.microseconds().into(),
                operation.finished_at.map(Timestamp::microseconds).into(),
                operation.revision.number().into(),
                operation.id.to_string().into(),
                read.number().into(),
            ];
            let updated = self.work.execute(UPDATE, parameters).await;
            Ok(updated.map_err(failed)? > 0)
        })
    }

    fn unfinished_operations<'a>(&'a self, lane: &'a str) -> PortFuture<'a, Result<i64>> {
        Box::pin(async move {
            let answer = self.work.query(UNFINISHED, vec![lane.into()]).await;
            let count = rows::first("count", answer.map_err(failed)?, Row::integer)?;
            Ok(count.unwrap_or_default())
        })
    }
}

fn failed(error: crate::ExecutorError) -> windlass_domain::Error {
    unexpected(Kind::Deployment)(error)
}

fn live_service(row: &mut Row) -> Result<LiveService> {
    Ok(LiveService {
        service_id: row.parsed(ServiceId::parse)?,
        deployment_id: row.parsed(DeploymentId::parse)?,
        host: row.optional_text()?,
    })
}

fn operation(row: &mut Row) -> Result<Operation> {
    Ok(Operation {
        id: row.parsed(OperationId::parse)?,
        organization_id: row.parsed(OrganizationId::parse)?,
        subject: subject(row)?,
        step: row.parsed(Step::parse)?,
        step_since: row.timestamp()?,
        attempts: row.integer()?,
        due_at: row.timestamp()?,
        deadline_at: row.timestamp()?,
        finished_at: row.optional_timestamp()?,
        revision: row.revision()?,
        created_at: row.timestamp()?,
    })
}

fn subject(row: &mut Row) -> Result<Subject> {
    let (kind, id) = (row.text()?, row.text()?);
    let service_id = row.optional_text()?.as_deref().and_then(ServiceId::parse);
    Subject::parse(&kind, &id, service_id).ok_or_else(|| row.fault("completes no known subject"))
}
