//! Values and errors between our words and PostgreSQL's.

use std::time::Instant;

use futures::{StreamExt as _, pin_mut};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgConnection, PgRow, PgTypeInfo};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, Either, Encode, Executor as _, Postgres, Row as _,
    Type, TypeInfo as _, ValueRef as _,
};
use tokio::time::timeout_at;

use crate::values::{Collector, Limits};
use crate::{Error, Rows, Value};

/// `NULL` without a type, so that PostgreSQL infers it from the statement.
struct UntypedNull;

impl Type<Postgres> for UntypedNull {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for UntypedNull {
    fn encode_by_ref(&self, _buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}

/// Runs one statement until the deadline. Answers its rows and how many it changed.
pub(super) async fn run(
    connection: &mut PgConnection,
    statement: &str,
    parameters: Vec<Value>,
    deadline: Instant,
    limits: Limits,
) -> Result<(Rows, u64), Error> {
    match timeout_at(deadline.into(), fetch(connection, statement, parameters, limits)).await {
        Ok(result) => result,
        Err(_) => Err(Error::Timeout("the statement ran over its time limit".into())),
    }
}

async fn fetch(
    connection: &mut PgConnection,
    statement: &str,
    parameters: Vec<Value>,
    limits: Limits,
) -> Result<(Rows, u64), Error> {
    // A statement kept prepared keeps the types it was prepared with, and the type inferred for
    // a null need not be the type of the next value.
    let is_typed = !parameters.contains(&Value::Null);
    let arguments = bind(parameters, limits)?;
    let query =
        sqlx::query_with(AssertSqlSafe(statement.to_owned()), arguments).persistent(is_typed);
    let mut collector = Collector::new(Vec::new(), limits);
    let mut changed = 0;
    let answers = connection.fetch_many(query);
    pin_mut!(answers);
    while let Some(answer) = answers.next().await {
        match answer.map_err(|error| translate(&error))? {
            Either::Left(done) => changed += done.rows_affected(),
            Either::Right(row) => {
                if !collector.has_columns() {
                    let names = row.columns().iter().map(|column| column.name().to_owned());
                    collector.set_columns(names.collect());
                }
                collector.push(decode(&row)?)?;
            }
        }
    }
    Ok((collector.finish(), changed))
}

fn bind(parameters: Vec<Value>, limits: Limits) -> Result<PgArguments, Error> {
    if parameters.len() > limits.parameters {
        return Err(Error::Invalid(format!("more than {} parameters", limits.parameters)));
    }
    let mut arguments = PgArguments::default();
    for parameter in parameters {
        match parameter {
            Value::Null => arguments.add(UntypedNull),
            Value::Boolean(value) => arguments.add(value),
            Value::Integer(value) => arguments.add(value),
            Value::Real(value) => arguments.add(value),
            Value::Text(value) if value.contains('\0') => {
                return Err(Error::Invalid("text cannot contain a null character".into()));
            }
            Value::Text(value) => arguments.add(value),
            Value::Blob(value) => arguments.add(value),
        }
        .map_err(|error| Error::Invalid(error.to_string()))?;
    }
    Ok(arguments)
}

fn decode(row: &PgRow) -> Result<Vec<Value>, Error> {
    (0..row.len()).map(|index| decode_one(row, index)).collect()
}

fn decode_one(row: &PgRow, index: usize) -> Result<Value, Error> {
    let wrong = |error: sqlx::Error| Error::Other(error.to_string());
    let value = row.try_get_raw(index).map_err(wrong)?;
    if value.is_null() {
        return Ok(Value::Null);
    }
    let kind = value.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "BOOL" => Value::Boolean(row.try_get(index).map_err(wrong)?),
        "INT2" => Value::Integer(row.try_get::<i16, _>(index).map_err(wrong)?.into()),
        "INT4" => Value::Integer(row.try_get::<i32, _>(index).map_err(wrong)?.into()),
        "INT8" => Value::Integer(row.try_get(index).map_err(wrong)?),
        "FLOAT4" => Value::Real(row.try_get::<f32, _>(index).map_err(wrong)?.into()),
        "FLOAT8" => Value::Real(row.try_get(index).map_err(wrong)?),
        "TEXT" | "VARCHAR" | "NAME" | "CHAR" | "UNKNOWN" => {
            Value::Text(row.try_get(index).map_err(wrong)?)
        }
        "BYTEA" => Value::Blob(row.try_get(index).map_err(wrong)?),
        other => {
            let name = row.columns().get(index).map_or("?", |column| column.name());
            return Err(Error::Invalid(format!(
                "the column {name} is of type {other}; cast it to a portable type"
            )));
        }
    })
}

/// Says in our words what PostgreSQL or the driver said in theirs.
pub(super) fn translate(error: &sqlx::Error) -> Error {
    match error {
        sqlx::Error::Database(error) => {
            let message = error.message().to_owned();
            let code = error.code().unwrap_or_default();
            match code.as_ref() {
                // 08P01 is what PostgreSQL answers when parameters and values differ in number.
                "23502" | "23514" | "08P01" => Error::Invalid(message),
                "23505" | "23503" | "23P01" => {
                    Error::Conflict(error.constraint().map_or(message, ToOwned::to_owned))
                }
                "40001" | "40P01" => Error::Conflict(message),
                "42501" | "25006" => Error::Denied(message),
                "57014" | "55P03" | "25P03" => Error::Timeout(message),
                _ => match code.get(..2) {
                    Some("08" | "53" | "57" | "58" | "28" | "XX") => Error::Unavailable(message),
                    Some("22" | "42" | "23" | "0A" | "54") => Error::Invalid(message),
                    _ => Error::Other(message),
                },
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Error::Unavailable(error.to_string()),
        other => Error::Other(other.to_string()),
    }
}
