//! The host's own records: revoked tokens, idempotency keys, images, and which components run.
//!
//! Here only because every statement is; no controller is ever granted these tables. The host
//! runs these functions over its own session. Moments are microseconds since the Unix epoch.

pub mod idempotency;
pub mod images;
pub mod releases;
pub mod tokens;

use crate::executor::{Answer, Executor, ExecutorError, Rows, Value};

const CHECK: &str = "SELECT 1";

/// Asks the database for something trivial, to see whether it answers.
///
/// # Errors
/// Whatever keeps it from answering.
pub async fn check(executor: &dyn Executor) -> Answer<()> {
    executor.query(CHECK, Vec::new()).await.map(drop)
}

/// The rows of an answer, each taken apart by `read`.
fn each<T>(answer: Rows, read: impl Fn(&[Value]) -> Option<T>) -> Answer<Vec<T>> {
    let malformed = || ExecutorError::Other("a record of the host is malformed".to_owned());
    answer.rows.iter().map(|row| read(row).ok_or_else(malformed)).collect()
}

/// One writing statement in a transaction of its own.
async fn execute(
    executor: &dyn Executor,
    statement: &'static str,
    parameters: Vec<Value>,
) -> Answer<u64> {
    let work = executor.begin().await?;
    let changed = work.execute(statement, parameters).await?;
    work.commit().await?;
    Ok(changed)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(integer) => Some(*integer),
        _ => None,
    }
}

fn blob(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Blob(bytes) => Some(bytes.clone()),
        _ => None,
    }
}

/// A column that may be null: the outer `Option` is malformed, the inner one is nothing.
fn optional<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
    match value {
        Value::Null => Some(None),
        value => read(value).map(Some),
    }
}
