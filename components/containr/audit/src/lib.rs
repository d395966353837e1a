//! The Containr controller for the audit trail. Writing it is part of every operation of the
//! domain; here it is only read.

mod audit_logs;
pub mod routes;

windlass_sdk::component!(crate::routes::router, containr_common::Error);
