//! The Containr controller for the logs of services. It is a component of its own because who
//! follows a log holds an instance for minutes, and other controllers answer in milliseconds.

mod logs;
pub mod routes;

windlass_sdk::component!(crate::routes::router, containr_common::Error, logs);
