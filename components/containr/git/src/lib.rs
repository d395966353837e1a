//! The Containr controller for git providers, and the repositories that users reach at them.

mod providers;
pub mod routes;

windlass_sdk::component!(crate::routes::router, containr_common::Error, secrets, source);
