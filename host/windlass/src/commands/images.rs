//! `windlass images`: components that workloads run, pushed to a running host.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::{Value, json};

use super::host::Host;
use crate::configuration::Configuration;
use crate::printer;

/// Push and list the images of workloads.
#[derive(Subcommand)]
pub(crate) enum Images {
    /// Push a component; services name it `local/<name>:<tag>`
    Push {
        /// Name and tag, such as `shop:1`
        name: String,
        /// The component, built for wasm32-wasip2
        file: PathBuf,
    },
    /// List the images that were pushed
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Images {
    /// Does it.
    pub(crate) fn run(self, configuration: &Configuration) -> anyhow::Result<ExitCode> {
        let host = Host::connect(configuration)?;
        match self {
            Self::Push { name, file } => {
                let wasm = std::fs::read(&file).with_context(|| file.display().to_string())?;
                let body = json!({ "name": name, "wasm": STANDARD.encode(wasm) });
                let pushed = host.post("/v1/images", &body)?;
                printer::line(pushed["name"].as_str().unwrap_or_default());
                printer::note(format!("{}, {} bytes", pushed["digest"], pushed["size_bytes"]));
            }
            Self::List { json } => list(&host, json)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(host: &Host, json: bool) -> anyhow::Result<()> {
    let answer = host.get("/v1/images")?;
    if json {
        printer::line(serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |image: &Value| {
        vec![text(&image["name"]), text(&image["digest"]), image["size_bytes"].to_string()]
    };
    let rows: Vec<_> = answer["images"].as_array().into_iter().flatten().map(row).collect();
    printer::table(&["NAME", "DIGEST", "BYTES"], &rows);
    Ok(())
}
