//! The port to a database: statements with parameters, and transactions.
//!
//! It has the shape of `windlass:storage/sql`, so that a component's implementation only
//! forwards; the tests implement it over native drivers. Statements number their parameters `$1`,
//! `$2`, ... in the order of their first appearance.

use std::fmt;

use windlass_domain::future::{PortBound, PortFuture};

/// One value, as a parameter or in a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// Two-valued.
    Boolean(bool),
    /// Numbers, and timestamps in microseconds since the Unix epoch.
    Integer(i64),
    /// Floating point.
    Real(f64),
    /// Texts, UUIDs and JSON documents.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// The whole answer of a query.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// The names of the columns, in the order of the values of each row.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Value>>,
}

/// Why a statement was not carried out. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutorError {
    /// The component has no grant for this statement, or no caller may ever run it.
    Denied(String),
    /// The named thing does not exist.
    NotFound(String),
    /// A constraint or a concurrent transaction stands against it. The text has the names of the
    /// constraint's columns, or of the constraint, as the database gives them.
    Conflict(String),
    /// The statement or a parameter is malformed.
    Invalid(String),
    /// The database cannot be reached or is shutting down.
    Unavailable(String),
    /// More rows or bytes than one call may return, or too many open transactions.
    Quota(String),
    /// The statement or the transaction exceeded its time limit and was rolled back.
    Timeout(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for ExecutorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, text) = match self {
            Self::Denied(text) => ("denied", text),
            Self::NotFound(text) => ("not found", text),
            Self::Conflict(text) => ("conflict", text),
            Self::Invalid(text) => ("invalid", text),
            Self::Unavailable(text) => ("unavailable", text),
            Self::Quota(text) => ("over quota", text),
            Self::Timeout(text) => ("timed out", text),
            Self::Other(text) => ("failed", text),
        };
        write!(formatter, "the database answered {what}: {text}")
    }
}

impl std::error::Error for ExecutorError {}

/// What a database answers.
pub type Answer<T> = Result<T, ExecutorError>;

/// A database.
pub trait Executor: PortBound {
    /// Runs one reading statement outside of any transaction.
    fn query<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<Rows>>;

    /// Starts a transaction.
    fn begin<'a>(&'a self) -> PortFuture<'a, Answer<Box<dyn ExecutorTransaction + 'a>>>;
}

/// A unit of work. Dropping it without a commit undoes it.
pub trait ExecutorTransaction: PortBound {
    /// Runs one statement and returns its rows.
    fn query<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<Rows>>;

    /// Runs one writing statement and returns the number of rows it changed.
    fn execute<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<u64>>;

    /// Makes the work durable. After an error nothing of it remains.
    fn commit<'a>(self: Box<Self>) -> PortFuture<'a, Answer<()>>
    where
        Self: 'a;
}
