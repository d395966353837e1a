//! What is said of releases: what is asked for, what is recorded, what came of it.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::manifest::{ComponentId, ComponentManifest};
use crate::slot::TrialReport;
use crate::statistics::Snapshot;

/// A component somebody wants to run.
#[derive(Clone)]
pub struct Proposal {
    /// Its name.
    pub id: ComponentId,
    /// The component.
    pub wasm: Bytes,
    /// What it is given; `None` keeps what the running one has.
    pub manifest: Option<ComponentManifest>,
    /// The version of this code, when the component does not say it itself.
    pub version: Option<String>,
}

/// A component as it was recorded.
#[derive(Clone)]
pub struct Recorded {
    /// Its name.
    pub id: ComponentId,
    /// The digest of its code.
    pub digest: String,
    /// What it is given.
    pub manifest: ComponentManifest,
    /// The code.
    pub wasm: Bytes,
}

impl Recorded {
    /// Whether this is the same code with the same rights.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.digest == other.digest && self.manifest == other.manifest
    }
}

/// What should run from the start.
pub struct Start {
    /// What the map names: all of it, or the host does not start.
    pub named: Vec<Recorded>,
    /// What was installed since. What is refused of it is left out, so that a plugin cannot keep
    /// the host from starting.
    pub installed: Vec<Recorded>,
    /// What was installed and cannot even be offered.
    pub left_out: Vec<LeftOut>,
}

/// A component that was installed and does not run.
#[derive(Clone, Debug, serde::Serialize)]
pub struct LeftOut {
    /// Its name.
    pub id: ComponentId,
    /// The digest of its code.
    pub digest: String,
    /// Why it was refused.
    pub reason: String,
}

/// One component giving way to another.
pub struct Transition {
    /// What runs from now on.
    pub now: Recorded,
    /// What ran until now.
    pub before: Option<Recorded>,
}

/// Where releases are recorded, so that a restart serves what was running.
pub trait ReleaseLedger: Send + Sync {
    /// Records components as running, all or none.
    fn record<'a>(&'a self, transitions: &'a [Transition]) -> LedgerFuture<'a, ()>;
    /// Brings back the code of a component that ran before.
    fn previous<'a>(&'a self, id: &'a ComponentId) -> LedgerFuture<'a, Option<Recorded>>;
    /// Forgets a component.
    fn forget<'a>(&'a self, id: &'a ComponentId) -> LedgerFuture<'a, ()>;
}

/// What a ledger answers, later. The error is a sentence for the administrator.
pub type LedgerFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// What a change came to.
#[derive(Debug, serde::Serialize)]
pub struct Released {
    /// The name of the component.
    pub id: ComponentId,
    /// The digest that runs now, or is being tried.
    pub digest: String,
    /// The digest that ran before.
    pub previous: Option<String>,
}

/// One line of the list of what runs.
#[derive(Debug, serde::Serialize)]
pub struct Listed {
    /// The name of the component.
    pub id: ComponentId,
    /// The routes that wake it.
    pub routes: Vec<String>,
    /// The digest that runs.
    pub digest: String,
    /// The version of the code that runs.
    pub version: Option<String>,
    /// Whether it kept failing and is served one request at a time.
    pub quarantined: bool,
    /// Counters.
    #[serde(flatten)]
    pub statistics: Snapshot,
    /// The digest a rollback returns to.
    pub previous: Option<String>,
    /// What is being tried.
    pub canary: Option<TrialReport>,
}
