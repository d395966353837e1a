//! Turning bytes into something that can serve: compile, check every import against the grants,
//! check the needs against the pool, pre-instantiate.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig,
};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi_http::handler::ProxyPre;
use wasmtime_wasi_http::{p2, p3};

use crate::budget::Budget;
use crate::capability::{Admission, Capability, InterfaceGrant};
use crate::collected::ANSWERS_BYTES;
use crate::manifest::{ComponentId, ComponentManifest, Limits};
use crate::memory::{self, TABLE_ELEMENTS};
use crate::reconciler::ReconcilerPre;
use crate::refusal::Refusal;
use crate::state::HostState;
use crate::surroundings::Surroundings;

/// Component instances alive at one time, over all controllers: 40 controllers with 25 each.
const INSTANCES: u32 = 1_000;
/// Core modules of a component: ours have 4 (the program and its adapters), other languages more.
const CORE_INSTANCES_EACH: u32 = 16;
/// Linear memories of a component; one is usual.
const MEMORIES_EACH: u32 = 2;
/// Tables of a component.
const TABLES_EACH: u32 = 8;
/// The most `limits.memory_mib` can ask for; it sizes the pool's slots of address space.
const MEMORY_MIB: u32 = 512;
/// Native stack of one instance. Recursion deeper than this is a trap.
const WASM_STACK_BYTES: usize = 512 * 1024;
/// Host and wasm frames of one instance together.
const ASYNC_STACK_BYTES: usize = 1_024 * 1024;
/// Frames of a trap's backtrace in the log: enough for the place, not for a whole recursion.
const BACKTRACE_FRAMES: usize = 16;
/// How often a computing instance is made to look at its deadline and let others run.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// The wasm engine with everything components can be linked to.
pub struct Engine {
    wasmtime: wasmtime::Engine,
    linker: Linker<HostState>,
    capabilities: Arc<[Arc<dyn Capability>]>,
    interfaces: BTreeMap<&'static str, InterfaceGrant>,
    shared: Shared,
}

/// Memory that all instances, of whatever component, share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Their linear memory.
    pub(crate) memory: Arc<Budget>,
    /// Their answers until they are read.
    pub(crate) answers: Arc<Budget>,
}

/// A component that was checked and compiled, and can be instantiated at any time.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) id: ComponentId,
    pub(crate) digest: String,
    pub(crate) manifest: ComponentManifest,
    pub(crate) wasm: Bytes,
    pub(crate) entry: Entry,
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) admissions: Arc<[Admission]>,
    pub(crate) capabilities: Arc<[Arc<dyn Capability>]>,
    pub(crate) engine: wasmtime::Engine,
    pub(crate) shared: Shared,
}

/// By which of its exports a component is woken.
#[derive(Clone)]
pub(crate) enum Entry {
    /// WASI HTTP, of either generation.
    Http(Arc<ProxyPre<HostState>>),
    /// `windlass:operations/reconcile`.
    Reconcile(Arc<ReconcilerPre<HostState>>),
    /// `wasi:cli/run`.
    Run(Arc<CommandPre<HostState>>),
}

/// The digest of a component, as shown and recorded: `sha256:` and 64 hexadecimal digits.
pub fn digest(wasm: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(wasm)))
}

impl Engine {
    /// Makes the engine. Compiled code is kept in `cache`, which must be readable by nobody else.
    ///
    /// # Errors
    /// When the machine refuses the pool's address space, or the cache directory is unusable.
    pub fn new(cache: &Path, capabilities: Vec<Arc<dyn Capability>>) -> Result<Self, Refusal> {
        let wasmtime = wasmtime::Engine::new(&configuration(cache)?).map_err(engine_error)?;
        start_ticking(&wasmtime)?;
        let mut linker = Linker::new(&wasmtime);
        link_wasi(&mut linker).map_err(engine_error)?;
        let mut interfaces = BTreeMap::new();
        for capability in &capabilities {
            capability.link(&mut linker).map_err(engine_error)?;
            interfaces
                .extend(capability.interfaces().iter().map(|known| (known.interface, *known)));
        }
        let shared =
            Shared { memory: memory::for_all_instances(), answers: Budget::new(ANSWERS_BYTES) };
        Ok(Self { wasmtime, linker, capabilities: capabilities.into(), interfaces, shared })
    }

    /// Checks and compiles a component. Compiling runs off the async threads and is skipped when
    /// the cache has it.
    pub(crate) async fn load(
        &self,
        id: &ComponentId,
        manifest: &ComponentManifest,
        wasm: Bytes,
    ) -> Result<Loaded, Refusal> {
        check_limits(id, &manifest.limits)?;
        self.check_grants(id, manifest)?;
        let component = self.compile(id, wasm.clone()).await?;
        self.check_imports(id, manifest, &component)?;
        check_pool(id, &manifest.limits, &component)?;
        let entry = entry(id, self.prepare(id, &component)?)?;
        let mut admissions = Vec::new();
        for capability in self.capabilities.iter() {
            let admitted = capability.admit(id, manifest).await;
            let admitted =
                admitted.map_err(|reason| Refusal::Grant { component: id.clone(), reason })?;
            admissions.extend(admitted);
        }
        Ok(Loaded {
            id: id.clone(),
            digest: digest(&wasm),
            manifest: manifest.clone(),
            wasm,
            entry,
            surroundings: Arc::default(),
            admissions: admissions.into(),
            capabilities: self.capabilities.clone(),
            engine: self.wasmtime.clone(),
            shared: self.shared.clone(),
        })
    }

    /// A workload that was checked: without grants, and with nothing to fall back to.
    pub(crate) fn loaded_workload(
        &self,
        id: ComponentId,
        limits: Limits,
        surroundings: Surroundings,
        digest: String,
        entry: Entry,
    ) -> Loaded {
        Loaded {
            id,
            digest,
            manifest: ComponentManifest::of_workload(limits),
            wasm: Bytes::new(),
            entry,
            surroundings: Arc::new(surroundings),
            admissions: Arc::default(),
            capabilities: Arc::default(),
            engine: self.wasmtime.clone(),
            shared: self.shared.clone(),
        }
    }

    /// Links a component; what it imports was checked before.
    pub(crate) fn prepare(
        &self,
        id: &ComponentId,
        component: &Component,
    ) -> Result<InstancePre<HostState>, Refusal> {
        self.linker.instantiate_pre(component).map_err(|error| Refusal::Mismatch {
            component: id.clone(),
            reason: format!("{error:#}"),
        })
    }

    /// The engine underneath.
    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(crate) async fn compile(
        &self,
        id: &ComponentId,
        wasm: Bytes,
    ) -> Result<Component, Refusal> {
        if !wasm.starts_with(b"\0asm\x0d\0\x01\0") {
            let reason = if wasm.starts_with(b"\0asm") {
                "it is a core module"
            } else {
                "it does not begin like one"
            };
            return Err(Refusal::NotAComponent {
                component: id.clone(),
                reason: reason.to_owned(),
            });
        }
        let engine = self.wasmtime.clone();
        let compiled = tokio::task::spawn_blocking(move || Component::from_binary(&engine, &wasm));
        match compiled.await {
            Ok(Ok(component)) => Ok(component),
            Ok(Err(error)) => {
                Err(Refusal::Compile { component: id.clone(), reason: format!("{error:#}") })
            }
            Err(error) => Err(Refusal::Compile {
                component: id.clone(),
                reason: format!("the compiler gave up: {error}"),
            }),
        }
    }

    /// A grant nobody knows is a mistake in the manifest, and better found now.
    fn check_grants(&self, id: &ComponentId, manifest: &ComponentManifest) -> Result<(), Refusal> {
        let known: BTreeSet<_> =
            self.interfaces.values().filter_map(|interface| interface.grant).collect();
        let unknown = manifest.grants.iter().find(|grant| !known.contains(grant.as_str()));
        match unknown {
            Some(grant) => Err(Refusal::Grant {
                component: id.clone(),
                reason: format!(
                    "there is no grant {grant:?}; there are {}",
                    known.into_iter().collect::<Vec<_>>().join(", ")
                ),
            }),
            None => Ok(()),
        }
    }

    fn check_imports(
        &self,
        id: &ComponentId,
        manifest: &ComponentManifest,
        component: &Component,
    ) -> Result<(), Refusal> {
        for (interface, import) in component.component_type().imports(&self.wasmtime) {
            let functions = functions_of(&self.wasmtime, &import.ty);
            match self.interfaces.get(interface) {
                Some(InterfaceGrant { grant: Some(grant), .. }) if !manifest.has_grant(grant) => {
                    return Err(Refusal::Ungranted {
                        component: id.clone(),
                        interface: interface.to_owned(),
                        functions,
                        grant,
                    });
                }
                Some(_) => {}
                None => wasi_import(interface).map_err(|hint| Refusal::UnknownImport {
                    component: id.clone(),
                    interface: interface.to_owned(),
                    functions,
                    hint,
                })?,
            }
        }
        Ok(())
    }
}

fn configuration(cache: &Path) -> Result<Config, Refusal> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * 6)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES * 3)
        .total_stacks(INSTANCES)
        .max_core_instances_per_component(CORE_INSTANCES_EACH)
        .max_memories_per_component(MEMORIES_EACH)
        .max_tables_per_component(TABLES_EACH)
        .max_memory_size(MEMORY_MIB as usize * 1_048_576)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(256 * 1024)
        .table_keep_resident(16 * 1024)
        .max_unused_warm_slots(64)
        .pagemap_scan(Enabled::Auto);
    let mut cache_config = CacheConfig::new();
    cache_config.with_directory(cache);
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES))
        .async_stack_size(ASYNC_STACK_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .cache(Some(Cache::new(cache_config).map_err(engine_error)?));
    Ok(config)
}

/// One OS thread for the life of the process advances the epoch, so that computing instances
/// come up for air. It ends with the last handle of the engine.
fn start_ticking(engine: &wasmtime::Engine) -> Result<(), Refusal> {
    let weak = engine.weak();
    let ticker = move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new()
        .name("epoch".to_owned())
        .spawn(ticker)
        .map(drop)
        .map_err(|error| Refusal::Engine(format!("no thread for the epoch: {error}")))
}

fn link_wasi(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    p2::add_only_http_to_linker_async(linker)?;
    p3::add_to_linker(linker)
}

/// Which interfaces of WASI a controller may import. The filesystem and the environment are among
/// them because standard libraries import them; they are empty.
pub(crate) fn wasi_import(interface: &str) -> Result<(), String> {
    let name = interface.split('@').next().unwrap_or(interface);
    let offered = ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/"];
    match name {
        "wasi:http/types" => Ok(()),
        "wasi:http/client" | "wasi:http/outgoing-handler" | "wasi:http/handler" => {
            Err("components have no outbound network here; build without it".to_owned())
        }
        _ if name.starts_with("wasi:sockets/") => {
            Err("components have no sockets here; build without them".to_owned())
        }
        _ if offered.iter().any(|family| name.starts_with(family)) => Ok(()),
        _ if name.starts_with("windlass:") => {
            Err("it is no interface of this version; compare the WIT it was built with".to_owned())
        }
        _ => Err("compose it into the component, or build without it".to_owned()),
    }
}

pub(crate) fn functions_of(engine: &wasmtime::Engine, item: &ComponentItem) -> String {
    let ComponentItem::ComponentInstance(instance) = item else {
        return "not an interface".to_owned();
    };
    let functions = instance.exports(engine).filter_map(|(name, export)| {
        matches!(export.ty, ComponentItem::ComponentFunc(_)).then(|| name.to_owned())
    });
    let functions: Vec<_> = functions.collect();
    if functions.is_empty() { "types only".to_owned() } else { functions.join(", ") }
}

pub(crate) fn check_limits(id: &ComponentId, limits: &Limits) -> Result<(), Refusal> {
    let bounds = [
        ("memory_mib", limits.memory_mib, 1, MEMORY_MIB),
        ("deadline_ms", limits.deadline_ms, 10, 600_000),
        ("concurrency", limits.concurrency, 1, INSTANCES / 4),
        ("queue", limits.queue, 0, 100_000),
        ("reuse", limits.reuse, 1, 1_000_000),
        ("answer_kib", limits.answer_kib, 1, 1_048_576),
    ];
    for (key, value, least, most) in bounds {
        if !(least..=most).contains(&value) {
            return Err(Refusal::Limit { component: id.clone(), key, value, least, most });
        }
    }
    Ok(())
}

pub(crate) fn check_pool(
    id: &ComponentId,
    limits: &Limits,
    component: &Component,
) -> Result<(), Refusal> {
    let exceeds = |needed: String, allowed: String| {
        Err(Refusal::ExceedsPool { component: id.clone(), needed, allowed })
    };
    let Some(needs) = component.resources_required() else {
        return exceeds(
            "memories or tables that cannot be counted".to_owned(),
            "its own".to_owned(),
        );
    };
    let pages = needs.max_initial_memory_size.unwrap_or(0);
    let allowed_pages = u64::from(limits.memory_mib) * 16;
    if pages > allowed_pages {
        return exceeds(
            format!("{} KiB of memory to begin with", pages * 64),
            format!("{} MiB (`memory_mib`)", limits.memory_mib),
        );
    }
    if needs.num_memories > MEMORIES_EACH {
        return exceeds(format!("{} memories", needs.num_memories), MEMORIES_EACH.to_string());
    }
    if needs.num_tables > TABLES_EACH {
        return exceeds(format!("{} tables", needs.num_tables), TABLES_EACH.to_string());
    }
    let elements = needs.max_initial_table_size.unwrap_or(0);
    if elements > TABLE_ELEMENTS as u64 {
        return exceeds(format!("a table of {elements} elements"), TABLE_ELEMENTS.to_string());
    }
    Ok(())
}

/// Finds out by what the component is woken.
fn entry(id: &ComponentId, instance: InstancePre<HostState>) -> Result<Entry, Refusal> {
    match ReconcilerPre::new(instance.clone()) {
        Ok(pre) => Ok(Entry::Reconcile(Arc::new(pre))),
        Err(_) => proxy(id, instance),
    }
}

/// Finds out which generation of WASI HTTP the component exports.
pub(crate) fn proxy(id: &ComponentId, instance: InstancePre<HostState>) -> Result<Entry, Refusal> {
    let pre = match p3::bindings::ServicePre::new(instance.clone()) {
        Ok(pre) => ProxyPre::P3(pre),
        Err(newer) => match p2::bindings::ProxyPre::new(instance) {
            Ok(pre) => ProxyPre::P2(pre),
            Err(_) => {
                let reason = format!("{newer:#}");
                return Err(Refusal::NoHandler { component: id.clone(), reason });
            }
        },
    };
    Ok(Entry::Http(Arc::new(pre)))
}

fn engine_error(error: impl std::fmt::Display) -> Refusal {
    Refusal::Engine(format!("{error:#}"))
}
