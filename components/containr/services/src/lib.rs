//! The Containr controller for services. Their logs and deployments belong to other controllers.

mod body;
pub mod routes;
mod services;

windlass_sdk::component!(crate::routes::router, containr_common::Error, operations, secrets);
