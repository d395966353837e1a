//! Templates.

use std::collections::BTreeMap;

use containr_common::Result;
use containr_common::views::{DeployTemplateView, TemplateDetailView, TemplatesView};
use serde::Deserialize;
use windlass_domain::templates::{self, TemplateDeployment};
use windlass_sdk::json::present;
use windlass_sdk::{Call, Refusal, Response, StatusCode};

/// The plans of this surface.
const PLANS: [&str; 4] = ["hobby", "starter", "standard", "business"];

/// `GET /api/v1/templates`.
pub(crate) async fn list(call: Call<'_>) -> Result<Response> {
    let query = call.request.query()?;
    let found = templates::list(call.context, query.text("category")?).await?;
    Ok(Response::json(StatusCode::OK, &TemplatesView::new(&found)))
}

/// `GET /api/v1/templates/{id}`.
pub(crate) async fn view(call: Call<'_>) -> Result<Response> {
    let template = templates::view(call.context, call.parameter("id")).await?;
    Ok(Response::json(StatusCode::OK, &TemplateDetailView::from(template)))
}

/// `DeployTemplateRequest`.
#[derive(Deserialize)]
struct DeployTemplateRequest {
    project_id: String,
    name: String,
    #[serde(default, deserialize_with = "present")]
    plan: Option<String>,
    #[serde(default, deserialize_with = "present")]
    region: Option<String>,
    #[serde(default, deserialize_with = "present")]
    variables: Option<BTreeMap<String, String>>,
}

/// `POST /api/v1/templates/{id}/deploy`.
pub(crate) async fn deploy(call: Call<'_>) -> Result<Response> {
    let body: DeployTemplateRequest = call.request.json()?;
    if body.plan.as_deref().is_some_and(|plan| !PLANS.contains(&plan)) {
        return Err(Refusal::field("plan", "must be hobby, starter, standard or business").into());
    }
    let deployment = TemplateDeployment {
        project_id: body.project_id,
        name: body.name,
        plan: body.plan.unwrap_or_default(),
        region: body.region.unwrap_or_default(),
        variables: body.variables.unwrap_or_default(),
    };
    let made = templates::deploy(call.context, call.parameter("id"), deployment).await?;
    Ok(Response::json(StatusCode::CREATED, &DeployTemplateView::from(&made)))
}
