//! Audit logs: the domain's events in this surface's words.

use containr_common::Result;
use containr_common::views::AuditLogListView;
use windlass_domain::PageRequest;
use windlass_domain::events::{self, EventFilter};
use windlass_sdk::{Call, Paging, Response, StatusCode};

/// Entries on a page when the client does not say.
const DEFAULT_LIMIT: i64 = 50;

/// `GET /api/v1/audit-logs`.
pub(crate) async fn list(call: Call<'_>) -> Result<Response> {
    let query = call.request.query()?;
    let page = PageRequest::new(query.integer("page", 1)?, query.integer("limit", DEFAULT_LIMIT)?)?;
    // A parameter that is there but empty filters nothing, as a form sends it.
    let filled = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let filter = EventFilter {
        resource: filled(query.text("resource")?),
        action: filled(query.text("action")?),
    };
    let found = events::list(call.context, &filter, page).await?;
    Ok(Response::json(StatusCode::OK, &AuditLogListView::from(found.items.as_slice()))
        .with_links(call.request, &Paging::uncounted(found.page, found.has_more)))
}

/// `GET /api/v1/audit-logs/{resource}/{id}`.
pub(crate) async fn list_for_resource(call: Call<'_>) -> Result<Response> {
    let found =
        events::list_for_resource(call.context, call.parameter("resource"), call.parameter("id"))
            .await?;
    Ok(Response::json(StatusCode::OK, &AuditLogListView::from(found.as_slice())))
}
