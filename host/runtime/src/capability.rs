//! `windlass:runtime` for components. Changing workloads is granted to the reconciler alone; what
//! workloads wrote is granted by a name of its own.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::Counter;
use wasmtime::component::{Accessor, HasData, Linker};
use windlass_engine::{
    Admission, Capability, ComponentId, ComponentManifest, HostFunction, HostState, InterfaceGrant,
    count_calls,
};

use crate::bindings::windlass::operations::holder;
use crate::bindings::windlass::runtime::{images, ingress, logs, types, workloads};
use crate::driver::{Error, Kind, State, Workload, WorkloadId};
use crate::images::Image;
use crate::ingress::Route;
use crate::logbook::{Entry, Output};
use crate::runtime::Runtime;

/// The grant to change workloads.
const WORKLOADS: &str = "workloads";
/// The grant to read what they wrote.
const LOGS: &str = "logs";
/// The only component that may be granted [`WORKLOADS`].
const RECONCILER: &str = "reconciler";
/// The most lines `logs.tail` answers.
const TAIL: u32 = 10_000;
/// The most lines `logs.after` answers.
const AFTER: usize = 1_000;
/// The longest wait of `logs.after`.
const LONGEST_WAIT_MS: u32 = 30_000;

/// What is offered, and for which grant.
const INTERFACES: &[InterfaceGrant] = &[
    InterfaceGrant { interface: "windlass:runtime/types@0.1.0", grant: None },
    granted("windlass:runtime/images@0.1.0", WORKLOADS),
    granted("windlass:runtime/workloads@0.1.0", WORKLOADS),
    granted("windlass:runtime/ingress@0.1.0", WORKLOADS),
    granted("windlass:operations/holder@0.1.0", WORKLOADS),
    granted("windlass:runtime/logs@0.1.0", LOGS),
];

const fn granted(interface: &'static str, grant: &'static str) -> InterfaceGrant {
    InterfaceGrant { interface, grant: Some(grant) }
}

/// Lets components work with the runtime.
pub struct RuntimeCapability {
    runtime: Arc<Runtime>,
}

impl RuntimeCapability {
    /// Over a runtime.
    pub fn new(runtime: Arc<Runtime>) -> Self {
        Self { runtime }
    }
}

/// What an admitted component may do.
struct Admitted {
    runtime: Arc<Runtime>,
    workloads: bool,
    logs: bool,
    functions: Arc<Functions>,
}

/// The functions, as one component calls them.
struct Functions {
    resolve: HostFunction,
    start: HostFunction,
    observe: HostFunction,
    stop: HostFunction,
    list: HostFunction,
    publish: HostFunction,
    tail: HostFunction,
    after: HostFunction,
    name: Counter,
}

impl Functions {
    fn new(component: &str) -> Self {
        let function = |name| HostFunction::new(name, component);
        Self {
            resolve: function("runtime.images.resolve"),
            start: function("runtime.workloads.start"),
            observe: function("runtime.workloads.observe"),
            stop: function("runtime.workloads.stop"),
            list: function("runtime.workloads.list"),
            publish: function("runtime.ingress.publish"),
            tail: function("runtime.logs.tail"),
            after: function("runtime.logs.after"),
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
        workloads::add_to_linker::<_, Calls>(linker, |state| state)?;
        ingress::add_to_linker::<_, Calls>(linker, |state| state)?;
        logs::add_to_linker::<_, Calls>(linker, |state| state)?;
        holder::add_to_linker::<_, Calls>(linker, |state| state)
    }

    fn admit<'a>(
        &'a self,
        id: &'a ComponentId,
        manifest: &'a ComponentManifest,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Admission>, String>> + Send + 'a>> {
        let (workloads, logs) = (manifest.has_grant(WORKLOADS), manifest.has_grant(LOGS));
        if workloads && id.as_str() != RECONCILER {
            return Box::pin(ready(Err(format!(
                "only the component named {RECONCILER} may be granted {WORKLOADS:?}; write \
                 desired state instead"
            ))));
        }
        let admitted = (workloads || logs).then(|| {
            let functions = Arc::new(Functions::new(id.as_str()));
            let runtime = Arc::clone(&self.runtime);
            Arc::new(Admitted { runtime, workloads, logs, functions }) as Admission
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
impl workloads::Host for &mut HostState {}
impl ingress::Host for &mut HostState {}
impl logs::Host for &mut HostState {}

impl holder::Host for &mut HostState {
    fn name(&mut self) -> String {
        let Some(admitted) = self.capability::<Admitted>() else { return String::new() };
        admitted.functions.name.increment(1);
        admitted.runtime.holder.clone()
    }
}

impl<T: Send> images::HostWithStore<T> for Calls {
    async fn resolve(accessor: &Accessor<T, Self>, name: String) -> Answered<images::Progress> {
        let resolve = async |runtime: Arc<Runtime>| {
            Ok(match runtime.resolve(&name).await.map_err(failed)? {
                None => images::Progress::Pending,
                Some(Image { digest, size_bytes }) => {
                    images::Progress::Ready(images::Resolved { digest, size_bytes })
                }
            })
        };
        workloads_call(accessor, |functions| &functions.resolve, resolve).await
    }
}

impl<T: Send> workloads::HostWithStore<T> for Calls {
    async fn start(accessor: &Accessor<T, Self>, workload: types::Workload) -> Answered<()> {
        let start =
            async |runtime: Arc<Runtime>| runtime.start(described(workload)?).await.map_err(failed);
        workloads_call(accessor, |functions| &functions.start, start).await
    }

    async fn observe(accessor: &Accessor<T, Self>, id: String) -> Answered<types::State> {
        let observe = async |runtime: Arc<Runtime>| {
            Ok(match runtime.observe(identified(&id)?).await.map_err(failed)? {
                State::Absent => types::State::Absent,
                State::Starting => types::State::Starting,
                State::Healthy => types::State::Healthy,
                State::Unhealthy(reason) => types::State::Unhealthy(reason),
                State::Failed(reason) => types::State::Failed(reason),
            })
        };
        workloads_call(accessor, |functions| &functions.observe, observe).await
    }

    async fn stop(accessor: &Accessor<T, Self>, id: String, grace_ms: u32) -> Answered<()> {
        let stop = async |runtime: Arc<Runtime>| {
            let grace = Duration::from_millis(grace_ms.into());
            runtime.stop(identified(&id)?, grace).await.map_err(failed)
        };
        workloads_call(accessor, |functions| &functions.stop, stop).await
    }

    async fn list(accessor: &Accessor<T, Self>) -> Answered<Vec<String>> {
        let list = async |runtime: Arc<Runtime>| {
            let ids = runtime.list().await.map_err(failed)?;
            Ok(ids.iter().map(WorkloadId::to_string).collect())
        };
        workloads_call(accessor, |functions| &functions.list, list).await
    }
}

impl<T: Send> ingress::HostWithStore<T> for Calls {
    async fn publish(accessor: &Accessor<T, Self>, routes: Vec<ingress::Route>) -> Answered<()> {
        let publish = async |runtime: Arc<Runtime>| {
            let route = |route: ingress::Route| {
                Ok(Route { host: route.host, workload: identified(&route.workload)? })
            };
            runtime.publish(routes.into_iter().map(route).collect::<Answered<_>>()?);
            Ok(())
        };
        workloads_call(accessor, |functions| &functions.publish, publish).await
    }
}

impl<T: Send> logs::HostWithStore<T> for Calls {
    async fn tail(
        accessor: &Accessor<T, Self>,
        workload: String,
        limit: u32,
    ) -> Answered<Vec<logs::Entry>> {
        let tail = async |runtime: Arc<Runtime>| {
            let entries = runtime.log.tail(identified(&workload)?, limit.min(TAIL) as usize);
            Ok(entries.into_iter().map(entry).collect())
        };
        logs_call(accessor, |functions| &functions.tail, tail).await
    }

    async fn after(
        accessor: &Accessor<T, Self>,
        workload: String,
        sequence: u64,
        wait_ms: u32,
    ) -> Answered<Vec<logs::Entry>> {
        let after = async |runtime: Arc<Runtime>| {
            let wait = Duration::from_millis(wait_ms.min(LONGEST_WAIT_MS).into());
            let found = runtime.log.after(identified(&workload)?, sequence, AFTER, wait).await;
            let ended = || types::Error::NotFound(format!("{workload} writes no more"));
            Ok(found.ok_or_else(ended)?.into_iter().map(entry).collect())
        };
        logs_call(accessor, |functions| &functions.after, after).await
    }
}

fn identified(id: &str) -> Answered<WorkloadId> {
    WorkloadId::parse(id).map_err(failed)
}

fn described(workload: types::Workload) -> Answered<Workload> {
    Ok(Workload {
        id: identified(&workload.id)?,
        service: workload.service,
        kind: match workload.kind {
            types::Kind::Web => Kind::Web,
            types::Kind::Worker => Kind::Worker,
            types::Kind::Cron => Kind::Cron,
        },
        image: workload.image,
        command: workload.command,
        variables: workload.variables,
        cpu_millis: workload.cpu_millis,
        memory_bytes: workload.memory_bytes,
        schedule: workload.schedule,
    })
}

fn entry(entry: Entry) -> logs::Entry {
    logs::Entry {
        sequence: entry.sequence,
        at: entry.at,
        output: match entry.output {
            Output::Stdout => logs::Output::Stdout,
            Output::Stderr => logs::Output::Stderr,
        },
        message: entry.message,
    }
}

fn failed(error: Error) -> types::Error {
    match error {
        Error::NotFound(text) => types::Error::NotFound(text),
        Error::Invalid(text) => types::Error::Invalid(text),
        Error::Unavailable(text) => types::Error::Unavailable(text),
        Error::Quota(text) => types::Error::Quota(text),
        Error::Other(text) => types::Error::Other(text),
    }
}
