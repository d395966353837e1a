//! PostgreSQL, for more than one machine: a pool of connections for each component, which
//! authenticate as the component's own role.

mod roles;
mod transaction;
mod values;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, PgPool};
use tokio::sync::RwLock;
use windlass_engine::{ComponentId, StorageGrant};

use crate::database::{CommitMark, SetupError};
use crate::values::Limits;
use crate::{Error, Rows, Value, statement};
use roles::Role;
pub(crate) use transaction::PostgresTransaction;

/// Connections of one component for reading, and as many for transactions. They are made when
/// they are needed and closed when they are not.
const CONNECTIONS: u32 = 8;
const IDLE: Duration = Duration::from_secs(60);
/// How long a first connection may take before the database counts as unreachable.
const CONNECT: Duration = Duration::from_secs(5);

/// The server, as the user of the URL.
pub(crate) struct PostgresDatabase {
    options: PgConnectOptions,
    database: String,
    schema: String,
    secret: [u8; 32],
    host: PgPool,
    mark: Option<CommitMark>,
}

impl PostgresDatabase {
    /// Connects once, so that a wrong URL is known now.
    pub(crate) async fn open(
        url: &str,
        secret: [u8; 32],
        mark: Option<CommitMark>,
    ) -> Result<Self, SetupError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| SetupError::new(format!("the database URL is wrong: {error}")))?
            .application_name("windlass")
            .options([("standard_conforming_strings", "on")])
            .disable_statement_logging();
        let host = pool(options.clone(), Limits::HOST);
        let (database, schema): (String, Option<String>) =
            sqlx::query_as("SELECT current_database()::text, current_schema()::text")
                .fetch_one(&host)
                .await
                .map_err(|error| {
                    SetupError::new(format!("no connection to PostgreSQL: {error}"))
                })?;
        let schema = schema.ok_or_else(|| {
            SetupError::new("the user of the database URL has no schema to work in".to_owned())
        })?;
        Ok(Self { options, database, schema, secret, host, mark })
    }

    /// A connection for migrations.
    pub(crate) async fn connect(&self) -> Result<PgConnection, SetupError> {
        let connection = self.options.connect().await;
        connection.map_err(|error| SetupError::new(format!("no connection to PostgreSQL: {error}")))
    }

    /// Takes from everybody what only the owner should have: new tables and temporary ones.
    pub(crate) async fn close_to_public(&self) -> Result<(), SetupError> {
        let (schema, database) =
            (roles::identifier(&self.schema), roles::identifier(&self.database));
        for statement in [
            format!("REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC"),
            format!("REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"),
        ] {
            self.host.execute(sqlx::query(AssertSqlSafe(statement))).await.map_err(|error| {
                SetupError::new(format!(
                    "the rights of PUBLIC cannot be taken back: {error}; let the user of the \
                     database URL own the database and its schema"
                ))
            })?;
        }
        Ok(())
    }

    /// A session with the rights of the user of the URL, for the host's own records.
    pub(crate) fn host(&self) -> PostgresSession {
        PostgresSession {
            reading: self.host.clone(),
            writing: self.host.clone(),
            limits: Limits::HOST,
            is_component: false,
            ready: Arc::default(),
        }
    }

    /// A session with the rights of one component.
    pub(crate) async fn admit(
        &self,
        component: &ComponentId,
        grant: &StorageGrant,
    ) -> Result<PostgresSession, SetupError> {
        let role = Role::new(&self.database, component, grant, &self.secret);
        let mut connection =
            self.host.acquire().await.map_err(|error| SetupError::new(error.to_string()))?;
        roles::prepare(&mut connection, &role, grant, self.mark.as_ref()).await?;
        drop(connection);
        let timeout = Limits::COMPONENT.statement_time.as_millis().to_string();
        let idle = (Limits::COMPONENT.transaction_time * 2).as_millis().to_string();
        let options = self
            .options
            .clone()
            .username(&role.name)
            .password(&role.password)
            .application_name(&format!("windlass {component}"))
            .options([
                ("search_path", self.schema.as_str()),
                ("statement_timeout", timeout.as_str()),
                ("idle_in_transaction_session_timeout", idle.as_str()),
            ]);
        let reading = options.clone().options([("default_transaction_read_only", "on")]);
        let session = PostgresSession {
            reading: pool(reading, Limits::COMPONENT),
            writing: pool(options, Limits::COMPONENT),
            limits: Limits::COMPONENT,
            is_component: true,
            ready: Arc::default(),
        };
        session.reading.acquire().await.map_err(|error| {
            SetupError::new(format!(
                "the database role {} cannot log in: {error}; allow it in pg_hba.conf, for \
                 example: host {} all samenet scram-sha-256",
                role.name, self.database
            ))
        })?;
        Ok(session)
    }
}

fn pool(options: PgConnectOptions, limits: Limits) -> PgPool {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(limits.statement_time.min(CONNECT))
        .idle_timeout(IDLE)
        // A ping before each use would double the round trips of a query.
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// The connections of one component, or of the host.
pub(crate) struct PostgresSession {
    reading: PgPool,
    writing: PgPool,
    limits: Limits,
    is_component: bool,
    /// Statements that passed the checks.
    ready: Arc<RwLock<std::collections::HashSet<Box<str>>>>,
}

/// Statement texts remembered as checked.
const KNOWN_STATEMENTS: usize = 1_024;

impl PostgresSession {
    /// Runs one reading statement outside of transactions. The connections for it are read-only.
    pub(crate) async fn query(
        &self,
        statement: &str,
        parameters: Vec<Value>,
        deadline: Instant,
    ) -> Result<Rows, Error> {
        self.check(statement).await?;
        let deadline = deadline.min(Instant::now() + self.limits.statement_time);
        let acquired = tokio::time::timeout_at(deadline.into(), self.reading.acquire()).await;
        let mut connection = match acquired {
            Ok(acquired) => acquired.map_err(|error| values::translate(&error))?,
            Err(_) => return Err(Error::Timeout("no connection became free in time".into())),
        };
        let (rows, _) =
            values::run(&mut connection, statement, parameters, deadline, self.limits).await?;
        Ok(rows)
    }

    async fn check(&self, text: &str) -> Result<(), Error> {
        if !self.is_component || self.ready.read().await.contains(text) {
            return Ok(());
        }
        statement::check(text)?;
        let mut ready = self.ready.write().await;
        if ready.len() >= KNOWN_STATEMENTS {
            ready.clear();
        }
        ready.insert(text.into());
        Ok(())
    }
}
