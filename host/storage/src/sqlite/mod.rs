//! SQLite, the embedded default: one file, any number of readers, one writer.
//!
//! Statements run on the thread that asks. A page of rows takes tens of microseconds; handing it
//! to another thread and back takes longer. A statement that is new or was slow is announced to
//! the runtime, which moves other work away from the thread.

mod authorizer;
mod connection;
mod foreign_keys;
mod transaction;

use std::collections::HashMap;
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use windlass_engine::StorageGrant;

use crate::database::SetupError;
use crate::values::Limits;
use crate::{Error, Rows, Value, statement};
use authorizer::Rights;
use connection::Guarded;
pub(crate) use transaction::SqliteTransaction;

/// Read connections one component keeps open between calls.
const IDLE_READERS: usize = 4;
/// Statement texts whose speed is remembered.
const KNOWN_STATEMENTS: usize = 1_024;
/// What a statement may take and still run without announcing it to the runtime.
const QUICK: Duration = Duration::from_millis(1);

/// The file and its one writer.
pub(crate) struct SqliteDatabase {
    path: PathBuf,
    writer: Arc<tokio::sync::Mutex<()>>,
    /// Keeps the write-ahead log alive while nobody else has the file open.
    _anchor: Mutex<Guarded>,
}

impl SqliteDatabase {
    /// Opens the file, or makes it, readable by its owner alone.
    pub(crate) fn open(path: PathBuf) -> Result<Self, SetupError> {
        let wrong = |error: &dyn std::fmt::Display| {
            SetupError::new(format!("the database {} cannot be opened: {error}", path.display()))
        };
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| wrong(&error))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(|error| wrong(&error))?;
        let anchor = Guarded::open(&path, true, None, Limits::HOST)
            .map_err(|error| wrong(&format!("{error:?}")))?;
        anchor
            .raw()
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
            .map_err(|error| wrong(&error))
            .and_then(|mode| {
                if mode == "wal" { Ok(()) } else { Err(wrong(&"it refuses write-ahead logging")) }
            })?;
        Ok(Self { path, writer: Arc::default(), _anchor: Mutex::new(anchor) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A session with every right, for the host's own records.
    pub(crate) fn host(self: &Arc<Self>) -> SqliteSession {
        SqliteSession::new(Arc::clone(self), None, Limits::HOST)
    }

    /// A session with the rights of one component.
    pub(crate) fn admit(
        self: &Arc<Self>,
        grant: &StorageGrant,
    ) -> Result<SqliteSession, SetupError> {
        let connection = Guarded::open(&self.path, false, None, Limits::HOST)
            .map_err(|error| SetupError::new(format!("{error:?}")))?;
        let read = |error: rusqlite::Error| {
            SetupError::new(format!("the schema of the database cannot be read: {error}"))
        };
        let tables = foreign_keys::tables(connection.raw()).map_err(read)?;
        let consequences = foreign_keys::consequences(connection.raw()).map_err(read)?;
        for table in grant.read.iter().chain(&grant.write).chain(&grant.append) {
            if !tables.contains(&table.to_lowercase()) {
                return Err(SetupError::no_table(table));
            }
        }
        let rights = Rights::new(grant, tables, consequences);
        Ok(SqliteSession::new(Arc::clone(self), Some(Arc::new(rights)), Limits::COMPONENT))
    }
}

/// The connections of one component, or of the host.
pub(crate) struct SqliteSession {
    database: Arc<SqliteDatabase>,
    rights: Option<Arc<Rights>>,
    limits: Limits,
    readers: Mutex<Vec<Guarded>>,
    /// The write connection while no transaction uses it.
    writer: Mutex<Option<Guarded>>,
    /// Statements that passed the checks, and whether they ran quickly last time.
    known: RwLock<HashMap<Box<str>, bool>>,
}

impl SqliteSession {
    fn new(database: Arc<SqliteDatabase>, rights: Option<Arc<Rights>>, limits: Limits) -> Self {
        Self {
            database,
            rights,
            limits,
            readers: Mutex::default(),
            writer: Mutex::default(),
            known: RwLock::default(),
        }
    }

    /// Runs one reading statement outside of transactions.
    pub(crate) fn query(
        &self,
        statement: &str,
        parameters: &[Value],
        deadline: Instant,
    ) -> Result<Rows, Error> {
        self.timed(statement, || {
            let idle = lock(&self.readers).pop();
            let reader = match idle {
                Some(reader) => reader,
                None => self.open(false)?,
            };
            let result = reader.run(statement, parameters, self.limit(deadline), true);
            let mut readers = lock(&self.readers);
            if readers.len() < IDLE_READERS {
                readers.push(reader);
            }
            result.map(|outcome| outcome.rows)
        })
    }

    fn open(&self, can_write: bool) -> Result<Guarded, Error> {
        Guarded::open(&self.database.path, can_write, self.rights.clone(), self.limits)
    }

    /// When a statement that starts now must have ended.
    fn limit(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.limits.statement_time)
    }

    /// Checks a statement that is new, runs it where its speed allows, and remembers the speed.
    fn timed<T>(
        &self,
        statement: &str,
        run: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let known =
            self.known.read().unwrap_or_else(PoisonError::into_inner).get(statement).copied();
        if known.is_none() && self.rights.is_some() {
            statement::check(statement)?;
        }
        let start = Instant::now();
        let result = if known == Some(true) { run() } else { announced(run) };
        let is_quick = start.elapsed() <= QUICK;
        if known != Some(is_quick) && result.is_ok() {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= KNOWN_STATEMENTS {
                known.clear();
            }
            known.insert(statement.into(), is_quick);
        }
        result
    }
}

/// Runs what may take long without holding up the runtime.
fn announced<T>(run: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(run)
        }
        _ => run(),
    }
}

/// Nothing is left half done behind these locks, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
