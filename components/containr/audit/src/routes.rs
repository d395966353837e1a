//! The routes of this controller, a line each.

use containr_common::Error;
use windlass_sdk::Router;

use crate::audit_logs;

/// Every route of this controller.
pub fn router() -> Router<Error> {
    Router::new()
        .get("/api/v1/audit-logs", audit_logs::list)
        .get("/api/v1/audit-logs/{resource}/{id}", audit_logs::list_for_resource)
}
