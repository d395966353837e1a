//! What goes out to git providers, put together: the way out, the vault, and where they are.

use std::sync::Arc;

use anyhow::anyhow;
use windlass_outbound::Client;
use windlass_source::Hosting;

use crate::configuration::Configuration;
use crate::vault::Vault;

/// Puts it together.
pub(crate) fn hosting(
    configuration: &Configuration,
    vault: &Arc<Vault>,
) -> anyhow::Result<Hosting> {
    let client = Client::new(configuration.outbound.clone()).map_err(|error| anyhow!(error))?;
    Ok(Hosting::new(client, Arc::clone(vault) as _, configuration.git.clone()))
}
