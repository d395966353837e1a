//! Backups of databases: reads and writes `database_backup`.

use windlass_domain::databases::{Asker, Backup, BackupStatus};
use windlass_domain::ids::{BackupId, DatabaseId, UserId};
use windlass_domain::{Kind, Result, Revision, Timestamp};

use crate::errors::unexpected;
use crate::executor::Value;
use crate::rows::{self, Row};
use crate::{SqlStore, SqlTransaction};

/// The backups of a database, newest first.
pub(crate) const LIST: &str = "\
    SELECT database_backup.id, database_backup.database_id, database_backup.status, \
    database_backup.error, database_backup.size_bytes, database_backup.sha256, \
    database_backup.actor_id, database_backup.actor_email, database_backup.revision, \
    database_backup.created_at, database_backup.completed_at \
    FROM database_backup WHERE database_backup.database_id = $1 \
    ORDER BY database_backup.created_at DESC, database_backup.id DESC LIMIT $2";

/// One backup of a database.
pub(crate) const VIEW: &str = "\
    SELECT database_backup.id, database_backup.database_id, database_backup.status, \
    database_backup.error, database_backup.size_bytes, database_backup.sha256, \
    database_backup.actor_id, database_backup.actor_email, database_backup.revision, \
    database_backup.created_at, database_backup.completed_at \
    FROM database_backup WHERE database_backup.database_id = $1 AND database_backup.id = $2";

/// The first backup of a database that is not there yet.
pub(crate) const NEXT: &str = "\
    SELECT database_backup.id, database_backup.database_id, database_backup.status, \
    database_backup.error, database_backup.size_bytes, database_backup.sha256, \
    database_backup.actor_id, database_backup.actor_email, database_backup.revision, \
    database_backup.created_at, database_backup.completed_at \
    FROM database_backup \
    WHERE database_backup.database_id = $1 AND database_backup.status = 'in_progress' \
    ORDER BY database_backup.created_at, database_backup.id LIMIT 1";

const INSERT: &str = "\
    INSERT INTO database_backup (id, database_id, status, error, size_bytes, sha256, actor_id, \
    actor_email, revision, created_at, completed_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

const UPDATE: &str = "\
    UPDATE database_backup SET status = $1, error = $2, size_bytes = $3, sha256 = $4, \
    revision = $5, completed_at = $6 WHERE id = $7 AND revision = $8";

const DELETE: &str = "DELETE FROM database_backup WHERE id = $1";

impl SqlStore<'_> {
    pub(super) async fn backups(&self, database: DatabaseId, limit: i64) -> Result<Vec<Backup>> {
        let parameters = vec![database.to_string().into(), limit.into()];
        let answer = self.executor.query(LIST, parameters).await;
        rows::all("backup", answer.map_err(unexpected(Kind::Backup))?, backup)
    }

    pub(super) async fn one_backup(
        &self,
        statement: &'static str,
        parameters: Vec<String>,
    ) -> Result<Option<Backup>> {
        let parameters = parameters.into_iter().map(Value::from).collect();
        let answer = self.executor.query(statement, parameters).await;
        rows::first("backup", answer.map_err(unexpected(Kind::Backup))?, backup)
    }
}

impl SqlTransaction<'_> {
    pub(super) async fn add_backup(&self, backup: &Backup) -> Result<()> {
        let parameters = vec![
            backup.id.to_string().into(),
            backup.database_id.to_string().into(),
            backup.status.as_str().into(),
            backup.error.as_str().into(),
            backup.size_bytes.into(),
            backup.sha256.as_str().into(),
            backup.asker.id.to_string().into(),
            backup.asker.email.as_str().into(),
            backup.revision.number().into(),
            backup.created_at.microseconds().into(),
            backup.completed_at.map(Timestamp::microseconds).into(),
        ];
        let inserted = self.work.execute(INSERT, parameters).await;
        inserted.map(drop).map_err(unexpected(Kind::Backup))
    }

    pub(super) async fn change_backup(&self, backup: &Backup, read: Revision) -> Result<bool> {
        let parameters = vec![
            backup.status.as_str().into(),
            backup.error.as_str().into(),
            backup.size_bytes.into(),
            backup.sha256.as_str().into(),
            backup.revision.number().into(),
            backup.completed_at.map(Timestamp::microseconds).into(),
            backup.id.to_string().into(),
            read.number().into(),
        ];
        let updated = self.work.execute(UPDATE, parameters).await;
        Ok(updated.map_err(unexpected(Kind::Backup))? > 0)
    }

    pub(super) async fn remove_backup(&self, id: BackupId) -> Result<()> {
        let deleted = self.work.execute(DELETE, vec![id.to_string().into()]).await;
        deleted.map(drop).map_err(unexpected(Kind::Backup))
    }
}

fn backup(row: &mut Row) -> Result<Backup> {
    Ok(Backup {
        id: row.parsed(BackupId::parse)?,
        database_id: row.parsed(DatabaseId::parse)?,
        status: row.parsed(BackupStatus::parse)?,
        error: row.text()?,
        size_bytes: row.integer()?,
        sha256: row.text()?,
        asker: Asker { id: row.parsed(UserId::parse)?, email: row.text()? },
        revision: row.revision()?,
        created_at: row.timestamp()?,
        completed_at: row.optional_timestamp()?,
    })
}
