//! The domain's ports over the host's interfaces. What the host refuses becomes an error of the
//! domain here; its text goes to the log and never to the client.

use std::time::{SystemTime, UNIX_EPOCH};

use windlass_domain::context::{Caller, Clock, Ids, Origin};
use windlass_domain::future::PortFuture;
use windlass_domain::identity::{Identity, IssuedToken};
use windlass_domain::ids::UserId;
use windlass_domain::{Error, Result, Timestamp};
use windlass_store::executor::{Answer, Executor, ExecutorError, ExecutorTransaction, Rows, Value};

use crate::bindings::windlass::identity::caller::{self as wit_caller, Authentication};
use crate::bindings::windlass::identity::types::Error as IdentityError;
use crate::bindings::windlass::identity::{passwords, throttle, tokens};
use crate::bindings::windlass::storage::sql;
use crate::bindings::windlass::storage::types::{
    Error as StorageError, Rows as WitRows, Value as WitValue,
};
use crate::request::Request;

/// Who is calling, as the host verified it.
pub(crate) fn caller() -> Caller {
    match wit_caller::current() {
        Authentication::Anonymous => Caller::Anonymous,
        Authentication::Rejected(reason) => Caller::Rejected(reason),
        Authentication::Authenticated(principal) => match UserId::parse(&principal.subject) {
            Some(id) => Caller::User { id, token_id: principal.token_id },
            None => Caller::Rejected("the token is not for a user".to_owned()),
        },
    }
}

/// Where the request came from.
pub(crate) fn origin(request: &Request) -> Origin {
    Origin {
        request_id: wit_caller::request_id(),
        client_address: wit_caller::client_address(),
        user_agent: request.header("user-agent").unwrap_or_default().to_owned(),
    }
}

/// The clock of the host.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // Before 1970 only if the machine's clock is broken; then everything is at the epoch.
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_microseconds(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
    }
}

/// UUIDs of version 7, which databases index well.
pub(crate) struct RandomIds;

impl Ids for RandomIds {
    fn fresh(&self) -> u128 {
        uuid::Uuid::now_v7().as_u128()
    }
}

/// The host's keys. A component that uses it needs the grant `identity`.
pub struct HostIdentity;

impl Identity for HostIdentity {
    fn hash_password<'a>(&'a self, password: &'a str) -> PortFuture<'a, Result<String>> {
        Box::pin(async move { passwords::hash(password.to_owned()).await.map_err(identity_error) })
    }

    fn verify_password<'a>(
        &'a self,
        password: &'a str,
        hash: Option<&'a str>,
    ) -> PortFuture<'a, Result<bool>> {
        Box::pin(async move {
            passwords::verify(password.to_owned(), hash.map(str::to_owned))
                .await
                .map_err(identity_error)
        })
    }

    fn issue_token<'a>(
        &'a self,
        subject: UserId,
        lifetime_seconds: u64,
    ) -> PortFuture<'a, Result<IssuedToken>> {
        Box::pin(async move {
            let issued = tokens::issue(subject.to_string(), lifetime_seconds)
                .await
                .map_err(identity_error)?;
            let seconds = i64::try_from(issued.expires_at_seconds).unwrap_or(i64::MAX);
            Ok(IssuedToken {
                id: issued.id,
                token: issued.token,
                expires_at: Timestamp::from_seconds(seconds),
            })
        })
    }

    fn admit<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        burst: u32,
        period_seconds: u32,
    ) -> PortFuture<'a, std::result::Result<(), u32>> {
        let admitted = throttle::admit(bucket, key, burst, period_seconds);
        Box::pin(async move { admitted })
    }
}

/// Stands in where a controller handles no passwords: it does not import the host's functions,
/// so that it needs no grant for them.
pub struct NoIdentity;

impl NoIdentity {
    fn missing<T>(&self) -> PortFuture<'_, Result<T>> {
        Box::pin(async { Err(Error::internal_fault("the component was made without `identity`")) })
    }
}

impl Identity for NoIdentity {
    fn hash_password<'a>(&'a self, _password: &'a str) -> PortFuture<'a, Result<String>> {
        self.missing()
    }

    fn verify_password<'a>(
        &'a self,
        _password: &'a str,
        _hash: Option<&'a str>,
    ) -> PortFuture<'a, Result<bool>> {
        self.missing()
    }

    fn issue_token<'a>(
        &'a self,
        _subject: UserId,
        _lifetime_seconds: u64,
    ) -> PortFuture<'a, Result<IssuedToken>> {
        self.missing()
    }

    fn admit<'a>(
        &'a self,
        _bucket: &'a str,
        _key: &'a str,
        _burst: u32,
        period_seconds: u32,
    ) -> PortFuture<'a, std::result::Result<(), u32>> {
        Box::pin(async move { Err(period_seconds) })
    }
}

/// What the host's identity functions refuse, in the domain's words.
fn identity_error(error: IdentityError) -> Error {
    match error {
        IdentityError::Quota(_) => Error::QuotaExceeded {
            reason: "too many password checks at once".into(),
            retry_after_seconds: Some(1),
        },
        IdentityError::Unavailable(text) | IdentityError::Timeout(text) => {
            Error::unavailable(format!("identity: {text}"))
        }
        IdentityError::Denied(text)
        | IdentityError::NotFound(text)
        | IdentityError::Conflict(text)
        | IdentityError::Invalid(text)
        | IdentityError::Other(text) => Error::internal_fault(format!("identity: {text}")),
    }
}

/// SQL by way of `windlass:storage/sql`.
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
