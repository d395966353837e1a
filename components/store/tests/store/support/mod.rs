//! A migrated database, an executor over a session of it, and contexts to work with.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod executor;

use std::path::PathBuf;

use tempfile::TempDir;
use windlass_domain::ids::UserId;
use windlass_domain::projects::{NewProject, ProjectSummary};
use windlass_domain::services::{NewService, ServiceKind, Source, SourceKind};
use windlass_domain::store::Store;
use windlass_domain::testing::World;
use windlass_domain::users::{NewUser, User};
use windlass_domain::{Context, projects, users};
use windlass_engine::{ComponentId, StorageGrant};
use windlass_storage::{Database, Migrations, Options};

pub(crate) use executor::SessionExecutor;

/// What the tests of the rules' storage may touch: everything there is.
const EVERY_TABLE: [&str; 16] = [
    "user_account",
    "organization",
    "membership",
    "project",
    "environment",
    "service",
    "deployment",
    "deployment_log",
    "build",
    "managed_database",
    "database_backup",
    "operation",
    "hostname",
    "git_account",
    "event",
    "event_chain",
];

/// A database of one test.
pub(crate) struct Fixture {
    directory: TempDir,
    database: Database,
    executor: SessionExecutor,
    /// Clock, ids and identity; its own store stays empty.
    pub(crate) world: World,
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        Self::open("sqlite:test.db").await
    }

    pub(crate) async fn postgres() -> Self {
        Self::open(&windlass_test_support::fresh_database()).await
    }

    async fn open(url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(url, directory.path(), Options::default()).await.unwrap();
        database.migrate(&Migrations::embedded()).await.unwrap();
        let write = EVERY_TABLE.map(str::to_owned).to_vec();
        let grant = StorageGrant { write, ..StorageGrant::default() };
        let executor = admit(&database, &grant).await;
        Self { directory, database, executor, world: World::default() }
    }

    /// The database file, on SQLite.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("test.db")
    }

    /// A database with every right.
    pub(crate) fn executor(&self) -> &SessionExecutor {
        &self.executor
    }

    /// A database with these rights.
    pub(crate) async fn granted(&self, grant: &StorageGrant) -> SessionExecutor {
        admit(&self.database, grant).await
    }

    pub(crate) fn as_user<'a>(&'a self, store: &'a dyn Store, id: UserId) -> Context<'a> {
        Context { store, ..self.world.as_user(id) }
    }

    pub(crate) fn anonymous<'a>(&'a self, store: &'a dyn Store) -> Context<'a> {
        Context { store, ..self.world.anonymous() }
    }

    pub(crate) async fn register(&self, store: &dyn Store, email: &str) -> User {
        let ctx = self.anonymous(store);
        users::register(&ctx, &self.world.identity, new_user(email)).await.unwrap()
    }

    pub(crate) async fn create_project(
        &self,
        store: &dyn Store,
        owner: UserId,
        name: &str,
    ) -> ProjectSummary {
        let new_project = NewProject { name: name.to_owned(), description: String::new() };
        projects::create(&self.as_user(store, owner), new_project).await.unwrap()
    }
}

async fn admit(database: &Database, grant: &StorageGrant) -> SessionExecutor {
    let component = ComponentId::new("store-test").unwrap();
    SessionExecutor::new(database.admit(&component, grant).await.unwrap())
}

pub(crate) fn new_user(email: &str) -> NewUser {
    NewUser {
        email: email.to_owned(),
        password: "correct horse".to_owned(),
        name: "Ada".to_owned(),
    }
}

pub(crate) fn new_service(name: &str) -> NewService {
    NewService {
        name: name.to_owned(),
        kind: ServiceKind::Web,
        source: Default::default(),
        build: Default::default(),
        resources: Default::default(),
    }
}

pub(crate) fn image_service(name: &str, image: &str) -> NewService {
    let source =
        Source { kind: Some(SourceKind::Image), image: image.to_owned(), ..Source::default() };
    NewService { source, ..new_service(name) }
}
