//! The body that clients send, and its way into the domain's type.

use std::collections::BTreeMap;

use serde::Deserialize;
use windlass_domain::builds::{Method, NewBuild};
use windlass_sdk::Refusal;
use windlass_sdk::json::present;

/// `StartBuildRequest`.
#[derive(Deserialize)]
pub(crate) struct StartBuildRequest {
    #[serde(default, deserialize_with = "present")]
    build_type: Option<String>,
    #[serde(default)]
    source_path: String,
    #[serde(default)]
    prebuilt_image: String,
    image_name: String,
    image_tag: String,
    #[serde(default)]
    registry_url: String,
    #[serde(default)]
    build_command: String,
    #[serde(default)]
    start_command: String,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    build_args: BTreeMap<String, String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    project_id: String,
    #[serde(default)]
    service_id: String,
    #[serde(default)]
    branch: String,
    #[serde(default)]
    commit: String,
}

impl TryFrom<StartBuildRequest> for NewBuild {
    type Error = Refusal;

    fn try_from(body: StartBuildRequest) -> Result<Self, Refusal> {
        let method = match body.build_type.as_deref() {
            None => None,
            Some(word) => Some(Method::parse(word).ok_or_else(|| {
                Refusal::field("build_type", "must be railpack, nixpacks, dockerfile or prebuilt")
            })?),
        };
        Ok(Self {
            method,
            source_path: body.source_path,
            prebuilt_image: body.prebuilt_image,
            image_name: body.image_name,
            image_tag: body.image_tag,
            registry_url: body.registry_url,
            build_command: body.build_command,
            start_command: body.start_command,
            variables: body.environment,
            arguments: body.build_args,
            labels: body.labels,
            project_id: body.project_id,
            service_id: body.service_id,
            branch: body.branch,
            commit: body.commit,
        })
    }
}
