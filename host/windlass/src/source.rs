//! What goes out to git providers, put together: the way out, the vault, and where they are.

use std::sync::Arc;

use anyhow::anyhow;
use windlass_identity::Identity;
use windlass_outbound::Client;
use windlass_source::{Hosting, Secrets};

use crate::configuration::Configuration;

/// Puts it together.
pub(crate) fn hosting(
    configuration: &Configuration,
    identity: &Arc<Identity>,
) -> anyhow::Result<Hosting> {
    let client = Client::new(configuration.outbound.clone()).map_err(|error| anyhow!(error))?;
    let vault = Arc::new(Vault(Arc::clone(identity)));
    Ok(Hosting::new(client, vault, configuration.git.clone()))
}

/// Opens tokens with the host's keys.
struct Vault(Arc<Identity>);

impl Secrets for Vault {
    fn open(&self, context: &str, envelope: &str) -> Result<Vec<u8>, String> {
        self.0.open_secret(context, envelope).map_err(|error| {
            tracing::warn!(context, "a sealed token was not opened: {error}");
            error.to_string()
        })
    }
}
