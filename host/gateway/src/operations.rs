//! `windlass:operations/signal`: a controller that has written an operation down says so, and
//! whoever carries operations out is woken.

use std::collections::BTreeSet;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use wasmtime::component::{HasData, Linker};
use windlass_engine::{
    Admission, Capability, ComponentId, ComponentManifest, HostFunction, HostState, InterfaceGrant,
};

mod bindings {
    //! Generated from the WIT, which has the documentation.
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package windlass:host-operations; world host { import windlass:operations/signal@0.1.0; }",
        world: "windlass:host-operations/host",
    });
}

use bindings::windlass::operations::{signal, types};

/// The longest name of a kind of operation.
const KIND_BYTES: usize = 64;
/// Kinds that may be pending. There are a handful; more is a mistake of a component.
const KINDS: usize = 256;

/// Signals that were raised and not yet taken. Signals of one kind are one.
#[derive(Default)]
pub struct Operations {
    pending: Mutex<BTreeSet<String>>,
    raised: Notify,
}

impl Operations {
    /// Waits until something was raised, and takes it.
    pub async fn wait(&self) -> BTreeSet<String> {
        loop {
            let raised = self.raised.notified();
            let pending = std::mem::take(&mut *self.lock());
            if !pending.is_empty() {
                return pending;
            }
            raised.await;
        }
    }

    fn raise(&self, kind: String) -> Result<(), types::Error> {
        let fits = (1..=KIND_BYTES).contains(&kind.len()) && kind.is_ascii();
        if !fits {
            return Err(types::Error::Invalid(format!(
                "a kind of operation is 1 to {KIND_BYTES} ASCII characters"
            )));
        }
        let mut pending = self.lock();
        if pending.len() >= KINDS && !pending.contains(&kind) {
            return Err(types::Error::Quota(format!("{KINDS} kinds are pending")));
        }
        pending.insert(kind);
        drop(pending);
        self.raised.notify_one();
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets components raise signals, with the grant `operations`.
pub struct OperationsCapability {
    operations: Arc<Operations>,
}

impl OperationsCapability {
    /// A capability that raises signals on `operations`.
    pub fn new(operations: Arc<Operations>) -> Self {
        Self { operations }
    }
}

/// What an admitted component raises its signals on.
struct Admitted {
    operations: Arc<Operations>,
    raise: HostFunction,
}

impl Capability for OperationsCapability {
    fn interfaces(&self) -> &'static [InterfaceGrant] {
        &[
            InterfaceGrant { interface: "windlass:operations/types@0.1.0", grant: None },
            InterfaceGrant {
                interface: "windlass:operations/signal@0.1.0",
                grant: Some("operations"),
            },
        ]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        types::add_to_linker::<_, Signals>(linker, |state| state)?;
        signal::add_to_linker::<_, Signals>(linker, |state| state)
    }

    fn admit<'a>(
        &'a self,
        id: &'a ComponentId,
        manifest: &'a ComponentManifest,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Admission>, String>> + Send + 'a>> {
        let admit = || Admitted {
            operations: Arc::clone(&self.operations),
            raise: HostFunction::new("operations.signal.raise", id.as_str()),
        };
        let admitted = manifest.has_grant("operations").then(|| Arc::new(admit()) as Admission);
        Box::pin(ready(Ok(admitted)))
    }
}

struct Signals;

impl HasData for Signals {
    type Data<'a> = &'a mut HostState;
}

windlass_engine::host_error!(types::Error);

impl types::Host for HostState {}

impl signal::Host for HostState {
    fn raise(&mut self, kind: String) -> Result<(), types::Error> {
        match self.capability::<Admitted>() {
            Some(Admitted { operations, raise }) => {
                let start = Instant::now();
                raise.record(start, operations.raise(kind))
            }
            None => Err(types::Error::Denied("the grant `operations` is missing".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn signals_of_one_kind_are_one_and_are_taken_once() {
        let operations = Operations::default();
        for kind in ["deploy", "deploy", "backup"] {
            assert!(operations.raise(kind.to_owned()).is_ok());
        }
        let taken = operations.wait().await;
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), ["backup", "deploy"]);
        assert!(operations.lock().is_empty());
    }

    #[test]
    fn kinds_are_bounded() {
        let operations = Operations::default();
        for unfit in [String::new(), "x".repeat(KIND_BYTES + 1), "wörk".to_owned()] {
            let refused = operations.raise(unfit);
            assert!(matches!(refused, Err(types::Error::Invalid(_))), "{refused:?}");
        }
        for kind in 0..KINDS {
            assert!(operations.raise(kind.to_string()).is_ok());
        }
        let refused = operations.raise("one more".to_owned());
        assert!(matches!(refused, Err(types::Error::Quota(_))), "{refused:?}");
        assert!(operations.raise("0".to_owned()).is_ok());
    }
}
