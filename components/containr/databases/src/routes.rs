//! The routes of this controller, a line each.

use containr_common::Error;
use windlass_sdk::Router;

use crate::databases;

/// Every route of this controller.
pub fn router() -> Router<Error> {
    Router::new()
        .get("/api/v1/databases", databases::list)
        .post("/api/v1/databases", databases::create)
        .get("/api/v1/databases/{id}", databases::view)
        .put("/api/v1/databases/{id}", databases::update)
        .delete("/api/v1/databases/{id}", databases::delete)
        .post("/api/v1/databases/{id}/action", databases::act)
        .post("/api/v1/databases/{id}/backup", databases::back_up)
        .post("/api/v1/databases/{id}/restore", databases::restore)
}
