//! `Service` and what is nested in it.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use windlass_domain::ids::{ProjectId, ServiceId};
use windlass_domain::services::build::SEALED;
use windlass_domain::services::{
    BuildConfig, Builder, Resources, Service, Size, Source, SourceKind,
};

use super::{Text, Time};

/// `Service`.
#[derive(Serialize)]
pub struct ServiceView<'a> {
    id: Text<ServiceId>,
    project_id: Text<ProjectId>,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    source: ServiceSourceView<'a>,
    build_config: BuildConfigView<'a>,
    resources: ResourceConfigView<'a>,
    created_at: Time,
    updated_at: Time,
}

impl<'a> From<&'a Service> for ServiceView<'a> {
    fn from(service: &'a Service) -> Self {
        Self {
            id: Text(service.id),
            project_id: Text(service.project_id),
            name: &service.name,
            kind: service.kind.as_str(),
            status: service.status.as_str(),
            source: (&service.source).into(),
            build_config: (&service.build).into(),
            resources: (&service.resources).into(),
            created_at: Time(service.created_at),
            updated_at: Time(service.updated_at),
        }
    }
}

/// `ServiceSource`. The type is left out while it is unset.
#[derive(Serialize)]
pub struct ServiceSourceView<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    repository: &'a str,
    branch: &'a str,
    root_directory: &'a str,
    dockerfile: &'a str,
    image: &'a str,
}

impl<'a> From<&'a Source> for ServiceSourceView<'a> {
    fn from(source: &'a Source) -> Self {
        Self {
            kind: source.kind.map(SourceKind::as_str),
            repository: &source.repository,
            branch: &source.branch,
            root_directory: &source.root_directory,
            dockerfile: &source.dockerfile,
            image: &source.image,
        }
    }
}

/// `BuildConfig`. The builder is left out while it is unset.
#[derive(Serialize)]
pub struct BuildConfigView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    builder_type: Option<&'static str>,
    build_command: &'a str,
    start_command: &'a str,
    environment_variables: Variables<'a>,
}

impl<'a> From<&'a BuildConfig> for BuildConfigView<'a> {
    fn from(build: &'a BuildConfig) -> Self {
        Self {
            builder_type: build.builder.map(Builder::as_str),
            build_command: &build.build_command,
            start_command: &build.start_command,
            environment_variables: Variables(build),
        }
    }
}

/// All variables by their names. What is sealed has eight asterisks for a value.
struct Variables<'a>(&'a BuildConfig);

impl Serialize for Variables<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let build = self.0;
        let sealed = build.sealed.keys().map(|name| (name.as_str(), SEALED));
        let plain = build.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        serializer.collect_map(plain.chain(sealed).collect::<BTreeMap<_, _>>())
    }
}

/// `ResourceConfig`.
#[derive(Serialize)]
pub struct ResourceConfigView<'a> {
    cpu: &'a str,
    memory: &'a str,
    storage: &'a str,
}

impl<'a> From<&'a Resources> for ResourceConfigView<'a> {
    fn from(resources: &'a Resources) -> Self {
        Self {
            cpu: resources.cpu.as_str(),
            memory: resources.memory.as_str(),
            storage: resources.storage.as_ref().map(Size::as_str).unwrap_or_default(),
        }
    }
}
