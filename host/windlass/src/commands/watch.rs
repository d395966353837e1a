//! `windlass components watch`: a developer's loop. Build a component, and the running host has it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, bail};
use notify::{RecursiveMode, Watcher};
use windlass_engine::{ComponentId, Manifest, digest};

use super::components::{component, release};
use super::host::Host;
use crate::configuration::Configuration;
use crate::printer;

/// How long a file must be left alone before it is taken: linkers write in several goes.
const SETTLE: Duration = Duration::from_millis(200);

/// Watches until it is interrupted.
pub(crate) fn run(
    host: &Host,
    configuration: &Configuration,
    ids: &[String],
) -> anyhow::Result<()> {
    let files = watched(configuration, ids)?;
    let (sender, changes) = channel();
    let mut watcher = notify::recommended_watcher(sender)?;
    for file in files.values() {
        // The directory is watched, because builds replace the file rather than write it.
        let directory = file.parent().context("a component's file has a directory")?;
        watcher.watch(directory, RecursiveMode::NonRecursive).with_context(|| {
            format!("{} cannot be watched; build the component first", directory.display())
        })?;
    }
    let mut sent: BTreeMap<&ComponentId, String> = BTreeMap::new();
    for (id, file) in &files {
        sent.insert(id, std::fs::read(file).map(|wasm| digest(&wasm)).unwrap_or_default());
        printer::note(format!("watching {} for {id}", file.display()));
    }
    while changes.recv().is_ok() {
        while !matches!(changes.recv_timeout(SETTLE), Err(RecvTimeoutError::Timeout)) {}
        for (id, file) in &files {
            let Ok(wasm) = std::fs::read(file) else { continue };
            let now = digest(&wasm);
            if sent.get(id) == Some(&now) {
                continue;
            }
            // A refused build is the developer's news, not the end of the loop.
            let outcome = component(id.as_str(), file, None)
                .and_then(|component| release(host, vec![component], None));
            if let Err(error) = outcome {
                printer::error(&error);
            }
            sent.insert(id, now);
        }
    }
    Ok(())
}

fn watched(
    configuration: &Configuration,
    ids: &[String],
) -> anyhow::Result<BTreeMap<ComponentId, PathBuf>> {
    let file = &configuration.manifest;
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let manifest = Manifest::parse(&text, &file.display().to_string())?;
    let base = file.parent().map(PathBuf::from).unwrap_or_default();
    for id in ids {
        if !manifest.components.keys().any(|known| known.as_str() == id) {
            bail!("{} has no component {id}", file.display());
        }
    }
    let wanted = manifest
        .components
        .into_iter()
        .filter(|(id, _)| ids.is_empty() || ids.iter().any(|wanted| wanted == id.as_str()));
    Ok(wanted.map(|(id, (_, source))| (id, base.join(source))).collect())
}
