//! Brings the database to the form this binary knows.
//!
//! One file serves both databases. Where they part, a version has files of its own for each:
//! `0007_thing.sql` is run first, then `0007_thing.sqlite.sql` or `0007_thing.postgres.sql`, as
//! one migration. An applied migration is never edited.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use sqlx::error::BoxDynError;
use sqlx::migrate::{
    AppliedMigration, Migrate, Migration, MigrationSource, MigrationType, Migrator,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqlSafeStr as _};

use crate::database::{Database, SetupError};

/// Where applied migrations are recorded.
const TABLE: &str = "_sqlx_migrations";

/// The files that were embedded when the binary was built.
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// Which database a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// A set of migration files: names and texts.
#[derive(Clone, Debug)]
pub struct Migrations(Vec<(String, String)>);

impl Migrations {
    /// Those embedded in the binary.
    pub fn embedded() -> Self {
        Self::from_files(EMBEDDED.iter().copied())
    }

    /// Those given, by name and text.
    pub fn from_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
    }
}

impl Database {
    /// Applies what is not applied yet, and answers the names of what it applied.
    ///
    /// # Errors
    /// When an applied migration was edited, when the database is newer than this binary, or
    /// when a migration fails; nothing of that one remains.
    pub async fn migrate(&self, migrations: &Migrations) -> Result<Vec<String>, SetupError> {
        let applied = self.work(migrations, true).await?;
        if let Some(database) = self.postgres() {
            database.close_to_public().await?;
        }
        Ok(applied)
    }

    /// The names of what [`Database::migrate`] would apply. Nothing is applied.
    ///
    /// # Errors
    /// As [`Database::migrate`].
    pub async fn pending(&self, migrations: &Migrations) -> Result<Vec<String>, SetupError> {
        self.work(migrations, false).await
    }

    async fn work(
        &self,
        migrations: &Migrations,
        applies: bool,
    ) -> Result<Vec<String>, SetupError> {
        if let Some(database) = self.sqlite() {
            let migrator = migrator(migrations, Dialect::Sqlite).await?;
            let mut connection = SqliteConnectOptions::new()
                .filename(database.path())
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .disable_statement_logging()
                .connect()
                .await
                .map_err(|error| SetupError::new(format!("no connection to SQLite: {error}")))?;
            let applied = work(&mut connection, &migrator, applies).await?;
            connection.close().await.map_err(|error| SetupError::new(error.to_string()))?;
            return Ok(applied);
        }
        let Some(database) = self.postgres() else { return Ok(Vec::new()) };
        let migrator = migrator(migrations, Dialect::Postgres).await?;
        let mut connection = database.connect().await?;
        let applied = work(&mut connection, &migrator, applies).await?;
        connection.close().await.map_err(|error| SetupError::new(error.to_string()))?;
        Ok(applied)
    }
}

fn named(migration: &Migration) -> String {
    format!("{:04} {}", migration.version, migration.description)
}

async fn migrator(migrations: &Migrations, dialect: Dialect) -> Result<Migrator, SetupError> {
    let source = Source { files: &migrations.0, dialect };
    Migrator::new(source).await.map_err(|error| SetupError::new(error.to_string()))
}

/// Compares what is applied with what there is and, if told to, applies the difference.
async fn work<C: Migrate>(
    connection: &mut C,
    migrator: &Migrator,
    applies: bool,
) -> Result<Vec<String>, SetupError> {
    let failed =
        |error| SetupError::new(format!("the migrations of the database cannot be read: {error}"));
    connection.ensure_migrations_table(TABLE).await.map_err(failed)?;
    let applied = connection.list_applied_migrations(TABLE).await.map_err(failed)?;
    check(&applied, migrator)?;
    let pending: Vec<String> = migrator
        .iter()
        .filter(|migration| applied.iter().all(|done| done.version != migration.version))
        .map(named)
        .collect();
    if applies {
        migrator
            .run_direct(None, connection, false)
            .await
            .map_err(|error| SetupError::new(format!("a migration failed: {error}")))?;
    }
    Ok(pending)
}

/// Refuses a database that was not made by these migrations.
fn check(applied: &[AppliedMigration], migrator: &Migrator) -> Result<(), SetupError> {
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
    for done in applied {
        let version = done.version;
        match migrator.iter().find(|migration| migration.version == version) {
            Some(migration) if migration.checksum == done.checksum => {}
            Some(migration) => {
                return Err(SetupError::new(format!(
                    "the migration {version} ({}) was edited after it had been applied; put the \
                     file back as it was and write a new one",
                    migration.description
                )));
            }
            None if version > known => {
                return Err(SetupError::new(format!(
                    "the database is newer than this program: it has migration {version}, the \
                     program ends at {known}; install the newer program"
                )));
            }
            None => {
                return Err(SetupError::new(format!(
                    "the database has migration {version}, which this program does not know"
                )));
            }
        }
    }
    Ok(())
}

/// The files as one database sees them.
#[derive(Debug)]
struct Source<'s> {
    files: &'s [(String, String)],
    dialect: Dialect,
}

impl<'s> MigrationSource<'s> for Source<'s> {
    fn resolve(self) -> BoxFuture<'s, Result<Vec<Migration>, BoxDynError>> {
        Box::pin(async move { merge(self.files, self.dialect) })
    }
}

/// A version's common text and, after it, the text for this database.
fn merge(files: &[(String, String)], dialect: Dialect) -> Result<Vec<Migration>, BoxDynError> {
    let mut versions: BTreeMap<i64, (String, String, String)> = BTreeMap::new();
    for (file, text) in files {
        let (version, name, only) = parse(file).ok_or_else(|| {
            format!("the migration {file} is not named like 0001_what.sql or 0001_what.sqlite.sql")
        })?;
        let entry = versions.entry(version).or_insert_with(|| (name.clone(), "".into(), "".into()));
        if entry.0 != name {
            return Err(format!("two migrations have the number {version}").into());
        }
        match only {
            None => entry.1.clone_from(text),
            Some(only) if only == dialect => entry.2.clone_from(text),
            Some(_) => {}
        }
    }
    Ok(versions
        .into_iter()
        .map(|(version, (name, common, own))| {
            let text = if own.is_empty() { common } else { format!("{common}\n{own}") };
            Migration::new(
                version,
                name.replace('_', " ").into(),
                MigrationType::Simple,
                AssertSqlSafe(text).into_sql_str(),
                false,
            )
        })
        .collect())
}

/// The number, the name and the one database of a file, from its name.
fn parse(file: &str) -> Option<(i64, String, Option<Dialect>)> {
    let stem = file.strip_suffix(".sql")?;
    let (stem, only) = match stem.rsplit_once('.') {
        None => (stem, None),
        Some((stem, "sqlite")) => (stem, Some(Dialect::Sqlite)),
        Some((stem, "postgres")) => (stem, Some(Dialect::Postgres)),
        Some(_) => return None,
    };
    let (number, name) = stem.split_once('_')?;
    let version = number.parse().ok().filter(|version| *version > 0)?;
    Some((version, name.to_owned(), only))
}
