//! `windlass:source` for components.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{Accessor, HasSelf, Linker};
use windlass_engine::{
    Admission, Capability, ComponentId, ComponentManifest, HostFunction, HostState, InterfaceGrant,
};

use crate::bindings::windlass::source::types::{self, Error};
use crate::bindings::windlass::source::{hosting, hosting_sync};
use crate::{Account, Hosting, Provider, Repository};

/// The grant in a manifest.
const GRANT: &str = "source";

/// What git providers tell, as the engine links it.
pub struct SourceCapability {
    hosting: Arc<Hosting>,
}

impl SourceCapability {
    /// Over the providers.
    pub fn new(hosting: Arc<Hosting>) -> Self {
        Self { hosting }
    }
}

impl Capability for SourceCapability {
    fn interfaces(&self) -> &'static [InterfaceGrant] {
        &[
            InterfaceGrant { interface: "windlass:source/types@0.1.0", grant: None },
            InterfaceGrant { interface: "windlass:source/hosting@0.1.0", grant: Some(GRANT) },
            InterfaceGrant { interface: "windlass:source/hosting-sync@0.1.0", grant: Some(GRANT) },
        ]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        types::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        hosting::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        hosting_sync::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
    }

    fn admit<'a>(
        &'a self,
        id: &'a ComponentId,
        manifest: &'a ComponentManifest,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Admission>, String>> + Send + 'a>> {
        let granted = manifest.has_grant(GRANT).then(|| {
            Arc::new(Granted {
                hosting: Arc::clone(&self.hosting),
                repositories: HostFunction::new("source.hosting.repositories", id.as_str()),
            })
        });
        Box::pin(ready(Ok(granted.map(|granted| Arc::new(granted) as Admission))))
    }
}

/// What a component with the grant has.
struct Granted {
    hosting: Arc<Hosting>,
    repositories: HostFunction,
}

windlass_engine::host_error!(Error);

/// One call of a component: what it may use, and until when.
struct Call {
    granted: Arc<Granted>,
    deadline: Instant,
}

impl Call {
    fn begin(state: &HostState) -> Result<Self, Error> {
        let granted = state.capability::<Arc<Granted>>().ok_or_else(|| {
            Error::Denied("source is not among the component's grants".to_owned())
        })?;
        Ok(Self { granted: Arc::clone(granted), deadline: state.request().call_deadline() })
    }
}

async fn repositories(
    call: Result<Call, Error>,
    account: types::Account,
) -> Result<Vec<types::Repository>, Error> {
    let Call { granted, deadline } = call?;
    let start = Instant::now();
    let listed = list(&granted.hosting, account, deadline).await;
    granted.repositories.record(start, listed)
}

async fn list(
    hosting: &Hosting,
    account: types::Account,
    deadline: Instant,
) -> Result<Vec<types::Repository>, Error> {
    let provider = Provider::parse(&account.provider).ok_or_else(|| {
        Error::Invalid(format!("{:?} is no git provider that is known here", account.provider))
    })?;
    let account = Account { provider, id: account.id, token: account.token };
    let listed = hosting.repositories(&account, deadline).await.map_err(failed)?;
    Ok(listed.into_iter().map(described).collect())
}

fn described(repository: Repository) -> types::Repository {
    types::Repository {
        id: repository.id,
        name: repository.name,
        full_name: repository.full_name,
        description: repository.description,
        private: repository.private,
        default_branch: repository.default_branch,
        clone_url: repository.clone_url,
        web_url: repository.web_url,
    }
}

fn failed(error: crate::Error) -> Error {
    match error {
        crate::Error::Denied(text) => Error::Denied(text),
        crate::Error::Invalid(text) => Error::Invalid(text),
        crate::Error::Unavailable(text) => Error::Unavailable(text),
        crate::Error::Quota(text) => Error::Quota(text),
        crate::Error::Timeout(text) => Error::Timeout(text),
    }
}

impl types::Host for HostState {}

impl hosting::Host for HostState {}

impl hosting::HostWithStore<HostState> for HasSelf<HostState> {
    async fn repositories(
        accessor: &Accessor<HostState, Self>,
        account: types::Account,
    ) -> Result<Vec<types::Repository>, Error> {
        let call = accessor.with(|mut access| Call::begin(access.get()));
        repositories(call, account).await
    }
}

impl hosting_sync::Host for HostState {
    async fn repositories(
        &mut self,
        account: types::Account,
    ) -> Result<Vec<types::Repository>, Error> {
        repositories(Call::begin(self), account).await
    }
}
