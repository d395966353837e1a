//! The store's port to a database, over the host's own session.

use windlass_storage::{Database, Error, HostSession, Transaction};
use windlass_store::{
    Answer, Executor, ExecutorError, ExecutorTransaction, PortFuture, Rows, Value,
};

/// The host's session as the store sees it.
pub(super) struct Records(HostSession);

impl Records {
    pub(super) fn new(database: &Database) -> Self {
        Self(database.host())
    }
}

impl Executor for Records {
    fn query<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<Rows>> {
        Box::pin(async move {
            let answer = self.0.query(statement, values(parameters)).await;
            answer.map(rows).map_err(failed)
        })
    }

    fn begin<'a>(&'a self) -> PortFuture<'a, Answer<Box<dyn ExecutorTransaction + 'a>>> {
        Box::pin(async move {
            let work = self.0.begin().await.map_err(failed)?;
            Ok(Box::new(Work(work)) as Box<dyn ExecutorTransaction + 'a>)
        })
    }
}

struct Work(Transaction);

impl ExecutorTransaction for Work {
    fn query<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<Rows>> {
        Box::pin(async move {
            let answer = self.0.query(statement, values(parameters)).await;
            answer.map(rows).map_err(failed)
        })
    }

    fn execute<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<u64>> {
        Box::pin(async move { self.0.execute(statement, values(parameters)).await.map_err(failed) })
    }

    fn commit<'a>(self: Box<Self>) -> PortFuture<'a, Answer<()>>
    where
        Self: 'a,
    {
        Box::pin(async move { self.0.commit().await.map_err(failed) })
    }
}

fn values(values: Vec<Value>) -> Vec<windlass_storage::Value> {
    use windlass_storage::Value as Host;
    let convert = |value| match value {
        Value::Null => Host::Null,
        Value::Boolean(value) => Host::Boolean(value),
        Value::Integer(value) => Host::Integer(value),
        Value::Real(value) => Host::Real(value),
        Value::Text(value) => Host::Text(value),
        Value::Blob(value) => Host::Blob(value),
    };
    values.into_iter().map(convert).collect()
}

fn rows(rows: windlass_storage::Rows) -> Rows {
    use windlass_storage::Value as Host;
    let convert = |value| match value {
        Host::Null => Value::Null,
        Host::Boolean(value) => Value::Boolean(value),
        Host::Integer(value) => Value::Integer(value),
        Host::Real(value) => Value::Real(value),
        Host::Text(value) => Value::Text(value),
        Host::Blob(value) => Value::Blob(value),
    };
    let converted = rows.rows.into_iter().map(|row| row.into_iter().map(convert).collect());
    Rows { columns: rows.columns, rows: converted.collect() }
}

fn failed(error: Error) -> ExecutorError {
    match error {
        Error::Denied(text) => ExecutorError::Denied(text),
        Error::NotFound(text) => ExecutorError::NotFound(text),
        Error::Conflict(text) => ExecutorError::Conflict(text),
        Error::Invalid(text) => ExecutorError::Invalid(text),
        Error::Unavailable(text) => ExecutorError::Unavailable(text),
        Error::Quota(text) => ExecutorError::Quota(text),
        Error::Timeout(text) => ExecutorError::Timeout(text),
        Error::Other(text) => ExecutorError::Other(text),
    }
}
