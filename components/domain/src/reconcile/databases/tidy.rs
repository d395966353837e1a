//! What is known of databases, compared with what runs: one that should run and does not is started
//! again, and status and address follow what is.

use std::collections::BTreeSet;

use crate::context::Context;
use crate::databases::{self, Database, DatabaseStatus, Desired};
use crate::error::Result;
use crate::events::Action;
use crate::ids::{DatabaseId, OperationId, WorkloadId};
use crate::operations::{Step, Subject};
use crate::reconcile::TIDY_EVERY_MS;
use crate::runtime::{Runtime, WorkloadState};
use crate::store::KeptDatabase;

/// How many databases are looked at in one tidying, in turn: each is asked whether it works, which
/// may take a moment, and a step has a minute for everything.
const LOOKED_AT_ONCE: usize = 8;

/// The databases there are, and those of which something is being carried out.
pub(crate) struct Kept {
    kept: Vec<KeptDatabase>,
    busy: BTreeSet<DatabaseId>,
}

impl Kept {
    pub(crate) async fn read(
        ctx: &Context<'_>,
        unfinished: &[(OperationId, Subject)],
    ) -> Result<Self> {
        let kept = ctx.store.kept_databases().await?;
        let busy = unfinished.iter().filter_map(|(_, subject)| match subject {
            Subject::Database(id) => Some(*id),
            Subject::Deployment { .. } | Subject::Build(_) => None,
        });
        Ok(Self { kept, busy: busy.collect() })
    }

    /// What may run: what should, and what an operation is about.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = WorkloadId> {
        let running = self.kept.iter().filter(|row| row.desired == Desired::Running);
        running.map(|row| row.id).chain(self.busy.iter().copied()).map(WorkloadId::from)
    }
}

pub(crate) async fn tidy(
    ctx: &Context<'_>,
    runtime: &dyn Runtime,
    kept: &Kept,
    running: &BTreeSet<WorkloadId>,
) -> Result<()> {
    let quiet = kept.kept.iter().filter(|row| !kept.busy.contains(&row.id));
    let (there, missing): (Vec<&KeptDatabase>, Vec<&KeptDatabase>) =
        quiet.partition(|row| running.contains(&WorkloadId::from(row.id)));
    for row in missing {
        match (row.desired, row.status) {
            (Desired::Running, DatabaseStatus::Running | DatabaseStatus::Building) => {
                start_again(ctx, row.id).await?;
            }
            (Desired::Stopped, DatabaseStatus::Running | DatabaseStatus::Building) => {
                settle(ctx, row.id, DatabaseStatus::Stopped, String::new(), String::new()).await?;
            }
            _ => {}
        }
    }
    let there: Vec<_> = there.into_iter().filter(|row| row.desired == Desired::Running).collect();
    // Each has its turn, whoever does the tidying.
    let turn = ctx.clock.now().microseconds().div_euclid(TIDY_EVERY_MS * 1_000);
    let turn = usize::try_from(turn).unwrap_or(0).wrapping_mul(LOOKED_AT_ONCE);
    for row in 0..there.len().min(LOOKED_AT_ONCE) {
        let row = there[turn.wrapping_add(row) % there.len()];
        look_at(ctx, runtime, row.id).await?;
    }
    Ok(())
}

async fn look_at(ctx: &Context<'_>, runtime: &dyn Runtime, id: DatabaseId) -> Result<()> {
    // What cannot be asked now is asked the next time, and keeps nobody else from it.
    let Ok(state) = runtime.observe(id.into()).await else { return Ok(()) };
    match state {
        WorkloadState::Healthy => match runtime.address(id.into()).await {
            Ok(Some(address)) => {
                settle(ctx, id, DatabaseStatus::Running, address, String::new()).await
            }
            _ => Ok(()),
        },
        WorkloadState::Starting => {
            settle(ctx, id, DatabaseStatus::Building, String::new(), String::new()).await
        }
        WorkloadState::Unhealthy(reason) | WorkloadState::Failed(reason) => {
            settle(ctx, id, DatabaseStatus::Error, String::new(), reason).await
        }
        WorkloadState::Absent => Ok(()),
    }
}

/// Writes what was seen, where it is something else than what is known.
async fn settle(
    ctx: &Context<'_>,
    id: DatabaseId,
    status: DatabaseStatus,
    address: String,
    error: String,
) -> Result<()> {
    let Some(before) = ctx.store.database_to_carry_out(id).await? else { return Ok(()) };
    let seen = Database { status, address, error, ..before.clone() };
    // The reason for which it was given up says more than that it does not work now.
    let was_given_up = status == DatabaseStatus::Error && before.status == status;
    if seen == before || was_given_up || before.desired == Desired::Deleted {
        return Ok(());
    }
    let mut database = seen;
    database.revision = before.revision.next();
    database.updated_at = ctx.clock.now();
    let transaction = ctx.store.begin().await?;
    // `false` when it was asked for something else meanwhile, which is carried out now.
    if transaction.update_database(&database, before.revision).await? {
        transaction.commit().await?;
    }
    Ok(())
}

/// It should run and is not there: the machine was restarted, or somebody removed it by hand.
async fn start_again(ctx: &Context<'_>, id: DatabaseId) -> Result<()> {
    let Some(before) = ctx.store.database_to_carry_out(id).await? else { return Ok(()) };
    if before.desired != Desired::Running {
        return Ok(());
    }
    let mut database = before.clone();
    database.status = DatabaseStatus::Building;
    database.address = String::new();
    database.revision = before.revision.next();
    database.updated_at = ctx.clock.now();
    let transaction = ctx.store.begin().await?;
    if !transaction.update_database(&database, before.revision).await? {
        return Ok(());
    }
    databases::promise(ctx, transaction, &database, Step::Resolve, Action::Start, Vec::new()).await
}
