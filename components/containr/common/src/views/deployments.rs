//! `Deployment` and the answers around it.

use serde::Serialize;
use windlass_domain::deployments::{Deployment, DeploymentStatus};
use windlass_domain::ids::{DeploymentId, ServiceId};

use super::{Text, Time};

/// `Deployment`. Times that have not come are left out.
#[derive(Serialize)]
pub struct DeploymentView<'a> {
    id: Text<DeploymentId>,
    service_id: Text<ServiceId>,
    commit_hash: &'a str,
    status: &'static str,
    image_name: &'a str,
    image_tag: &'a str,
    build_log: &'a str,
    runtime_log: &'a str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

impl<'a> DeploymentView<'a> {
    /// A deployment with its logs; both are empty where many are listed.
    pub fn new(deployment: &'a Deployment, build_log: &'a str, runtime_log: &'a str) -> Self {
        let (image_name, image_tag) = name_and_tag(&deployment.release.source.image);
        Self {
            id: Text(deployment.id),
            service_id: Text(deployment.service_id),
            commit_hash: &deployment.commit_hash,
            status: status(deployment),
            image_name,
            image_tag,
            build_log,
            runtime_log,
            error: &deployment.error,
            started_at: deployment.started_at.map(Time),
            completed_at: deployment.completed_at.map(Time),
            created_at: Time(deployment.created_at),
            updated_at: Time(deployment.updated_at),
        }
    }
}

impl<'a> From<&'a Deployment> for DeploymentView<'a> {
    fn from(deployment: &'a Deployment) -> Self {
        Self::new(deployment, "", "")
    }
}

/// `DeploymentListResponse`.
#[derive(Serialize)]
pub struct DeploymentsView<'a> {
    deployments: Vec<DeploymentView<'a>>,
}

impl<'a> From<&'a [Deployment]> for DeploymentsView<'a> {
    fn from(deployments: &'a [Deployment]) -> Self {
        Self { deployments: deployments.iter().map(DeploymentView::from).collect() }
    }
}

/// What `GET /deployments/{id}` answers.
#[derive(Serialize)]
pub struct WrappedDeploymentView<'a> {
    deployment: DeploymentView<'a>,
}

impl<'a> From<DeploymentView<'a>> for WrappedDeploymentView<'a> {
    fn from(deployment: DeploymentView<'a>) -> Self {
        Self { deployment }
    }
}

/// `RollbackDeploymentResponse`.
#[derive(Serialize)]
pub struct RollbackView<'a> {
    deployment: DeploymentView<'a>,
    message: &'static str,
}

impl<'a> From<&'a Deployment> for RollbackView<'a> {
    fn from(deployment: &'a Deployment) -> Self {
        Self { deployment: deployment.into(), message: "Rollback initiated" }
    }
}

/// This surface's words. What was live is `deployed` for good, whether it still is or not.
fn status(deployment: &Deployment) -> &'static str {
    match deployment.status {
        DeploymentStatus::Live | DeploymentStatus::Retired => "deployed",
        DeploymentStatus::Failed => "failed",
        DeploymentStatus::Pending | DeploymentStatus::Preparing | DeploymentStatus::Starting
            if deployment.rollback_of.is_some() =>
        {
            "rolling_back"
        }
        DeploymentStatus::Pending => "pending",
        DeploymentStatus::Preparing => "building",
        DeploymentStatus::Starting => "deploying",
    }
}

/// The two parts of an image's name. A colon before the last slash belongs to the registry's port.
fn name_and_tag(image: &str) -> (&str, &str) {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_come_apart_at_the_tag() {
        let check = |image: &str, name: &str, tag: &str| {
            assert_eq!(name_and_tag(image), (name, tag), "{image}");
        };
        check("shop", "shop", "");
        check("shop:1", "shop", "1");
        check("registry.example:5000/shop", "registry.example:5000/shop", "");
        check("registry.example:5000/shop:1", "registry.example:5000/shop", "1");
        check("shop:1@sha256:00", "shop", "1");
        check("", "", "");
    }
}
