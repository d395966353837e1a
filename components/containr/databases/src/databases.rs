//! Databases and their backups.

use containr_common::Result;
use containr_common::views::{
    DatabaseActionView, DatabaseBackupCreatedView, DatabaseCreatedView, DatabaseView,
    DatabasesView, MessageView,
};
use windlass_domain::databases::{self, Demand, backups};
use windlass_sdk::{Call, Response, StatusCode};

use crate::body::{
    CreateDatabaseRequest, DatabaseActionRequest, DatabaseRestoreRequest, UpdateDatabaseRequest,
};

/// `GET /api/v1/databases`.
pub(crate) async fn list(call: Call<'_>) -> Result<Response> {
    let found = databases::list(call.context, call.ports.connections).await?;
    Ok(Response::json(StatusCode::OK, &DatabasesView::from(found.as_slice())))
}

/// `POST /api/v1/databases`.
pub(crate) async fn create(call: Call<'_>) -> Result<Response> {
    let body: CreateDatabaseRequest = call.request.json()?;
    let created = databases::create(call.context, body.try_into()?).await?;
    Ok(Response::json(StatusCode::CREATED, &DatabaseCreatedView::from(&created)))
}

/// `GET /api/v1/databases/{id}`.
pub(crate) async fn view(call: Call<'_>) -> Result<Response> {
    let id = call.parameter("id");
    let found = databases::view(call.context, call.ports.connections, id).await?;
    let usage = databases::usage(call.context, call.ports.measurements, &found).await?;
    Ok(Response::json(StatusCode::OK, &DatabaseView::new(&found, usage.as_ref())))
}

/// `PUT /api/v1/databases/{id}`.
pub(crate) async fn update(call: Call<'_>) -> Result<Response> {
    let body: UpdateDatabaseRequest = call.request.json()?;
    databases::update(call.context, call.parameter("id"), body.try_into()?).await?;
    Ok(Response::json(StatusCode::OK, &MessageView::new("Database updated")))
}

/// `DELETE /api/v1/databases/{id}`.
pub(crate) async fn delete(call: Call<'_>) -> Result<Response> {
    databases::delete(call.context, call.parameter("id")).await?;
    Ok(Response::json(StatusCode::OK, &MessageView::new("Database deleted")))
}

/// `POST /api/v1/databases/{id}/action`.
pub(crate) async fn act(call: Call<'_>) -> Result<Response> {
    let body: DatabaseActionRequest = call.request.json()?;
    let demand = Demand::try_from(body)?;
    let database = databases::demand(call.context, call.parameter("id"), demand).await?;
    Ok(Response::json(StatusCode::OK, &DatabaseActionView::new(&database, demand)))
}

/// `POST /api/v1/databases/{id}/backup`.
pub(crate) async fn back_up(call: Call<'_>) -> Result<Response> {
    let backup = backups::create(call.context, call.parameter("id")).await?;
    Ok(Response::json(StatusCode::CREATED, &DatabaseBackupCreatedView::from(&backup)))
}

/// `POST /api/v1/databases/{id}/restore`.
pub(crate) async fn restore(call: Call<'_>) -> Result<Response> {
    let body: DatabaseRestoreRequest = call.request.json()?;
    backups::restore(call.context, call.parameter("id"), &body.backup_id).await?;
    Ok(Response::json(StatusCode::OK, &MessageView::new("Database restore initiated")))
}
