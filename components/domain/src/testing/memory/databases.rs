//! Databases and their backups in memory.

use super::transaction::{MemoryTransaction, refuse_taken};
use super::{MemoryStore, State, window};
use crate::databases::{Backup, BackupStatus, Database, DatabaseAccess, Desired};
use crate::error::{Kind, Result};
use crate::future::PortFuture;
use crate::ids::{BackupId, DatabaseId, OrganizationId, Revision, UserId};
use crate::store::{DatabaseReads, DatabaseWrites, KeptDatabase};

impl MemoryStore {
    /// Every database, those that are to be deleted included, in the order they were added.
    pub fn databases(&self) -> Vec<Database> {
        super::lock(&self.state).databases.clone()
    }

    /// Every backup, in the order they were added.
    pub fn backups(&self) -> Vec<Backup> {
        super::lock(&self.state).backups.clone()
    }
}

impl State {
    fn database_access(&self, member: UserId, database: &Database) -> Option<DatabaseAccess> {
        Some(DatabaseAccess {
            database: database.clone(),
            role: self.role(database.organization_id, member)?,
            email: self.email(member)?,
        })
    }
}

fn is_kept(database: &&Database) -> bool {
    database.desired != Desired::Deleted
}

impl DatabaseReads for MemoryStore {
    fn list_databases(
        &self,
        member: UserId,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<DatabaseAccess>>> {
        self.read(|state| {
            let kept = state.databases.iter().filter(is_kept);
            let mut found: Vec<_> =
                kept.filter_map(|row| state.database_access(member, row)).collect();
            found.sort_by_key(|access| (access.database.created_at, access.database.id));
            window(found, 0, limit).collect()
        })
    }

    fn database(
        &self,
        member: UserId,
        id: DatabaseId,
    ) -> PortFuture<'_, Result<Option<DatabaseAccess>>> {
        self.read(|state| {
            let database = state.databases.iter().filter(is_kept).find(|row| row.id == id)?;
            state.database_access(member, database)
        })
    }

    fn list_backups(
        &self,
        database: DatabaseId,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<Backup>>> {
        self.read(|state| {
            let mut found: Vec<&Backup> =
                state.backups.iter().filter(|row| row.database_id == database).collect();
            found.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
            window(found, 0, limit).cloned().collect()
        })
    }

    fn backup(&self, database: DatabaseId, id: BackupId) -> PortFuture<'_, Result<Option<Backup>>> {
        self.read(|state| {
            let fits = |row: &&Backup| row.id == id && row.database_id == database;
            state.backups.iter().find(fits).cloned()
        })
    }

    fn next_backup(&self, database: DatabaseId) -> PortFuture<'_, Result<Option<Backup>>> {
        self.read(|state| {
            let waits = |row: &&Backup| {
                row.database_id == database && row.status == BackupStatus::InProgress
            };
            let waiting = state.backups.iter().filter(waits);
            waiting.min_by_key(|row| (row.created_at, row.id)).cloned()
        })
    }

    fn database_to_carry_out(&self, id: DatabaseId) -> PortFuture<'_, Result<Option<Database>>> {
        self.read(|state| state.databases.iter().find(|row| row.id == id).cloned())
    }

    fn kept_databases(&self) -> PortFuture<'_, Result<Vec<KeptDatabase>>> {
        self.read(|state| {
            let kept = state.databases.iter().filter(is_kept);
            kept.map(|row| KeptDatabase { id: row.id, desired: row.desired, status: row.status })
                .collect()
        })
    }
}

impl DatabaseWrites for MemoryTransaction<'_> {
    fn count_databases(&self, organization: OrganizationId) -> PortFuture<'_, Result<i64>> {
        self.write(|state| {
            let own = state.databases.iter().filter(is_kept);
            let count = own.filter(|row| row.organization_id == organization).count();
            Ok(i64::try_from(count).unwrap_or(i64::MAX))
        })
    }

    fn insert_database<'a>(&'a self, database: &'a Database) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            refuse_taken(Kind::Database, "name", &state.databases, |other| {
                other.organization_id == database.organization_id && other.name == database.name
            })?;
            state.databases.push(database.clone());
            Ok(())
        })
    }

    fn update_database<'a>(
        &'a self,
        database: &'a Database,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        self.write_row(|state| {
            refuse_taken(Kind::Database, "name", &state.databases, |other| {
                other.organization_id == database.organization_id
                    && other.name == database.name
                    && other.id != database.id
            })?;
            let mut rows = state.databases.iter_mut();
            let row = rows.find(|row| row.id == database.id && row.revision == read);
            Ok(row.map(|row| *row = database.clone()).is_some())
        })
    }

    fn delete_database(&self, id: DatabaseId, read: Revision) -> PortFuture<'_, Result<bool>> {
        self.write_row(|state| {
            let before = state.databases.len();
            state.databases.retain(|row| row.id != id || row.revision != read);
            let deleted = state.databases.len() < before;
            if deleted {
                state.backups.retain(|row| row.database_id != id);
            }
            Ok(deleted)
        })
    }

    fn insert_backup<'a>(&'a self, backup: &'a Backup) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            state.backups.push(backup.clone());
            Ok(())
        })
    }

    fn update_backup<'a>(
        &'a self,
        backup: &'a Backup,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        self.write_row(|state| {
            let mut rows = state.backups.iter_mut();
            let row = rows.find(|row| row.id == backup.id && row.revision == read);
            Ok(row.map(|row| *row = backup.clone()).is_some())
        })
    }

    fn delete_backup(&self, id: BackupId) -> PortFuture<'_, Result<()>> {
        self.write(|state| {
            state.backups.retain(|row| row.id != id);
            Ok(())
        })
    }
}
