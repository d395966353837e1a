//! `windlass:runtime/builds` for the reconciler. That nobody else is granted `workloads` is
//! [`crate::RuntimeCapability`]'s to see to.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{Accessor, HasData, Linker};
use windlass_engine::{
    Admission, Capability, ComponentId, ComponentManifest, HostFunction, HostState, InterfaceGrant,
};

use super::recipe::{Method, Recipe};
use super::report::Progress;
use super::{BuildState, Builds};
use crate::bindings::windlass::runtime::types::Error as WitError;
use crate::driver::{Error, WorkloadId};
use crate::images::Image;
use bindings::windlass::runtime::builds as wit;

/// The grant to build.
const WORKLOADS: &str = "workloads";

const INTERFACES: &[InterfaceGrant] =
    &[InterfaceGrant { interface: "windlass:runtime/builds@0.1.0", grant: Some(WORKLOADS) }];

mod bindings {
    //! The host's side of the interface, generated from the WIT.
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package windlass:builds-host;
            world host {
                import windlass:runtime/builds@0.1.0;
            }
        ",
        world: "windlass:builds-host/host",
        imports: {
            "windlass:runtime/builds": async | store,
        },
        with: {
            "windlass:runtime/types": crate::bindings::windlass::runtime::types,
        },
        require_store_data_send: true,
    });
}

/// Lets the reconciler have images made.
pub struct BuildsCapability {
    builds: Arc<Builds>,
}

impl BuildsCapability {
    /// Over what makes them.
    pub fn new(builds: Arc<Builds>) -> Self {
        Self { builds }
    }
}

/// What an admitted component may do.
struct Admitted {
    builds: Arc<Builds>,
    functions: Arc<Functions>,
}

/// The functions, as one component calls them.
struct Functions {
    start: HostFunction,
    observe: HostFunction,
    remove: HostFunction,
    list: HostFunction,
}

impl Capability for BuildsCapability {
    fn interfaces(&self) -> &'static [InterfaceGrant] {
        INTERFACES
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        wit::add_to_linker::<_, Calls>(linker, |state| state)
    }

    fn admit<'a>(
        &'a self,
        id: &'a ComponentId,
        manifest: &'a ComponentManifest,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Admission>, String>> + Send + 'a>> {
        let function = |name| HostFunction::new(name, id.as_str());
        let admitted = manifest.has_grant(WORKLOADS).then(|| {
            let functions = Arc::new(Functions {
                start: function("runtime.builds.start"),
                observe: function("runtime.builds.observe"),
                remove: function("runtime.builds.remove"),
                list: function("runtime.builds.list"),
            });
            Arc::new(Admitted { builds: Arc::clone(&self.builds), functions }) as Admission
        });
        Box::pin(ready(Ok(admitted)))
    }
}

/// Where calls of components arrive.
struct Calls;

impl HasData for Calls {
    type Data<'a> = &'a mut HostState;
}

type Answered<T> = Result<T, WitError>;

/// Calls what makes images, for a component that may.
fn call<T, R>(
    accessor: &Accessor<T, Calls>,
    function: fn(&Functions) -> &HostFunction,
    call: impl FnOnce(&Arc<Builds>) -> Answered<R>,
) -> Answered<R> {
    let admitted = accessor.with(|mut access| {
        let admitted = access.get().capability::<Admitted>()?;
        Some((Arc::clone(&admitted.builds), Arc::clone(&admitted.functions)))
    });
    let Some((builds, functions)) = admitted else {
        return Err(WitError::Denied(format!("the grant `{WORKLOADS}` is missing")));
    };
    let start = Instant::now();
    function(&functions).record(start, call(&builds))
}

impl wit::Host for &mut HostState {}

impl<T: Send> wit::HostWithStore<T> for Calls {
    async fn start(
        accessor: &Accessor<T, Self>,
        id: String,
        image: String,
        recipe: wit::Recipe,
    ) -> Answered<()> {
        call(
            accessor,
            |functions| &functions.start,
            |builds| builds.start(identified(&id)?, image, described(recipe)).map_err(failed),
        )
    }

    async fn observe(accessor: &Accessor<T, Self>, id: String) -> Answered<wit::State> {
        call(
            accessor,
            |functions| &functions.observe,
            |builds| {
                Ok(match builds.observe(identified(&id)?) {
                    BuildState::Absent => wit::State::Absent,
                    BuildState::Waiting => wit::State::Waiting,
                    BuildState::Running(progress) => wit::State::Running(told(progress)),
                    BuildState::Succeeded(progress, Image { digest, size_bytes }) => {
                        wit::State::Succeeded((told(progress), wit::Image { digest, size_bytes }))
                    }
                    BuildState::Failed(progress, reason) => {
                        wit::State::Failed((told(progress), reason))
                    }
                })
            },
        )
    }

    async fn remove(accessor: &Accessor<T, Self>, id: String) -> Answered<()> {
        call(
            accessor,
            |functions| &functions.remove,
            |builds| {
                builds.remove(identified(&id)?);
                Ok(())
            },
        )
    }

    async fn list(accessor: &Accessor<T, Self>) -> Answered<Vec<String>> {
        call(
            accessor,
            |functions| &functions.list,
            |builds| Ok(builds.list().iter().map(WorkloadId::to_string).collect()),
        )
    }
}

fn identified(id: &str) -> Answered<WorkloadId> {
    WorkloadId::parse(id).map_err(failed)
}

fn described(recipe: wit::Recipe) -> Recipe {
    Recipe {
        method: recipe.method.map(|method| match method {
            wit::Method::Railpack => Method::Railpack,
            wit::Method::Nixpacks => Method::Nixpacks,
            wit::Method::Dockerfile => Method::Dockerfile,
            wit::Method::Prebuilt => Method::Prebuilt,
        }),
        repository: recipe.repository,
        branch: recipe.branch,
        commit: recipe.commit,
        root_directory: recipe.root_directory,
        dockerfile: recipe.dockerfile,
        prebuilt_image: recipe.prebuilt_image,
        registry_url: recipe.registry_url,
        build_command: recipe.build_command,
        start_command: recipe.start_command,
        variables: recipe.variables,
        arguments: recipe.arguments,
        labels: recipe.labels,
    }
}

fn told(progress: Progress) -> wit::Progress {
    let Progress { done, steps, commit, builder } = progress;
    wit::Progress { done, steps, commit, builder }
}

fn failed(error: Error) -> WitError {
    match error {
        Error::NotFound(text) => WitError::NotFound(text),
        Error::Conflict(text) => WitError::Conflict(text),
        Error::Invalid(text) => WitError::Invalid(text),
        Error::Unavailable(text) => WitError::Unavailable(text),
        Error::Quota(text) => WitError::Quota(text),
        Error::Other(text) => WitError::Other(text),
    }
}
