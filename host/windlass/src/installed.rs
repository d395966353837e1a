//! What should run after a start: the map in `spin.toml`, and the releases made since.
//!
//! A release is kept over restarts as long as the file it replaced is still the one the map
//! names. Once that file changes, somebody built and deployed anew, and the file wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use windlass_engine::{ComponentId, ComponentManifest, LeftOut, Manifest, Recorded, Start, digest};

use crate::records::{Named, Releases};

/// The map and the files it names.
pub(crate) struct Map {
    file: PathBuf,
    base: PathBuf,
    openapi: Vec<String>,
    reconciler: Option<ComponentId>,
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
        let (openapi, reconciler) = (manifest.openapi, manifest.reconciler);
        Ok(Self { file: file.to_owned(), base, openapi, reconciler, components })
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The directory relative paths begin at.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// The component that carries out what was promised.
    pub(crate) fn reconciler(&self) -> Option<&ComponentId> {
        self.reconciler.as_ref()
    }

    /// OpenAPI documents, as paths.
    pub(crate) fn openapi(&self) -> &[String] {
        &self.openapi
    }

    /// What the map says of each component.
    pub(crate) fn named(&self) -> BTreeMap<ComponentId, Named> {
        let components = self.components.iter().map(|(id, (manifest, wasm))| {
            (id.clone(), Named { manifest: manifest.clone(), digest: digest(wasm) })
        });
        components.collect()
    }
}

/// Decides between the map and the releases, component by component.
pub(crate) async fn resolve(map: &Map, releases: &Releases) -> anyhow::Result<Start> {
    let mut released = releases.running().await?;
    let mut start = Start { named: Vec::new(), installed: Vec::new(), left_out: Vec::new() };
    for (id, Named { manifest, digest }) in map.named() {
        let release = released.remove(&id);
        let kept = release.filter(|release| {
            let kept = release.base.as_deref() == Some(digest.as_str());
            if !kept {
                tracing::info!(component = %id, "its file is newer than the last release, and runs");
            }
            kept
        });
        start.named.push(match kept {
            // The map's grants win: they are the operator's, and may have been narrowed.
            Some(release) => Recorded {
                id,
                digest: release.digest,
                manifest: ComponentManifest { version: release.version, ..manifest },
                wasm: release.wasm,
            },
            None => {
                let wasm = map.components.get(&id).map(|(_, wasm)| wasm.clone());
                Recorded { id, digest, manifest, wasm: wasm.unwrap_or_default() }
            }
        });
    }
    // What the map does not name was installed by a plugin's author.
    for (id, release) in released.into_iter().filter(|(_, release)| release.base.is_none()) {
        let (digest, wasm) = (release.digest, release.wasm);
        match release.manifest {
            Ok(manifest) => start.installed.push(Recorded { id, digest, manifest, wasm }),
            Err(reason) => start.left_out.push(LeftOut { id, digest, reason }),
        }
    }
    Ok(start)
}
