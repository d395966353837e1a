//! Storage for components and for the host's own records, over SQLite and PostgreSQL.
//!
//! This crate carries statements out; it writes none but those that set up connections and
//! rights. Which tables there are is said by the migrations, what is asked of them by the crates
//! that call in. A component's rights are kept by the database itself: SQLite's authorizer, a
//! role of its own on PostgreSQL.
//!
//! One thing is the same on both and worth knowing: a statement that fails ends its transaction.
//! What comes after it, the commit included, is answered with `conflict`.

mod bindings;
mod capability;
mod database;
mod meter;
mod migrations;
mod postgres;
mod sqlite;
mod statement;
mod values;

pub use bindings::windlass::storage::types::{Error, Rows, Value};
pub use capability::StorageCapability;
pub use database::{CommitMark, Database, HostSession, Options, Session, SetupError, Transaction};
pub use migrations::Migrations;
