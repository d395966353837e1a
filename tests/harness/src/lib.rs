//! Starts the real binary and talks to it over real sockets, for the end-to-end tests.
//!
//! What a test asserts is the test's own business; here is only what every one of them needs: a
//! server of its own on either database, clients for both listeners, load, and the components to
//! load into it. A mistake here panics, because a test fails by panicking.

pub mod account;
pub mod client;
pub mod fixtures;
pub mod ledger;
pub mod load;
pub mod management;
pub mod server;

pub use account::Account;
pub use client::{Answer, Client};
pub use management::Management;
pub use server::{CrashPoint, Database, Server, ServerOptions};
pub use windlass_test_support::{DockerEngine, TestImage};
