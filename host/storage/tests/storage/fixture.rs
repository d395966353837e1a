//! A database with a few tables, and a component with a grant of each kind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use windlass_engine::{ComponentId, StorageGrant};
use windlass_storage::{
    CommitMark, Database, Error, HostSession, Migrations, Options, Rows, Session, Value,
};

const TABLES: &str = "
CREATE TABLE parent (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, size BIGINT);
CREATE TABLE child (
    id TEXT PRIMARY KEY,
    parent_id TEXT NOT NULL REFERENCES parent (id) ON DELETE CASCADE,
    secret TEXT NOT NULL
);
CREATE TABLE trail (id BIGINT PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE shown (id BIGINT PRIMARY KEY);
CREATE TABLE host_mark (id TEXT PRIMARY KEY, committed BIGINT NOT NULL);
";

const POSTGRES: &str = "
CREATE FUNCTION mark_committed (mark TEXT) RETURNS BIGINT LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT
AS 'UPDATE host_mark SET committed = 1 WHERE id = mark RETURNING committed';
REVOKE EXECUTE ON FUNCTION mark_committed (TEXT) FROM PUBLIC;
";

const MARK: CommitMark = CommitMark {
    sqlite: "UPDATE host_mark SET committed = 1 WHERE id = $1",
    postgres: "SELECT mark_committed($1)",
    postgres_function: "mark_committed(text)",
};

pub(crate) struct Fixture {
    pub(crate) database: Arc<Database>,
    pub(crate) host: HostSession,
    /// May write `parent`, append to `trail` and read `shown`.
    pub(crate) component: Session,
    pub(crate) directory: TempDir,
    pub(crate) url: String,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        Self::open("sqlite:test.db".to_owned()).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::open(windlass_test_support::fresh_database()).await
    }

    async fn open(url: String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { commit_mark: Some(MARK), role_secret: Some([7; 32]) };
        let database = Database::open(&url, directory.path(), options).await.unwrap();
        let migrations = Migrations::from_files([
            ("0001_tables.sql", TABLES),
            ("0001_tables.postgres.sql", POSTGRES),
        ]);
        assert_eq!(database.migrate(&migrations).await.unwrap(), ["0001 tables"]);
        let host = database.host();
        let transaction = host.begin().await.unwrap();
        for statement in [
            "INSERT INTO parent (id, name, size) VALUES ('p1', 'first', 1), ('p2', 'second', NULL)",
            "INSERT INTO child (id, parent_id, secret) VALUES ('c1', 'p1', 'hidden')",
            "INSERT INTO trail (id, note) VALUES (1, 'begun')",
            "INSERT INTO shown (id) VALUES (1)",
            "INSERT INTO host_mark (id, committed) VALUES ('m1', 0)",
        ] {
            transaction.execute(statement, vec![]).await.unwrap();
        }
        transaction.commit().await.unwrap();
        let component = database.admit(&component_id(), &grant()).await.unwrap();
        Self { database: Arc::new(database), host, component, directory, url }
    }

    pub(crate) async fn query(&self, statement: &str) -> Result<Rows, Error> {
        self.component.query(statement, vec![], soon()).await
    }

    /// Runs one writing statement of the component in a transaction of its own.
    pub(crate) async fn execute(&self, statement: &str) -> Result<u64, Error> {
        let transaction = self.component.begin(soon(), None).await?;
        let changed = transaction.execute(statement, vec![]).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// The one number that a statement of the host answers.
    pub(crate) async fn number(&self, statement: &str) -> i64 {
        let rows = self.host.query(statement, vec![]).await.unwrap().rows;
        match rows.first().and_then(|row| row.first()) {
            Some(Value::Integer(number)) => *number,
            other => panic!("{statement}: {other:?}"),
        }
    }
}

pub(crate) fn component_id() -> ComponentId {
    ComponentId::new("example").unwrap()
}

pub(crate) fn grant() -> StorageGrant {
    StorageGrant {
        read: vec!["shown".into()],
        write: vec!["parent".into()],
        append: vec!["trail".into()],
    }
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}
