//! The containers this driver carries, as far as it must remember them: what is published where, who
//! follows their lines, who starts them at their times.
//!
//! The engine has everything that matters, in labels; this is found again after a restart.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::condition::Restarts;
use super::lines::Follower;
use super::names::Known;
use super::proxy::Proxy;
use super::schedule::Scheduled;
use super::usage::Sample;
use crate::driver::{Kind, WorkloadId};

/// A container of a workload.
pub(super) struct Container {
    pub(super) known: Known,
    /// Its name, as the engine has it.
    pub(super) name: String,
    /// Where requests go; for `web` alone.
    pub(super) proxy: Option<Arc<Proxy>>,
    pub(super) restarts: Restarts,
    /// What it took when it was last asked.
    pub(super) sample: Mutex<Option<Sample>>,
    address: Mutex<Option<SocketAddr>>,
    follower: Mutex<Option<Follower>>,
    _scheduled: Option<Scheduled>,
}

impl Container {
    pub(super) fn new(
        known: Known,
        name: String,
        restarts: Restarts,
        follower: Follower,
        scheduled: Option<Scheduled>,
    ) -> Self {
        let proxy = (known.kind == Kind::Web).then(Proxy::new);
        Self {
            known,
            name,
            proxy,
            restarts,
            sample: Mutex::default(),
            address: Mutex::default(),
            follower: Mutex::new(Some(follower)),
            _scheduled: scheduled,
        }
    }

    /// It is published here now.
    pub(super) fn is_at(&self, address: Option<SocketAddr>) {
        *lock(&self.address) = address;
        if let Some(proxy) = &self.proxy {
            proxy.lead_to(address);
        }
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        *lock(&self.address)
    }

    /// Who follows its lines, who ends with what is answered.
    pub(super) fn take_follower(&self) -> Option<Follower> {
        lock(&self.follower).take()
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Carried {
    running: Mutex<BTreeMap<WorkloadId, Arc<Container>>>,
    stopping: Mutex<BTreeMap<WorkloadId, ()>>,
}

impl Carried {
    pub(super) fn get(&self, id: WorkloadId) -> Option<Arc<Container>> {
        lock(&self.running).get(&id).cloned()
    }

    /// Adds one that is not there yet. `make` is called only then.
    pub(super) fn add(&self, id: WorkloadId, make: impl FnOnce() -> Container) -> Arc<Container> {
        Arc::clone(lock(&self.running).entry(id).or_insert_with(|| Arc::new(make())))
    }

    /// Forgets those that are not there any more.
    pub(super) fn keep_only(&self, is_there: impl Fn(WorkloadId) -> bool) {
        lock(&self.running).retain(|id, _| is_there(*id));
    }

    /// From here on it gets no requests; answers it where nobody else is stopping it.
    pub(super) fn begin_stop(&self, id: WorkloadId) -> Option<Option<Arc<Container>>> {
        if lock(&self.stopping).insert(id, ()).is_some() {
            return None;
        }
        Some(lock(&self.running).remove(&id))
    }

    pub(super) fn end_stop(&self, id: WorkloadId) {
        lock(&self.stopping).remove(&id);
    }

    pub(super) fn is_stopping(&self, id: WorkloadId) -> bool {
        lock(&self.stopping).contains_key(&id)
    }
}

/// Nothing is left half done behind these locks, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
