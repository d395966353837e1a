//! Every SQL statement of Windlass, and the domain's storage port over them.

pub mod executor;

pub use executor::{Answer, Executor, ExecutorError, ExecutorTransaction, Rows, Value};
