//! The routes of this controller, a line each.

use containr_common::Error;
use windlass_sdk::Router;

use crate::providers;

/// Every route of this controller.
pub fn router() -> Router<Error> {
    Router::new()
        .get("/api/v1/git/providers", providers::list)
        .post("/api/v1/git/providers", providers::create)
        .get("/api/v1/git/providers/{providerId}/repositories", providers::repositories)
}
