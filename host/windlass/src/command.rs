//! The command line: what can be asked for, and nothing of how it is done.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::commands::{components, doctor, migrate, tokens};
use crate::configuration::Configuration;
use crate::serve;

/// A self-hosted PaaS control plane whose API controllers are WebAssembly components
#[derive(Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Windlass {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

/// Settings of every command. A flag wins over its `WINDLASS_*` variable, which wins over the
/// configuration file.
#[derive(Args, Serialize, Default)]
pub(crate) struct Settings {
    /// Configuration file (TOML); `windlass.toml` is read when it is there [env: WINDLASS_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// Address of the APIs
    #[arg(long, global = true, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    /// Address of the management listener
    #[arg(long, global = true, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    manage: Option<String>,
    /// Directory of keys, compiled code and the embedded database
    #[arg(long, global = true, value_name = "DIRECTORY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// Database: `sqlite:FILE` or `postgres://...`
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    /// The map of the running system
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<PathBuf>,
    /// What is logged, such as `info` or `windlass_engine=debug,warn`
    #[arg(long, global = true, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the APIs
    Serve,
    /// Bring the database to the schema of this version
    Migrate,
    /// See and change which components run
    #[command(subcommand)]
    Components(components::Components),
    /// Issue and revoke access tokens
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    /// Check configuration, data, database, components and the running host
    Doctor,
}

impl Windlass {
    /// Does what was asked for.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let configuration = Configuration::load(&self.settings)?;
        match self.command {
            Command::Serve => serve::run(configuration),
            Command::Migrate => migrate::run(&configuration),
            Command::Components(command) => command.run(&configuration),
            Command::Tokens(command) => command.run(&configuration),
            Command::Doctor => doctor::run(&configuration),
        }
    }
}
