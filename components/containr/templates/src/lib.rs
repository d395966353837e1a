//! The Containr controller for templates. What a template became belongs to other controllers.

pub mod routes;
mod templates;

windlass_sdk::component!(crate::routes::router, containr_common::Error, operations, secrets);
