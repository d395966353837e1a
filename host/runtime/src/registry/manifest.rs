//! What a manifest says of a component.

use serde::Deserialize;

use super::name::is_digest;

/// The kinds of manifests that are read.
pub(super) const KINDS: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// What layers are called that are a component: by the layout of the CNCF, and by tools before it.
const COMPONENT_LAYERS: [&str; 3] = [
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
];

/// What a manifest is about.
pub(super) enum Content {
    /// A component, in this layer.
    Component(Descriptor),
    /// Several manifests, of which the one with this digest is for components.
    Listed(String),
    /// Layers of files.
    Container,
}

/// A piece of content.
#[derive(Deserialize)]
pub(super) struct Descriptor {
    #[serde(rename = "mediaType", default)]
    kind: String,
    pub(super) digest: String,
    pub(super) size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
}

/// A manifest, or a list of manifests.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// Reads a manifest; `None` for what is none, or is of neither kind.
pub(super) fn read(body: &[u8]) -> Option<Content> {
    let Manifest { layers, manifests } = serde_json::from_slice(body).ok()?;
    let is_component = |layer: &Descriptor| COMPONENT_LAYERS.contains(&layer.kind.as_str());
    if let Some(layer) = layers.into_iter().reduce(|first, next| match is_component(&next) {
        true => next,
        false => first,
    }) {
        let fits = is_component(&layer) && is_digest(&layer.digest);
        return Some(if fits { Content::Component(layer) } else { Content::Container });
    }
    let is_wasm = |one: &Descriptor| {
        one.platform.as_ref().is_some_and(|platform| platform.architecture == "wasm")
    };
    let count = manifests.len();
    let only = |one: &Descriptor| count == 1 && one.platform.is_none();
    let found = manifests.into_iter().find(|one| is_wasm(one) || only(one));
    match found {
        Some(found) => is_digest(&found.digest).then_some(Content::Listed(found.digest)),
        None if count > 0 => Some(Content::Container),
        None => None,
    }
}
