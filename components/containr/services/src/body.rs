//! The bodies that clients send, and their way into the domain's types. Words of enumerations are
//! read here, because they are this surface's; whether texts are well-formed is the domain's.

use std::collections::BTreeMap;

use serde::Deserialize;
use windlass_domain::services::{
    BuildConfig, BuildConfigChange, Builder, NewService, ResourcesInput, ServiceChange,
    ServiceKind, Source, SourceKind,
};
use windlass_sdk::Refusal;
use windlass_sdk::json::{present, present_object};

/// `CreateServiceRequest`.
#[derive(Deserialize)]
pub(crate) struct CreateServiceRequest {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "present_object")]
    source: Option<ServiceSource>,
    #[serde(default, deserialize_with = "present_object")]
    build_config: Option<BuildConfigBody>,
    #[serde(default, deserialize_with = "present_object")]
    resources: Option<ResourceConfig>,
}

/// `UpdateServiceRequest`.
#[derive(Deserialize)]
pub(crate) struct UpdateServiceRequest {
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    #[serde(default, deserialize_with = "present_object")]
    build_config: Option<BuildConfigBody>,
    #[serde(default, deserialize_with = "present_object")]
    resources: Option<ResourceConfig>,
}

/// `ServiceSource`.
#[derive(Deserialize)]
struct ServiceSource {
    #[serde(rename = "type", default, deserialize_with = "present")]
    kind: Option<String>,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    branch: String,
    #[serde(default)]
    root_directory: String,
    #[serde(default)]
    dockerfile: String,
    #[serde(default)]
    image: String,
}

/// `BuildConfig`.
#[derive(Deserialize, Default)]
struct BuildConfigBody {
    #[serde(default, deserialize_with = "present")]
    builder_type: Option<String>,
    #[serde(default, deserialize_with = "present")]
    build_command: Option<String>,
    #[serde(default, deserialize_with = "present")]
    start_command: Option<String>,
    #[serde(default, deserialize_with = "present")]
    environment_variables: Option<BTreeMap<String, String>>,
}

/// `ResourceConfig`.
#[derive(Deserialize, Default)]
struct ResourceConfig {
    #[serde(default, deserialize_with = "present")]
    cpu: Option<String>,
    #[serde(default, deserialize_with = "present")]
    memory: Option<String>,
    #[serde(default, deserialize_with = "present")]
    storage: Option<String>,
}

impl TryFrom<CreateServiceRequest> for NewService {
    type Error = Refusal;

    fn try_from(body: CreateServiceRequest) -> Result<Self, Refusal> {
        let kind = ServiceKind::parse(&body.kind)
            .ok_or_else(|| Refusal::field("type", "must be web, worker, database or cron"))?;
        let source = body.source.map(Source::try_from).transpose()?.unwrap_or_default();
        let build = BuildConfigChange::try_from(body.build_config.unwrap_or_default())?;
        Ok(Self {
            name: body.name,
            kind,
            source,
            build: BuildConfig {
                builder: build.builder,
                build_command: build.build_command.unwrap_or_default(),
                start_command: build.start_command.unwrap_or_default(),
                variables: build.variables.unwrap_or_default(),
                ..BuildConfig::default()
            },
            resources: body.resources.unwrap_or_default().into(),
        })
    }
}

impl TryFrom<UpdateServiceRequest> for ServiceChange {
    type Error = Refusal;

    fn try_from(body: UpdateServiceRequest) -> Result<Self, Refusal> {
        Ok(Self {
            name: body.name,
            build: body.build_config.unwrap_or_default().try_into()?,
            resources: body.resources.unwrap_or_default().into(),
        })
    }
}

impl TryFrom<ServiceSource> for Source {
    type Error = Refusal;

    fn try_from(body: ServiceSource) -> Result<Self, Refusal> {
        let kind = match body.kind.as_deref() {
            None => None,
            Some(word) => Some(SourceKind::parse(word).ok_or_else(|| {
                Refusal::field("source.type", "must be git, dockerfile or image")
            })?),
        };
        Ok(Self {
            kind,
            repository: body.repository,
            branch: body.branch,
            root_directory: body.root_directory,
            dockerfile: body.dockerfile,
            image: body.image,
        })
    }
}

impl TryFrom<BuildConfigBody> for BuildConfigChange {
    type Error = Refusal;

    fn try_from(body: BuildConfigBody) -> Result<Self, Refusal> {
        let builder = match body.builder_type.as_deref() {
            None => None,
            Some(word) => Some(Builder::parse(word).ok_or_else(|| {
                Refusal::field("build_config.builder_type", "must be nixpacks, dockerfile or image")
            })?),
        };
        Ok(Self {
            builder,
            build_command: body.build_command,
            start_command: body.start_command,
            variables: body.environment_variables,
        })
    }
}

impl From<ResourceConfig> for ResourcesInput {
    fn from(body: ResourceConfig) -> Self {
        Self { cpu: body.cpu, memory: body.memory, storage: body.storage }
    }
}
