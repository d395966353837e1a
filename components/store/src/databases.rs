//! Databases: reads `membership` and `user_account`; reads and writes `managed_database` and
//! `database_backup`. Deleting a database cascades to its backups.

mod backups;

use std::collections::BTreeMap;

use windlass_domain::databases::{
    Asker, Backup, Database, DatabaseAccess, DatabaseStatus, Desired, Engine, Plan,
};
use windlass_domain::future::PortFuture;
use windlass_domain::ids::{BackupId, DatabaseId, OrganizationId, UserId};
use windlass_domain::organizations::Role;
use windlass_domain::store::{DatabaseReads, DatabaseWrites, KeptDatabase};
use windlass_domain::{Error, Kind, Result, Revision};

use crate::errors::{unexpected, unique};
use crate::executor::Value;
use crate::rows::{self, Row};
use crate::{SqlStore, SqlTransaction};

pub(crate) use backups::{LIST as LIST_BACKUPS, NEXT as NEXT_BACKUP, VIEW as VIEW_BACKUP};

/// The columns of a database, in the order in which `database` reads them.
macro_rules! columns {
    () => {
        "managed_database.id, managed_database.organization_id, managed_database.name, \
         managed_database.engine, managed_database.version, managed_database.plan, \
         managed_database.region, managed_database.desired, managed_database.status, \
         managed_database.error, managed_database.image, managed_database.image_digest, \
         managed_database.username, managed_database.password, \
         managed_database.database_name, managed_database.variables, \
         managed_database.address, managed_database.restoring, managed_database.actor_id, \
         managed_database.actor_email, managed_database.revision, \
         managed_database.created_at, managed_database.updated_at"
    };
}

/// The databases of a member, oldest first.
pub(crate) const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    ", membership.role, user_account.email \
     FROM membership \
     JOIN managed_database ON managed_database.organization_id = membership.organization_id \
     JOIN user_account ON user_account.id = membership.user_id \
     WHERE membership.user_id = $1 AND managed_database.desired <> 'deleted' \
     ORDER BY managed_database.created_at, managed_database.id LIMIT $2"
);

/// One database and what a member may do with it.
pub(crate) const VIEW: &str = concat!(
    "SELECT ",
    columns!(),
    ", membership.role, user_account.email \
     FROM managed_database \
     JOIN membership ON membership.organization_id = managed_database.organization_id \
     JOIN user_account ON user_account.id = membership.user_id \
     WHERE membership.user_id = $1 AND managed_database.id = $2 \
     AND managed_database.desired <> 'deleted'"
);

/// One database, for nobody in particular.
pub(crate) const CARRY_OUT: &str =
    concat!("SELECT ", columns!(), " FROM managed_database WHERE managed_database.id = $1");

/// What should be kept, a page of them by id.
pub(crate) const KEPT: &str = "\
    SELECT managed_database.id, managed_database.desired, managed_database.status \
    FROM managed_database \
    WHERE managed_database.id > $1 AND managed_database.desired <> 'deleted' \
    ORDER BY managed_database.id LIMIT $2";

const COUNT: &str = "\
    SELECT COUNT(*) FROM managed_database \
    WHERE managed_database.organization_id = $1 AND managed_database.desired <> 'deleted'";

const INSERT: &str = "\
    INSERT INTO managed_database (id, organization_id, name, engine, version, plan, region, \
    desired, status, error, image, image_digest, username, password, database_name, variables, \
    address, restoring, actor_id, actor_email, revision, created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
    $19, $20, $21, $22, $23)";

const UPDATE: &str = "\
    UPDATE managed_database SET name = $1, plan = $2, desired = $3, status = $4, error = $5, \
    image_digest = $6, address = $7, restoring = $8, actor_id = $9, actor_email = $10, \
    revision = $11, updated_at = $12 WHERE id = $13 AND revision = $14";

const DELETE: &str = "DELETE FROM managed_database WHERE id = $1 AND revision = $2";

impl DatabaseReads for SqlStore<'_> {
    fn list_databases(
        &self,
        member: UserId,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<DatabaseAccess>>> {
        Box::pin(async move {
            let answer = self.executor.query(LIST, vec![member.to_string().into(), limit.into()]);
            rows::all("database", answer.await.map_err(unexpected(Kind::Database))?, access)
        })
    }

    fn database(
        &self,
        member: UserId,
        id: DatabaseId,
    ) -> PortFuture<'_, Result<Option<DatabaseAccess>>> {
        Box::pin(async move {
            let parameters = vec![member.to_string().into(), id.to_string().into()];
            let answer = self.executor.query(VIEW, parameters).await;
            rows::first("database", answer.map_err(unexpected(Kind::Database))?, access)
        })
    }

    fn list_backups(
        &self,
        database: DatabaseId,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<Backup>>> {
        Box::pin(self.backups(database, limit))
    }

    fn backup(&self, database: DatabaseId, id: BackupId) -> PortFuture<'_, Result<Option<Backup>>> {
        Box::pin(self.one_backup(VIEW_BACKUP, vec![database.to_string(), id.to_string()]))
    }

    fn next_backup(&self, database: DatabaseId) -> PortFuture<'_, Result<Option<Backup>>> {
        Box::pin(self.one_backup(NEXT_BACKUP, vec![database.to_string()]))
    }

    fn database_to_carry_out(&self, id: DatabaseId) -> PortFuture<'_, Result<Option<Database>>> {
        Box::pin(async move {
            let answer = self.executor.query(CARRY_OUT, vec![id.to_string().into()]).await;
            rows::first("database", answer.map_err(unexpected(Kind::Database))?, database)
        })
    }

    fn kept_databases(&self) -> PortFuture<'_, Result<Vec<KeptDatabase>>> {
        Box::pin(async move { self.pages(KEPT, kept, |row| row.id.to_string()).await })
    }
}

impl DatabaseWrites for SqlTransaction<'_> {
    fn count_databases(&self, organization: OrganizationId) -> PortFuture<'_, Result<i64>> {
        Box::pin(async move {
            let answer = self.work.query(COUNT, vec![organization.to_string().into()]).await;
            let answer = answer.map_err(unexpected(Kind::Database))?;
            Ok(rows::first("count", answer, Row::integer)?.unwrap_or_default())
        })
    }

    fn insert_database<'a>(&'a self, database: &'a Database) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let parameters = vec![
                database.id.to_string().into(),
                database.organization_id.to_string().into(),
                database.name.as_str().into(),
                database.engine.as_str().into(),
                database.version.as_str().into(),
                database.plan.as_str().into(),
                database.region.as_str().into(),
                database.desired.as_str().into(),
                database.status.as_str().into(),
                database.error.as_str().into(),
                database.image.as_str().into(),
                database.image_digest.as_str().into(),
                database.username.as_str().into(),
                database.password.as_str().into(),
                database.database.as_str().into(),
                to_text(&database.variables)?.into(),
                database.address.as_str().into(),
                restoring(database),
                database.asker.id.to_string().into(),
                database.asker.email.as_str().into(),
                database.revision.number().into(),
                database.created_at.microseconds().into(),
                database.updated_at.microseconds().into(),
            ];
            let inserted = self.work.execute(INSERT, parameters).await;
            inserted.map(drop).map_err(unique(Kind::Database, "name"))
        })
    }

    fn update_database<'a>(
        &'a self,
        database: &'a Database,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        Box::pin(async move {
            let parameters = vec![
                database.name.as_str().into(),
                database.plan.as_str().into(),
                database.desired.as_str().into(),
                database.status.as_str().into(),
                database.error.as_str().into(),
                database.image_digest.as_str().into(),
                database.address.as_str().into(),
                restoring(database),
                database.asker.id.to_string().into(),
                database.asker.email.as_str().into(),
                database.revision.number().into(),
                database.updated_at.microseconds().into(),
                database.id.to_string().into(),
                read.number().into(),
            ];
            let updated = self.work.execute(UPDATE, parameters).await;
            Ok(updated.map_err(unique(Kind::Database, "name"))? > 0)
        })
    }

    fn delete_database(&self, id: DatabaseId, read: Revision) -> PortFuture<'_, Result<bool>> {
        Box::pin(async move {
            let parameters = vec![id.to_string().into(), read.number().into()];
            let deleted = self.work.execute(DELETE, parameters).await;
            Ok(deleted.map_err(unexpected(Kind::Database))? > 0)
        })
    }

    fn insert_backup<'a>(&'a self, backup: &'a Backup) -> PortFuture<'a, Result<()>> {
        Box::pin(self.add_backup(backup))
    }

    fn update_backup<'a>(
        &'a self,
        backup: &'a Backup,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        Box::pin(self.change_backup(backup, read))
    }

    fn delete_backup(&self, id: BackupId) -> PortFuture<'_, Result<()>> {
        Box::pin(self.remove_backup(id))
    }
}

fn restoring(database: &Database) -> Value {
    database.restoring.map(|id| id.to_string()).unwrap_or_default().into()
}

fn to_text(variables: &BTreeMap<String, String>) -> Result<String> {
    serde_json::to_string(variables)
        .map_err(|error| Error::internal_fault(format!("variables do not become JSON: {error}")))
}

fn database(row: &mut Row) -> Result<Database> {
    Ok(Database {
        id: row.parsed(DatabaseId::parse)?,
        organization_id: row.parsed(OrganizationId::parse)?,
        name: row.text()?,
        engine: row.parsed(Engine::parse)?,
        version: row.text()?,
        plan: row.parsed(Plan::parse)?,
        region: row.text()?,
        desired: row.parsed(Desired::parse)?,
        status: row.parsed(DatabaseStatus::parse)?,
        error: row.text()?,
        image: row.text()?,
        image_digest: row.text()?,
        username: row.text()?,
        password: row.text()?,
        database: row.text()?,
        variables: row.parsed(|text| serde_json::from_str(text).ok())?,
        address: row.text()?,
        restoring: row.optional(BackupId::parse)?,
        asker: Asker { id: row.parsed(UserId::parse)?, email: row.text()? },
        revision: row.revision()?,
        created_at: row.timestamp()?,
        updated_at: row.timestamp()?,
    })
}

fn access(row: &mut Row) -> Result<DatabaseAccess> {
    Ok(DatabaseAccess {
        database: database(row)?,
        role: row.parsed(Role::parse)?,
        email: row.text()?,
    })
}

fn kept(row: &mut Row) -> Result<KeptDatabase> {
    Ok(KeptDatabase {
        id: row.parsed(DatabaseId::parse)?,
        desired: row.parsed(Desired::parse)?,
        status: row.parsed(DatabaseStatus::parse)?,
    })
}
