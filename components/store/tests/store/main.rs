//! The storage port over both databases, through the host's own storage: one body for each test,
//! two runners.

/// Runs every body on SQLite and on PostgreSQL.
macro_rules! on_both_databases {
    ($($body:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $body() {
                super::$body($crate::support::Fixture::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $body() {
                super::$body($crate::support::Fixture::postgres().await).await;
            })+
        }
    };
}

mod builds;
mod databases;
mod deployments;
mod events;
mod git;
mod grants;
mod plans;
mod projects;
mod services;
mod support;
mod templates;
mod users;
