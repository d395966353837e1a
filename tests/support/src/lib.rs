//! What tests of several crates need and no crate should ship: a private PostgreSQL, a private Docker
//! engine, and somebody on loopback to ask over HTTP, for git repositories above all.
//!
//! Talking to them is left to the tests; this crate only starts them, names them and takes them
//! away again.

mod docker;
mod git;
mod postgres;
mod stub;

pub use docker::{DockerEngine, TestImage};
pub use git::{GitManners, GitRepository, GitServer};
pub use postgres::{PostgresCluster, fresh_database, shared_cluster};
pub use stub::{HttpStub, http_answer};
