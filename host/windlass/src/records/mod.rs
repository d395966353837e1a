//! The host's own records in the database: revoked tokens, idempotency keys, images, releases. The ports
//! are the other crates', every statement is in `windlass_store::platform`; here they meet.

mod executor;
mod idempotency;
mod images;
mod releases;
mod tokens;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use windlass_identity::Identity;
use windlass_storage::{CommitMark, Database, Migrations, Options};
use windlass_store::platform;

use crate::configuration::Configuration;
use crate::data::DataDirectory;

pub(crate) use idempotency::Idempotency;
pub(crate) use images::Images;
pub(crate) use releases::{Named, Releases};

/// Opens the database of the configuration.
pub(crate) async fn open(
    configuration: &Configuration,
    data: &DataDirectory,
) -> anyhow::Result<Database> {
    let options = Options {
        commit_mark: Some(CommitMark {
            sqlite: platform::idempotency::MARK_COMMITTED,
            postgres: platform::idempotency::MARK_COMMITTED_POSTGRES,
            postgres_function: platform::idempotency::MARK_COMMITTED_POSTGRES_FUNCTION,
        }),
        role_secret: Some(Identity::role_secret(&data.dir)?),
    };
    Database::open(&configuration.database, data.path(), options).await.context("database")
}

/// Brings the database to the schema of this version; answers what was applied.
pub(crate) async fn migrate(database: &Database) -> anyhow::Result<Vec<String>> {
    database.migrate(&Migrations::embedded()).await.context("database")
}

/// The migrations that are not applied yet.
pub(crate) async fn pending(database: &Database) -> anyhow::Result<Vec<String>> {
    database.pending(&Migrations::embedded()).await.context("database")
}

/// Asks the database for something trivial.
pub(crate) async fn check(database: &Database) -> Result<(), String> {
    let records = executor::Records::new(database);
    platform::check(&records).await.map_err(|error| error.to_string())
}

/// Opens the keys, and what is remembered of tokens.
pub(crate) async fn identity(
    database: &Arc<Database>,
    data: &DataDirectory,
) -> anyhow::Result<Identity> {
    let ledger = Arc::new(tokens::Tokens::new(database));
    Identity::open(&data.dir, ledger).await.context("keys")
}

/// Now, in microseconds since the Unix epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
