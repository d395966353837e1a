//! `windlass:secrets` for components: sealing, never opening.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::{HasSelf, Linker};
use windlass_engine::{
    Admission, Capability, ComponentId, ComponentManifest, HostFunction, HostState, InterfaceGrant,
};

use crate::bindings::windlass::secrets::types::{self, Error};
use crate::bindings::windlass::secrets::vault;
use crate::{Identity, IdentityError};

/// The grant in a manifest.
const GRANT: &str = "secrets";
/// The longest secret of a component.
const PLAINTEXT_BYTES: usize = 65_536;

/// Sealing, as the engine links it.
pub struct SecretsCapability {
    identity: Arc<Identity>,
}

impl SecretsCapability {
    /// Over the host's keys.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self { identity }
    }
}

impl Capability for SecretsCapability {
    fn interfaces(&self) -> &'static [InterfaceGrant] {
        &[
            InterfaceGrant { interface: "windlass:secrets/types@0.1.0", grant: None },
            InterfaceGrant { interface: "windlass:secrets/vault@0.1.0", grant: Some(GRANT) },
        ]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        types::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        vault::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
    }

    fn admit<'a>(
        &'a self,
        id: &'a ComponentId,
        manifest: &'a ComponentManifest,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Admission>, String>> + Send + 'a>> {
        let granted = manifest.has_grant(GRANT).then(|| Granted {
            identity: Arc::clone(&self.identity),
            seal: HostFunction::new("secrets.vault.seal", id.as_str()),
        });
        Box::pin(async move { Ok(granted.map(|granted| Arc::new(granted) as Admission)) })
    }
}

/// What a component with the grant has.
struct Granted {
    identity: Arc<Identity>,
    seal: HostFunction,
}

windlass_engine::host_error!(Error);

impl types::Host for HostState {}

impl vault::Host for HostState {
    fn seal(&mut self, context: String, plaintext: Vec<u8>) -> Result<String, Error> {
        let granted = self.capability::<Granted>().ok_or_else(|| {
            Error::Denied("secrets is not among the component's grants".to_owned())
        })?;
        let start = Instant::now();
        granted.seal.record(start, seal(&granted.identity, &context, &plaintext))
    }
}

fn seal(identity: &Identity, context: &str, plaintext: &[u8]) -> Result<String, Error> {
    check_length(plaintext)?;
    identity.seal(context, plaintext).map_err(|error| match error {
        IdentityError::Invalid(text) => Error::Invalid(text),
        IdentityError::Unavailable(text) => Error::Unavailable(text),
        IdentityError::Quota(text) => Error::Quota(text),
        IdentityError::Timeout(text) => Error::Timeout(text),
    })
}

fn check_length(plaintext: &[u8]) -> Result<(), Error> {
    if (1..=PLAINTEXT_BYTES).contains(&plaintext.len()) {
        return Ok(());
    }
    Err(Error::Invalid(format!("a secret is of 1 to {PLAINTEXT_BYTES} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_overlong_secrets_are_invalid() {
        for (length, fits) in [(0, false), (1, true), (65_536, true), (65_537, false)] {
            assert_eq!(check_length(&vec![0; length]).is_ok(), fits, "{length}");
        }
    }
}
