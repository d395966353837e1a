//! The routes of this controller, a line each.

use containr_common::Error;
use windlass_sdk::Router;

use crate::services;

/// Every route of this controller.
pub fn router() -> Router<Error> {
    Router::new()
        .get("/api/v1/projects/{project_id}/services", services::list)
        .post("/api/v1/projects/{project_id}/services", services::create)
        .get("/api/v1/services/{id}", services::view)
        .put("/api/v1/services/{id}", services::update)
        .delete("/api/v1/services/{id}", services::delete)
}
