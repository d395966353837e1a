//! The reconciler: the only component that starts or stops anything.
//!
//! Its rules are `windlass_domain::reconcile`; here they meet the host. The host calls `step` on
//! signals, by timer and again after a crash, one at a time, and the step takes no input but what
//! it reads.
#![cfg(target_arch = "wasm32")]

mod bindings;
mod builds;
mod runtime;

use windlass_domain::reconcile;

use bindings::exports::windlass::operations::reconcile::{Guest, Outcome};
use bindings::windlass::operations::holder;
use runtime::HostRuntime;

/// How long to wait when the store could not be reached, in milliseconds.
const TRY_AGAIN_MS: u32 = 1_000;

pub(crate) struct Reconciler;

impl Guest for Reconciler {
    async fn step() -> Outcome {
        let stepped = windlass_sdk::component::with_context(async |context| {
            reconcile::step(context, &HostRuntime, &holder::name()).await
        });
        match stepped.await {
            Ok(reconcile::Outcome::Again) => Outcome::Again,
            Ok(reconcile::Outcome::Later(milliseconds)) => {
                Outcome::Later(u32::try_from(milliseconds).unwrap_or(u32::MAX))
            }
            Err(error) => {
                windlass_sdk::component::log(&error);
                Outcome::Later(TRY_AGAIN_MS)
            }
        }
    }
}
