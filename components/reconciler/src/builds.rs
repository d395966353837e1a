//! The domain's port to what makes images, over `windlass:runtime/builds`.

use std::collections::BTreeMap;

use windlass_domain::builders::{BuildState, Builders, Ending, Method, Order, Progress, Recipe};
use windlass_domain::future::PortFuture;
use windlass_domain::ids::BuildId;
use windlass_domain::runtime::Fault;

use crate::bindings::windlass::runtime::builds as wit;
use crate::runtime::{HostRuntime, fault};

impl Builders for HostRuntime {
    fn start_build<'a>(&'a self, order: &'a Order) -> PortFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let recipe = described(&order.recipe);
            wit::start(order.id.to_string(), order.image.clone(), recipe).await.map_err(fault)
        })
    }

    fn observe_build(&self, id: BuildId) -> PortFuture<'_, Result<BuildState, Fault>> {
        Box::pin(async move {
            Ok(match wit::observe(id.to_string()).await.map_err(fault)? {
                wit::State::Absent => BuildState::Absent,
                wit::State::Waiting => BuildState::Waiting,
                wit::State::Running(progress) => BuildState::Running(told(progress)),
                wit::State::Succeeded((progress, wit::Image { digest, size_bytes })) => {
                    BuildState::Ended(told(progress), Ending::Made { digest, size_bytes })
                }
                wit::State::Failed((progress, reason)) => {
                    BuildState::Ended(told(progress), Ending::Failed(reason))
                }
            })
        })
    }

    fn remove_build(&self, id: BuildId) -> PortFuture<'_, Result<(), Fault>> {
        Box::pin(async move { wit::remove(id.to_string()).await.map_err(fault) })
    }

    fn list_builds(&self) -> PortFuture<'_, Result<Vec<BuildId>, Fault>> {
        Box::pin(async move {
            let ids = wit::list().await.map_err(fault)?;
            Ok(ids.iter().filter_map(|id| BuildId::parse(id)).collect())
        })
    }
}

fn described(recipe: &Recipe) -> wit::Recipe {
    let pairs = |map: &BTreeMap<String, String>| map.clone().into_iter().collect();
    wit::Recipe {
        method: recipe.method.map(|method| match method {
            Method::Railpack => wit::Method::Railpack,
            Method::Nixpacks => wit::Method::Nixpacks,
            Method::Dockerfile => wit::Method::Dockerfile,
            Method::Prebuilt => wit::Method::Prebuilt,
        }),
        repository: recipe.repository.clone(),
        branch: recipe.branch.clone(),
        commit: recipe.commit.clone(),
        root_directory: recipe.root_directory.clone(),
        dockerfile: recipe.dockerfile.clone(),
        prebuilt_image: recipe.prebuilt_image.clone(),
        registry_url: recipe.registry_url.clone(),
        build_command: recipe.build_command.clone(),
        start_command: recipe.start_command.clone(),
        variables: pairs(&recipe.variables),
        arguments: pairs(&recipe.arguments),
        labels: pairs(&recipe.labels),
    }
}

fn told(progress: wit::Progress) -> Progress {
    let wit::Progress { done, steps, commit, builder } = progress;
    Progress { done, steps, commit, builder }
}
