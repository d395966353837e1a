//! `windlass tokens`: issue and revoke access tokens of a running host.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::host::Host;
use crate::configuration::Configuration;
use crate::printer;

/// Issue and revoke access tokens.
#[derive(Subcommand)]
pub(crate) enum Tokens {
    /// Issue a token for a user
    Issue {
        /// The id of the user
        subject: String,
        /// Seconds until it ends
        #[arg(long, default_value_t = 3_600)]
        lifetime_seconds: u64,
    },
    /// Revoke one token, or all tokens of a user
    Revoke(Revoke),
}

/// What is revoked.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Revoke {
    /// The id of one token
    #[arg(long)]
    token_id: Option<String>,
    /// The id of a user
    #[arg(long)]
    subject: Option<String>,
}

impl Tokens {
    /// Does it.
    pub(crate) fn run(self, configuration: &Configuration) -> anyhow::Result<ExitCode> {
        let host = Host::connect(configuration)?;
        match self {
            Self::Issue { subject, lifetime_seconds } => {
                let body = json!({ "subject": subject, "lifetime_seconds": lifetime_seconds });
                let issued = host.post("/v1/tokens", &body)?;
                printer::line(issued["token"].as_str().unwrap_or_default());
                printer::note(format!("token id {}", issued["id"]));
            }
            Self::Revoke(Revoke { token_id: Some(id), .. }) => {
                host.post("/v1/tokens/revoke", &json!({ "token_id": id }))?;
            }
            Self::Revoke(Revoke { subject, .. }) => {
                host.post("/v1/tokens/revoke", &json!({ "subject": subject }))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
