//! `windlass:runtime` for components. Changing workloads is granted to the reconciler alone; what
//! workloads wrote, and what they take of the machine, are granted by names of their own.

mod jobs;
mod readings;
mod workloads;

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use metrics::Counter;
use wasmtime::component::{Accessor, HasData, Linker};
use windlass_engine::{
    Admission, Capability, ComponentId, ComponentManifest, HostFunction, HostState, InterfaceGrant,
    count_calls,
};

use crate::bindings::windlass::operations::holder;
use crate::bindings::windlass::runtime::{
    images, ingress, jobs as wit_jobs, logs, measurements, types, workloads as wit_workloads,
};
use crate::driver::{Error, WorkloadId};
use crate::runtime::Runtime;

/// The grant to change workloads.
const WORKLOADS: &str = "workloads";
/// The grant to read what they wrote.
const LOGS: &str = "logs";
/// The grant to read what they take of the machine.
const MEASUREMENTS: &str = "measurements";
/// The only component that may be granted [`WORKLOADS`].
const RECONCILER: &str = "reconciler";

/// What is offered, and for which grant.
const INTERFACES: &[InterfaceGrant] = &[
    InterfaceGrant { interface: "windlass:runtime/types@0.1.0", grant: None },
    granted("windlass:runtime/images@0.1.0", WORKLOADS),
    granted("windlass:runtime/workloads@0.1.0", WORKLOADS),
    granted("windlass:runtime/jobs@0.1.0", WORKLOADS),
    granted("windlass:runtime/ingress@0.1.0", WORKLOADS),
    granted("windlass:operations/holder@0.1.0", WORKLOADS),
    granted("windlass:runtime/logs@0.1.0", LOGS),
    granted("windlass:runtime/measurements@0.1.0", MEASUREMENTS),
];

const fn granted(interface: &'static str, grant: &'static str) -> InterfaceGrant {
    InterfaceGrant { interface, grant: Some(grant) }
}

/// Opens what was sealed.
pub trait Secrets: Send + Sync {
    /// What is in an envelope that was sealed in this context. The error is for the log.
    ///
    /// # Errors
    /// When it was sealed in another one, was changed, or its key is not here.
    fn open(&self, context: &str, envelope: &str) -> Result<Vec<u8>, String>;
}

/// Lets components work with the runtime.
pub struct RuntimeCapability {
    runtime: Arc<Runtime>,
    secrets: Arc<dyn Secrets>,
}

impl RuntimeCapability {
    /// Over a runtime, and what opens the sealed variables of its workloads.
    pub fn new(runtime: Arc<Runtime>, secrets: Arc<dyn Secrets>) -> Self {
        Self { runtime, secrets }
    }
}

/// What an admitted component may do.
struct Admitted {
    runtime: Arc<Runtime>,
    secrets: Arc<dyn Secrets>,
    workloads: bool,
    logs: bool,
    measurements: bool,
    functions: Arc<Functions>,
}

/// The functions, as one component calls them.
struct Functions {
    resolve: HostFunction,
    resolve_container: HostFunction,
    start: HostFunction,
    start_sealed: HostFunction,
    observe: HostFunction,
    stop: HostFunction,
    list: HostFunction,
    address: HostFunction,
    list_volumes: HostFunction,
    remove_volume: HostFunction,
    start_job: HostFunction,
    observe_job: HostFunction,
    remove_job: HostFunction,
    list_archives: HostFunction,
    remove_archive: HostFunction,
    publish: HostFunction,
    tail: HostFunction,
    after: HostFunction,
    measure: HostFunction,
    name: Counter,
}

impl Functions {
    fn new(component: &str) -> Self {
        let function = |name| HostFunction::new(name, component);
        Self {
            resolve: function("runtime.images.resolve"),
            resolve_container: function("runtime.images.resolve_container"),
            start: function("runtime.workloads.start"),
            start_sealed: function("runtime.workloads.start_sealed"),
            observe: function("runtime.workloads.observe"),
            stop: function("runtime.workloads.stop"),
            list: function("runtime.workloads.list"),
            address: function("runtime.workloads.address"),
            list_volumes: function("runtime.workloads.list_volumes"),
            remove_volume: function("runtime.workloads.remove_volume"),
            start_job: function("runtime.jobs.start"),
            observe_job: function("runtime.jobs.observe"),
            remove_job: function("runtime.jobs.remove"),
            list_archives: function("runtime.jobs.list_archives"),
            remove_archive: function("runtime.jobs.remove_archive"),
            publish: function("runtime.ingress.publish"),
            tail: function("runtime.logs.tail"),
            after: function("runtime.logs.after"),
            measure: function("runtime.measurements.measure"),
            name: count_calls("operations.holder.name", component),
        }
    }
}

windlass_engine::host_error!(types::Error);

impl Capability for RuntimeCapability {
    fn interfaces(&self) -> &'static [InterfaceGrant] {
        INTERFACES
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        types::add_to_linker::<_, Calls>(linker, |state| state)?;
        images::add_to_linker::<_, Calls>(linker, |state| state)?;
        wit_workloads::add_to_linker::<_, Calls>(linker, |state| state)?;
        wit_jobs::add_to_linker::<_, Calls>(linker, |state| state)?;
        ingress::add_to_linker::<_, Calls>(linker, |state| state)?;
        logs::add_to_linker::<_, Calls>(linker, |state| state)?;
        measurements::add_to_linker::<_, Calls>(linker, |state| state)?;
        holder::add_to_linker::<_, Calls>(linker, |state| state)
    }

    fn admit<'a>(
        &'a self,
        id: &'a ComponentId,
        manifest: &'a ComponentManifest,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Admission>, String>> + Send + 'a>> {
        let [workloads, logs, measurements] =
            [WORKLOADS, LOGS, MEASUREMENTS].map(|grant| manifest.has_grant(grant));
        if workloads && id.as_str() != RECONCILER {
            return Box::pin(ready(Err(format!(
                "only the component named {RECONCILER} may be granted {WORKLOADS:?}; write \
                 desired state instead"
            ))));
        }
        let admitted = (workloads || logs || measurements).then(|| {
            let functions = Arc::new(Functions::new(id.as_str()));
            let (runtime, secrets) = (Arc::clone(&self.runtime), Arc::clone(&self.secrets));
            let granted = Admitted { runtime, secrets, workloads, logs, measurements, functions };
            Arc::new(granted) as Admission
        });
        Box::pin(ready(Ok(admitted)))
    }
}

/// Where calls of components arrive.
pub(crate) struct Calls;

impl HasData for Calls {
    type Data<'a> = &'a mut HostState;
}

type Answered<T> = Result<T, types::Error>;

/// Calls the runtime for a component that may change workloads.
async fn workloads_call<T, R>(
    accessor: &Accessor<T, Calls>,
    function: fn(&Functions) -> &HostFunction,
    call: impl AsyncFnOnce(Arc<Runtime>) -> Answered<R>,
) -> Answered<R> {
    let admitted = admitted(accessor, |admitted| admitted.workloads, WORKLOADS)?;
    metered(admitted, function, call).await
}

/// Calls the runtime for a component that may read what workloads wrote.
async fn logs_call<T, R>(
    accessor: &Accessor<T, Calls>,
    function: fn(&Functions) -> &HostFunction,
    call: impl AsyncFnOnce(Arc<Runtime>) -> Answered<R>,
) -> Answered<R> {
    let admitted = admitted(accessor, |admitted| admitted.logs, LOGS)?;
    metered(admitted, function, call).await
}

/// Calls the runtime for a component that may read what workloads take.
async fn measurements_call<T, R>(
    accessor: &Accessor<T, Calls>,
    function: fn(&Functions) -> &HostFunction,
    call: impl AsyncFnOnce(Arc<Runtime>) -> Answered<R>,
) -> Answered<R> {
    let admitted = admitted(accessor, |admitted| admitted.measurements, MEASUREMENTS)?;
    metered(admitted, function, call).await
}

async fn metered<R>(
    (runtime, functions): (Arc<Runtime>, Arc<Functions>),
    function: fn(&Functions) -> &HostFunction,
    call: impl AsyncFnOnce(Arc<Runtime>) -> Answered<R>,
) -> Answered<R> {
    let start = Instant::now();
    function(&functions).record(start, call(runtime).await)
}

fn admitted<T>(
    accessor: &Accessor<T, Calls>,
    allows: impl Fn(&Admitted) -> bool,
    grant: &str,
) -> Answered<(Arc<Runtime>, Arc<Functions>)> {
    accessor.with(|mut access| match access.get().capability::<Admitted>() {
        Some(admitted) if allows(admitted) => {
            Ok((Arc::clone(&admitted.runtime), Arc::clone(&admitted.functions)))
        }
        _ => Err(types::Error::Denied(format!("the grant `{grant}` is missing"))),
    })
}

impl types::Host for &mut HostState {}
impl images::Host for &mut HostState {}
impl wit_workloads::Host for &mut HostState {}
impl wit_jobs::Host for &mut HostState {}
impl ingress::Host for &mut HostState {}
impl logs::Host for &mut HostState {}
impl measurements::Host for &mut HostState {}

impl holder::Host for &mut HostState {
    fn name(&mut self) -> String {
        let Some(admitted) = self.capability::<Admitted>() else { return String::new() };
        admitted.functions.name.increment(1);
        admitted.runtime.holder.clone()
    }
}

fn identified(id: &str) -> Answered<WorkloadId> {
    WorkloadId::parse(id).map_err(failed)
}

fn failed(error: Error) -> types::Error {
    match error {
        Error::NotFound(text) => types::Error::NotFound(text),
        Error::Conflict(text) => types::Error::Conflict(text),
        Error::Invalid(text) => types::Error::Invalid(text),
        Error::Unavailable(text) => types::Error::Unavailable(text),
        Error::Quota(text) => types::Error::Quota(text),
        Error::Other(text) => types::Error::Other(text),
    }
}
