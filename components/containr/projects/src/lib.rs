//! The Containr controller for projects.

mod projects;
pub mod routes;

windlass_sdk::component!(crate::routes::router, containr_common::Error, operations);
