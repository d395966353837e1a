//! One image made, step by step.

use super::save;
use crate::builders::{BuildState, Ending, Order, Progress};
use crate::builds::{Build, BuildStatus};
use crate::context::Context;
use crate::error::Result;
use crate::events::{self, Action, Entry, Resource};
use crate::operations::{MAXIMUM_ATTEMPTS, Operation, Step};
use crate::runtime::{Fault, Runtime};
use crate::store::Transaction;
use crate::text;
use crate::time::Timestamp;

/// How often a build is looked at, in milliseconds.
pub(super) const LOOK_AGAIN_MS: i64 = 500;

/// The longest reason that is kept. What a builder has to say beyond that is in its log.
const REASON_CHARACTERS: usize = 2_000;

/// The operation of a build in this holder's hands.
pub(super) struct Work<'a> {
    pub(super) ctx: &'a Context<'a>,
    pub(super) runtime: &'a dyn Runtime,
    pub(super) operation: Operation,
    pub(super) build: Build,
    pub(super) now: Timestamp,
}

impl Work<'_> {
    pub(super) async fn carry_on(self) -> Result<()> {
        if self.build.status.is_final() {
            return self.clear_away().await;
        }
        if self.now >= self.operation.deadline_at {
            return self.fail("it did not end within its time of 30 minutes".to_owned()).await;
        }
        match self.operation.step {
            Step::Await => self.wait().await,
            // A build has no other steps.
            Step::Start
            | Step::Resolve
            | Step::Switch
            | Step::Drain
            | Step::Stop
            | Step::Save
            | Step::Load
            | Step::Erase => self.start().await,
        }
    }

    async fn start(self) -> Result<()> {
        let order = Order {
            id: self.build.id,
            image: self.build.qualified_image(),
            recipe: self.build.recipe.clone(),
        };
        match self.runtime.start_build(&order).await {
            Ok(()) => {
                // The attempts are counted over all of it: a host that forgets is given up on.
                let (now, attempts) = (self.now, self.operation.attempts);
                self.write(|work| {
                    work.operation = work.operation.clone().at(Step::Await, now);
                    work.operation.attempts = attempts;
                })
                .await
            }
            Err(fault) => self.faulted(fault).await,
        }
    }

    async fn wait(self) -> Result<()> {
        match self.runtime.observe_build(self.build.id).await {
            Ok(BuildState::Waiting) => self.look_again(None).await,
            Ok(BuildState::Running(progress)) => self.look_again(Some(progress)).await,
            Ok(BuildState::Ended(progress, Ending::Made { digest, size_bytes })) => {
                self.succeed(&progress, digest, size_bytes).await
            }
            Ok(BuildState::Ended(progress, Ending::Failed(reason))) => {
                let mut work = self;
                work.take(&progress);
                work.fail(reason).await
            }
            // The host that worked on it was restarted. What it was to do is still known.
            Ok(BuildState::Absent) => {
                self.try_again("the host was restarted while it was building".to_owned()).await
            }
            Err(fault) => self.faulted(fault).await,
        }
    }

    async fn look_again(self, progress: Option<Progress>) -> Result<()> {
        let now = self.now;
        self.write(|work| {
            work.operation = work.operation.clone().later(now, LOOK_AGAIN_MS);
            if let Some(progress) = progress {
                work.take(&progress);
                work.build.status = BuildStatus::Running;
                work.build.started_at = work.build.started_at.or(Some(now));
            }
        })
        .await
    }

    async fn succeed(mut self, progress: &Progress, digest: String, size: u64) -> Result<()> {
        self.take(progress);
        self.build.progress = 100;
        self.build.digest = digest;
        self.build.size_bytes = i64::try_from(size).unwrap_or(i64::MAX);
        self.end(BuildStatus::Success).await
    }

    async fn fail(mut self, reason: String) -> Result<()> {
        self.build.error = text::abridge(reason, REASON_CHARACTERS);
        self.end(BuildStatus::Failed).await
    }

    async fn faulted(self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Permanent(reason) => self.fail(reason).await,
            Fault::Passing(reason) => self.try_again(reason).await,
        }
    }

    async fn try_again(self, reason: String) -> Result<()> {
        if self.operation.attempts >= MAXIMUM_ATTEMPTS {
            let attempts = MAXIMUM_ATTEMPTS;
            return self.fail(format!("given up after {attempts} attempts: {reason}")).await;
        }
        let now = self.now;
        self.write(|work| {
            work.operation = work.operation.clone().again(now);
            work.operation.step = Step::Start;
        })
        .await
    }

    /// Writes how it ended. What the host still has of it is cleared away by the next step.
    async fn end(mut self, status: BuildStatus) -> Result<()> {
        self.build.status = status;
        self.build.started_at = self.build.started_at.or(Some(self.now));
        self.build.completed_at = Some(self.now);
        self.operation = self.operation.clone().at(Step::Drain, self.now);
        let transaction = self.ctx.store.begin().await?;
        let build_read = self.build.revision;
        self.build.revision = build_read.next();
        self.build.updated_at = self.now;
        // Who was cancelled in between stays so.
        if !transaction.update_build(&self.build, build_read).await? {
            return Ok(());
        }
        self.record_outcome(&*transaction).await?;
        save(self.operation, transaction).await
    }

    /// It has ended, by itself or by its owner.
    async fn clear_away(mut self) -> Result<()> {
        // What cannot be removed now is removed with whatever else nobody wants.
        _ = self.runtime.remove_build(self.build.id).await;
        self.operation = self.operation.clone().finished(self.now);
        let transaction = self.ctx.store.begin().await?;
        save(self.operation, transaction).await
    }

    fn take(&mut self, progress: &Progress) {
        let build = &mut self.build;
        // A build that is taken up again begins anew, and does not go back in anybody's eyes.
        build.progress = build.progress.max(progress.percent());
        for (kept, told) in
            [(&mut build.commit, &progress.commit), (&mut build.builder, &progress.builder)]
        {
            if !told.is_empty() {
                kept.clone_from(told);
            }
        }
    }

    async fn write(mut self, change: impl FnOnce(&mut Self)) -> Result<()> {
        let before = self.build.clone();
        change(&mut self);
        let transaction = self.ctx.store.begin().await?;
        if self.build != before {
            self.build.revision = before.revision.next();
            self.build.updated_at = self.now;
            if !transaction.update_build(&self.build, before.revision).await? {
                return Ok(());
            }
        }
        save(self.operation, transaction).await
    }

    async fn record_outcome(&self, transaction: &dyn Transaction) -> Result<()> {
        let build = &self.build;
        let said = [
            ("status", build.status.as_str().to_owned()),
            ("commit", build.commit.clone()),
            ("digest", build.digest.clone()),
            ("error", build.error.clone()),
        ];
        let entry = Entry {
            organization_id: build.organization_id,
            actor_id: build.actor_id,
            actor_email: build.actor_email.clone(),
            resource: Resource::Build,
            resource_id: build.id.to_string(),
            action: Action::Finish,
            changes: events::differences(&[], &said),
        };
        events::record(self.ctx, transaction, entry).await
    }
}
