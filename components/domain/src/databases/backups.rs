//! Backups of databases: asked for here, carried out by [`crate::reconcile`].
//!
//! A backup is an archive that the engine's own tool wrote, kept by the host under the backup's id
//! with its size and the hash of its content. What does not hash to that is never read back.

use super::{Database, DatabaseStatus, Desired, access, conflict, promise};
use crate::context::Context;
use crate::databases::Asker;
use crate::databases::engine::Archiving;
use crate::error::{Error, Kind, Result};
use crate::events::{Action, Change};
use crate::ids::{BackupId, DatabaseId, Revision};
use crate::operations::Step;
use crate::projects;
use crate::time::Timestamp;

/// How many backups a database is shown with, newest first.
pub const LISTED: i64 = 20;
/// How many good backups of a database are kept; the oldest beyond them are removed when a new one
/// is good.
pub const KEPT: i64 = 20;

/// How far a backup has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackupStatus {
    /// It was asked for and is not there yet.
    InProgress,
    /// It can be restored.
    Completed,
    /// There is nothing of it.
    Failed,
}

impl BackupStatus {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "in_progress" => Some(Self::InProgress),
            "completed" => Some(Self::Completed),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// A backup of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its id, which is also its archive's name.
    pub id: BackupId,
    /// Of which database.
    pub database_id: DatabaseId,
    /// How far it has come.
    pub status: BackupStatus,
    /// Why it failed; empty unless it did.
    pub error: String,
    /// The size of its archive.
    pub size_bytes: i64,
    /// What its archive hashes to (SHA-256), in hexadecimal digits; empty until it is there.
    pub sha256: String,
    /// Who asked for it.
    pub asker: Asker,
    /// How often it was written.
    pub revision: Revision,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was there, or had failed.
    pub completed_at: Option<Timestamp>,
}

/// Asks for a backup of a database that runs.
///
/// # Errors
/// `Unauthenticated`; `NotFound`; `Forbidden` for a viewer; `Conflict` unless it runs;
/// `QuotaExceeded` when too much is waiting.
pub async fn create(ctx: &Context<'_>, id: &str) -> Result<Backup> {
    let access = access(ctx, id).await?;
    projects::require(access.role.may_write(), "a viewer may not back databases up")?;
    let database = access.database;
    if database.status != DatabaseStatus::Running {
        return Err(conflict("only a database that runs can be backed up; start it first"));
    }
    let now = ctx.clock.now();
    let backup = Backup {
        id: BackupId::from_u128(ctx.ids.fresh()),
        database_id: database.id,
        status: BackupStatus::InProgress,
        error: String::new(),
        size_bytes: 0,
        sha256: String::new(),
        asker: Asker { id: ctx.user()?, email: access.email.clone() },
        revision: Revision::FIRST,
        created_at: now,
        completed_at: None,
    };
    // What has no tool of its own is saved while it does not run.
    let (is_built, step) = match database.engine.specification().archiving {
        Archiving::Running { .. } | Archiving::Snapshot { .. } => (false, Step::Save),
        Archiving::Stopped { .. } => (true, Step::Stop),
    };
    let mut changed = database.clone();
    let transaction = super::write(ctx, &database, &mut changed, access.email, is_built).await?;
    transaction.insert_backup(&backup).await?;
    let changes = vec![named(backup.id)];
    promise(ctx, transaction, &changed, step, Action::Backup, changes).await?;
    Ok(backup)
}

/// Asks that a database is brought back to what it was when a backup was made. It runs after that.
///
/// # Errors
/// `Unauthenticated`; `Invalid` without a backup; `NotFound` for the database, and for a backup that
/// is not this database's; `Forbidden` for a viewer; `Conflict` when the backup is not completed or
/// the database is being built; `QuotaExceeded` when too much is waiting.
pub async fn restore(ctx: &Context<'_>, id: &str, backup_id: &str) -> Result<Database> {
    ctx.user()?;
    if backup_id.is_empty() {
        return Err(Error::invalid("backup_id", "must name a backup of this database"));
    }
    let access = access(ctx, id).await?;
    projects::require(access.role.may_write(), "a viewer may not restore databases")?;
    let database = access.database;
    let backup = match BackupId::parse(backup_id) {
        Some(backup) => ctx.store.backup(database.id, backup).await?,
        None => None,
    };
    let backup = backup.ok_or_else(|| Error::not_found(Kind::Backup, backup_id))?;
    if backup.status != BackupStatus::Completed {
        return Err(conflict("only a completed backup can be restored"));
    }
    if database.status == DatabaseStatus::Building {
        return Err(conflict("the database is being built; restore it when it runs or is stopped"));
    }
    let step = match database.engine.specification().archiving {
        Archiving::Running { .. } => Step::Resolve,
        Archiving::Snapshot { .. } | Archiving::Stopped { .. } => Step::Stop,
    };
    let mut changed = database.clone();
    changed.desired = Desired::Running;
    changed.restoring = Some(backup.id);
    let transaction = super::write(ctx, &database, &mut changed, access.email, true).await?;
    promise(ctx, transaction, &changed, step, Action::Restore, vec![named(backup.id)]).await?;
    Ok(changed)
}

fn named(id: BackupId) -> Change {
    Change { field: "backup_id".to_owned(), before: None, after: Some(id.to_string()) }
}
