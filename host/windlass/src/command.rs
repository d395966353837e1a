//! The command line: what can be asked for, and nothing of how it is done.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

use crate::commands::{components, doctor, images, migrate, tokens};
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

/// Settings of a host that serves, which `doctor` examines too. With those of [`Settings`] there
/// is a flag for every key.
#[derive(Args, Serialize, Default)]
pub(crate) struct ServeSettings {
    /// How the log is written: `text` or `json`
    #[arg(long, value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<String>,
    /// Where traces are sent (OTLP over HTTP), such as `http://127.0.0.1:4318`
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp_endpoint: Option<String>,
    /// Certificate chain of the APIs (PEM); with it they are served over TLS
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_certificate: Option<String>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<String>,
    /// Origins browsers may call from, such as `https://console.example`, or `*`
    #[arg(long, value_name = "ORIGINS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    cors_origins: Option<Vec<String>>,
    /// IP addresses of proxies whose X-Forwarded-For is believed
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_proxies: Option<Vec<String>>,
    /// KiB of one request body, 1 to 1048576
    #[arg(long, value_name = "KIB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    body_limit_kib: Option<u32>,
    /// Connections at one time, 1 to 1000000
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u32>,
    /// Time for the head of a request, and again for its body, 1 to 3600
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    receive_seconds: Option<u32>,
    /// Time a client may read nothing before it is cut off, 1 to 3600
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stall_seconds: Option<u32>,
    /// Time requests have to end when the host stops, 1 to 3600
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_seconds: Option<u32>,
    /// Domain under which what tenants deploy is reached, as `<service>-<project>.<domain>`
    #[arg(long, value_name = "DOMAIN")]
    #[serde(skip_serializing_if = "Option::is_none")]
    base_domain: Option<String>,
    /// Private networks that are reached for tenants all the same, such as `10.0.0.0/8`
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    outbound_allow: Option<Vec<String>>,
    /// API of GitHub, or of a GitHub Enterprise such as `https://github.example/api/v3`
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    git_github_url: Option<String>,
    /// GitLab, such as `https://gitlab.example`
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    git_gitlab_url: Option<String>,
    /// API of Bitbucket
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    git_bitbucket_url: Option<String>,
    /// Socket of Docker or Podman, such as `unix:///var/run/docker.sock`, or `none`
    #[arg(long, value_name = "SOCKET")]
    #[serde(skip_serializing_if = "Option::is_none")]
    docker_host: Option<String>,
    /// Images in the places of others, such as
    /// `postgres:16-alpine=mirror.example/postgres:16-alpine`
    #[arg(long, value_name = "NAME=NAME", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Option::is_none")]
    image_substitutes: Option<Vec<String>>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the APIs
    Serve(#[command(flatten)] ServeSettings),
    /// Bring the database to the schema of this version
    Migrate,
    /// See and change which components run
    #[command(subcommand)]
    Components(components::Components),
    /// Push and list the images of workloads
    #[command(subcommand)]
    Images(images::Images),
    /// Issue and revoke access tokens
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    /// Check configuration, data, database, components and the running host
    Doctor(#[command(flatten)] ServeSettings),
}

impl Windlass {
    /// Does what was asked for.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let serving = match &self.command {
            Command::Serve(settings) | Command::Doctor(settings) => Some(settings),
            _ => None,
        };
        let configuration = Configuration::load(&self.settings, serving)?;
        match self.command {
            Command::Serve(_) => serve::run(configuration),
            Command::Migrate => migrate::run(&configuration),
            Command::Components(command) => command.run(&configuration),
            Command::Images(command) => command.run(&configuration),
            Command::Tokens(command) => command.run(&configuration),
            Command::Doctor(_) => doctor::run(&configuration),
        }
    }
}
