//! Deployments.

use std::collections::BTreeMap;

use containr_common::Result;
use containr_common::views::{
    DeploymentView, DeploymentsView, RollbackView, WrappedDeploymentView,
};
use serde::Deserialize;
use windlass_domain::deployments::{self, NewDeployment};
use windlass_sdk::{Call, Response, StatusCode};

use crate::logs::texts;

/// `GET /api/v1/services/{id}/deployments`.
pub(crate) async fn list(call: Call<'_>) -> Result<Response> {
    let found = deployments::list(call.context, call.parameter("id")).await?;
    Ok(Response::json(StatusCode::OK, &DeploymentsView::from(found.as_slice())))
}

/// `CreateDeploymentRequest`, which may be left out as a whole.
#[derive(Default, Deserialize)]
struct CreateDeploymentRequest {
    #[serde(default)]
    commit_hash: String,
    #[serde(default)]
    branch: String,
    #[serde(default)]
    trigger: String,
    #[serde(default)]
    env_vars: BTreeMap<String, String>,
}

/// `POST /api/v1/services/{id}/deployments`.
pub(crate) async fn create(call: Call<'_>) -> Result<Response> {
    let body: CreateDeploymentRequest = call.request.json_if_any()?;
    let new_deployment = NewDeployment {
        commit_hash: body.commit_hash,
        branch: body.branch,
        trigger: body.trigger,
        overrides: body.env_vars,
    };
    let created = deployments::create(call.context, call.parameter("id"), new_deployment).await?;
    Ok(Response::json(StatusCode::CREATED, &DeploymentView::from(&created)))
}

/// `GET /api/v1/deployments/{id}`.
pub(crate) async fn view(call: Call<'_>) -> Result<Response> {
    let deployment = deployments::view(call.context, call.parameter("id")).await?;
    let logs = texts(&call, &deployment).await?;
    let view = DeploymentView::new(&deployment, &logs.build_text, &logs.runtime_text);
    Ok(Response::json(StatusCode::OK, &WrappedDeploymentView::from(view)))
}

/// `POST /api/v1/deployments/{id}/rollback`.
pub(crate) async fn roll_back(call: Call<'_>) -> Result<Response> {
    let created = deployments::roll_back(call.context, call.parameter("id")).await?;
    Ok(Response::json(StatusCode::CREATED, &RollbackView::from(&created)))
}
