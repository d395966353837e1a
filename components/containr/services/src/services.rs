//! Services.

use containr_common::Result;
use containr_common::views::ServiceView;
use windlass_domain::services::{self, Service};
use windlass_sdk::{Call, EntityTag, Response, StatusCode};

use crate::body::{CreateServiceRequest, UpdateServiceRequest};

/// `GET /api/v1/projects/{project_id}/services`.
pub(crate) async fn list(call: Call<'_>) -> Result<Response> {
    let found = services::list(call.context, call.parameter("project_id")).await?;
    let views: Vec<_> = found.iter().map(ServiceView::from).collect();
    Ok(Response::json(StatusCode::OK, &views))
}

/// `POST /api/v1/projects/{project_id}/services`.
pub(crate) async fn create(call: Call<'_>) -> Result<Response> {
    let body: CreateServiceRequest = call.request.json()?;
    let project_id = call.parameter("project_id");
    let service = services::create(call.context, project_id, body.try_into()?).await?;
    Ok(answer(StatusCode::CREATED, &service))
}

/// `GET /api/v1/services/{id}`.
pub(crate) async fn view(call: Call<'_>) -> Result<Response> {
    let service = services::view(call.context, call.parameter("id")).await?;
    Ok(Response::view(call.request, &EntityTag::new(service.revision), || {
        ServiceView::from(&service)
    }))
}

/// `PUT /api/v1/services/{id}`.
pub(crate) async fn update(call: Call<'_>) -> Result<Response> {
    let expected = call.request.expected_revision()?;
    let body: UpdateServiceRequest = call.request.json()?;
    let id = call.parameter("id");
    let service = services::update(call.context, id, body.try_into()?, expected).await?;
    Ok(answer(StatusCode::OK, &service))
}

/// `DELETE /api/v1/services/{id}`.
pub(crate) async fn delete(call: Call<'_>) -> Result<Response> {
    let expected = call.request.expected_revision()?;
    services::delete(call.context, call.parameter("id"), expected).await?;
    Ok(Response::no_content())
}

fn answer(status: StatusCode, service: &Service) -> Response {
    Response::json(status, &ServiceView::from(service)).with_tag(&EntityTag::new(service.revision))
}
