//! Builders in memory, which work as fast as they are looked at.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::FakeRuntime;
use crate::builders::{BuildState, Builders, Ending, Order, Progress};
use crate::future::PortFuture;
use crate::ids::BuildId;
use crate::runtime::Fault;

/// Steps of every build: it ends when it has been looked at so often.
const STEPS: u32 = 3;

/// What is built, and of what.
#[derive(Debug, Default)]
pub(super) struct Workshop {
    repositories: BTreeMap<String, Result<(String, String), String>>,
    builds: BTreeMap<BuildId, (Order, u32)>,
    started: Vec<Order>,
    /// Builds never end.
    endless: bool,
}

impl FakeRuntime {
    /// Offers a repository, whose commit becomes an image with this digest.
    pub fn add_repository(&self, address: &str, commit: &str, digest: &str) {
        let made = Ok((commit.to_owned(), digest.to_owned()));
        self.lock().workshop.repositories.insert(address.to_owned(), made);
    }

    /// Offers a repository that cannot be built.
    pub fn add_broken_repository(&self, address: &str, reason: &str) {
        let broken = Err(reason.to_owned());
        self.lock().workshop.repositories.insert(address.to_owned(), broken);
    }

    /// From now on builds never end, or do again.
    pub fn set_endless_builds(&self, endless: bool) {
        self.lock().workshop.endless = endless;
    }

    /// Every build is gone, as after a restart of the host.
    pub fn lose_builds(&self) {
        self.lock().workshop.builds.clear();
    }

    /// What is being built, or was and is not cleared away.
    pub fn builds(&self) -> Vec<BuildId> {
        self.lock().workshop.builds.keys().copied().collect()
    }

    /// Every order that was taken, in their order.
    pub fn orders(&self) -> Vec<Order> {
        self.lock().workshop.started.clone()
    }
}

impl Workshop {
    fn look(&mut self, id: BuildId) -> BuildState {
        let Some((order, done)) = self.builds.get_mut(&id) else { return BuildState::Absent };
        if !self.endless || *done == 0 {
            *done = (*done + 1).min(STEPS);
        }
        let address = match order.recipe.prebuilt_image.is_empty() {
            true => &order.recipe.repository,
            false => &order.recipe.prebuilt_image,
        };
        let unknown = || Err(format!("{address} is no repository"));
        let made = self.repositories.get(address).cloned().unwrap_or_else(unknown);
        let progress = Progress {
            done: *done,
            steps: STEPS,
            commit: made.as_ref().map(|(commit, _)| commit.clone()).unwrap_or_default(),
            builder: "component".to_owned(),
        };
        match (*done, made) {
            (STEPS, Ok((_, digest))) => {
                BuildState::Ended(progress, Ending::Made { digest, size_bytes: 1_000 })
            }
            (STEPS, Err(reason)) => BuildState::Ended(progress, Ending::Failed(reason)),
            _ => BuildState::Running(progress),
        }
    }
}

impl Builders for FakeRuntime {
    fn start_build<'a>(&'a self, order: &'a Order) -> PortFuture<'a, Result<(), Fault>> {
        self.answer(|state| {
            let workshop = &mut state.workshop;
            if let Entry::Vacant(place) = workshop.builds.entry(order.id) {
                place.insert((order.clone(), 0));
                workshop.started.push(order.clone());
            }
            Ok(())
        })
    }

    fn observe_build(&self, id: BuildId) -> PortFuture<'_, Result<BuildState, Fault>> {
        self.answer(|state| Ok(state.workshop.look(id)))
    }

    fn remove_build(&self, id: BuildId) -> PortFuture<'_, Result<(), Fault>> {
        self.answer(|state| {
            state.workshop.builds.remove(&id);
            Ok(())
        })
    }

    fn list_builds(&self) -> PortFuture<'_, Result<Vec<BuildId>, Fault>> {
        self.answer(|state| Ok(state.workshop.builds.keys().copied().collect()))
    }
}
