//! Sealing secrets by way of `windlass:secrets/vault`.

use windlass_domain::future::PortFuture;
use windlass_domain::secrets::Secrets;
use windlass_domain::{Error, Result};

use super::{Host, Nothing};
use crate::bindings::windlass::secrets::types::Error as VaultError;
use crate::bindings::windlass::secrets::vault;

impl Secrets for Host {
    fn seal<'a>(&'a self, context: &'a str, plaintext: &'a str) -> PortFuture<'a, Result<String>> {
        let sealed = vault::seal(context, plaintext.as_bytes()).map_err(failed);
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
}

/// What the host's vault refuses, in the domain's words.
fn failed(error: VaultError) -> Error {
    match error {
        VaultError::Unavailable(text) | VaultError::Timeout(text) | VaultError::Quota(text) => {
            Error::unavailable(format!("secrets: {text}"))
        }
        VaultError::Denied(text)
        | VaultError::NotFound(text)
        | VaultError::Conflict(text)
        | VaultError::Invalid(text)
        | VaultError::Other(text) => Error::internal_fault(format!("secrets: {text}")),
    }
}
