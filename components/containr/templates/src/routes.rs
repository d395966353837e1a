//! The routes of this controller, a line each.

use containr_common::Error;
use windlass_sdk::Router;

use crate::templates;

/// Every route of this controller.
pub fn router() -> Router<Error> {
    Router::new()
        .get("/api/v1/templates", templates::list)
        .get("/api/v1/templates/{id}", templates::view)
        .post("/api/v1/templates/{id}/deploy", templates::deploy)
}
