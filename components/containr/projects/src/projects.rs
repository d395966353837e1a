//! Projects.

use containr_common::Result;
use containr_common::views::{ProjectView, ProjectsView};
use serde::Deserialize;
use windlass_domain::PageRequest;
use windlass_domain::projects::{self, NewProject, ProjectChange, ProjectFilter, ProjectSummary};
use windlass_sdk::{Call, EntityTag, Paging, Response, StatusCode, json};

/// Projects on a page when the client does not say.
const DEFAULT_LIMIT: i64 = 20;

/// `GET /api/v1/projects`.
pub(crate) async fn list(call: Call<'_>) -> Result<Response> {
    let query = call.request.query()?;
    let page = PageRequest::new(query.integer("page", 1)?, query.integer("limit", DEFAULT_LIMIT)?)?;
    let filter = ProjectFilter { search: query.text("search")?.map(str::to_owned) };
    let found = projects::list(call.context, &filter, page).await?;
    Ok(Response::json(StatusCode::OK, &ProjectsView::from(&found))
        .with_links(call.request, &Paging::counted(found.page, found.total_pages())))
}

#[derive(Deserialize)]
struct CreateProjectRequest {
    name: String,
    #[serde(default)]
    description: String,
}

/// `POST /api/v1/projects`.
pub(crate) async fn create(call: Call<'_>) -> Result<Response> {
    let CreateProjectRequest { name, description } = call.request.json()?;
    let summary = projects::create(call.context, NewProject { name, description }).await?;
    Ok(answer(StatusCode::CREATED, &summary))
}

/// `GET /api/v1/projects/{id}`.
pub(crate) async fn view(call: Call<'_>) -> Result<Response> {
    let summary = projects::view(call.context, call.parameter("id")).await?;
    Ok(Response::view(call.request, &tag(&summary), || ProjectView::from(&summary)))
}

#[derive(Deserialize)]
struct UpdateProjectRequest {
    #[serde(default, deserialize_with = "json::present")]
    name: Option<String>,
    #[serde(default, deserialize_with = "json::present")]
    description: Option<String>,
}

/// `PUT /api/v1/projects/{id}`.
pub(crate) async fn update(call: Call<'_>) -> Result<Response> {
    let expected = call.request.expected_revision()?;
    let UpdateProjectRequest { name, description } = call.request.json()?;
    let change = ProjectChange { name, description };
    let summary = projects::update(call.context, call.parameter("id"), change, expected).await?;
    Ok(answer(StatusCode::OK, &summary))
}

/// `DELETE /api/v1/projects/{id}`.
pub(crate) async fn delete(call: Call<'_>) -> Result<Response> {
    let expected = call.request.expected_revision()?;
    projects::delete(call.context, call.parameter("id"), expected).await?;
    Ok(Response::no_content())
}

fn answer(status: StatusCode, summary: &ProjectSummary) -> Response {
    Response::json(status, &ProjectView::from(summary)).with_tag(&tag(summary))
}

/// The count of services is shown and changes without a revision of the project.
fn tag(summary: &ProjectSummary) -> EntityTag {
    EntityTag::with_detail(summary.project.revision, summary.services_count)
}
