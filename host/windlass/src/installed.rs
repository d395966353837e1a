//! What should run after a start: the map in `spin.toml`, and the releases made since.
//!
//! A release is kept over restarts as long as the file it replaced is still the one the map
//! names. Once that file changes, somebody built and deployed anew, and the file wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use windlass_engine::{ComponentId, ComponentManifest, Manifest, Recorded, digest};

use crate::records::Releases;

/// The map and the files it names.
pub(crate) struct Map {
    file: PathBuf,
    base: PathBuf,
    openapi: Vec<String>,
    components: BTreeMap<ComponentId, (ComponentManifest, Bytes)>,
}

impl Map {
    /// Reads the map and every file it names.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| {
            format!("manifest is {}, which cannot be read; name a spin.toml", file.display())
        })?;
        let manifest = Manifest::parse(&text, &file.display().to_string())?;
        let base = file.parent().map(PathBuf::from).unwrap_or_default();
        let mut components = BTreeMap::new();
        for (id, (component, source)) in manifest.components {
            let path = base.join(&source);
            let wasm = std::fs::read(&path).with_context(|| {
                format!(
                    "{id}: its file {} cannot be read; build it first (make components)",
                    path.display()
                )
            })?;
            components.insert(id, (component, Bytes::from(wasm)));
        }
        Ok(Self { file: file.to_owned(), base, openapi: manifest.openapi, components })
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The directory relative paths begin at.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// OpenAPI documents, as paths.
    pub(crate) fn openapi(&self) -> &[String] {
        &self.openapi
    }

    /// The digest of each component's file.
    pub(crate) fn digests(&self) -> BTreeMap<ComponentId, String> {
        self.components.iter().map(|(id, (_, wasm))| (id.clone(), digest(wasm))).collect()
    }
}

/// Decides between the map and the releases, component by component.
pub(crate) async fn resolve(map: &Map, releases: &Releases) -> anyhow::Result<Vec<Recorded>> {
    let mut released = releases.running().await?;
    let digests = map.digests();
    let mut running = Vec::new();
    for (id, (manifest, wasm)) in &map.components {
        let file_digest = digests.get(id).cloned().unwrap_or_default();
        let release = released.remove(id);
        let kept = release.filter(|release| {
            let kept = release.base.as_deref() == Some(file_digest.as_str());
            if !kept {
                tracing::info!(component = %id, "its file is newer than the last release, and runs");
            }
            kept
        });
        running.push(match kept {
            // The map's grants win: they are the operator's, and may have been narrowed.
            Some(release) => Recorded { manifest: manifest.clone(), ..release.component },
            None => Recorded {
                id: id.clone(),
                digest: file_digest,
                manifest: manifest.clone(),
                wasm: wasm.clone(),
            },
        });
    }
    // What the map does not name was installed by a plugin's author.
    let installed = released.into_values().filter(|release| release.base.is_none());
    running.extend(installed.map(|release| release.component));
    Ok(running)
}
