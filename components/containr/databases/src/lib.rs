//! The Containr controller for managed databases and their backups.

mod body;
mod databases;
pub mod routes;

windlass_sdk::component!(
    crate::routes::router,
    containr_common::Error,
    operations,
    secrets,
    connections,
    measurements
);
