//! Everything that runs, and the changes to it: releases, canaries, rollbacks.
//!
//! A change is prepared beside what serves (compiled, checked, tried), recorded, and then made
//! visible by exchanging the routing table. Requests that began on the old table end on it.
//! Changes wait for each other; requests wait for none of them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Empty};
use tokio::sync::Mutex;

use crate::answer::Failure;
use crate::controller::Controller;
use crate::engine::Engine;
use crate::manifest::{ComponentId, ComponentManifest};
use crate::refusal::Refusal;
use crate::releases::{
    LeftOut, Listed, Proposal, Recorded, ReleaseLedger, Released, Start, Transition,
};
use crate::request::RequestContext;
use crate::routes::{RoutingTable, canary_path};
use crate::slot::{CanaryPolicy, Slot};
use crate::statistics::Statistics;
use crate::version;

/// How long an idle instance is kept before its memory is given back.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// Components that are compiled at the same time when the host starts. One alone leaves cores idle
/// between its parallel phases; many at once need memory.
const LOADED_TOGETHER: usize = 4;
/// How long a canary request may take.
const CANARY_TIME: Duration = Duration::from_secs(5);

/// Everything that runs.
pub struct Fleet {
    engine: Arc<Engine>,
    table: ArcSwap<RoutingTable>,
    changing: Mutex<()>,
    left_out: std::sync::Mutex<BTreeMap<ComponentId, LeftOut>>,
    ledger: Arc<dyn ReleaseLedger>,
}

impl Fleet {
    /// A fleet in which nothing runs yet.
    pub fn new(engine: Arc<Engine>, ledger: Arc<dyn ReleaseLedger>) -> Self {
        let table = ArcSwap::from_pointee(RoutingTable::default());
        Self { engine, table, changing: Mutex::default(), left_out: Default::default(), ledger }
    }

    /// The routing table of this moment.
    pub fn table(&self) -> arc_swap::Guard<Arc<RoutingTable>> {
        self.table.load()
    }

    /// Starts what the map, or the ledger, says should run. Nothing is tried or recorded.
    ///
    /// # Errors
    /// The first component of the map that is refused; nothing runs then.
    pub async fn start(&self, start: Start) -> Result<(), Refusal> {
        let _change = self.changing.lock().await;
        let Start { named, installed, left_out } = start;
        let loads = named.into_iter().map(|component| self.first(component));
        let slots = futures::stream::iter(loads).buffered(LOADED_TOGETHER).try_collect().await?;
        let mut table = RoutingTable::new(slots)?;
        left_out.into_iter().for_each(|component| self.leave_out(component));
        let loads = installed.into_iter().map(async |component| {
            let (id, digest) = (component.id.clone(), component.digest.clone());
            (id, digest, self.first(component).await)
        });
        let mut loads = futures::stream::iter(loads).buffered(LOADED_TOGETHER);
        while let Some((id, digest, loaded)) = loads.next().await {
            match loaded.and_then(|(id, slot)| table.with(id, slot)) {
                Ok(larger) => table = larger,
                Err(refusal) => {
                    self.leave_out(LeftOut { id, digest, reason: refusal.to_string() });
                }
            }
        }
        drop(loads);
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// Replaces one component, or several that must move together, at once. With a policy they
    /// first get a share of the requests.
    ///
    /// # Errors
    /// Why one of them was refused; what served goes on serving then.
    pub async fn release(
        &self,
        proposals: Vec<Proposal>,
        canary: Option<CanaryPolicy>,
    ) -> Result<Vec<Released>, Refusal> {
        let _change = self.changing.lock().await;
        let table = self.table.load_full();
        let mut slots = table.slots().clone();
        let (mut recorded, mut released, mut retired) = (Vec::new(), Vec::new(), Vec::new());
        for proposal in proposals {
            let controller = self.prepare(&table, proposal).await?;
            let id = controller.id().clone();
            let before = slots.get(&id).cloned();
            released.push(Released {
                id: id.clone(),
                digest: controller.digest().to_owned(),
                previous: before.as_ref().map(|slot| slot.stable().digest().to_owned()),
            });
            let slot = match (canary, &before) {
                (Some(policy), Some(slot)) => slot.with_trial(controller, policy),
                (_, before) => {
                    let stable = before.as_ref().map(|slot| Arc::clone(slot.stable()));
                    recorded.push(Transition {
                        now: controller.record(),
                        before: stable.as_ref().map(|stable| stable.record()),
                    });
                    retired.extend(before.clone());
                    Slot::new(controller, stable)
                }
            };
            slots.insert(id, Arc::new(slot));
        }
        self.activate(slots, &recorded, retired).await?;
        let mut left_out = self.lock_left_out();
        left_out.retain(|id, _| released.iter().all(|released| released.id != *id));
        drop(left_out);
        Ok(released)
    }

    /// Gives all requests to what is being tried.
    ///
    /// # Errors
    /// When nothing is being tried.
    pub async fn promote(&self, id: &ComponentId) -> Result<Released, Refusal> {
        let _change = self.changing.lock().await;
        let table = self.table.load_full();
        let slot = installed(&table, id)?;
        let Some(trial) = slot.trial().filter(|trial| !trial.report().abandoned) else {
            return Err(Refusal::NothingThere { component: id.clone(), what: "canary" });
        };
        let next = Slot::new(Arc::clone(&trial.controller), Some(Arc::clone(slot.stable())));
        self.replace(&table, slot, next).await
    }

    /// Returns to what served before. During a canary: ends the canary.
    ///
    /// # Errors
    /// When there is nothing to return to.
    pub async fn rollback(&self, id: &ComponentId) -> Result<Released, Refusal> {
        let _change = self.changing.lock().await;
        let table = self.table.load_full();
        let slot = installed(&table, id)?;
        if slot.trial().is_some() {
            let stable = Arc::clone(slot.stable());
            let next = Slot::new(stable, slot.previous().cloned());
            return self.replace(&table, slot, next).await;
        }
        let previous = match slot.previous() {
            Some(previous) => Arc::clone(previous),
            None => self.recall(id, slot).await?,
        };
        let next = Slot::new(previous, Some(Arc::clone(slot.stable())));
        self.replace(&table, slot, next).await
    }

    /// Removes a component and its routes.
    ///
    /// # Errors
    /// When it is not installed.
    pub async fn remove(&self, id: &ComponentId) -> Result<(), Refusal> {
        let _change = self.changing.lock().await;
        if self.lock_left_out().contains_key(id) {
            self.ledger.forget(id).await.map_err(Refusal::Ledger)?;
            self.lock_left_out().remove(id);
            return Ok(());
        }
        let table = self.table.load_full();
        let slot = Arc::clone(installed(&table, id)?);
        self.ledger.forget(id).await.map_err(Refusal::Ledger)?;
        let mut slots = table.slots().clone();
        slots.remove(id);
        self.table.store(Arc::new(RoutingTable::new(slots)?));
        retire_all(&slot, None);
        Ok(())
    }

    /// What runs.
    pub fn list(&self) -> Vec<Listed> {
        let table = self.table.load();
        let listed = table.slots().values().map(|slot| {
            let stable = slot.stable();
            Listed {
                id: stable.id().clone(),
                routes: stable.manifest().routes.clone(),
                digest: stable.digest().to_owned(),
                version: stable.manifest().version.clone(),
                quarantined: stable.is_quarantined(),
                statistics: stable.statistics().snapshot(),
                previous: slot.previous().map(|previous| previous.digest().to_owned()),
                canary: slot.trial().map(|trial| trial.report()),
            }
        });
        listed.collect()
    }

    /// What was installed and does not run, because it was refused when the host started.
    pub fn left_out(&self) -> Vec<LeftOut> {
        self.lock_left_out().values().cloned().collect()
    }

    /// Gives back the memory of instances that have been idle for long. Call it now and then.
    pub fn release_idle(&self) {
        for slot in self.table.load().slots().values() {
            slot.stable().release_idle(IDLE_FOR);
            slot.stable().statistics().publish_levels();
            if let Some(trial) = slot.trial() {
                trial.controller.release_idle(IDLE_FOR);
            }
        }
    }

    /// Makes the place of a component that runs from the start.
    async fn first(&self, component: Recorded) -> Result<(ComponentId, Arc<Slot>), Refusal> {
        let Recorded { id, mut manifest, wasm, .. } = component;
        manifest.version = version::of(&wasm).or(manifest.version);
        let loaded = self.engine.load(&id, &manifest, wasm).await?;
        let statistics = Arc::new(Statistics::new(id.as_str()));
        let controller = Arc::new(Controller::new(loaded, statistics));
        Ok((id, Arc::new(Slot::new(controller, None))))
    }

    /// Compiles, checks and tries a proposal beside what serves.
    async fn prepare(
        &self,
        table: &RoutingTable,
        proposal: Proposal,
    ) -> Result<Arc<Controller>, Refusal> {
        let Proposal { id, wasm, manifest, version } = proposal;
        let before = table.slots().get(&id);
        let mut manifest = manifest
            .or_else(|| before.map(|slot| kept_for(&wasm, slot.stable())))
            .ok_or_else(|| Refusal::ManifestMissing { component: id.clone() })?;
        manifest.version = version::of(&wasm).or(version).or(manifest.version);
        let loaded = self.engine.load(&id, &manifest, wasm).await?;
        let statistics = match before {
            Some(slot) => Arc::clone(slot.stable().statistics()),
            None => Arc::new(Statistics::new(id.as_str())),
        };
        tracing::info!(component = %id, digest = loaded.digest, "checked; its canary is asked");
        let scratch = Arc::new(Controller::new(loaded, Arc::new(Statistics::scratch())));
        try_canary(&scratch).await?;
        Ok(Arc::new(scratch.promoted(statistics)))
    }

    /// Brings back code that ran before this process started.
    async fn recall(&self, id: &ComponentId, slot: &Slot) -> Result<Arc<Controller>, Refusal> {
        let recorded = self.ledger.previous(id).await.map_err(Refusal::Ledger)?;
        let Some(recorded) = recorded else {
            return Err(Refusal::NothingThere { component: id.clone(), what: "previous version" });
        };
        let loaded = self.engine.load(id, &recorded.manifest, recorded.wasm).await?;
        let statistics = Arc::clone(slot.stable().statistics());
        Ok(Arc::new(Controller::new(loaded, statistics)))
    }

    fn leave_out(&self, component: LeftOut) {
        let LeftOut { id, digest, reason } = &component;
        tracing::error!(
            component = %id, digest,
            "{id} was installed and does not run: {reason}; install it again with a manifest that \
             fits, or remove it (windlass components remove {id})"
        );
        let id = id.clone();
        self.lock_left_out().insert(id, component);
    }

    fn lock_left_out(&self) -> std::sync::MutexGuard<'_, BTreeMap<ComponentId, LeftOut>> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn replace(
        &self,
        table: &RoutingTable,
        before: &Arc<Slot>,
        next: Slot,
    ) -> Result<Released, Refusal> {
        let released = Released {
            id: next.id().clone(),
            digest: next.stable().digest().to_owned(),
            previous: Some(before.stable().digest().to_owned()),
        };
        let mut recorded = Vec::new();
        let (now, then) = (next.stable().record(), before.stable().record());
        if !now.is_same_as(&then) {
            recorded.push(Transition { now, before: Some(then) });
        }
        let mut slots = table.slots().clone();
        slots.insert(next.id().clone(), Arc::new(next));
        self.activate(slots, &recorded, vec![Arc::clone(before)]).await?;
        Ok(released)
    }

    /// Records, then exchanges the table, then lets go of what no longer serves.
    async fn activate(
        &self,
        slots: BTreeMap<ComponentId, Arc<Slot>>,
        recorded: &[Transition],
        retired: Vec<Arc<Slot>>,
    ) -> Result<(), Refusal> {
        let table = RoutingTable::new(slots)?;
        if !recorded.is_empty() {
            self.ledger.record(recorded).await.map_err(Refusal::Ledger)?;
        }
        for slot in table.slots().values() {
            slot.stable().reinstate();
        }
        let table = Arc::new(table);
        self.table.store(Arc::clone(&table));
        for slot in retired {
            retire_all(&slot, table.slots().get(slot.id()));
        }
        Ok(())
    }
}

fn installed<'a>(table: &'a RoutingTable, id: &ComponentId) -> Result<&'a Arc<Slot>, Refusal> {
    table.slots().get(id).ok_or_else(|| Refusal::Unknown { component: id.clone() })
}

/// What the running component has, for other code of it. The version is of the code and not kept.
fn kept_for(wasm: &Bytes, running: &Controller) -> ComponentManifest {
    let Recorded { mut manifest, wasm: running, .. } = running.record();
    if running != *wasm {
        manifest.version = None;
    }
    manifest
}

/// Takes out of service whatever of the old slot the new one does not serve with.
fn retire_all(old: &Slot, new: Option<&Arc<Slot>>) {
    let serves = |controller: &Arc<Controller>| {
        new.is_some_and(|slot| Arc::ptr_eq(slot.stable(), controller))
    };
    let trial = old.trial().map(|trial| &trial.controller);
    for controller in std::iter::once(old.stable()).chain(old.previous()).chain(trial) {
        if !serves(controller) {
            controller.retire();
        }
    }
}

/// Asks the candidate for its canary path, anonymously, on an instance that serves nobody else.
/// Any answer but a server error will do: what is asked is whether it works at all.
async fn try_canary(candidate: &Arc<Controller>) -> Result<(), Refusal> {
    let manifest = candidate.manifest();
    let path = match (&manifest.canary, manifest.routes.first()) {
        (Some(path), _) => path.clone(),
        (None, Some(route)) => canary_path(route),
        (None, None) => return Ok(()),
    };
    let refuse = |reason: String| Refusal::Canary {
        component: candidate.id().clone(),
        path: path.clone(),
        reason,
    };
    let request = http::Request::get(&path)
        .header(http::header::HOST, "canary.invalid")
        .body(Empty::new().map_err(|never| match never {}).boxed_unsync())
        .map_err(|error| refuse(format!("no request can be made of it: {error}")))?;
    let context = RequestContext::internal("canary", CANARY_TIME);
    let begun = Instant::now();
    match candidate.handle(context, request).await {
        Ok(answer) if answer.status().is_server_error() => {
            Err(refuse(format!("it answered {}", answer.status())))
        }
        Ok(_) => Ok(()),
        Err(Failure::Deadline) => {
            Err(refuse(format!("no answer within {} ms", begun.elapsed().as_millis())))
        }
        Err(failure) => Err(refuse(failure.to_string())),
    }
}
