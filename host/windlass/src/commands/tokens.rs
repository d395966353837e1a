//! `windlass tokens`: issue and revoke access tokens of a running host, and rotate what signs them.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

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
    /// Create an API token for a program, which sends it as `Authorization: Token`
    CreateApi {
        /// The id of the user it stands for
        subject: String,
        /// Seconds until it ends; without it, it is good until it is revoked
        #[arg(long)]
        lifetime_seconds: Option<u64>,
    },
    /// List the API tokens; their texts are not kept
    ListApi {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke one token of either kind, or all tokens of a user
    Revoke(Revoke),
    /// Sign bearer tokens with a new key from now on; those signed before stay good
    RotateKey,
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
            Self::CreateApi { subject, lifetime_seconds } => {
                let body = json!({ "subject": subject, "lifetime_seconds": lifetime_seconds });
                let created = host.post("/v1/api-tokens", &body)?;
                printer::line(created["token"].as_str().unwrap_or_default());
                printer::note(format!("token id {}; the token is not shown again", created["id"]));
            }
            Self::ListApi { json } => list(&host, json)?,
            Self::RotateKey => {
                host.post("/v1/token-keys", &json!({}))?;
                printer::note("tokens are signed with a new key");
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

fn list(host: &Host, json: bool) -> anyhow::Result<()> {
    let answer = host.get("/v1/api-tokens")?;
    if json {
        printer::line(serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let moment =
        |value: &Value| value.as_i64().map_or("-".to_owned(), |seconds| seconds.to_string());
    let row = |token: &Value| {
        let (created, expires) = (moment(&token["created_at"]), moment(&token["expires_at"]));
        vec![text(&token["id"]), text(&token["subject"]), created, expires]
    };
    let rows: Vec<_> = answer["api_tokens"].as_array().into_iter().flatten().map(row).collect();
    printer::table(&["ID", "SUBJECT", "CREATED", "EXPIRES"], &rows);
    Ok(())
}
