//! Components of tenants: the same engine and the same limits as for controllers, and nothing of
//! the platform. A workload imports WASI alone; a controller's grants do not exist for it.

use std::sync::Arc;

use bytes::Bytes;
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi::p2::bindings::CommandPre;

use crate::controller::{Controller, new_store};
use crate::engine::{
    Engine, Entry, Loaded, check_limits, check_pool, digest, functions_of, proxy, wasi_import,
};
use crate::manifest::{ComponentId, Limits};
use crate::refusal::Refusal;
use crate::request::RequestContext;
use crate::state::HostState;
use crate::statistics::Statistics;
use crate::surroundings::Surroundings;

/// What a workload is to be run with.
pub struct WorkloadSettings {
    /// Its name, in logs.
    pub id: ComponentId,
    /// What it may consume.
    pub limits: Limits,
    /// What it finds around it.
    pub surroundings: Surroundings,
}

/// A component that runs to its end when it is told to: `wasi:cli/run`.
pub struct Program {
    loaded: Loaded,
    pre: Arc<CommandPre<HostState>>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, saying that all is well.
    Well,
    /// By itself, saying that something is not.
    Badly(String),
}

impl Engine {
    /// Loads a workload that answers HTTP requests.
    ///
    /// # Errors
    /// Why it cannot be run here, with what to do.
    pub async fn load_service(
        &self,
        settings: WorkloadSettings,
        wasm: Bytes,
    ) -> Result<Arc<Controller>, Refusal> {
        let loaded = self.load_workload(settings, wasm, proxy).await?;
        Ok(Arc::new(Controller::new(loaded, Arc::new(Statistics::scratch()))))
    }

    /// Loads a workload that runs to its end.
    ///
    /// # Errors
    /// Why it cannot be run here, with what to do.
    pub async fn load_program(
        &self,
        settings: WorkloadSettings,
        wasm: Bytes,
    ) -> Result<Program, Refusal> {
        let loaded = self.load_workload(settings, wasm, program).await?;
        let Entry::Run(pre) = &loaded.entry else {
            return Err(Refusal::Engine("a program was prepared as something else".to_owned()));
        };
        Ok(Program { pre: Arc::clone(pre), loaded })
    }

    async fn load_workload(
        &self,
        settings: WorkloadSettings,
        wasm: Bytes,
        entry: impl FnOnce(&ComponentId, InstancePre<HostState>) -> Result<Entry, Refusal>,
    ) -> Result<Loaded, Refusal> {
        let WorkloadSettings { id, limits, surroundings } = settings;
        check_limits(&id, &limits)?;
        let component = self.compile(&id, wasm.clone()).await?;
        self.check_workload_imports(&id, &component)?;
        check_pool(&id, &limits, &component)?;
        let entry = entry(&id, self.prepare(&id, &component)?)?;
        Ok(self.loaded_workload(id, limits, surroundings, digest(&wasm), entry))
    }

    fn check_workload_imports(
        &self,
        id: &ComponentId,
        component: &Component,
    ) -> Result<(), Refusal> {
        for (interface, import) in component.component_type().imports(self.wasmtime()) {
            let refused = match interface.starts_with("windlass:") {
                true => Err("the platform's interfaces are for its controllers; call its API \
                             over HTTP instead"
                    .to_owned()),
                false => wasi_import(interface),
            };
            refused.map_err(|hint| Refusal::UnknownImport {
                component: id.clone(),
                interface: interface.to_owned(),
                functions: functions_of(self.wasmtime(), &import.ty),
                hint,
            })?;
        }
        Ok(())
    }
}

/// The entry of a component that runs to its end.
fn program(id: &ComponentId, instance: InstancePre<HostState>) -> Result<Entry, Refusal> {
    let pre = CommandPre::new(instance).map_err(|error| Refusal::NoProgram {
        component: id.clone(),
        reason: format!("{error:#}"),
    })?;
    Ok(Entry::Run(Arc::new(pre)))
}

impl Program {
    /// Runs it once, to its end. Dropping the future ends it at once.
    ///
    /// # Errors
    /// When it trapped, or could not be instantiated; the text says how.
    pub async fn run(&self, context: RequestContext) -> Result<Ended, String> {
        let mut store: Store<HostState> = new_store(&self.loaded, context);
        let command = self.pre.instantiate_async(&mut store).await;
        let command = command.map_err(|error| format!("it could not be started: {error:#}"))?;
        match command.wasi_cli_run().call_run(&mut store).await {
            Ok(Ok(())) => Ok(Ended::Well),
            Ok(Err(())) => Ok(Ended::Badly("it ended with an error".to_owned())),
            // `exit` unwinds as a trap.
            Err(error) => match error.downcast_ref::<wasmtime_wasi::I32Exit>() {
                Some(wasmtime_wasi::I32Exit(0)) => Ok(Ended::Well),
                Some(wasmtime_wasi::I32Exit(code)) => {
                    Ok(Ended::Badly(format!("it exited with {code}")))
                }
                None => Err(format!("it trapped: {error:#}")),
            },
        }
    }
}
