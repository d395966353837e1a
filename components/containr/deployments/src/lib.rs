//! The Containr controller for deployments: asking for them, looking at them and going back.

mod deployments;
mod logs;
pub mod routes;

windlass_sdk::component!(crate::routes::router, containr_common::Error, operations, logs, secrets);
