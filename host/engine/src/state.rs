//! What a store carries: the data behind one component instance.

use std::any::Any;
use std::sync::Arc;

use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::capability::Admission;
use crate::manifest::{ComponentId, Limits};
use crate::network::NoNetwork;
use crate::output;
use crate::request::RequestContext;

/// Handles (resources of every kind) one instance may hold at a time.
const HANDLE_CAPACITY: usize = 1_024;

/// The data behind one component instance.
pub struct HostState {
    component: ComponentId,
    request: RequestContext,
    admissions: Arc<[Admission]>,
    /// The table of resources the instance holds.
    pub table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    network: NoNetwork,
    memory: MemoryLimit,
    pub(crate) ticks: u32,
}

impl HostState {
    /// The data for a new instance: no files, no network, no environment, no arguments.
    pub fn new(
        component: ComponentId,
        admissions: Arc<[Admission]>,
        limits: &Limits,
        request: RequestContext,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLE_CAPACITY);
        Self {
            wasi: output::wasi_context(&component),
            component,
            request,
            admissions,
            table,
            http: WasiHttpCtx::new(),
            network: NoNetwork,
            memory: MemoryLimit::new(limits.memory_bytes()),
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
        self.request = request;
        self.ticks = 0;
    }

    /// What a capability prepared for this component in [`Capability::admit`](crate::Capability::admit).
    pub fn capability<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.admissions.iter().find_map(|admission| admission.downcast_ref())
    }

    /// Linear memory and tables in use, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory.used
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

/// Counts linear memory over all memories of an instance and refuses growth over the limit.
struct MemoryLimit {
    used: usize,
    limit: usize,
}

/// Elements all tables of an instance may have together; a first-party controller needs hundreds.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;

impl MemoryLimit {
    fn new(limit: usize) -> Self {
        Self { used: 0, limit }
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let after = self.used.saturating_add(desired.saturating_sub(current));
        if after > self.limit {
            return Ok(false);
        }
        self.used = after;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }
}
