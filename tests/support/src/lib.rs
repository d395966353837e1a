//! What tests of several crates need and no crate should ship: a private PostgreSQL, and somebody on
//! loopback to ask over HTTP.
//!
//! Talking to the database is left to the tests; this crate only starts it, names it and
//! takes it away again.

mod postgres;
mod stub;

pub use postgres::{PostgresCluster, fresh_database, shared_cluster};
pub use stub::{HttpStub, http_answer};
