//! `windlass:secrets` for components: sealing, never opening, but for the URL of a database.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use wasmtime::component::{HasSelf, Linker};
use windlass_engine::{
    Admission, Capability, ComponentId, ComponentManifest, HostFunction, HostState, InterfaceGrant,
};

use crate::bindings::windlass::secrets::types::{self, Error};
use crate::bindings::windlass::secrets::{connections, vault};
use crate::keys::random;
use crate::{Identity, IdentityError};

/// The grant to seal.
const SECRETS: &str = "secrets";
/// The grant to write the URLs of databases.
const CONNECTIONS: &str = "connections";
/// What the context of every secret begins with that may stand in a URL.
const DATABASE: &str = "database:";
/// What stands in the place of the secret.
const PLACE: &str = "{password}";
/// The longest URL, before and after.
const URL_BYTES: usize = 65_536;
/// The characters that mean nothing in a URL, so that a secret of them stays as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
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
            InterfaceGrant { interface: "windlass:secrets/vault@0.1.0", grant: Some(SECRETS) },
            InterfaceGrant {
                interface: "windlass:secrets/connections@0.1.0",
                grant: Some(CONNECTIONS),
            },
        ]
    }

    fn link(&self, linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
        types::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        vault::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
        connections::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
    }

    fn admit<'a>(
        &'a self,
        id: &'a ComponentId,
        manifest: &'a ComponentManifest,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Admission>, String>> + Send + 'a>> {
        let (secrets, connections) = (manifest.has_grant(SECRETS), manifest.has_grant(CONNECTIONS));
        let function = |name| HostFunction::new(name, id.as_str());
        let granted = (secrets || connections).then(|| Granted {
            identity: Arc::clone(&self.identity),
            secrets,
            connections,
            seal: function("secrets.vault.seal"),
            generate: function("secrets.vault.generate"),
            render: function("secrets.connections.render"),
        });
        Box::pin(async move { Ok(granted.map(|granted| Arc::new(granted) as Admission)) })
    }
}

/// What a component with one of the grants has.
struct Granted {
    identity: Arc<Identity>,
    secrets: bool,
    connections: bool,
    seal: HostFunction,
    generate: HostFunction,
    render: HostFunction,
}

windlass_engine::host_error!(Error);

impl types::Host for HostState {}

impl vault::Host for HostState {
    fn seal(&mut self, context: String, plaintext: Vec<u8>) -> Result<String, Error> {
        let granted = granted(self, |granted| granted.secrets, SECRETS)?;
        let start = Instant::now();
        granted.seal.record(start, seal(&granted.identity, &context, &plaintext))
    }

    fn generate(&mut self, context: String) -> Result<String, Error> {
        let granted = granted(self, |granted| granted.secrets, SECRETS)?;
        let start = Instant::now();
        granted.generate.record(start, generate(&granted.identity, &context))
    }
}

impl connections::Host for HostState {
    fn render(&mut self, url: String, context: String, envelope: String) -> Result<String, Error> {
        let granted = granted(self, |granted| granted.connections, CONNECTIONS)?;
        let start = Instant::now();
        let rendered = render(&granted.identity, &url, &context, &envelope);
        granted.render.record(start, rendered)
    }
}

fn granted<'a>(
    state: &'a HostState,
    allows: impl Fn(&Granted) -> bool,
    grant: &str,
) -> Result<&'a Granted, Error> {
    match state.capability::<Granted>() {
        Some(granted) if allows(granted) => Ok(granted),
        _ => Err(Error::Denied(format!("{grant} is not among the component's grants"))),
    }
}

fn seal(identity: &Identity, context: &str, plaintext: &[u8]) -> Result<String, Error> {
    check_length(plaintext)?;
    identity.seal(context, plaintext).map_err(failed)
}

fn generate(identity: &Identity, context: &str) -> Result<String, Error> {
    let secret = hex::encode(random::<16>().map_err(failed)?);
    identity.seal(context, secret.as_bytes()).map_err(failed)
}

fn render(identity: &Identity, url: &str, context: &str, envelope: &str) -> Result<String, Error> {
    if !context.starts_with(DATABASE) {
        return Err(Error::Invalid("only the secret of a database may stand in a URL".to_owned()));
    }
    let secret = identity.open_secret(context, envelope).map_err(failed)?;
    let rendered = url.replace(PLACE, &percent_encode(&secret, ENCODED).to_string());
    if url.len().max(rendered.len()) > URL_BYTES {
        return Err(Error::Invalid(format!("a URL is of at most {URL_BYTES} bytes")));
    }
    Ok(rendered)
}

fn failed(error: IdentityError) -> Error {
    match error {
        IdentityError::Invalid(text) => Error::Invalid(text),
        IdentityError::Unavailable(text) => Error::Unavailable(text),
        IdentityError::Quota(text) => Error::Quota(text),
        IdentityError::Timeout(text) => Error::Timeout(text),
    }
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
