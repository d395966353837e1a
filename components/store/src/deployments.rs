//! Deployments: reads `membership`, `user_account`, `project`, `service` and `deployment`; writes
//! `deployment`, `deployment_log`, `hostname` and, of `service`, its state.

mod release;

use windlass_domain::deployments::{Deployment, DeploymentAccess, DeploymentStatus, LogLine};
use windlass_domain::future::PortFuture;
use windlass_domain::ids::{DeploymentId, OrganizationId, ServiceId, UserId};
use windlass_domain::organizations::Role;
use windlass_domain::store::{DeploymentReads, DeploymentWrites};
use windlass_domain::{Error, Kind, Result, Revision, Timestamp};

use crate::errors::unexpected;
use crate::executor::{ExecutorError, Value};
use crate::rows::{self, Row};
use crate::{SqlStore, SqlTransaction};

/// The columns of a deployment, in the order in which `deployment` reads them.
macro_rules! columns {
    () => {
        "deployment.id, deployment.service_id, deployment.status, deployment.triggered_by, \
         deployment.commit_hash, deployment.branch, deployment.rollback_of, \
         deployment.release, deployment.image_digest, deployment.error, deployment.actor_id, \
         deployment.actor_email, deployment.started_at, deployment.completed_at, \
         deployment.revision, deployment.created_at, deployment.updated_at"
    };
}

/// The deployments of a service, newest first.
pub(crate) const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM deployment WHERE deployment.service_id = $1 \
     ORDER BY deployment.created_at DESC, deployment.id DESC LIMIT $2"
);

/// One deployment and what a member may do with it.
pub(crate) const VIEW: &str = concat!(
    "SELECT ",
    columns!(),
    ", project.organization_id, membership.role, user_account.email \
     FROM deployment \
     JOIN service ON service.id = deployment.service_id \
     JOIN project ON project.id = service.project_id \
     JOIN membership ON membership.organization_id = project.organization_id \
     JOIN user_account ON user_account.id = membership.user_id \
     WHERE membership.user_id = $1 AND deployment.id = $2"
);

/// One deployment, for nobody in particular.
pub(crate) const CARRY_OUT: &str =
    concat!("SELECT ", columns!(), " FROM deployment WHERE deployment.id = $1");

/// The log of a deployment.
pub(crate) const LOG: &str = "\
    SELECT deployment_log.at, deployment_log.message FROM deployment_log \
    WHERE deployment_log.deployment_id = $1 ORDER BY deployment_log.number LIMIT $2";

/// The host name of a service.
pub(crate) const HOSTNAME: &str =
    "SELECT hostname.host FROM hostname WHERE hostname.service_id = $1";

/// What a service's live deployment was.
pub(crate) const LIVE: &str =
    "SELECT service.live_deployment_id FROM service WHERE service.id = $1";

const INSERT: &str = "\
    INSERT INTO deployment (id, service_id, status, triggered_by, commit_hash, branch, \
    rollback_of, release, image_digest, error, actor_id, actor_email, revision, created_at, \
    updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

const UPDATE: &str = "\
    UPDATE deployment SET status = $1, commit_hash = $2, image_digest = $3, error = $4, \
    started_at = $5, completed_at = $6, revision = $7, updated_at = $8 \
    WHERE id = $9 AND revision = $10";

const RETIRE: &str = "\
    UPDATE deployment SET status = $1, revision = revision + 1, updated_at = $2 WHERE id = $3";

const APPEND_LOG: &str = "\
    INSERT INTO deployment_log (deployment_id, number, at, message) \
    SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3 FROM deployment_log WHERE deployment_id = $1";

const INSERT_HOSTNAME: &str = "\
    INSERT INTO hostname (host, service_id, created_at) VALUES ($1, $2, $3) \
    ON CONFLICT (host) DO NOTHING";

const MAKE_LIVE: &str = "\
    UPDATE service SET live_deployment_id = $1, status = 'running', revision = revision + 1, \
    updated_at = $2 WHERE id = $3";

const SETTLE: &str = "\
    UPDATE service SET status = CASE WHEN live_deployment_id IS NULL THEN 'failed' \
    ELSE 'running' END, revision = revision + 1, updated_at = $1 WHERE id = $2";

impl DeploymentReads for SqlStore<'_> {
    fn list_deployments(
        &self,
        service: ServiceId,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<Deployment>>> {
        Box::pin(async move {
            let parameters = vec![service.to_string().into(), limit.into()];
            let answer = self.executor.query(LIST, parameters).await;
            rows::all("deployment", answer.map_err(unexpected(Kind::Deployment))?, deployment)
        })
    }

    fn deployment(
        &self,
        member: UserId,
        id: DeploymentId,
    ) -> PortFuture<'_, Result<Option<DeploymentAccess>>> {
        Box::pin(async move {
            let parameters = vec![member.to_string().into(), id.to_string().into()];
            let answer = self.executor.query(VIEW, parameters).await;
            rows::first("deployment", answer.map_err(unexpected(Kind::Deployment))?, access)
        })
    }

    fn deployment_log(&self, id: DeploymentId, limit: i64) -> PortFuture<'_, Result<Vec<LogLine>>> {
        Box::pin(async move {
            let parameters = vec![id.to_string().into(), limit.into()];
            let answer = self.executor.query(LOG, parameters).await;
            let read = |row: &mut Row| Ok(LogLine { at: row.timestamp()?, message: row.text()? });
            rows::all("line of a log", answer.map_err(unexpected(Kind::Deployment))?, read)
        })
    }
}

impl DeploymentWrites for SqlTransaction<'_> {
    fn insert_deployment<'a>(&'a self, deployment: &'a Deployment) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let parameters = vec![
                deployment.id.to_string().into(),
                deployment.service_id.to_string().into(),
                deployment.status.as_str().into(),
                deployment.trigger.as_str().into(),
                deployment.commit_hash.as_str().into(),
                deployment.branch.as_str().into(),
                deployment.rollback_of.map(|id| id.to_string()).unwrap_or_default().into(),
                release::to_text(&deployment.release)?.into(),
                deployment.release.image_digest.as_str().into(),
                deployment.error.as_str().into(),
                deployment.actor_id.to_string().into(),
                deployment.actor_email.as_str().into(),
                deployment.revision.number().into(),
                deployment.created_at.microseconds().into(),
                deployment.updated_at.microseconds().into(),
            ];
            match self.work.execute(INSERT, parameters).await {
                Ok(_) => Ok(()),
                // The id is fresh; what is left is a service that is gone.
                Err(ExecutorError::Conflict(_)) => {
                    Err(Error::not_found(Kind::Service, deployment.service_id))
                }
                Err(error) => Err(unexpected(Kind::Deployment)(error)),
            }
        })
    }

    fn update_deployment<'a>(
        &'a self,
        deployment: &'a Deployment,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        Box::pin(async move {
            let parameters = vec![
                deployment.status.as_str().into(),
                deployment.commit_hash.as_str().into(),
                deployment.release.image_digest.as_str().into(),
                deployment.error.as_str().into(),
                deployment.started_at.map(Timestamp::microseconds).into(),
                deployment.completed_at.map(Timestamp::microseconds).into(),
                deployment.revision.number().into(),
                deployment.updated_at.microseconds().into(),
                deployment.id.to_string().into(),
                read.number().into(),
            ];
            self.execute(UPDATE, parameters).await.map(|changed| changed > 0)
        })
    }

    fn retire_deployment(&self, id: DeploymentId, now: Timestamp) -> PortFuture<'_, Result<()>> {
        Box::pin(async move {
            let parameters = vec![
                DeploymentStatus::Retired.as_str().into(),
                now.microseconds().into(),
                id.to_string().into(),
            ];
            self.execute(RETIRE, parameters).await.map(drop)
        })
    }

    fn append_deployment_log<'a>(
        &'a self,
        id: DeploymentId,
        at: Timestamp,
        message: &'a str,
    ) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let parameters = vec![id.to_string().into(), at.microseconds().into(), message.into()];
            self.execute(APPEND_LOG, parameters).await.map(drop)
        })
    }

    fn has_hostname(&self, service: ServiceId) -> PortFuture<'_, Result<bool>> {
        Box::pin(async move {
            let answer = self.work.query(HOSTNAME, vec![service.to_string().into()]).await;
            Ok(!answer.map_err(unexpected(Kind::Service))?.rows.is_empty())
        })
    }

    fn insert_hostname<'a>(
        &'a self,
        host: &'a str,
        service: ServiceId,
        now: Timestamp,
    ) -> PortFuture<'a, Result<bool>> {
        Box::pin(async move {
            let parameters =
                vec![host.into(), service.to_string().into(), now.microseconds().into()];
            self.execute(INSERT_HOSTNAME, parameters).await.map(|added| added > 0)
        })
    }

    fn make_live(
        &self,
        service: ServiceId,
        deployment: DeploymentId,
        now: Timestamp,
    ) -> PortFuture<'_, Result<Option<DeploymentId>>> {
        Box::pin(async move {
            let answer = self.work.query(LIVE, vec![service.to_string().into()]).await;
            let read = |row: &mut Row| optional_id(row);
            let answer = answer.map_err(unexpected(Kind::Service))?;
            let before = rows::first("service", answer, read)?.flatten();
            let parameters = vec![
                deployment.to_string().into(),
                now.microseconds().into(),
                service.to_string().into(),
            ];
            self.execute(MAKE_LIVE, parameters).await?;
            Ok(before)
        })
    }

    fn settle_service(&self, service: ServiceId, now: Timestamp) -> PortFuture<'_, Result<()>> {
        Box::pin(async move {
            let parameters = vec![now.microseconds().into(), service.to_string().into()];
            self.execute(SETTLE, parameters).await.map(drop)
        })
    }
}

impl SqlTransaction<'_> {
    async fn execute(&self, statement: &'static str, parameters: Vec<Value>) -> Result<u64> {
        let changed = self.work.execute(statement, parameters).await;
        changed.map_err(unexpected(Kind::Deployment))
    }
}

/// An id, or null.
pub(crate) fn optional_id(row: &mut Row) -> Result<Option<DeploymentId>> {
    match row.optional_text()? {
        None => Ok(None),
        Some(text) => {
            DeploymentId::parse(&text).map(Some).ok_or_else(|| row.fault("has an unknown value"))
        }
    }
}

pub(crate) fn deployment(row: &mut Row) -> Result<Deployment> {
    let (id, service_id) = (row.parsed(DeploymentId::parse)?, row.parsed(ServiceId::parse)?);
    let status = row.parsed(DeploymentStatus::parse)?;
    let (trigger, commit_hash, branch) = (row.text()?, row.text()?, row.text()?);
    let rollback_of = row.optional(DeploymentId::parse)?;
    let mut release = row.parsed(release::from_text)?;
    release.image_digest = row.text()?;
    Ok(Deployment {
        id,
        service_id,
        status,
        trigger,
        commit_hash,
        branch,
        rollback_of,
        release,
        error: row.text()?,
        actor_id: row.parsed(UserId::parse)?,
        actor_email: row.text()?,
        started_at: row.optional_timestamp()?,
        completed_at: row.optional_timestamp()?,
        revision: row.revision()?,
        created_at: row.timestamp()?,
        updated_at: row.timestamp()?,
    })
}

fn access(row: &mut Row) -> Result<DeploymentAccess> {
    Ok(DeploymentAccess {
        deployment: deployment(row)?,
        organization_id: row.parsed(OrganizationId::parse)?,
        role: row.parsed(Role::parse)?,
        email: row.text()?,
    })
}
