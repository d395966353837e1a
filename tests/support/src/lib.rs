//! What tests of several crates need and no crate should ship: a private PostgreSQL, a private Docker
//! engine, and somebody on loopback to ask over HTTP, for git repositories above all.
//!
//! Talking to them is left to the tests; this crate only starts them, names them and takes them
//! away again.

pub mod database_images;
mod docker;
mod git;
mod postgres;
mod stub;

pub use docker::{DockerEngine, TestImage};
pub use git::{GitManners, GitRepository, GitServer};
pub(crate) use postgres::programs as postgres_programs;
pub use postgres::{PostgresCluster, fresh_database, shared_cluster};
pub use stub::{HttpStub, http_answer};
