//! Waking the reconciler: on signals, by timer, and as long as it says that there is more to do.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use windlass_engine::{ComponentId, Fleet, RequestContext, Step};

use crate::Operations;

/// How often the reconciler looks by itself: a signal that was lost costs so long.
const TIMER: Duration = Duration::from_secs(5);
/// How long to wait after a step that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Wakes the reconciler of this name, whatever version of it serves at the moment, until `stop` is
/// cancelled. A step that has begun is waited for.
pub async fn reconcile(
    fleet: Arc<Fleet>,
    operations: Arc<Operations>,
    reconciler: ComponentId,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        // On a task of its own, so that a fault in one step does not end all of them.
        let step = tokio::spawn(step(Arc::clone(&fleet), reconciler.clone())).await;
        let pause = match step.unwrap_or(Step::Later(AFTER_FAILURE)) {
            Step::Again => continue,
            Step::Idle => TIMER,
            Step::Later(pause) => pause.min(TIMER),
        };
        tokio::select! {
            _kinds = operations.wait() => {}
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn step(fleet: Arc<Fleet>, reconciler: ComponentId) -> Step {
    let Some(slot) = fleet.table().slots().get(&reconciler).cloned() else {
        return Step::Idle;
    };
    let controller = Arc::clone(slot.stable());
    let context = RequestContext::internal("reconcile", controller.manifest().limits.deadline());
    controller.step(context).await.unwrap_or_else(|failure| {
        tracing::error!(component = %reconciler, "a step failed: {failure}");
        Step::Later(AFTER_FAILURE)
    })
}
