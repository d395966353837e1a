//! The product from outside: the real binary, real sockets, both databases. A module for each noun
//! of the surface, and one for each promise of the host.

/// Runs each body on a server over SQLite and on one over PostgreSQL.
macro_rules! on_each_database {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            use windlass_harness::{Database, Server};

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&Server::start_on(Database::Sqlite)).await;
            })*
        }

        mod postgres {
            use windlass_harness::{Database, Server};

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(&Server::start_on(Database::Postgres)).await;
            })*
        }
    };
}

mod accounts;
mod audit;
mod builds;
mod check;
mod cli;
mod clients;
mod components;
mod containers;
mod databases;
mod deployments;
mod durability;
mod git;
mod hostile;
mod http;
mod idempotency;
mod invariants;
mod matrix;
mod openapi;
mod projects;
mod restarts;
mod services;
mod starting;
mod swap;
mod telemetry;
mod templates;
mod tls;
mod traces;
