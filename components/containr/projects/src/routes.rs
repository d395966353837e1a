//! The routes of this controller, a line each.

use containr_common::Error;
use windlass_sdk::Router;

use crate::projects;

/// Every route of this controller.
pub fn router() -> Router<Error> {
    Router::new()
        .get("/api/v1/projects", projects::list)
        .post("/api/v1/projects", projects::create)
        .get("/api/v1/projects/{id}", projects::view)
        .put("/api/v1/projects/{id}", projects::update)
        .delete("/api/v1/projects/{id}", projects::delete)
}
