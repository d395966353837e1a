//! What tests of several crates need and no crate should ship: a private PostgreSQL.
//!
//! Talking to the database is left to the tests; this crate only starts it, names it and
//! takes it away again.

mod postgres;

pub use postgres::{PostgresCluster, fresh_database, shared_cluster};
