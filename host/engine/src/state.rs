//! What a store carries: the data behind one component instance.

use std::any::Any;
use std::sync::Arc;

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::capability::Admission;
use crate::engine::Loaded;
use crate::manifest::ComponentId;
use crate::memory::MemoryLimit;
use crate::network::NoNetwork;
use crate::output::{self, PrintedFor};
use crate::request::RequestContext;

/// Handles (resources of every kind) one instance may hold at a time.
pub(crate) const HANDLE_CAPACITY: usize = 1_024;

/// The data behind one component instance.
pub struct HostState {
    component: ComponentId,
    request: RequestContext,
    admissions: Arc<[Admission]>,
    /// The table of resources the instance holds.
    pub table: ResourceTable,
    wasi: WasiCtx,
    printed_for: Arc<PrintedFor>,
    http: WasiHttpCtx,
    network: NoNetwork,
    memory: MemoryLimit,
    pub(crate) ticks: u32,
}

impl HostState {
    /// The data for a new instance: no files and no network.
    pub(crate) fn new(loaded: &Loaded, request: RequestContext) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLE_CAPACITY);
        let printed_for = Arc::new(PrintedFor::new(Arc::clone(&request.id)));
        Self {
            wasi: output::wasi_context(&loaded.id, &loaded.surroundings, &printed_for),
            printed_for,
            component: loaded.id.clone(),
            request,
            admissions: Arc::clone(&loaded.admissions),
            table,
            http: WasiHttpCtx::new(),
            network: NoNetwork,
            memory: MemoryLimit::new(loaded.manifest.limits.memory_bytes(), &loaded.shared.memory),
            ticks: 0,
        }
    }

    /// The component this instance is of.
    pub fn component(&self) -> &ComponentId {
        &self.component
    }

    /// The request this instance is working on.
    pub fn request(&self) -> &RequestContext {
        &self.request
    }

    /// Begins the next request on this instance.
    pub(crate) fn begin_request(&mut self, request: RequestContext) {
        self.printed_for.begin(Arc::clone(&request.id));
        self.request = request;
        self.ticks = 0;
    }

    /// What a capability prepared for this component in [`Capability::admit`](crate::Capability::admit).
    pub fn capability<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.admissions.iter().find_map(|admission| admission.downcast_ref())
    }

    /// Linear memory in use, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory.used()
    }

    /// Whether it was refused memory because of all the other instances.
    pub(crate) fn is_starved(&self) -> bool {
        self.memory.is_starved()
    }

    pub(crate) fn memory_limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.memory
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for HostState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.network }
    }
}
