//! SQL by way of `windlass:storage/sql`.

use windlass_domain::future::PortFuture;
use windlass_store::executor::{Answer, Executor, ExecutorError, ExecutorTransaction, Rows, Value};

use crate::bindings::windlass::storage::sql;
use crate::bindings::windlass::storage::types::{
    Error as StorageError, Rows as WitRows, Value as WitValue,
};

/// The host's database, under the component's grants.
pub(crate) struct WitExecutor;

impl Executor for WitExecutor {
    fn query<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<Rows>> {
        Box::pin(async move {
            let parameters = parameters.into_iter().map(into_wit).collect();
            sql::query(statement.to_owned(), parameters).await.map(rows).map_err(storage_error)
        })
    }

    fn begin<'a>(&'a self) -> PortFuture<'a, Answer<Box<dyn ExecutorTransaction + 'a>>> {
        Box::pin(async move {
            let transaction = sql::Transaction::begin().await.map_err(storage_error)?;
            Ok(Box::new(WitTransaction(transaction)) as Box<dyn ExecutorTransaction>)
        })
    }
}

/// Dropping the resource rolls back.
struct WitTransaction(sql::Transaction);

impl ExecutorTransaction for WitTransaction {
    fn query<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<Rows>> {
        Box::pin(async move {
            let parameters = parameters.into_iter().map(into_wit).collect();
            self.0.query(statement.to_owned(), parameters).await.map(rows).map_err(storage_error)
        })
    }

    fn execute<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<u64>> {
        Box::pin(async move {
            let parameters = parameters.into_iter().map(into_wit).collect();
            self.0.execute(statement.to_owned(), parameters).await.map_err(storage_error)
        })
    }

    fn commit<'a>(self: Box<Self>) -> PortFuture<'a, Answer<()>>
    where
        Self: 'a,
    {
        Box::pin(async move { sql::Transaction::commit(self.0).await.map_err(storage_error) })
    }
}

fn into_wit(value: Value) -> WitValue {
    match value {
        Value::Null => WitValue::Null,
        Value::Boolean(boolean) => WitValue::Boolean(boolean),
        Value::Integer(integer) => WitValue::Integer(integer),
        Value::Real(real) => WitValue::Real(real),
        Value::Text(text) => WitValue::Text(text),
        Value::Blob(bytes) => WitValue::Blob(bytes),
    }
}

fn rows(rows: WitRows) -> Rows {
    let rows_of_values =
        rows.rows.into_iter().map(|row| row.into_iter().map(from_wit).collect()).collect();
    Rows { columns: rows.columns, rows: rows_of_values }
}

fn from_wit(value: WitValue) -> Value {
    match value {
        WitValue::Null => Value::Null,
        WitValue::Boolean(boolean) => Value::Boolean(boolean),
        WitValue::Integer(integer) => Value::Integer(integer),
        WitValue::Real(real) => Value::Real(real),
        WitValue::Text(text) => Value::Text(text),
        WitValue::Blob(bytes) => Value::Blob(bytes),
    }
}

fn storage_error(error: StorageError) -> ExecutorError {
    match error {
        StorageError::Denied(text) => ExecutorError::Denied(text),
        StorageError::NotFound(text) => ExecutorError::NotFound(text),
        StorageError::Conflict(text) => ExecutorError::Conflict(text),
        StorageError::Invalid(text) => ExecutorError::Invalid(text),
        StorageError::Unavailable(text) => ExecutorError::Unavailable(text),
        StorageError::Quota(text) => ExecutorError::Quota(text),
        StorageError::Timeout(text) => ExecutorError::Timeout(text),
        StorageError::Other(text) => ExecutorError::Other(text),
    }
}
