//! One connection to the SQLite file: bounds, time limit and, for a component, its rights.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::ffi::ErrorCode;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OpenFlags, Row};

use super::authorizer::{Authorizer, Rights};
use crate::values::{Collector, Limits};
use crate::{Error, Rows, Value};

/// Statements a connection keeps prepared.
const PREPARED_STATEMENTS: usize = 64;
/// Instructions of SQLite's machine between two looks at the clock: about a microsecond, or a tenth
/// of a second when each of them makes a text of several megabytes.
const INSTRUCTIONS_A_LOOK: i32 = 100;
/// What a component's read may take before it is slowed down. It no longer has an asynchronous
/// thread then, but a processor that its neighbours need.
const FREE: Duration = Duration::from_millis(50);
/// A slowed read computes for so long,
const TICK: Duration = Duration::from_millis(2);
/// and then pauses for so long: the same as a component that computes by itself.
const PAUSE: Duration = Duration::from_millis(8);
/// Another process that writes (a backup, a second host by mistake) is waited for this long.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// What a statement came to.
pub(crate) struct Outcome {
    pub(crate) rows: Rows,
    pub(crate) changed: u64,
}

/// A connection with its bounds.
pub(crate) struct Guarded {
    connection: Connection,
    authorizer: Option<Authorizer>,
    watch: Arc<Watch>,
    limits: Limits,
}

/// Times of the running statement, in microseconds since the connection was opened.
struct Watch {
    opened_at: Instant,
    /// When it must have ended.
    deadline: AtomicU64,
    /// From when on it is slowed down.
    slowed_from: AtomicU64,
}

impl Watch {
    fn new() -> Self {
        Self {
            opened_at: Instant::now(),
            deadline: AtomicU64::new(u64::MAX),
            slowed_from: AtomicU64::new(u64::MAX),
        }
    }

    fn begin(&self, deadline: Option<Instant>, slowed_from: Option<Instant>) {
        let micros =
            |moment: Option<Instant>| moment.map_or(u64::MAX, |moment| self.micros(moment));
        self.deadline.store(micros(deadline), Ordering::Relaxed);
        self.slowed_from.store(micros(slowed_from), Ordering::Relaxed);
    }

    fn micros(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.opened_at);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// Says whether the statement is to be interrupted, after a pause if it is due. `free_until`
    /// is when the next one is.
    fn look(&self, free_until: &mut Instant) -> bool {
        let now = Instant::now();
        let micros = self.micros(now);
        if micros >= self.deadline.load(Ordering::Relaxed) {
            return true;
        }
        if micros >= self.slowed_from.load(Ordering::Relaxed) && now >= *free_until {
            std::thread::sleep(PAUSE);
            *free_until = Instant::now() + TICK;
        }
        false
    }
}

impl Guarded {
    /// Opens a connection; with rights it is a component's, without the host's own.
    pub(crate) fn open(
        path: &Path,
        can_write: bool,
        rights: Option<Arc<Rights>>,
        limits: Limits,
    ) -> Result<Self, Error> {
        Self::set_up(path, can_write, rights, limits).map_err(|error| translate(&error, None))
    }

    fn set_up(
        path: &Path,
        can_write: bool,
        rights: Option<Arc<Rights>>,
        limits: Limits,
    ) -> rusqlite::Result<Self> {
        let mode = if can_write {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        } else {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        };
        let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_WAIT)?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
        if !can_write {
            connection.execute_batch("PRAGMA query_only = ON;")?;
        }
        connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
        // Otherwise a statement with a variable LIMIT is prepared anew after each binding.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let watch = Arc::new(Watch::new());
        let (watched, mut free_until) = (Arc::clone(&watch), watch.opened_at);
        connection
            .progress_handler(INSTRUCTIONS_A_LOOK, Some(move || watched.look(&mut free_until)))?;
        let authorizer = match rights {
            None => None,
            Some(rights) => Some(restrict(&connection, rights)?),
        };
        Ok(Self { connection, authorizer, watch, limits })
    }

    /// Whether no transaction is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// The bare connection, for reading the schema.
    pub(crate) fn raw(&self) -> &Connection {
        &self.connection
    }

    /// Runs a statement of the host on this connection, past the component's rights. It is not
    /// kept prepared, lest a component find it in the cache.
    pub(crate) fn run_host(&self, statement: &str, parameters: &[&str]) -> Result<(), Error> {
        if let Some(authorizer) = &self.authorizer {
            authorizer.begin_host_statement();
        }
        self.watch.begin(None, None);
        let result = self
            .connection
            .prepare(statement)
            .and_then(|mut prepared| {
                prepared.execute(rusqlite::params_from_iter(parameters)).map(|_| ())
            })
            .map_err(|error| translate(&error, None));
        if let Some(authorizer) = &self.authorizer {
            authorizer.begin_statement();
        }
        result
    }

    /// Runs one statement. With `reading`, one that would write is denied.
    pub(crate) fn run(
        &self,
        statement: &str,
        parameters: &[Value],
        deadline: Instant,
        reading: bool,
    ) -> Result<Outcome, Error> {
        if let Some(authorizer) = &self.authorizer {
            authorizer.begin_statement();
        }
        // Who writes keeps others waiting, and is not to be held up.
        let is_slowed = reading && self.authorizer.is_some();
        self.watch.begin(Some(deadline), is_slowed.then(|| Instant::now() + FREE));
        let refusal = || self.authorizer.as_ref().and_then(Authorizer::refusal);
        let mut prepared = self
            .connection
            .prepare_cached(statement)
            .map_err(|error| translate(&error, refusal()))?;
        if reading && !prepared.readonly() {
            return Err(Error::Denied("a statement that writes belongs in a transaction".into()));
        }
        bind(&mut prepared, parameters, self.limits)?;
        let columns = prepared.column_names().into_iter().map(ToOwned::to_owned).collect();
        let mut collector = Collector::new(columns, self.limits);
        let is_reading = prepared.readonly();
        let width = prepared.column_count();
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next().map_err(|error| translate(&error, refusal()))? {
            collector.push(decode(row, width)?)?;
        }
        let changed = if is_reading { 0 } else { self.connection.changes() };
        Ok(Outcome { rows: collector.finish(), changed })
    }
}

fn restrict(connection: &Connection, rights: Arc<Rights>) -> rusqlite::Result<Authorizer> {
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, 8 * 1_048_576),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 65_536),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_024),
    ] {
        connection.set_limit(limit, value)?;
    }
    let authorizer = Authorizer::new(rights);
    let asked = authorizer.clone();
    connection.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
        asked.authorize(&context)
    }))?;
    Ok(authorizer)
}

/// Binds by number: SQLite takes `$1` for a name and numbers it by its first appearance.
fn bind(
    statement: &mut CachedStatement<'_>,
    parameters: &[Value],
    limits: Limits,
) -> Result<(), Error> {
    if parameters.len() > limits.parameters {
        return Err(Error::Invalid(format!("more than {} parameters", limits.parameters)));
    }
    let mut highest = 0;
    for index in 1..=statement.parameter_count() {
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok())
            .filter(|number| *number > 0)
            .ok_or_else(|| Error::Invalid("parameters are written $1, $2 and so on".into()))?;
        let value = parameters
            .get(number - 1)
            .ok_or_else(|| Error::Invalid(format!("there is no value for ${number}")))?;
        highest = highest.max(number);
        bind_one(statement, index, value).map_err(|error| translate(&error, None))?;
    }
    if highest < parameters.len() {
        return Err(Error::Invalid(format!("the statement uses {highest} parameters")));
    }
    Ok(())
}

fn bind_one(
    statement: &mut CachedStatement<'_>,
    index: usize,
    value: &Value,
) -> rusqlite::Result<()> {
    match value {
        Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
        Value::Boolean(value) => statement.raw_bind_parameter(index, value),
        Value::Integer(value) => statement.raw_bind_parameter(index, value),
        Value::Real(value) => statement.raw_bind_parameter(index, value),
        Value::Text(value) => statement.raw_bind_parameter(index, value.as_str()),
        Value::Blob(value) => statement.raw_bind_parameter(index, value.as_slice()),
    }
}

fn decode(row: &Row<'_>, width: usize) -> Result<Vec<Value>, Error> {
    (0..width)
        .map(|index| {
            let value = row.get_ref(index).map_err(|error| translate(&error, None))?;
            Ok(match value {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(value) => Value::Integer(value),
                ValueRef::Real(value) => Value::Real(value),
                ValueRef::Text(bytes) => Value::Text(
                    String::from_utf8(bytes.to_vec())
                        .map_err(|_| Error::Invalid(format!("column {index} is no UTF-8")))?,
                ),
                ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
            })
        })
        .collect()
}

/// Says in our words what SQLite said in its own.
pub(crate) fn translate(error: &rusqlite::Error, refusal: Option<String>) -> Error {
    use rusqlite::ffi;
    if let Some(refusal) = refusal {
        return Error::Denied(refusal);
    }
    let (failure, message) = match error {
        rusqlite::Error::SqliteFailure(failure, message) => {
            (failure, message.clone().unwrap_or_else(|| failure.to_string()))
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, msg.clone()),
        rusqlite::Error::MultipleStatement => {
            return Error::Denied("one statement a call".into());
        }
        other => return Error::Invalid(other.to_string()),
    };
    match failure.code {
        ErrorCode::ConstraintViolation => match failure.extended_code {
            ffi::SQLITE_CONSTRAINT_NOTNULL | ffi::SQLITE_CONSTRAINT_CHECK => {
                Error::Invalid(message)
            }
            _ => Error::Conflict(
                message.strip_prefix("UNIQUE constraint failed: ").unwrap_or(&message).to_owned(),
            ),
        },
        ErrorCode::AuthorizationForStatementDenied
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied => Error::Denied(message),
        ErrorCode::OperationInterrupted => {
            Error::Timeout("the statement ran over its time limit".into())
        }
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::DiskFull
        | ErrorCode::CannotOpen
        | ErrorCode::NotADatabase
        | ErrorCode::OutOfMemory => Error::Unavailable(message),
        ErrorCode::TooBig => Error::Quota(message),
        _ => Error::Invalid(message),
    }
}
