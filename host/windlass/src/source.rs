//! What goes out to others, put together: the way out, the vault, and where git providers are.

use std::sync::Arc;

use anyhow::anyhow;
use windlass_outbound::Client;
use windlass_source::Hosting;

use crate::configuration::Configuration;
use crate::vault::Vault;

/// The one way out, for everything that goes out for tenants.
pub(crate) fn client(configuration: &Configuration) -> anyhow::Result<Client> {
    Client::new(configuration.outbound.clone()).map_err(|error| anyhow!(error))
}

/// What asks git providers.
pub(crate) fn hosting(
    configuration: &Configuration,
    client: Client,
    vault: &Arc<Vault>,
) -> Hosting {
    Hosting::new(client, Arc::clone(vault) as _, configuration.git.clone())
}
