//! The routes of this controller, a line each.

use containr_common::Error;
use windlass_sdk::{Method, Router};

use crate::{auth, health, profile};

/// Every route of this controller.
pub fn router() -> Router<Error> {
    Router::new()
        .open(Method::GET, "/api/v1/health", health::view)
        .open(Method::POST, "/api/v1/auth/register", auth::register)
        .open(Method::POST, "/api/v1/auth/login", auth::login)
        .get("/api/v1/user/profile", profile::view)
        .put("/api/v1/user/profile", profile::update)
}
