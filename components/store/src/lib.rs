//! Every SQL statement of Windlass, and the domain's storage port over them.
//!
//! [`SqlStore`] runs over an [`Executor`], which in a component forwards to
//! `windlass:storage/sql`. One text serves SQLite and PostgreSQL. The rules are the domain's; here
//! is only what is asked of the tables that the migrations make.
//!
//! # Grants
//!
//! What each group of the domain's functions touches. The manifest of a controller that calls it
//! must grant these tables; a cascade needs no grant of its own.
//!
//! | domain functions | reads | writes | appends |
//! |---|---|---|---|
//! | `users::register` | | `user_account`, `event_chain` | `organization`, `membership`, `event` |
//! | `users::login` | `user_account`, `organization` | `event_chain` | `event` |
//! | `users::view_profile` | `user_account`, `organization` | | |
//! | `users::update_profile` | `organization` | `user_account`, `event_chain` | `event` |
//! | `projects::list`, `view` | `membership`, `user_account`, `environment`, `service`, `project` | | |
//! | `projects::create` | `user_account`, `organization` | `project`, `event_chain` | `environment`, `event` |
//! | `projects::update`, `delete` | `membership`, `user_account`, `environment`, `service` | `project`, `event_chain` | `event` |
//! | `services::list`, `view` | `membership`, `user_account`, `environment`, `project`, `service` | | |
//! | `services::create`, `update`, `delete` | `membership`, `user_account`, `environment`, `project` | `service`, `event_chain` | `event` |
//! | `templates::list`, `view` | | | |
//! | `templates::deploy` | as `services::create` and `databases::create` | | |
//! | `deployments::list`, `view`, `log` | `membership`, `user_account`, `project`, `service`, `deployment`, `deployment_log` | | |
//! | `deployments::create`, `roll_back` | `membership`, `user_account`, `project` | `service`, `deployment`, `event_chain` | `operation`, `hostname`, `event` |
//! | `builds::list`, `view` | `membership`, `user_account`, `build` | | |
//! | `builds::create`, `cancel` | `membership`, `user_account`, `organization`, `environment`, `project`, `service` | `build`, `event_chain` | `operation`, `event` |
//! | `databases::list`, `view` | `membership`, `user_account`, `managed_database`, `database_backup` | | |
//! | `databases::create` | `user_account`, `organization` | `managed_database`, `event_chain` | `operation`, `event` |
//! | `databases::update`, `demand`, `delete`, `backups::create`, `restore` | `membership`, `user_account`, `operation` | `managed_database`, `database_backup`, `event_chain` | `operation`, `event` |
//! | `reconcile::step` | `hostname` | `service`, `deployment`, `build`, `managed_database`, `database_backup`, `operation`, `event_chain` | `deployment_log`, `event` |
//! | `git::list`, `repositories` | `git_account` | | |
//! | `git::create` | `user_account`, `organization` | `event_chain` | `git_account`, `event` |
//! | `events::list`, `list_for_resource` | `event` | | |
//!
//! Deleting a project cascades to `environment` and `service`, and deleting a service to what is
//! its own, which SQLite's authorizer sees as
//! deletions too; the host allows what follows from a granted deletion. The tests run each group
//! with exactly these grants.

mod builds;
mod databases;
mod deployments;
mod environments;
mod errors;
mod events;
pub mod executor;
mod git;
mod operations;
mod organizations;
pub mod platform;
mod projects;
mod rows;
mod services;
pub mod statements;
mod users;

use windlass_domain::Result;
use windlass_domain::store::{Store, Transaction};

pub use windlass_domain::future::PortFuture;

pub use executor::{Answer, Executor, ExecutorError, ExecutorTransaction, Rows, Value};

/// The domain's storage over a database.
#[derive(Clone, Copy)]
pub struct SqlStore<'a> {
    executor: &'a dyn Executor,
}

impl<'a> SqlStore<'a> {
    /// Storage over this database.
    pub fn new(executor: &'a dyn Executor) -> Self {
        Self { executor }
    }
}

impl Store for SqlStore<'_> {
    fn begin<'a>(&'a self) -> PortFuture<'a, Result<Box<dyn Transaction + 'a>>> {
        Box::pin(async move {
            let work = self.executor.begin().await.map_err(errors::of_transaction)?;
            Ok(Box::new(SqlTransaction { work }) as Box<dyn Transaction + 'a>)
        })
    }
}

/// Writes that belong together, over a transaction of the database.
struct SqlTransaction<'a> {
    work: Box<dyn ExecutorTransaction + 'a>,
}

impl Transaction for SqlTransaction<'_> {
    fn commit<'a>(self: Box<Self>) -> PortFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        Box::pin(async move { self.work.commit().await.map_err(errors::of_transaction) })
    }
}
