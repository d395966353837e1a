//! Finds the component that a tree has in it.
//!
//! It is the one that a `spin.toml` names, or the only one there is. Nothing is compiled: what is
//! deployed is what was committed.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::recipe::{inside, normal, within};
use super::source::{Entry, EntryKind, Tree};

/// The largest component.
const COMPONENT_BYTES: u64 = 128 * 1_048_576;
/// The most files that are looked at whether they are components.
const CANDIDATES: usize = 64;
/// The largest `spin.toml`.
const MANIFEST_BYTES: u64 = 1_048_576;

/// A component and where it was.
pub(super) struct Found {
    pub(super) path: String,
    pub(super) content: Bytes,
}

/// The component in a directory of a tree; `None` when there is none.
///
/// # Errors
/// A sentence for the tenant when it cannot be said which one, or when it cannot be read.
pub(super) async fn find(tree: &Arc<dyn Tree>, directory: &str) -> Result<Option<Found>, String> {
    let (tree, directory) = (Arc::clone(tree), normal(directory));
    let looking = tokio::task::spawn_blocking(move || look(&*tree, &directory));
    looking.await.map_err(|error| error.to_string())?
}

fn look(tree: &dyn Tree, directory: &str) -> Result<Option<Found>, String> {
    if let Some(path) = named(tree, directory)?
        && let Some(found) = component(tree, &path)?
    {
        return Ok(Some(found));
    }
    let candidates: Vec<&Entry> = tree
        .entries()
        .iter()
        .filter(|entry| inside(directory, &entry.path).is_some() && is_candidate(entry))
        .collect();
    if candidates.len() > CANDIDATES {
        let count = candidates.len();
        return Err(format!(
            "there are {count} files that end with .wasm; name one in a spin.toml"
        ));
    }
    let mut only = None;
    for candidate in candidates {
        let Some(found) = component(tree, &candidate.path)? else { continue };
        if let Some(Found { path, .. }) = &only {
            return Err(format!(
                "{path} and {} are both components; name one in a spin.toml, or the directory of \
                 one",
                found.path
            ));
        }
        only = Some(found);
    }
    Ok(only)
}

fn is_candidate(entry: &Entry) -> bool {
    entry.path.ends_with(".wasm") && matches!(entry.kind, EntryKind::File { .. })
}

/// The component at a path; `None` when there is nothing or something else.
fn component(tree: &dyn Tree, path: &str) -> Result<Option<Found>, String> {
    let Some(content) = read(tree, path, COMPONENT_BYTES)? else { return Ok(None) };
    let is_component = content.starts_with(b"\0asm\x0d\0\x01\0");
    Ok(is_component.then(|| Found { path: path.to_owned(), content }))
}

fn read(tree: &dyn Tree, path: &str, most: u64) -> Result<Option<Bytes>, String> {
    let place = tree.entries().iter().position(|entry| entry.path == path);
    let Some((index, entry)) = place.and_then(|place| Some((place, tree.entries().get(place)?)))
    else {
        return Ok(None);
    };
    match entry.kind {
        EntryKind::Link { .. } => Ok(None),
        EntryKind::File { size, .. } if size > most => {
            Err(format!("{path} has {size} bytes, and {most} are taken"))
        }
        EntryKind::File { .. } => tree.read(index).map(Some),
    }
}

/// What is read of a `spin.toml`.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    component: std::collections::BTreeMap<String, Component>,
}

#[derive(Deserialize)]
struct Component {
    source: toml::Value,
}

/// The path that a `spin.toml` in the directory names.
fn named(tree: &dyn Tree, directory: &str) -> Result<Option<String>, String> {
    let manifest = within(directory, "spin.toml");
    let Some(text) = read(tree, &manifest, MANIFEST_BYTES)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&text);
    let parsed: Manifest = toml::from_str(&text)
        .map_err(|error| format!("{manifest} is no Spin manifest: {}", error.message()))?;
    // Others are fetched from elsewhere by a URL.
    let mut sources = parsed.component.values().filter_map(|component| component.source.as_str());
    match (sources.next(), sources.next()) {
        (Some(source), None) => {
            if source.starts_with('/') || source.split('/').any(|part| part == "..") {
                return Err(format!("{manifest} names {source:?}, which is not in the repository"));
            }
            Ok(Some(within(directory, source)))
        }
        (Some(_), Some(_)) => Err(format!(
            "{manifest} names several components, and a service is one; name the directory of one"
        )),
        (None, _) => Ok(None),
    }
}
