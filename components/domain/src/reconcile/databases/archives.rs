//! Backups written, and databases brought back from them.
//!
//! A backup is the work of one job. Bringing back is the work of several, one after the other; which
//! of them are done is asked of the runtime, so that a step can be repeated at any moment.
//!
//! What becomes of a database when bringing back fails in the middle: PostgreSQL reads its archive
//! into a database beside the one that is used, and is as it was. MySQL, MariaDB and MongoDB are saved before, and what was saved
//! is brought back. The others read their archive beside their data first, and change places only
//! when it is there as a whole. Where even that fails the database is stopped, with the reason, and
//! can be brought back from any of its backups.

use super::described::job;
use super::{LOOK_AGAIN_MS, Work, said};
use crate::databases::backups::{Backup, BackupStatus, KEPT};
use crate::databases::engine::{Archiving, Load};
use crate::databases::{DatabaseStatus, Desired};
use crate::error::Result;
use crate::ids::{BackupId, JobId, OperationId};
use crate::operations::{MAXIMUM_ATTEMPTS, Step};
use crate::runtime::{Fault, Job, JobInput, JobState};

/// The job that writes a backup.
pub(super) fn job_of(backup: BackupId) -> JobId {
    JobId::from_u128(backup.as_u128())
}

/// The jobs of one operation: its id and the ones after it.
fn job_number(operation: OperationId, number: usize) -> JobId {
    JobId::from_u128(operation.as_u128().wrapping_add(number as u128))
}

/// The most jobs one operation has.
pub(super) const MOST_PARTS: usize = 8;

/// How one job of several came out.
enum Ran {
    /// It is not done yet; the operation is looked at again.
    NotYet,
    /// It could not be looked at; the operation is tried again.
    Again,
    /// It did what it should.
    Well,
    /// It did not.
    Badly(String),
}

/// One job of those that bring a database back.
struct Part {
    job: Job,
    /// Whether the data is as it was when this one fails.
    is_harmless: bool,
}

impl Work<'_> {
    /// The operation ran out of time. A backup that is not there is no fault of the database.
    pub(super) async fn too_late(self) -> Result<()> {
        let reason = "it did not end within its time of 30 minutes".to_owned();
        let archiving = self.database.engine.specification().archiving;
        let is_atomic = matches!(archiving, Archiving::Running { is_atomic: true, .. });
        match self.operation.step {
            Step::Save => match self.ctx.store.next_backup(self.database.id).await? {
                Some(backup) => self.backed_up_badly(backup, reason).await,
                None => self.saved().await,
            },
            Step::Load => self.loaded_badly(reason, is_atomic, MOST_PARTS).await,
            _ => self.fail(reason).await,
        }
    }

    pub(super) async fn save_archive(self) -> Result<()> {
        let Some(backup) = self.ctx.store.next_backup(self.database.id).await? else {
            return self.saved().await;
        };
        let runs = self.database.status == DatabaseStatus::Running;
        if !self.is_saved_stopped() && !runs {
            let reason = "the database does not run any more; start it and ask again";
            return self.backed_up_badly(backup, reason.to_owned()).await;
        }
        let (program, sees_files) = match self.database.engine.specification().archiving {
            Archiving::Running { save, .. } | Archiving::Snapshot { save, .. } => (save, false),
            Archiving::Stopped { save, .. } => (save, true),
        };
        let archive = backup.id.to_string();
        let job = job(job_of(backup.id), &self.database, program, None, Some(archive), sees_files);
        match self.run(&job).await {
            Ok(Some(archive)) if archive.size_bytes > 0 => self.backed_up(backup, archive).await,
            Ok(Some(_)) => {
                let reason = format!("{} wrote nothing", program[0]);
                self.backed_up_badly(backup, reason).await
            }
            Ok(None) => self.look_again(LOOK_AGAIN_MS).await,
            Err(Fault::Passing(_)) if self.operation.attempts < MAXIMUM_ATTEMPTS => {
                self.try_again().await
            }
            Err(Fault::Permanent(reason) | Fault::Passing(reason)) => {
                self.backed_up_badly(backup, reason).await
            }
        }
    }

    async fn backed_up(self, backup: Backup, archive: Archive) -> Result<()> {
        let read = backup.revision;
        let backup = Backup {
            status: BackupStatus::Completed,
            size_bytes: i64::try_from(archive.size_bytes).unwrap_or(i64::MAX),
            sha256: archive.sha256,
            completed_at: Some(self.now),
            revision: read.next(),
            ..backup
        };
        let transaction = self.ctx.store.begin().await?;
        if !transaction.update_backup(&backup, read).await? {
            return Ok(());
        }
        let size = backup.size_bytes.to_string();
        let changes = vec![
            said("backup_id", &backup.id.to_string()),
            said("status", backup.status.as_str()),
            said("size_bytes", &size),
            said("sha256", &backup.sha256),
        ];
        self.record(&*transaction, changes).await?;
        transaction.commit().await?;
        _ = self.runtime.remove_job(job_of(backup.id)).await;
        self.forget_the_oldest().await?;
        self.saved().await
    }

    async fn backed_up_badly(self, backup: Backup, reason: String) -> Result<()> {
        let read = backup.revision;
        _ = self.forget(backup.id).await;
        let backup = Backup {
            status: BackupStatus::Failed,
            error: reason,
            completed_at: Some(self.now),
            revision: read.next(),
            ..backup
        };
        let transaction = self.ctx.store.begin().await?;
        if !transaction.update_backup(&backup, read).await? {
            return Ok(());
        }
        let changes = vec![
            said("backup_id", &backup.id.to_string()),
            said("status", backup.status.as_str()),
            said("error", &backup.error),
        ];
        self.record(&*transaction, changes).await?;
        transaction.commit().await?;
        self.saved().await
    }

    /// The backup is there or is not; the database goes on.
    async fn saved(self) -> Result<()> {
        match self.database.desired {
            Desired::Running if self.is_saved_stopped() => self.go_on(Step::Resolve).await,
            Desired::Stopped if self.is_saved_stopped() => self.go_on(Step::Stop).await,
            Desired::Running | Desired::Stopped | Desired::Deleted => self.finish(None).await,
        }
    }

    /// Removes what is beyond the number of backups that are kept.
    async fn forget_the_oldest(&self) -> Result<()> {
        let all = self.ctx.store.list_backups(self.database.id, 10 * KEPT).await?;
        let ended = all.iter().filter(|backup| backup.status != BackupStatus::InProgress);
        let is_kept = usize::try_from(KEPT).unwrap_or(usize::MAX);
        let restoring = self.database.restoring;
        for backup in ended.skip(is_kept).filter(|backup| Some(backup.id) != restoring) {
            // What cannot be removed now is removed after the next backup.
            if self.forget(backup.id).await.is_err() {
                return Ok(());
            }
            let transaction = self.ctx.store.begin().await?;
            transaction.delete_backup(backup.id).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    pub(super) async fn load_archive(self) -> Result<()> {
        let backup = match self.database.restoring {
            Some(id) => self.ctx.store.backup(self.database.id, id).await?,
            None => None,
        };
        let Some(backup) = backup else {
            return self.loaded_badly("the backup is gone".to_owned(), true, 0).await;
        };
        let parts = self.parts(&backup);
        for (number, part) in parts.iter().enumerate() {
            match self.ran(&part.job).await? {
                Ran::NotYet => return self.look_again(LOOK_AGAIN_MS).await,
                Ran::Again => return self.try_again().await,
                Ran::Well => {}
                Ran::Badly(reason) if part.is_harmless => {
                    return self.loaded_badly(reason, true, parts.len()).await;
                }
                Ran::Badly(reason) => return self.put_back(reason, number, parts.len()).await,
            }
        }
        self.loaded(parts.len()).await
    }

    /// The jobs that bring the database back from this backup, in their order.
    fn parts(&self, backup: &Backup) -> Vec<Part> {
        let id = |number| job_number(self.operation.id, number);
        let archive =
            || Some(JobInput { archive: backup.id.to_string(), sha256: backup.sha256.clone() });
        match self.database.engine.specification().archiving {
            Archiving::Running { load, is_atomic: true, .. } => {
                let part = |(number, part): (usize, &Load)| {
                    let input = if part.reads_archive { archive() } else { None };
                    let job = job(id(number), &self.database, part.command, input, None, false);
                    Part { job, is_harmless: true }
                };
                load.iter().enumerate().map(part).collect()
            }
            Archiving::Running { save, load, is_atomic: false } => {
                let before = Some(self.operation.id.to_string());
                let saved = job(id(0), &self.database, save, None, before, false);
                let load = load.first().map_or(&[][..], |part| part.command);
                let loaded = job(id(1), &self.database, load, archive(), None, false);
                vec![
                    Part { job: saved, is_harmless: true },
                    Part { job: loaded, is_harmless: false },
                ]
            }
            Archiving::Snapshot { load, .. } | Archiving::Stopped { load, .. } => {
                let reading = load.iter().position(|part| part.reads_archive).unwrap_or(0);
                let part = |(number, part): (usize, &Load)| {
                    let input = if part.reads_archive { archive() } else { None };
                    let job = job(id(number), &self.database, part.command, input, None, true);
                    Part { job, is_harmless: number <= reading }
                };
                load.iter().enumerate().map(part).collect()
            }
        }
    }

    /// A job failed after the data was changed. What was saved before is brought back where
    /// something was.
    async fn put_back(self, reason: String, number: usize, parts: usize) -> Result<()> {
        let load = match self.database.engine.specification().archiving {
            Archiving::Running { load, .. } if number == 1 => {
                load.first().map_or(&[][..], |part| part.command)
            }
            Archiving::Running { .. } | Archiving::Snapshot { .. } | Archiving::Stopped { .. } => {
                return self.loaded_badly(reason, false, parts).await;
            }
        };
        let before = JobInput { archive: self.operation.id.to_string(), sha256: String::new() };
        let id = job_number(self.operation.id, parts);
        let job = job(id, &self.database, load, Some(before), None, false);
        match self.ran(&job).await? {
            Ran::NotYet => self.look_again(LOOK_AGAIN_MS).await,
            Ran::Again => self.try_again().await,
            Ran::Well => self.loaded_badly(reason, true, parts + 1).await,
            Ran::Badly(again) => {
                let reason = format!("{reason}; and what it had was not put back: {again}");
                self.loaded_badly(reason, false, parts + 1).await
            }
        }
    }

    async fn loaded(mut self, parts: usize) -> Result<()> {
        self.clear_away(parts).await;
        self.database.restoring = None;
        match self.database.engine.specification().archiving {
            Archiving::Running { .. } => self.runs().await,
            Archiving::Snapshot { .. } | Archiving::Stopped { .. } => {
                self.go_on(Step::Resolve).await
            }
        }
    }

    /// The database was not brought back. One whose data is as it was goes on as before; any other
    /// is stopped, so that what is damaged is not taken for what is whole.
    async fn loaded_badly(mut self, reason: String, is_harmless: bool, parts: usize) -> Result<()> {
        self.clear_away(parts).await;
        let runs =
            matches!(self.database.engine.specification().archiving, Archiving::Running { .. });
        let backup = self.database.restoring.take();
        if !is_harmless {
            self.database.desired = Desired::Stopped;
            let reason =
                format!("restoring failed and left it damaged; restore it again: {reason}");
            return self.fail(reason).await;
        }
        if runs {
            self.database.status = DatabaseStatus::Running;
            let changes = vec![
                said("restored", "false"),
                said("backup_id", &backup.map(|id| id.to_string()).unwrap_or_default()),
                said("reason", &reason),
            ];
            return self.finish(Some(changes)).await;
        }
        let transaction = self.ctx.store.begin().await?;
        self.record(&*transaction, vec![said("restored", "false"), said("reason", &reason)])
            .await?;
        self.operation = self.operation.at(Step::Resolve, self.now);
        self.save(transaction).await
    }

    /// The jobs of this operation, and what was saved before, have done their work.
    pub(super) async fn clear_away(&self, parts: usize) {
        for number in 0..parts {
            _ = self.runtime.remove_job(job_number(self.operation.id, number)).await;
        }
        _ = self.runtime.remove_archive(&self.operation.id.to_string()).await;
    }

    async fn ran(&self, job: &Job) -> Result<Ran> {
        Ok(match self.run(job).await {
            Ok(Some(_)) => Ran::Well,
            Ok(None) => Ran::NotYet,
            Err(Fault::Passing(_)) if self.operation.attempts < MAXIMUM_ATTEMPTS => Ran::Again,
            Err(Fault::Permanent(reason) | Fault::Passing(reason)) => Ran::Badly(reason),
        })
    }

    /// Sees to it that a job runs or has run, and answers what it wrote when it ended well.
    async fn run(&self, job: &Job) -> std::result::Result<Option<Archive>, Fault> {
        match self.runtime.observe_job(job.id).await? {
            JobState::Absent => self.runtime.start_job(job).await.map(|()| None),
            JobState::Running => Ok(None),
            JobState::Ended { exit_code: 0, output_bytes, output_sha256, .. } => {
                Ok(Some(Archive { size_bytes: output_bytes, sha256: output_sha256 }))
            }
            JobState::Ended { exit_code, message, .. } => {
                let program = job.command.first().map(String::as_str).unwrap_or_default();
                Err(Fault::Permanent(format!("{program} ended with {exit_code}: {message}")))
            }
            JobState::Failed(reason) => Err(Fault::Permanent(reason)),
        }
    }
}

/// What a job wrote.
struct Archive {
    size_bytes: u64,
    sha256: String,
}
