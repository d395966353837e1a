//! Databases carried out: made, started, stopped, saved, brought back and taken away.
//!
//! What a step comes to is decided by what the database should be at that moment, and not by what it
//! should have been when the operation was asked for: after it was stopped it is erased if it is to
//! be deleted, brought back if it is being restored, started if it should run, and else it stays so.
//! Operations of one database are carried out one after the other, so that the last wish is always
//! the one that holds in the end.
//!
//! A failure ends the operation, says why, and leaves the data where it is. Only a deletion has no
//! other end than success: it is tried again for as long as it takes.

mod archives;
mod described;
mod tidy;

use super::save;
use crate::context::Context;
use crate::databases::engine::Archiving;
use crate::databases::{self, BackupStatus, Database, DatabaseStatus, Desired};
use crate::error::Result;
use crate::events::{self, Action, Change};
use crate::ids::{BackupId, WorkloadId};
use crate::operations::{MAXIMUM_ATTEMPTS, Operation, Step};
use crate::runtime::{Fault, ImageState, Runtime, WorkloadState};
use crate::store::Transaction;
use crate::time::Timestamp;

pub(super) use tidy::{Kept, tidy};

/// How long a database may take until it works, in seconds: the first start of the larger engines
/// writes hundreds of megabytes.
pub(crate) const WORKS_WITHIN_SECONDS: i64 = 5 * 60;
/// How long a database may take to write down what it has and end, in milliseconds.
const GRACE_MS: u32 = 60_000;
/// How often one that is starting, stopping, saved or brought back is looked at, in milliseconds.
const LOOK_AGAIN_MS: i64 = 300;
/// How often an image that is being fetched is asked for, in milliseconds.
const FETCH_AGAIN_MS: i64 = 1_000;

/// One operation of a database in this holder's hands.
pub(super) struct Work<'a> {
    pub(super) ctx: &'a Context<'a>,
    pub(super) runtime: &'a dyn Runtime,
    pub(super) operation: Operation,
    pub(super) database: Database,
    /// The database as it was read.
    pub(super) before: Database,
    pub(super) now: Timestamp,
}

impl Work<'_> {
    pub(super) async fn carry_on(self) -> Result<()> {
        let is_erased = self.database.desired == Desired::Deleted;
        if is_erased && !matches!(self.operation.step, Step::Stop | Step::Erase) {
            self.clear_away(archives::MOST_PARTS).await;
            return self.go_on(Step::Stop).await;
        }
        if !is_erased && self.now >= self.operation.deadline_at {
            return self.too_late().await;
        }
        match self.operation.step {
            Step::Resolve => self.resolve().await,
            Step::Start => self.start().await,
            Step::Await => self.wait().await,
            Step::Stop => self.stop().await,
            Step::Save => self.save_archive().await,
            Step::Load => self.load_archive().await,
            Step::Erase => self.erase().await,
            // Steps of deployments. No operation of a database is ever there.
            Step::Switch | Step::Drain => self.finish(None).await,
        }
    }

    /// What wrote the data reads it: the content is found once, when the database is made.
    async fn resolve(mut self) -> Result<()> {
        if !self.database.image_digest.is_empty() {
            return self.go_on(Step::Start).await;
        }
        match self.runtime.resolve_container(&self.database.image).await {
            Ok(ImageState::Ready { digest, .. }) => {
                self.database.image_digest = digest;
                self.go_on(Step::Start).await
            }
            Ok(ImageState::Pending) => self.look_again(FETCH_AGAIN_MS).await,
            Err(fault) => self.faulted(fault).await,
        }
    }

    async fn start(self) -> Result<()> {
        let workload = described::workload(&self.database);
        match self.runtime.start(&workload).await {
            Ok(()) => self.go_on(Step::Await).await,
            Err(fault) => self.faulted(fault).await,
        }
    }

    async fn wait(self) -> Result<()> {
        let patience = self.operation.step_since.plus_seconds(WORKS_WITHIN_SECONDS);
        let impatient = self.now >= patience;
        let within = WORKS_WITHIN_SECONDS;
        match self.runtime.observe(self.workload()).await {
            Ok(WorkloadState::Healthy) => self.works().await,
            Ok(WorkloadState::Failed(reason)) => self.fail(reason).await,
            Ok(WorkloadState::Starting) if impatient => {
                self.fail(format!("it was not up within {within} seconds")).await
            }
            Ok(WorkloadState::Unhealthy(reason)) if impatient => {
                self.fail(format!("it did not work within {within} seconds: {reason}")).await
            }
            Ok(WorkloadState::Absent) if impatient => {
                self.fail("it was gone again each time it was started".to_owned()).await
            }
            // The machine was restarted. Starting is idempotent, and the patience stays.
            Ok(WorkloadState::Absent) => self.back_to(Step::Start).await,
            Ok(WorkloadState::Starting | WorkloadState::Unhealthy(_)) => {
                self.look_again(LOOK_AGAIN_MS).await
            }
            Err(fault) => self.faulted(fault).await,
        }
    }

    /// It answers. Where it is reached is asked now, because every start may change it.
    async fn works(mut self) -> Result<()> {
        match self.runtime.address(self.workload()).await {
            Ok(Some(address)) => self.database.address = address,
            Ok(None) => return self.look_again(LOOK_AGAIN_MS).await,
            Err(fault) => return self.faulted(fault).await,
        }
        if self.database.restoring.is_some() {
            return self.go_on(Step::Load).await;
        }
        self.runs().await
    }

    async fn runs(mut self) -> Result<()> {
        self.database.status = DatabaseStatus::Running;
        self.database.error = String::new();
        self.finish(Some(Vec::new())).await
    }

    async fn stop(mut self) -> Result<()> {
        if let Err(fault) = self.runtime.stop(self.workload(), GRACE_MS).await {
            return self.faulted(fault).await;
        }
        match self.runtime.observe(self.workload()).await {
            Ok(WorkloadState::Absent) => {}
            Ok(_) => return self.look_again(LOOK_AGAIN_MS).await,
            Err(fault) => return self.faulted(fault).await,
        }
        self.database.address = String::new();
        let is_saved = self.is_saved_stopped()
            && self.ctx.store.next_backup(self.database.id).await?.is_some();
        match self.database.desired {
            Desired::Deleted => self.go_on(Step::Erase).await,
            _ if self.database.restoring.is_some() => self.go_on(Step::Load).await,
            _ if is_saved => self.go_on(Step::Save).await,
            Desired::Running => self.go_on(Step::Resolve).await,
            Desired::Stopped => {
                self.database.status = DatabaseStatus::Stopped;
                self.database.error = String::new();
                self.finish(Some(Vec::new())).await
            }
        }
    }

    /// Whether a backup is written while it does not run.
    fn is_saved_stopped(&self) -> bool {
        matches!(self.database.engine.specification().archiving, Archiving::Stopped { .. })
    }

    /// Nothing runs of it any more: its data goes, then its backups, then what is known of it.
    async fn erase(self) -> Result<()> {
        if let Err(fault) = self.runtime.remove_volume(&described::volume(&self.database)).await {
            return self.faulted(fault).await;
        }
        loop {
            let backups = self.ctx.store.list_backups(self.database.id, 100).await?;
            if backups.is_empty() {
                break;
            }
            for backup in &backups {
                if let Err(fault) = self.forget(backup.id).await {
                    return self.faulted(fault).await;
                }
            }
            let transaction = self.ctx.store.begin().await?;
            for backup in &backups {
                transaction.delete_backup(backup.id).await?;
            }
            transaction.commit().await?;
        }
        let transaction = self.ctx.store.begin().await?;
        if !transaction.delete_database(self.database.id, self.before.revision).await? {
            return Ok(());
        }
        self.record(&*transaction, vec![said("status", "deleted")]).await?;
        self.end(transaction).await
    }

    /// Removes a backup's archive, and the job that may still be writing it.
    async fn forget(&self, backup: BackupId) -> std::result::Result<(), Fault> {
        self.runtime.remove_job(archives::job_of(backup)).await?;
        self.runtime.remove_archive(&backup.to_string()).await
    }

    async fn faulted(self, fault: Fault) -> Result<()> {
        let is_erased = self.database.desired == Desired::Deleted;
        match fault {
            Fault::Permanent(_) | Fault::Passing(_) if is_erased => self.try_again().await,
            Fault::Permanent(reason) => self.fail(reason).await,
            Fault::Passing(reason) if self.operation.attempts >= MAXIMUM_ATTEMPTS => {
                let attempts = MAXIMUM_ATTEMPTS;
                self.fail(format!("given up after {attempts} attempts: {reason}")).await
            }
            Fault::Passing(_) => self.try_again().await,
        }
    }

    /// Ends it with the database out of order. What runs of it is stopped, so that what does not
    /// work is not taken for what does; its data stays for the next start.
    async fn fail(mut self, reason: String) -> Result<()> {
        _ = self.runtime.stop(self.workload(), GRACE_MS).await;
        self.database.status = DatabaseStatus::Error;
        self.database.restoring = None;
        self.database.address = String::new();
        self.database.error = reason;
        self.finish(Some(Vec::new())).await
    }

    /// Ends the operation, and says so in the trail with what else there is to say.
    async fn finish(mut self, outcome: Option<Vec<Change>>) -> Result<()> {
        self.operation = self.operation.finished(self.now);
        let failed = self.failed_backup().await?;
        let transaction = self.ctx.store.begin().await?;
        if let Some((backup, read)) = failed {
            transaction.update_backup(&backup, read).await?;
        }
        if let Some(mut changes) = outcome {
            changes.push(said("status", self.database.status.as_str()));
            changes.push(said("error", &self.database.error));
            changes.retain(|change| change.after.as_ref().is_some_and(|text| !text.is_empty()));
            self.record(&*transaction, changes).await?;
        }
        self.save(transaction).await
    }

    /// The backup that nothing will become of when the database fails before it is saved.
    async fn failed_backup(&self) -> Result<Option<(databases::Backup, crate::Revision)>> {
        if self.database.status != DatabaseStatus::Error {
            return Ok(None);
        }
        let waiting = self.ctx.store.next_backup(self.database.id).await?;
        Ok(waiting.map(|mut backup| {
            let read = backup.revision;
            backup.status = BackupStatus::Failed;
            backup.error = self.database.error.clone();
            backup.completed_at = Some(self.now);
            backup.revision = read.next();
            (backup, read)
        }))
    }

    async fn go_on(mut self, step: Step) -> Result<()> {
        self.operation = self.operation.at(step, self.now);
        self.write().await
    }

    /// To an earlier step, with the patience there is left.
    async fn back_to(mut self, step: Step) -> Result<()> {
        self.operation.step = step;
        self.operation = self.operation.later(self.now, LOOK_AGAIN_MS);
        self.write().await
    }

    async fn look_again(mut self, milliseconds: i64) -> Result<()> {
        self.operation = self.operation.later(self.now, milliseconds);
        self.write().await
    }

    async fn try_again(mut self) -> Result<()> {
        self.operation = self.operation.again(self.now);
        self.write().await
    }

    async fn write(self) -> Result<()> {
        let transaction = self.ctx.store.begin().await?;
        self.save(transaction).await
    }

    /// Writes the database where it changed, and the operation, if both are still as they were
    /// read. Who lost its lease in between, or whose database was asked for something else, writes
    /// nothing and looks again.
    async fn save(mut self, transaction: Box<dyn Transaction + '_>) -> Result<()> {
        if self.database != self.before {
            self.database.updated_at = self.now;
            self.database.revision = self.before.revision.next();
            if !transaction.update_database(&self.database, self.before.revision).await? {
                return Ok(());
            }
        }
        save(self.operation, transaction).await
    }

    async fn end(mut self, transaction: Box<dyn Transaction + '_>) -> Result<()> {
        self.operation = self.operation.finished(self.now);
        save(self.operation, transaction).await
    }

    async fn record(&self, transaction: &dyn Transaction, changes: Vec<Change>) -> Result<()> {
        let entry = databases::entry(&self.database, Action::Finish, changes);
        events::record(self.ctx, transaction, entry).await
    }

    fn workload(&self) -> WorkloadId {
        self.database.id.into()
    }
}

fn said(field: &str, after: &str) -> Change {
    Change { field: field.to_owned(), before: None, after: Some(after.to_owned()) }
}

#[cfg(test)]
mod tests;
