//! The place of one component in the routing table: what serves, what served before it, and what
//! is being tried with a share of the requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::controller::Controller;
use crate::manifest::ComponentId;

/// A place in the routing table. Immutable but for the counters of a trial.
pub struct Slot {
    stable: Arc<Controller>,
    previous: Option<Arc<Controller>>,
    trial: Option<Arc<Trial>>,
}

/// How a canary is judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanaryPolicy {
    /// The share of requests that go to the new one, over 0 and below 1.
    pub share: f64,
    /// The share of failed requests over which the old one comes back by itself.
    pub error_rate: f64,
    /// Requests to wait for before the rate is judged.
    pub requests: u64,
}

impl Default for CanaryPolicy {
    fn default() -> Self {
        Self { share: 0.1, error_rate: 0.05, requests: 20 }
    }
}

impl CanaryPolicy {
    /// Checks the bounds.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn check(&self) -> Result<(), String> {
        if !(self.share > 0.0 && self.share < 1.0) {
            return Err(format!("canary share is {}, and must be over 0 and below 1", self.share));
        }
        if !(0.0..1.0).contains(&self.error_rate) {
            return Err(format!(
                "canary error_rate is {}, and must be at least 0 and below 1",
                self.error_rate
            ));
        }
        if self.requests == 0 {
            return Err("canary requests is 0, and must be at least 1".to_owned());
        }
        Ok(())
    }
}

/// A new version that gets a share of the requests.
pub struct Trial {
    pub(crate) controller: Arc<Controller>,
    pub(crate) policy: CanaryPolicy,
    turns: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
    abandoned: AtomicBool,
}

/// What a trial came to so far.
#[derive(Clone, Debug, Serialize)]
pub struct TrialReport {
    /// The digest of the new version.
    pub digest: String,
    /// The share of requests it gets.
    pub share: f64,
    /// Requests it got.
    pub requests: u64,
    /// Of these, failed.
    pub errors: u64,
    /// Whether the error rate was too high and it gets no more.
    pub abandoned: bool,
}

impl Slot {
    pub(crate) fn new(stable: Arc<Controller>, previous: Option<Arc<Controller>>) -> Self {
        Self { stable, previous, trial: None }
    }

    pub(crate) fn with_trial(&self, controller: Arc<Controller>, policy: CanaryPolicy) -> Self {
        let trial = Trial {
            controller,
            policy,
            turns: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            abandoned: AtomicBool::new(false),
        };
        Self {
            stable: Arc::clone(&self.stable),
            previous: self.previous.clone(),
            trial: Some(Arc::new(trial)),
        }
    }

    /// The name of the component.
    pub fn id(&self) -> &ComponentId {
        self.stable.id()
    }

    /// What serves.
    pub fn stable(&self) -> &Arc<Controller> {
        &self.stable
    }

    /// What served before, compiled and ready.
    pub fn previous(&self) -> Option<&Arc<Controller>> {
        self.previous.as_ref()
    }

    /// What is being tried.
    pub fn trial(&self) -> Option<&Arc<Trial>> {
        self.trial.as_ref()
    }

    /// Who answers the next request.
    pub fn pick(&self) -> Arc<Controller> {
        match &self.trial {
            Some(trial) if trial.takes_turn() => Arc::clone(&trial.controller),
            _ => Arc::clone(&self.stable),
        }
    }

    /// Tells the trial, if the request was one of its own, how it ended. Answers whether the
    /// trial was abandoned by this very request.
    pub fn judge(&self, answered_by: &Arc<Controller>, failed: bool) -> bool {
        match &self.trial {
            Some(trial) if Arc::ptr_eq(&trial.controller, answered_by) => trial.judge(failed),
            _ => false,
        }
    }
}

impl Trial {
    /// Spreads its turns evenly: with a share of 0.1 every tenth request is one.
    fn takes_turn(&self) -> bool {
        if self.abandoned.load(Relaxed) {
            return false;
        }
        let turn = self.turns.fetch_add(1, Relaxed) as f64;
        ((turn + 1.0) * self.policy.share).floor() > (turn * self.policy.share).floor()
    }

    fn judge(&self, failed: bool) -> bool {
        let requests = self.requests.fetch_add(1, Relaxed) + 1;
        let errors = self.errors.fetch_add(u64::from(failed), Relaxed) + u64::from(failed);
        // Half of the requests it waits for may fail before it is judged early: a version that
        // fails outright need not fail for all of them.
        let enough = requests >= self.policy.requests || errors * 2 >= self.policy.requests;
        let too_many = errors as f64 > self.policy.error_rate * requests as f64;
        enough && too_many && !self.abandoned.swap(true, Relaxed)
    }

    /// What it came to so far.
    pub fn report(&self) -> TrialReport {
        TrialReport {
            digest: self.controller.digest().to_owned(),
            share: self.policy.share,
            requests: self.requests.load(Relaxed),
            errors: self.errors.load(Relaxed),
            abandoned: self.abandoned.load(Relaxed),
        }
    }
}
