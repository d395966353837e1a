//! Sealed secrets by way of `windlass:secrets`.

use windlass_domain::future::PortFuture;
use windlass_domain::secrets::{Connections, Sealed, Secrets};
use windlass_domain::{Error, Result};

use super::{Host, Nothing};
use crate::bindings::windlass::secrets::types::Error as SecretsError;
use crate::bindings::windlass::secrets::{connections, vault};

impl Secrets for Host {
    fn seal<'a>(&'a self, context: &'a str, plaintext: &'a str) -> PortFuture<'a, Result<String>> {
        let sealed = vault::seal(context, plaintext.as_bytes()).map_err(failed);
        Box::pin(async move { sealed })
    }

    fn generate<'a>(&'a self, context: &'a str) -> PortFuture<'a, Result<String>> {
        let sealed = vault::generate(context).map_err(failed);
        Box::pin(async move { sealed })
    }
}

impl Secrets for Nothing {
    fn seal<'a>(
        &'a self,
        _context: &'a str,
        _plaintext: &'a str,
    ) -> PortFuture<'a, Result<String>> {
        Box::pin(async { Err(Error::internal_fault("the component was made without `secrets`")) })
    }

    fn generate<'a>(&'a self, _context: &'a str) -> PortFuture<'a, Result<String>> {
        Box::pin(async { Err(Error::internal_fault("the component was made without `secrets`")) })
    }
}

impl Connections for Host {
    fn render(&self, url: &str, password: &Sealed) -> Result<String> {
        connections::render(url, &password.context, &password.envelope).map_err(failed)
    }
}

impl Connections for Nothing {
    fn render(&self, _url: &str, _password: &Sealed) -> Result<String> {
        Err(Error::internal_fault("the component was made without `connections`"))
    }
}

/// What the host refuses, in the domain's words.
fn failed(error: SecretsError) -> Error {
    match error {
        SecretsError::Unavailable(text)
        | SecretsError::Timeout(text)
        | SecretsError::Quota(text) => Error::unavailable(format!("secrets: {text}")),
        SecretsError::Denied(text)
        | SecretsError::NotFound(text)
        | SecretsError::Conflict(text)
        | SecretsError::Invalid(text)
        | SecretsError::Other(text) => Error::internal_fault(format!("secrets: {text}")),
    }
}
