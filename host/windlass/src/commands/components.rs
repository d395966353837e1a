//! `windlass components`: see and change which components run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use windlass_engine::{CanaryPolicy, ComponentId, ComponentManifest};

use super::host::Host;
use super::watch;
use crate::configuration::Configuration;
use crate::management::{ReleaseComponent, ReleaseRequest};
use crate::printer;

/// See and change which components run.
#[derive(Subcommand)]
pub(crate) enum Components {
    /// List what runs
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Install a component that does not run yet
    Install {
        /// Its name
        id: String,
        /// The component (.wasm)
        file: PathBuf,
        /// Its routes, grants and limits (TOML)
        #[arg(long = "component-manifest", value_name = "FILE")]
        component_manifest: PathBuf,
    },
    /// Replace a running component; its routes and grants stay
    // Its `--version` is the component's.
    #[command(disable_version_flag = true)]
    Swap {
        /// Its name
        id: String,
        /// The component (.wasm)
        file: PathBuf,
        /// Its version, to be shown if the component does not carry one
        #[arg(long)]
        version: Option<String>,
        #[command(flatten)]
        canary: Canary,
    },
    /// Replace several running components at once
    Release {
        /// Name and file of each, as NAME=FILE
        #[arg(required = true, value_name = "NAME=FILE")]
        components: Vec<String>,
        #[command(flatten)]
        canary: Canary,
    },
    /// Give all requests to the version that is being tried
    Promote {
        /// Its name
        id: String,
    },
    /// Return to the version before, or end a canary
    Rollback {
        /// Its name
        id: String,
    },
    /// Remove a component and its routes
    Remove {
        /// Its name
        id: String,
    },
    /// Swap components of the manifest whenever their files change
    Watch {
        /// Their names; all by default
        ids: Vec<String>,
    },
}

/// Giving the new version a share of the requests first.
#[derive(Args)]
pub(crate) struct Canary {
    /// Share of requests the new version gets at first, such as 0.1
    #[arg(long, value_name = "SHARE")]
    canary: Option<f64>,
    /// Share of failed requests over which the old version comes back
    #[arg(long, value_name = "RATE", requires = "canary", default_value_t = CanaryPolicy::default().error_rate)]
    error_rate: f64,
    /// Requests to wait for before judging
    #[arg(long, value_name = "NUMBER", requires = "canary", default_value_t = CanaryPolicy::default().requests)]
    requests: u64,
}

impl Canary {
    fn policy(&self) -> Option<CanaryPolicy> {
        let Self { canary, error_rate, requests } = *self;
        canary.map(|share| CanaryPolicy { share, error_rate, requests })
    }
}

impl Components {
    /// Does it.
    pub(crate) fn run(self, configuration: &Configuration) -> anyhow::Result<ExitCode> {
        let host = Host::connect(configuration)?;
        match self {
            Self::List { json } => list(&host, json)?,
            Self::Install { id, file, component_manifest } => {
                let text = std::fs::read_to_string(&component_manifest)
                    .with_context(|| component_manifest.display().to_string())?;
                let manifest: ComponentManifest = toml::from_str(&text)
                    .with_context(|| component_manifest.display().to_string())?;
                release(&host, vec![component(&id, &file, Some(manifest))?], None)?;
            }
            Self::Swap { id, file, version, canary } => {
                let swapped = ReleaseComponent { version, ..component(&id, &file, None)? };
                release(&host, vec![swapped], canary.policy())?;
            }
            Self::Release { components, canary } => {
                let components = components.iter().map(|pair| {
                    let (id, file) =
                        pair.split_once('=').ok_or_else(|| anyhow!("{pair:?} is not NAME=FILE"))?;
                    component(id, Path::new(file), None)
                });
                release(&host, components.collect::<Result<_, _>>()?, canary.policy())?;
            }
            Self::Promote { id } => change(&host, &id, "promote")?,
            Self::Rollback { id } => change(&host, &id, "rollback")?,
            Self::Remove { id } => {
                host.delete(&format!("/v1/components/{}", named(&id)?))?;
                printer::note(format!("removed {id}"));
            }
            Self::Watch { ids } => watch::run(&host, configuration, &ids)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn named(id: &str) -> anyhow::Result<ComponentId> {
    ComponentId::new(id).map_err(|reason| anyhow!(reason))
}

/// Reads a component for a release.
pub(super) fn component(
    id: &str,
    file: &Path,
    manifest: Option<ComponentManifest>,
) -> anyhow::Result<ReleaseComponent> {
    let wasm = std::fs::read(file).with_context(|| file.display().to_string())?;
    let wasm = STANDARD.encode(wasm);
    Ok(ReleaseComponent { id: named(id)?, wasm, manifest, version: None })
}

/// Sends a release and says what came of it.
pub(super) fn release(
    host: &Host,
    components: Vec<ReleaseComponent>,
    canary: Option<CanaryPolicy>,
) -> anyhow::Result<()> {
    let report = host.post("/v1/releases", &ReleaseRequest { components, canary })?;
    let milliseconds = report["milliseconds"].as_f64().unwrap_or_default();
    let verb = if canary.is_some() { "is tried with" } else { "runs" };
    for released in report["components"].as_array().into_iter().flatten() {
        let digest = short(&released["digest"]);
        printer::line(format!("{} {verb} {digest}", text(&released["id"])));
    }
    printer::note(format!("took {milliseconds:.0} ms"));
    Ok(())
}

fn change(host: &Host, id: &str, verb: &str) -> anyhow::Result<()> {
    let id = named(id)?;
    let released = host.post(&format!("/v1/components/{id}/{verb}"), &json!({}))?;
    printer::line(format!("{id} runs {}", short(&released["digest"])));
    Ok(())
}

fn list(host: &Host, json: bool) -> anyhow::Result<()> {
    let answer = host.get("/v1/components")?;
    if json {
        printer::line(serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let rows: Vec<_> = answer["components"].as_array().into_iter().flatten().map(row).collect();
    let headings = [
        "COMPONENT",
        "DIGEST",
        "VERSION",
        "REQUESTS",
        "ERRORS",
        "P50",
        "P99",
        "INSTANCES",
        "MEMORY",
        "CANARY",
        "ROUTES",
    ];
    printer::table(&headings, &rows);
    for left_out in answer["left_out"].as_array().into_iter().flatten() {
        let (id, reason) = (text(&left_out["id"]), text(&left_out["reason"]));
        printer::note(format!("{id} is installed and does not run: {reason}"));
    }
    Ok(())
}

fn row(component: &Value) -> Vec<String> {
    let milliseconds = |key: &str| format!("{:.2} ms", component[key].as_f64().unwrap_or_default());
    let mebibytes = component["memory_bytes"].as_f64().unwrap_or_default() / 1_048_576.0;
    let canary = &component["canary"];
    let routes = component["routes"].as_array().into_iter().flatten().map(text);
    vec![
        text(&component["id"]),
        short(&component["digest"]),
        component["version"].as_str().unwrap_or("-").to_owned(),
        component["requests"].to_string(),
        component["errors"].to_string(),
        milliseconds("p50_ms"),
        milliseconds("p99_ms"),
        component["instances"].to_string(),
        format!("{mebibytes:.1} MiB"),
        if canary.is_null() { "-".to_owned() } else { short(&canary["digest"]) },
        routes.collect::<Vec<_>>().join(" "),
    ]
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Enough of a digest to tell it from its neighbours.
fn short(digest: &Value) -> String {
    let digest = digest.as_str().unwrap_or("-");
    digest.strip_prefix("sha256:").and_then(|hex| hex.get(..12)).unwrap_or(digest).to_owned()
}
