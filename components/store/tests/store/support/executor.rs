//! The executor port over a session of the host's storage, as a component has it over WIT.

use std::time::{Duration, Instant};

use windlass_domain::future::PortFuture;
use windlass_storage::{Error, Session, Transaction};
use windlass_store::{Answer, Executor, ExecutorError, ExecutorTransaction, Rows, Value};

const REQUEST_TIME: Duration = Duration::from_secs(60);

pub(crate) struct SessionExecutor(Session);

impl SessionExecutor {
    pub(crate) fn new(session: Session) -> Self {
        Self(session)
    }

    /// Runs one writing statement by itself.
    pub(crate) async fn execute(&self, statement: &'static str) -> u64 {
        let transaction = self.begin().await.expect("a transaction");
        let changed = transaction.execute(statement, Vec::new()).await.expect("it is carried out");
        transaction.commit().await.expect("it is committed");
        changed
    }

    /// The one number that a statement answers.
    pub(crate) async fn number(&self, statement: &'static str) -> i64 {
        let answer = self.query(statement, Vec::new()).await.expect("it is carried out");
        match answer.rows.first().and_then(|row| row.first()) {
            Some(Value::Integer(number)) => *number,
            other => panic!("{statement} answered {other:?}"),
        }
    }
}

fn deadline() -> Instant {
    Instant::now() + REQUEST_TIME
}

impl Executor for SessionExecutor {
    fn query<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<Rows>> {
        Box::pin(async move {
            let answer = self.0.query(statement, inwards(parameters), deadline()).await;
            answer.map(outwards).map_err(refusal)
        })
    }

    fn begin<'a>(&'a self) -> PortFuture<'a, Answer<Box<dyn ExecutorTransaction + 'a>>> {
        Box::pin(async move {
            let begun = self.0.begin(deadline(), None).await.map_err(refusal)?;
            Ok(Box::new(SessionTransaction(begun)) as Box<dyn ExecutorTransaction + 'a>)
        })
    }
}

struct SessionTransaction(Transaction);

impl ExecutorTransaction for SessionTransaction {
    fn query<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<Rows>> {
        Box::pin(async move {
            let answer = self.0.query(statement, inwards(parameters)).await;
            answer.map(outwards).map_err(refusal)
        })
    }

    fn execute<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<u64>> {
        Box::pin(
            async move { self.0.execute(statement, inwards(parameters)).await.map_err(refusal) },
        )
    }

    fn commit<'a>(self: Box<Self>) -> PortFuture<'a, Answer<()>>
    where
        Self: 'a,
    {
        Box::pin(async move { self.0.commit().await.map_err(refusal) })
    }
}

fn inwards(parameters: Vec<Value>) -> Vec<windlass_storage::Value> {
    let inward = |value| match value {
        Value::Null => windlass_storage::Value::Null,
        Value::Boolean(boolean) => windlass_storage::Value::Boolean(boolean),
        Value::Integer(integer) => windlass_storage::Value::Integer(integer),
        Value::Real(real) => windlass_storage::Value::Real(real),
        Value::Text(text) => windlass_storage::Value::Text(text),
        Value::Blob(blob) => windlass_storage::Value::Blob(blob),
    };
    parameters.into_iter().map(inward).collect()
}

fn outwards(rows: windlass_storage::Rows) -> Rows {
    let outward = |value| match value {
        windlass_storage::Value::Null => Value::Null,
        windlass_storage::Value::Boolean(boolean) => Value::Boolean(boolean),
        windlass_storage::Value::Integer(integer) => Value::Integer(integer),
        windlass_storage::Value::Real(real) => Value::Real(real),
        windlass_storage::Value::Text(text) => Value::Text(text),
        windlass_storage::Value::Blob(blob) => Value::Blob(blob),
    };
    Rows {
        columns: rows.columns,
        rows: rows.rows.into_iter().map(|row| row.into_iter().map(outward).collect()).collect(),
    }
}

fn refusal(error: Error) -> ExecutorError {
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
