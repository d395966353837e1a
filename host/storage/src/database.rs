//! The database, whichever it is, and the sessions that work with it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_engine::{ComponentId, StorageGrant};

use crate::meter::Meter;
use crate::postgres::{PostgresDatabase, PostgresSession, PostgresTransaction};
use crate::sqlite::{SqliteDatabase, SqliteSession, SqliteTransaction};
use crate::{Error, Rows, Value};

/// Tables whose names begin so are the host's or the database's, and never granted.
const RESERVED: &[&str] = &["host_", "sqlite_", "pg_", "_sqlx"];
/// How long the host waits for a statement of its own.
const HOST_TIME: Duration = Duration::from_secs(30);

/// Why the database, or a component's part of it, cannot be used: a sentence for the
/// administrator that says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(String);

impl SetupError {
    pub(crate) fn new(sentence: String) -> Self {
        Self(sentence)
    }

    pub(crate) fn no_table(table: &str) -> Self {
        Self(format!("the grants name the table {table}, which does not exist"))
    }
}

/// The statement that marks a request's idempotency record as committed, run by the host in the
/// same transaction as the request's own writes. Its one parameter is the record's id.
#[derive(Clone, Copy, Debug)]
pub struct CommitMark {
    /// The statement on SQLite.
    pub sqlite: &'static str,
    /// The statement on PostgreSQL, run as the component's role.
    pub postgres: &'static str,
    /// The function it calls, with its parameter types: components that write may execute it.
    pub postgres_function: &'static str,
}

/// How a database is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What a commit marks, when its request carries an idempotency record.
    pub commit_mark: Option<CommitMark>,
    /// Where the passwords of PostgreSQL roles come from. Hosts on one database share it; without
    /// it each start makes its own, and only one host may be running.
    pub role_secret: Option<[u8; 32]>,
}

enum Backend {
    Sqlite(Arc<SqliteDatabase>),
    Postgres(Box<PostgresDatabase>),
}

/// An open database.
pub struct Database {
    backend: Backend,
    mark: Option<CommitMark>,
}

impl Database {
    /// Opens `sqlite:PATH` (a relative path is inside the data directory) or `postgres://...`.
    ///
    /// # Errors
    /// When the URL is wrong or the database cannot be reached.
    pub async fn open(
        url: &str,
        data_directory: &Path,
        options: Options,
    ) -> Result<Self, SetupError> {
        let mark = options.commit_mark;
        let backend = if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') || path.contains('?') {
                return Err(SetupError::new(format!(
                    "the database URL {url} names no file; write sqlite:windlass.db"
                )));
            }
            let path = data_directory.join(path);
            Backend::Sqlite(Arc::new(SqliteDatabase::open(path)?))
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let secret = match options.role_secret {
                Some(secret) => secret,
                None => random_secret()?,
            };
            Backend::Postgres(Box::new(PostgresDatabase::open(url, secret, mark).await?))
        } else {
            return Err(SetupError::new(
                "the database URL begins with neither sqlite: nor postgres://".to_owned(),
            ));
        };
        Ok(Self { backend, mark })
    }

    /// A session with every right, for the host's own records.
    pub fn host(&self) -> HostSession {
        let backend = match &self.backend {
            Backend::Sqlite(database) => SessionBackend::Sqlite(Arc::new(database.host())),
            Backend::Postgres(database) => SessionBackend::Postgres(Arc::new(database.host())),
        };
        HostSession(Session { backend, meter: Arc::new(Meter::new("host")), mark: None })
    }

    /// A session with the rights of one component, after the migrations have run.
    ///
    /// # Errors
    /// When a granted table does not exist or is the host's, or its role cannot be made.
    pub async fn admit(
        &self,
        component: &ComponentId,
        grant: &StorageGrant,
    ) -> Result<Session, SetupError> {
        for table in grant.read.iter().chain(&grant.write).chain(&grant.append) {
            check_table(table)?;
        }
        let (backend, mark) = match &self.backend {
            Backend::Sqlite(database) => (
                SessionBackend::Sqlite(Arc::new(database.admit(grant)?)),
                self.mark.map(|mark| mark.sqlite),
            ),
            Backend::Postgres(database) => (
                SessionBackend::Postgres(Arc::new(database.admit(component, grant).await?)),
                self.mark.map(|mark| mark.postgres),
            ),
        };
        Ok(Session { backend, meter: Arc::new(Meter::new(component.as_str())), mark })
    }

    /// Whether the database is a file of this process alone, rather than a server that several
    /// hosts may share.
    pub fn is_embedded(&self) -> bool {
        matches!(self.backend, Backend::Sqlite(_))
    }

    pub(crate) fn sqlite(&self) -> Option<&SqliteDatabase> {
        match &self.backend {
            Backend::Sqlite(database) => Some(database),
            Backend::Postgres(_) => None,
        }
    }

    pub(crate) fn postgres(&self) -> Option<&PostgresDatabase> {
        match &self.backend {
            Backend::Sqlite(_) => None,
            Backend::Postgres(database) => Some(database),
        }
    }
}

fn check_table(table: &str) -> Result<(), SetupError> {
    let is_plain = !table.is_empty()
        && table.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !is_plain {
        return Err(SetupError::new(format!(
            "{table:?} is no table name; use lower-case letters, digits and underscores"
        )));
    }
    if RESERVED.iter().any(|prefix| table.starts_with(prefix)) {
        return Err(SetupError::new(format!("the table {table} cannot be granted to a component")));
    }
    Ok(())
}

fn random_secret() -> Result<[u8; 32], SetupError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| SetupError::new(format!("no random bytes to be had: {error}")))?;
    Ok(secret)
}

#[derive(Clone)]
enum SessionBackend {
    Sqlite(Arc<SqliteSession>),
    Postgres(Arc<PostgresSession>),
}

/// What one component may do with the database. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    backend: SessionBackend,
    meter: Arc<Meter>,
    mark: Option<&'static str>,
}

impl Session {
    /// Runs one reading statement outside of transactions.
    ///
    /// # Errors
    /// As `windlass:storage` describes them.
    pub async fn query(
        &self,
        statement: &str,
        parameters: Vec<Value>,
        deadline: Instant,
    ) -> Result<Rows, Error> {
        let start = Instant::now();
        let result = match &self.backend {
            SessionBackend::Sqlite(session) => {
                session.query(statement, &parameters, deadline).await
            }
            SessionBackend::Postgres(session) => {
                session.query(statement, parameters, deadline).await
            }
        };
        self.meter.query.record(start, result)
    }

    /// Starts a transaction, which ends at the deadline at the latest. `marked` is the id of the
    /// request's idempotency record.
    ///
    /// # Errors
    /// `timeout` when the writers before it take too long; `unavailable`.
    pub async fn begin(
        &self,
        deadline: Instant,
        marked: Option<Arc<str>>,
    ) -> Result<Transaction, Error> {
        let start = Instant::now();
        let begun = match &self.backend {
            SessionBackend::Sqlite(session) => {
                SqliteTransaction::begin(session, deadline).await.map(TransactionBackend::Sqlite)
            }
            SessionBackend::Postgres(session) => PostgresTransaction::begin(session, deadline)
                .await
                .map(TransactionBackend::Postgres),
        };
        let backend = self.meter.begin.record(start, begun)?;
        Ok(Transaction { backend, meter: Arc::clone(&self.meter), mark: self.mark, marked })
    }
}

enum TransactionBackend {
    Sqlite(SqliteTransaction),
    Postgres(PostgresTransaction),
}

/// A unit of work. Dropped without a commit, it is rolled back; so it is by the first statement
/// that fails, and by its deadline.
pub struct Transaction {
    backend: TransactionBackend,
    meter: Arc<Meter>,
    mark: Option<&'static str>,
    marked: Option<Arc<str>>,
}

impl Transaction {
    /// Runs one statement, reading or writing, and answers its rows.
    ///
    /// # Errors
    /// As `windlass:storage` describes them; nothing of the transaction remains.
    pub async fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        let start = Instant::now();
        let result = match &self.backend {
            TransactionBackend::Sqlite(transaction) => transaction.query(statement, &parameters),
            TransactionBackend::Postgres(transaction) => {
                transaction.run(statement, parameters).await.map(|(rows, _)| rows)
            }
        };
        self.meter.transaction_query.record(start, result)
    }

    /// Runs one writing statement and answers how many rows it changed.
    ///
    /// # Errors
    /// As `windlass:storage` describes them; nothing of the transaction remains.
    pub async fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        let start = Instant::now();
        let result = match &self.backend {
            TransactionBackend::Sqlite(transaction) => transaction.execute(statement, &parameters),
            TransactionBackend::Postgres(transaction) => {
                transaction.run(statement, parameters).await.map(|(_, changed)| changed)
            }
        };
        self.meter.transaction_execute.record(start, result)
    }

    /// Makes the work durable.
    ///
    /// # Errors
    /// As `windlass:storage` describes them; nothing of the transaction remains.
    pub async fn commit(&self) -> Result<(), Error> {
        let start = Instant::now();
        let mark = self.mark.zip(self.marked.as_deref());
        let result = match &self.backend {
            TransactionBackend::Sqlite(transaction) => transaction.commit(mark),
            TransactionBackend::Postgres(transaction) => transaction.commit(mark).await,
        };
        self.meter.commit.record(start, result)
    }

    /// Whether it can still be used.
    pub fn is_open(&self) -> bool {
        match &self.backend {
            TransactionBackend::Sqlite(transaction) => transaction.is_open(),
            TransactionBackend::Postgres(transaction) => transaction.is_open(),
        }
    }

    /// Rolls back at once.
    pub fn abandon(&self) {
        match &self.backend {
            TransactionBackend::Sqlite(transaction) => transaction.abandon(),
            TransactionBackend::Postgres(transaction) => transaction.abandon(),
        }
    }
}

/// A session for the host's own records: every right, and room for large values.
#[derive(Clone)]
pub struct HostSession(Session);

impl HostSession {
    /// Runs one reading statement.
    ///
    /// # Errors
    /// As `windlass:storage` describes them.
    pub async fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<Rows, Error> {
        self.0.query(statement, parameters, Instant::now() + HOST_TIME).await
    }

    /// Runs one writing statement in a transaction of its own and answers how many rows it
    /// changed.
    ///
    /// # Errors
    /// As `windlass:storage` describes them.
    pub async fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<u64, Error> {
        let transaction = self.begin().await?;
        let changed = transaction.execute(statement, parameters).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Starts a transaction.
    ///
    /// # Errors
    /// `timeout` when the writers before it take too long; `unavailable`.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.0.begin(Instant::now() + HOST_TIME, None).await
    }
}
