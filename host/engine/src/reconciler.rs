//! Waking the component that carries out what was promised: `windlass:operations/reconcile`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admission::Verdict;
use crate::answer::Failure;
use crate::controller::{Controller, new_store};
use crate::engine::Entry;
use crate::request::RequestContext;

mod bindings {
    //! Generated from the WIT, which has the documentation.
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package windlass:host-reconcile;
            world reconciler { export windlass:operations/reconcile@0.1.0; }
        ",
        world: "windlass:host-reconcile/reconciler",
        exports: { default: async | store },
    });
}

pub(crate) use bindings::ReconcilerPre;
use bindings::exports::windlass::operations::reconcile::Outcome;

/// When to wake it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// When something is promised, or by timer.
    Idle,
    /// At once.
    Again,
    /// After so long, unless something is promised first.
    Later(Duration),
}

impl Controller {
    /// Wakes a reconciler for one step, on an instance of its own.
    ///
    /// # Errors
    /// [`Failure`] when it trapped, ran out of time, or is no reconciler.
    pub async fn step(self: &Arc<Self>, context: RequestContext) -> Result<Step, Failure> {
        let begun = Instant::now();
        let admitted = self.admission.admit(context.deadline).await?;
        let stepped = self.try_step(context).await;
        self.statistics().request_ended(begun.elapsed(), stepped.is_err());
        let verdict = if stepped.is_ok() { Verdict::Well } else { Verdict::Failed };
        self.admission.ended(admitted, verdict).await;
        stepped
    }

    async fn try_step(&self, context: RequestContext) -> Result<Step, Failure> {
        let Entry::Reconcile(pre) = &self.loaded.entry else {
            return Err(Failure::Refused("it is no reconciler".to_owned()));
        };
        let deadline = context.deadline;
        let mut store = new_store(&self.loaded, context);
        let stepped = async {
            let reconciler = pre.instantiate_async(&mut store).await?;
            let step = store.run_concurrent(async |accessor| {
                reconciler.windlass_operations_reconcile().call_step(accessor).await
            });
            step.await?
        };
        match tokio::time::timeout_at(deadline.into(), stepped).await {
            Ok(Ok(Outcome::Idle)) => Ok(Step::Idle),
            Ok(Ok(Outcome::Again)) => Ok(Step::Again),
            Ok(Ok(Outcome::Later(ms))) => Ok(Step::Later(Duration::from_millis(ms.into()))),
            Ok(Err(error)) => Err(Failure::Trapped(format!("{error:#}"))),
            Err(_) => Err(Failure::Deadline),
        }
    }
}
