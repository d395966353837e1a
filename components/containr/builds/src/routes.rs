//! The routes of this controller, a line each.

use containr_common::Error;
use windlass_sdk::Router;

use crate::{builds, logs};

/// Every route of this controller.
pub fn router() -> Router<Error> {
    Router::new()
        .get("/api/v1/builds", builds::list)
        .post("/api/v1/builds", builds::create)
        .get("/api/v1/builds/{id}", builds::view)
        .post("/api/v1/builds/{id}/cancel", builds::cancel)
        .get("/api/v1/builds/{id}/logs", logs::view)
}
