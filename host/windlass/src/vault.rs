//! Opens what was sealed, for those parts of the host that use it.

use std::sync::Arc;

use windlass_identity::Identity;

/// Opens what was sealed, with the host's keys.
pub(crate) struct Vault(pub(crate) Arc<Identity>);

impl Vault {
    fn open(&self, context: &str, envelope: &str) -> Result<Vec<u8>, String> {
        self.0.open_secret(context, envelope).map_err(|error| {
            tracing::warn!(context, "a sealed secret was not opened: {error}");
            error.to_string()
        })
    }
}

impl windlass_source::Secrets for Vault {
    fn open(&self, context: &str, envelope: &str) -> Result<Vec<u8>, String> {
        self.open(context, envelope)
    }
}

impl windlass_runtime::Secrets for Vault {
    fn open(&self, context: &str, envelope: &str) -> Result<Vec<u8>, String> {
        self.open(context, envelope)
    }
}
