//! What a deployment runs with, as the JSON of one column. It is written once and read as a whole,
//! so that no statement ever needs a part of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_domain::deployments::Release;
use windlass_domain::services::{
    BuildConfig, Builder, Resources, ServiceKind, Size, Source, SourceKind,
};
use windlass_domain::{Error, Result};

/// The column. Keys are only ever added.
#[derive(Serialize, Deserialize)]
struct Column {
    kind: String,
    source_kind: String,
    repository: String,
    branch: String,
    root_directory: String,
    dockerfile: String,
    image: String,
    builder: String,
    build_command: String,
    start_command: String,
    variables: BTreeMap<String, String>,
    overrides: BTreeMap<String, String>,
    #[serde(default)]
    sealed_variables: BTreeMap<String, String>,
    #[serde(default)]
    sealed_overrides: BTreeMap<String, String>,
    cpu: String,
    memory: String,
    storage: String,
}

pub(super) fn to_text(release: &Release) -> Result<String> {
    let Release { kind, source, build, overrides, sealed_overrides, resources, image_digest: _ } =
        release;
    let column = Column {
        kind: kind.as_str().to_owned(),
        source_kind: source.kind.map(SourceKind::as_str).unwrap_or_default().to_owned(),
        repository: source.repository.clone(),
        branch: source.branch.clone(),
        root_directory: source.root_directory.clone(),
        dockerfile: source.dockerfile.clone(),
        image: source.image.clone(),
        builder: build.builder.map(Builder::as_str).unwrap_or_default().to_owned(),
        build_command: build.build_command.clone(),
        start_command: build.start_command.clone(),
        variables: build.variables.clone(),
        overrides: overrides.clone(),
        sealed_variables: build.sealed.clone(),
        sealed_overrides: sealed_overrides.clone(),
        cpu: resources.cpu.as_str().to_owned(),
        memory: resources.memory.as_str().to_owned(),
        storage: resources.storage.as_ref().map(Size::as_str).unwrap_or_default().to_owned(),
    };
    serde_json::to_string(&column)
        .map_err(|error| Error::internal_fault(format!("a release does not become JSON: {error}")))
}

/// `None` for anything [`to_text`] never wrote. The digest has a column of its own.
pub(super) fn from_text(text: &str) -> Option<Release> {
    let column: Column = serde_json::from_str(text).ok()?;
    Some(Release {
        kind: ServiceKind::parse(&column.kind)?,
        source: Source {
            kind: optional(&column.source_kind, SourceKind::parse)?,
            repository: column.repository,
            branch: column.branch,
            root_directory: column.root_directory,
            dockerfile: column.dockerfile,
            image: column.image,
        },
        build: BuildConfig {
            builder: optional(&column.builder, Builder::parse)?,
            build_command: column.build_command,
            start_command: column.start_command,
            variables: column.variables,
            sealed: column.sealed_variables,
        },
        overrides: column.overrides,
        sealed_overrides: column.sealed_overrides,
        resources: Resources::parse(&column.cpu, &column.memory, &column.storage).ok()?,
        image_digest: String::new(),
    })
}

/// The empty text stands for nothing; an unknown word for a fault.
fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { parse(text).map(Some) }
}
