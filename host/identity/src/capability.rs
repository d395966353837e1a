//! `windlass:identity` for components.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use metrics::Counter;
use wasmtime::component::{Accessor, HasSelf, Linker};
use windlass_engine::{
    Admission, Authentication, Capability, ComponentId, ComponentManifest, HostState,
    InterfaceGrant,
};

use crate::Identity;
use crate::bindings::windlass::identity::{
    caller, passwords, passwords_sync, throttle, tokens, tokens_sync, types,
};
use crate::calls::{Admitted, Call, Functions, Which};
use types::Error;

/// The grant in a manifest.
const GRANT: &str = "identity";

/// Identity, as the engine links it.
pub struct IdentityCapability {
    identity: Arc<Identity>,
}

impl IdentityCapability {
    /// Over the host's keys and ledger.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self { identity }
    }
}

impl Capability for IdentityCapability {
    fn interfaces(&self) -> &'static [InterfaceGrant] {
        &[
            InterfaceGrant { interface: "windlass:identity/types@0.1.0", grant: None },
            InterfaceGrant { interface: "windlass:identity/caller@0.1.0", grant: None },
            InterfaceGrant { interface: "windlass:identity/passwords@0.1.0", grant: Some(GRANT) },
            InterfaceGrant {
                interface: "windlass:identity/passwords-sync@0.1.0",
                grant: Some(GRANT),
            },
            InterfaceGrant { interface: "windlass:identity/tokens@0.1.0", grant: Some(GRANT) },
            InterfaceGrant { interface: "windlass:identity/tokens-sync@0.1.0", grant: Some(GRANT) },
            InterfaceGrant { interface: "windlass:identity/throttle@0.1.0", grant: Some(GRANT) },
        ]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        types::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        caller::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        passwords::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        passwords_sync::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        tokens::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        tokens_sync::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        throttle::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
    }

    fn admit<'a>(
        &'a self,
        id: &'a ComponentId,
        manifest: &'a ComponentManifest,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Admission>, String>> + Send + 'a>> {
        // Everybody may ask who calls.
        let admitted = Arc::new(Admitted {
            identity: manifest.has_grant(GRANT).then(|| Arc::clone(&self.identity)),
            functions: Functions::of(id.as_str()),
        });
        Box::pin(async move { Ok(Some(Arc::new(admitted) as Admission)) })
    }
}

async fn hash(call: Result<Call, Error>, password: String) -> Result<String, Error> {
    let call = call?;
    let result = call.identity.hash_password(password, call.deadline).await;
    call.end(result)
}

async fn verify(
    call: Result<Call, Error>,
    password: String,
    hash: Option<String>,
) -> Result<bool, Error> {
    let call = call?;
    let result = call.identity.verify_password(password, hash, call.deadline).await;
    call.end(result)
}

fn issue(
    call: Result<Call, Error>,
    subject: &str,
    lifetime_seconds: u64,
) -> Result<types::IssuedToken, Error> {
    let call = call?;
    let issued = call.identity.issue(subject, lifetime_seconds);
    let issued = call.end(issued)?;
    Ok(types::IssuedToken {
        id: issued.id,
        token: issued.token,
        expires_at_seconds: issued.expires_at_seconds,
    })
}

async fn revoke(call: Result<Call, Error>, token_id: &str) -> Result<(), Error> {
    let call = call?;
    let result = call.identity.revoke(token_id).await;
    call.end(result)
}

async fn revoke_subject(call: Result<Call, Error>, subject: &str) -> Result<(), Error> {
    let call = call?;
    let result = call.identity.revoke_subject(subject).await;
    call.end(result)
}

/// Begins a call from an asynchronous host function.
fn begin(accessor: &Accessor<HostState, HasSelf<HostState>>, which: Which) -> Result<Call, Error> {
    accessor.with(|mut access| Call::begin(access.get(), which))
}

impl types::Host for HostState {}

/// Counts a call that is too short to be timed.
fn count(state: &HostState, which: fn(&Functions) -> &Counter) {
    if let Some(admitted) = state.capability::<Arc<Admitted>>() {
        which(&admitted.functions).increment(1);
    }
}

impl caller::Host for HostState {
    fn current(&mut self) -> caller::Authentication {
        count(self, |functions| &functions.current);
        match &self.request().authentication {
            Authentication::Anonymous => caller::Authentication::Anonymous,
            Authentication::Rejected(reason) => caller::Authentication::Rejected(reason.clone()),
            Authentication::Authenticated { subject, token_id } => {
                caller::Authentication::Authenticated(caller::Principal {
                    subject: subject.as_ref().to_owned(),
                    token_id: token_id.as_ref().to_owned(),
                })
            }
        }
    }

    fn request_id(&mut self) -> String {
        count(self, |functions| &functions.request_id);
        self.request().id.as_ref().to_owned()
    }

    fn client_address(&mut self) -> String {
        count(self, |functions| &functions.client_address);
        self.request().client_address.to_string()
    }
}

impl throttle::Host for HostState {
    fn admit(
        &mut self,
        bucket: String,
        key: String,
        burst: u32,
        period_seconds: u32,
    ) -> Result<(), u32> {
        let start = Instant::now();
        // Without the grant the interface is not linked; if it were, there would be no permits.
        let admitted = self.capability::<Arc<Admitted>>().ok_or(period_seconds)?;
        let identity = admitted.identity.as_ref().ok_or(period_seconds)?;
        let component = self.component().as_str();
        let result = identity.admit(component, &bucket, &key, burst, period_seconds);
        admitted.functions.admit.ended(start, result.err().map(|_| "quota"));
        result
    }
}

impl passwords::Host for HostState {}

impl passwords::HostWithStore<HostState> for HasSelf<HostState> {
    async fn hash(accessor: &Accessor<HostState, Self>, password: String) -> Result<String, Error> {
        hash(begin(accessor, |functions| &functions.hash), password).await
    }

    async fn verify(
        accessor: &Accessor<HostState, Self>,
        password: String,
        expected: Option<String>,
    ) -> Result<bool, Error> {
        verify(begin(accessor, |functions| &functions.verify), password, expected).await
    }
}

impl passwords_sync::Host for HostState {
    async fn hash(&mut self, password: String) -> Result<String, Error> {
        hash(Call::begin(self, |functions| &functions.hash), password).await
    }

    async fn verify(&mut self, password: String, expected: Option<String>) -> Result<bool, Error> {
        verify(Call::begin(self, |functions| &functions.verify), password, expected).await
    }
}

impl tokens::Host for HostState {}

impl tokens::HostWithStore<HostState> for HasSelf<HostState> {
    async fn issue(
        accessor: &Accessor<HostState, Self>,
        subject: String,
        lifetime_seconds: u64,
    ) -> Result<types::IssuedToken, Error> {
        issue(begin(accessor, |functions| &functions.issue), &subject, lifetime_seconds)
    }

    async fn revoke(accessor: &Accessor<HostState, Self>, token_id: String) -> Result<(), Error> {
        revoke(begin(accessor, |functions| &functions.revoke), &token_id).await
    }

    async fn revoke_subject(
        accessor: &Accessor<HostState, Self>,
        subject: String,
    ) -> Result<(), Error> {
        revoke_subject(begin(accessor, |functions| &functions.revoke_subject), &subject).await
    }
}

impl tokens_sync::Host for HostState {
    async fn issue(
        &mut self,
        subject: String,
        lifetime_seconds: u64,
    ) -> Result<types::IssuedToken, Error> {
        issue(Call::begin(self, |functions| &functions.issue), &subject, lifetime_seconds)
    }

    async fn revoke(&mut self, token_id: String) -> Result<(), Error> {
        revoke(Call::begin(self, |functions| &functions.revoke), &token_id).await
    }

    async fn revoke_subject(&mut self, subject: String) -> Result<(), Error> {
        revoke_subject(Call::begin(self, |functions| &functions.revoke_subject), &subject).await
    }
}
