//! SQLite, the embedded default: one file, any number of readers, one writer.
//!
//! Statements run on the thread that asks. A page of rows takes tens of microseconds; handing it
//! to another thread and back takes longer. What may take long is announced to the runtime, which
//! moves other work away from the thread: whatever is part of a transaction, since it cannot be
//! interrupted and begun anew, and reads that are new or were slow (see [`pace`]).

mod authorizer;
mod connection;
mod foreign_keys;
mod pace;
mod transaction;

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use windlass_engine::StorageGrant;

use crate::database::SetupError;
use crate::values::Limits;
use crate::{Error, Rows, Value, statement};
use authorizer::Rights;
use connection::{Guarded, Outcome};
use pace::{INLINE, Pace, Paces, Run, measured};
pub(crate) use transaction::SqliteTransaction;

/// Read connections one component keeps open between calls.
const IDLE_READERS: usize = 4;

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
    /// Statements that passed the checks, and how they ran.
    paces: Paces,
    /// Reads that may be slow at the same time.
    slow: Semaphore,
}

impl SqliteSession {
    fn new(database: Arc<SqliteDatabase>, rights: Option<Arc<Rights>>, limits: Limits) -> Self {
        Self {
            database,
            rights,
            limits,
            readers: Mutex::default(),
            writer: Mutex::default(),
            paces: Paces::new(),
            slow: Semaphore::new(limits.slow_reads),
        }
    }

    /// Runs one reading statement outside of transactions.
    pub(crate) async fn query(
        &self,
        statement: &str,
        parameters: &[Value],
        deadline: Instant,
    ) -> Result<Rows, Error> {
        let pace = self.check(statement)?;
        if pace == Pace::Quick
            && let Some(answer) = self.query_quickly(statement, parameters, deadline)
        {
            return answer;
        }
        let _place = timeout_at(deadline.into(), self.slow.acquire()).await.map_err(|_| {
            Error::Timeout("the slow statements before this one took too long".into())
        })?;
        self.announced(statement, || self.read(statement, parameters, self.limit(deadline)))
            .map(|outcome| outcome.rows)
    }

    /// Runs what was quick whenever it ran. It gets no more than a moment; `None` when that was
    /// too little this time.
    fn query_quickly(
        &self,
        statement: &str,
        parameters: &[Value],
        deadline: Instant,
    ) -> Option<Result<Rows, Error>> {
        let limit = self.limit(deadline);
        let moment = limit.min(Instant::now() + INLINE);
        let was_inline = self.paces.may_run_inline();
        let read = || self.read(statement, parameters, moment);
        let (answer, computed) = measured(|| if was_inline { read() } else { announced(read) });
        let was_interrupted = matches!(answer, Err(Error::Timeout(_)));
        self.paces.ran(statement, Run { computed, was_interrupted, was_inline });
        if was_interrupted && moment < limit {
            return None;
        }
        Some(answer.map(|outcome| outcome.rows))
    }

    fn read(
        &self,
        statement: &str,
        parameters: &[Value],
        limit: Instant,
    ) -> Result<Outcome, Error> {
        let idle = lock(&self.readers).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => self.open(false)?,
        };
        let result = reader.run(statement, parameters, limit, true);
        let mut readers = lock(&self.readers);
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
        result
    }

    fn open(&self, can_write: bool) -> Result<Guarded, Error> {
        Guarded::open(&self.database.path, can_write, self.rights.clone(), self.limits)
    }

    /// When a statement that starts now must have ended.
    fn limit(&self, deadline: Instant) -> Instant {
        deadline.min(Instant::now() + self.limits.statement_time)
    }

    /// Checks a statement that is new, and says what is known of it.
    fn check(&self, statement: &str) -> Result<Pace, Error> {
        let pace = self.paces.of(statement);
        if pace == Pace::New && self.rights.is_some() {
            statement::check(statement)?;
        }
        Ok(pace)
    }

    /// Runs a statement that may take long, and takes note of how it ran.
    fn announced(
        &self,
        statement: &str,
        run: impl FnOnce() -> Result<Outcome, Error>,
    ) -> Result<Outcome, Error> {
        let (result, computed) = measured(|| announced(run));
        let was_interrupted = matches!(result, Err(Error::Timeout(_)));
        self.paces.ran(statement, Run { computed, was_interrupted, was_inline: false });
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
