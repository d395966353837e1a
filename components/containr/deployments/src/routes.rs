//! The routes of this controller, a line each.

use containr_common::Error;
use windlass_sdk::Router;

use crate::{deployments, logs};

/// Every route of this controller.
pub fn router() -> Router<Error> {
    Router::new()
        .get("/api/v1/services/{id}/deployments", deployments::list)
        .post("/api/v1/services/{id}/deployments", deployments::create)
        .get("/api/v1/deployments/{id}", deployments::view)
        .post("/api/v1/deployments/{id}/rollback", deployments::roll_back)
        .get("/api/v1/deployments/{id}/logs", logs::list)
}
