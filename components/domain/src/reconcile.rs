//! Desired state made true, a step at a time.
//!
//! [`step`] takes no input but what it reads, does one thing, and can be repeated at any moment:
//! it is called when something was asked for, by timer, and again after a crash. Everything it
//! tells the runtime is idempotent, and what it decides it writes down before it goes on, so that
//! whoever calls next knows where to continue. Three rules keep it safe:
//!
//! - a workload is started only for a deployment that is written down, and taken away when no
//!   deployment wants it (`tidy`): no orphans, whatever was lost in between;
//! - a release has requests only after it answered one, and the release before it stays until then;
//! - a step is bounded in attempts and time, and so is the whole: every operation ends.

mod builds;
mod databases;
mod deployments;
mod tidy;

use crate::context::Context;
use crate::error::Result;
use crate::operations::{LEASE_SECONDS, Operation, Subject};
use crate::runtime::Runtime;
use crate::store::Transaction;
use crate::time::Timestamp;

pub use deployments::HEALTHY_WITHIN_SECONDS;

/// How often the runtime is compared with what it should be when nothing else is to do.
const TIDY_EVERY_MS: i64 = 5_000;

/// What one step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There is more to do at once.
    Again,
    /// Nothing is to do for this many milliseconds, unless something is asked for.
    Later(i64),
}

/// Does one step. `holder` names who does it, so that no two do the same.
///
/// # Errors
/// When the store fails. What was begun is taken up by the next call.
pub async fn step(ctx: &Context<'_>, runtime: &dyn Runtime, holder: &str) -> Result<Outcome> {
    let now = ctx.clock.now();
    let lease_until = now.plus_seconds(LEASE_SECONDS);
    if let Some(operation) = ctx.store.claim_operation(holder, now, lease_until).await? {
        carry_on(ctx, runtime, operation, now).await?;
        return Ok(Outcome::Again);
    }
    tidy::tidy(ctx, runtime).await?;
    let next = ctx.store.next_due().await?;
    let wait = next.map_or(TIDY_EVERY_MS, |due| ctx.clock.now().milliseconds_until(due));
    Ok(Outcome::Later(wait.min(TIDY_EVERY_MS)))
}

/// Does what is next of one operation, which is in this holder's hands.
async fn carry_on(
    ctx: &Context<'_>,
    runtime: &dyn Runtime,
    operation: Operation,
    now: Timestamp,
) -> Result<()> {
    match operation.subject {
        Subject::Deployment { id, .. } => match ctx.store.deployment_to_carry_out(id).await? {
            Some(deployment) => {
                let read = deployment.clone();
                let work = deployments::Work { ctx, runtime, operation, deployment, read, now };
                work.carry_on().await
            }
            None => end(ctx, operation, now).await,
        },
        Subject::Build(id) => match ctx.store.build_to_carry_out(id).await? {
            Some(build) => builds::Work { ctx, runtime, operation, build, now }.carry_on().await,
            None => end(ctx, operation, now).await,
        },
        Subject::Database(id) => match ctx.store.database_to_carry_out(id).await? {
            Some(database) => {
                let before = database.clone();
                let work = databases::Work { ctx, runtime, operation, database, before, now };
                work.carry_on().await
            }
            None => end(ctx, operation, now).await,
        },
    }
}

/// Ends an operation whose subject was deleted.
async fn end(ctx: &Context<'_>, operation: Operation, now: Timestamp) -> Result<()> {
    save(operation.finished(now), ctx.store.begin().await?).await
}

/// Writes an operation with everything else in the transaction, if it is still as it was read. Who
/// lost its lease in between, or whose operation went with its subject, writes nothing.
async fn save(mut operation: Operation, transaction: Box<dyn Transaction + '_>) -> Result<()> {
    let read = operation.revision;
    operation.revision = read.next();
    let saved = transaction.update_operation(&operation, read).await?;
    if saved { transaction.commit().await } else { Ok(()) }
}

#[cfg(test)]
mod tests;
