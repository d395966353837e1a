//! `windlass migrate`: bring the database to the schema of this version.

use std::process::ExitCode;

use crate::configuration::Configuration;
use crate::data::DataDirectory;
use crate::{printer, records};

/// Applies what is missing and says what it was.
pub(crate) fn run(configuration: &Configuration) -> anyhow::Result<ExitCode> {
    let data = DataDirectory::open(&configuration.data_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let applied = runtime.block_on(async {
        let database = records::open(configuration, &data).await?;
        records::migrate(&database).await
    })?;
    for name in &applied {
        printer::line(name);
    }
    let state = if applied.is_empty() { "was up to date" } else { "is up to date now" };
    printer::note(format!("the database {state}"));
    Ok(ExitCode::SUCCESS)
}
