//! Builds.

use containr_common::Result;
use containr_common::views::{BuildCancelView, BuildListView, BuildStatusView, StartBuildView};
use windlass_domain::PageRequest;
use windlass_domain::builds::{self, BuildFilter, BuildStatus};
use windlass_sdk::{Call, Paging, Refusal, Response, StatusCode};

use crate::body::StartBuildRequest;
use crate::logs;

/// Builds on a page when the client does not say.
const DEFAULT_LIMIT: i64 = 20;

/// `GET /api/v1/builds`.
pub(crate) async fn list(call: Call<'_>) -> Result<Response> {
    let query = call.request.query()?;
    let page = PageRequest::new(query.integer("page", 1)?, query.integer("limit", DEFAULT_LIMIT)?)?;
    // A parameter that is there but empty filters nothing, as a form sends it.
    let filled = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let status = match query.text("status")?.filter(|text| !text.is_empty()) {
        None => None,
        Some(word) => Some(BuildStatus::parse(word).ok_or_else(|| {
            Refusal::field("status", "must be pending, running, success, failed or cancelled")
        })?),
    };
    let filter = BuildFilter {
        project_id: filled(query.text("project_id")?),
        service_id: filled(query.text("service_id")?),
        status,
    };
    let found = builds::list(call.context, &filter, page).await?;
    Ok(Response::json(StatusCode::OK, &BuildListView::from(&found))
        .with_links(call.request, &Paging::counted(found.page, found.total_pages())))
}

/// `POST /api/v1/builds`.
pub(crate) async fn create(call: Call<'_>) -> Result<Response> {
    let body: StartBuildRequest = call.request.json()?;
    let build = builds::create(call.context, body.try_into()?).await?;
    Ok(Response::json(StatusCode::CREATED, &StartBuildView::from(&build)))
}

/// `GET /api/v1/builds/{id}`.
pub(crate) async fn view(call: Call<'_>) -> Result<Response> {
    let build = builds::view(call.context, call.parameter("id")).await?;
    let log = logs::text(&call, &build).await?;
    Ok(Response::json(StatusCode::OK, &BuildStatusView::new(&build, &log)))
}

/// `POST /api/v1/builds/{id}/cancel`.
pub(crate) async fn cancel(call: Call<'_>) -> Result<Response> {
    builds::cancel(call.context, call.parameter("id")).await?;
    Ok(Response::json(StatusCode::OK, &BuildCancelView::CANCELLED))
}
