//! The Containr controller for builds: asking for images, looking at how they are made, and
//! breaking that off. Who follows a log holds an instance for minutes.

mod body;
mod builds;
mod logs;
pub mod routes;

windlass_sdk::component!(crate::routes::router, containr_common::Error, operations, logs);
