//! A git provider in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::future::PortFuture;
use crate::git::{GitAccount, Hosting, HostingFault, Repository};

/// Shows the same repositories to everybody, or fails.
#[derive(Debug, Default)]
pub struct FakeHosting(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    repositories: Vec<Repository>,
    fault: Option<HostingFault>,
    asked: u32,
}

impl FakeHosting {
    /// Adds a repository.
    pub fn add(&self, repository: Repository) {
        self.state().repositories.push(repository);
    }

    /// From now on every question fails so.
    pub fn fail(&self, fault: HostingFault) {
        self.state().fault = Some(fault);
    }

    /// How often it was asked.
    pub fn asked(&self) -> u32 {
        self.state().asked
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hosting for FakeHosting {
    fn repositories<'a>(
        &'a self,
        _account: &'a GitAccount,
    ) -> PortFuture<'a, Result<Vec<Repository>, HostingFault>> {
        let mut state = self.state();
        state.asked += 1;
        let answer = match &state.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(state.repositories.clone()),
        };
        Box::pin(async move { answer })
    }
}
