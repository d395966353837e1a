//! The contract between the engine and the crates that give components something to do.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use wasmtime::component::Linker;

use crate::manifest::{ComponentId, ComponentManifest};
use crate::state::HostState;

/// One WIT interface a capability implements, and the grant a component needs to import it.
#[derive(Clone, Copy, Debug)]
pub struct InterfaceGrant {
    /// The full name, such as `windlass:storage/sql@0.1.0`.
    pub interface: &'static str,
    /// The grant, as written in a manifest; `None` when every component may import it.
    pub grant: Option<&'static str>,
}

/// What a capability keeps for one admitted component: shared by all of its instances and found
/// again with [`HostState::capability`]. The type is private to the capability.
pub type Admission = Arc<dyn Any + Send + Sync>;

/// Something the host can do for components.
pub trait Capability: Send + Sync + 'static {
    /// The interfaces it implements.
    fn interfaces(&self) -> &'static [InterfaceGrant];

    /// Adds all of its interfaces to a linker. The engine has already refused components that
    /// import one without its grant.
    ///
    /// # Errors
    /// When a name is defined twice: a mistake of ours.
    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()>;

    /// Prepares what one component was granted (roles, connections) before it serves, and checks
    /// that the grant can be kept. The error is a sentence for the administrator.
    fn admit<'a>(
        &'a self,
        id: &'a ComponentId,
        manifest: &'a ComponentManifest,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Admission>, String>> + Send + 'a>>;

    /// Told after each request an instance has answered or failed, so that what the request left
    /// behind in the store (an open transaction) is released.
    fn request_ended(&self, state: &mut HostState) {
        let _ = state;
    }
}
