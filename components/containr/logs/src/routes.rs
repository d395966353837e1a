//! The routes of this controller, a line each.

use containr_common::Error;
use windlass_sdk::Router;

use crate::logs;

/// Every route of this controller.
pub fn router() -> Router<Error> {
    Router::new().get("/api/v1/services/{id}/logs", logs::list)
}
