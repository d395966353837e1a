//! Databases, their backups and what carries them out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use windlass_domain::databases::{
    self, Backup, BackupStatus, Database, DatabaseStatus, Demand, Desired, Engine, NewDatabase,
    Plan, backups,
};
use windlass_domain::ids::{BackupId, UserId};
use windlass_domain::store::{DatabaseReads, Store};
use windlass_domain::testing::FakeRuntime;
use windlass_domain::{Context, Error, Kind, reconcile};
use windlass_store::SqlStore;

use crate::deployments::settle;
use crate::grants::grant;
use crate::support::Fixture;

on_both_databases!(
    every_field_comes_back_as_it_was_written,
    a_name_is_its_owners_once,
    a_database_is_made_saved_brought_back_and_deleted,
    databases_need_no_more_than_their_tables,
    many_databases_are_read_page_by_page,
);

fn new_database(name: &str) -> NewDatabase {
    NewDatabase {
        name: name.to_owned(),
        engine: Engine::Postgresql,
        plan: Plan::Starter,
        region: "eu \"quoted\" \u{1F600}".to_owned(),
        variables: BTreeMap::from([("TZ".to_owned(), "UTC".to_owned())]),
    }
}

fn runtime() -> FakeRuntime {
    let runtime = FakeRuntime::default();
    runtime.add_image("postgres:16-alpine", "postgres@sha256:1");
    runtime
}

async fn of(store: &dyn Store, user: UserId) -> Vec<Database> {
    let listed = store.list_databases(user, 100).await.unwrap();
    listed.into_iter().map(|access| access.database).collect()
}

async fn every_field_comes_back_as_it_was_written(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let eve = fixture.register(&store, "eve@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let created = databases::create(&ctx, new_database("orders")).await.unwrap();
    assert_eq!(of(&store, ada).await, std::slice::from_ref(&created));
    assert!(of(&store, eve).await.is_empty());
    let changed = Database {
        name: "sales".to_owned(),
        plan: Plan::Business,
        desired: Desired::Stopped,
        status: DatabaseStatus::Error,
        error: "it crashed".to_owned(),
        image_digest: "postgres@sha256:2".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        restoring: Some(BackupId::from_u128(7)),
        revision: created.revision.next(),
        updated_at: created.created_at.plus_seconds(1),
        ..created.clone()
    };
    let transaction = store.begin().await.unwrap();
    assert!(transaction.update_database(&changed, created.revision).await.unwrap());
    assert!(!transaction.update_database(&changed, created.revision).await.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(store.database(ada, created.id).await.unwrap().unwrap().database, changed);
    assert_eq!(store.database(eve, created.id).await.unwrap(), None);
    assert_eq!(store.database_to_carry_out(created.id).await.unwrap(), Some(changed.clone()));
    backups_come_back(&store, &changed).await;
}

async fn backups_come_back(store: &SqlStore<'_>, database: &Database) {
    let first = Backup {
        id: BackupId::from_u128(1),
        database_id: database.id,
        status: BackupStatus::InProgress,
        error: String::new(),
        size_bytes: 0,
        sha256: String::new(),
        asker: database.asker.clone(),
        revision: database.revision,
        created_at: database.created_at,
        completed_at: None,
    };
    let later = database.created_at.plus_seconds(1);
    let second = Backup { id: BackupId::from_u128(2), created_at: later, ..first.clone() };
    let done = Backup {
        status: BackupStatus::Completed,
        error: "none".to_owned(),
        size_bytes: 5_000_000_000,
        sha256: "ab".repeat(32),
        revision: first.revision.next(),
        completed_at: Some(later),
        ..first.clone()
    };
    let transaction = store.begin().await.unwrap();
    transaction.insert_backup(&first).await.unwrap();
    transaction.insert_backup(&second).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(store.next_backup(database.id).await.unwrap(), Some(first.clone()));
    let transaction = store.begin().await.unwrap();
    assert!(transaction.update_backup(&done, first.revision).await.unwrap());
    assert!(!transaction.update_backup(&done, first.revision).await.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(store.next_backup(database.id).await.unwrap(), Some(second.clone()));
    let listed = store.list_backups(database.id, 10).await.unwrap();
    assert_eq!(listed, [second.clone(), done.clone()]);
    assert_eq!(store.list_backups(database.id, 1).await.unwrap(), std::slice::from_ref(&second));
    assert_eq!(store.backup(database.id, done.id).await.unwrap(), Some(done.clone()));
    let transaction = store.begin().await.unwrap();
    transaction.delete_backup(second.id).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(store.list_backups(database.id, 10).await.unwrap(), [done]);
}

async fn a_name_is_its_owners_once(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let eve = fixture.register(&store, "eve@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    databases::create(&ctx, new_database("orders")).await.unwrap();
    let taken = Error::AlreadyExists { kind: Kind::Database, field: "name" };
    let again = databases::create(&ctx, new_database("orders")).await;
    assert_eq!(again.unwrap_err(), taken);
    databases::create(&fixture.as_user(&store, eve), new_database("orders")).await.unwrap();
    let other = databases::create(&ctx, new_database("other")).await.unwrap();
    let change = databases::DatabaseChange { name: Some("orders".to_owned()), plan: None };
    let renamed = databases::update(&ctx, &other.id.to_string(), change).await;
    assert_eq!(renamed.unwrap_err(), taken);
}

/// Everything that can be asked of a database, asked in this order.
async fn story(fixture: &Fixture, ctx: &Context<'_>, reconciling: &dyn Store) {
    let runtime = runtime();
    let id = databases::create(ctx, new_database("orders")).await.unwrap().id.to_string();
    settle(fixture, reconciling, &runtime).await;
    let secrets = &fixture.world.secrets;
    let running = databases::view(ctx, secrets, &id).await.unwrap();
    assert_eq!(running.database.status, DatabaseStatus::Running, "{:?}", running.database);
    assert!(running.connection_url.contains("secret-"), "{}", running.connection_url);
    let backup = backups::create(ctx, &id).await.unwrap();
    settle(fixture, reconciling, &runtime).await;
    let listed = databases::list(ctx, secrets).await.unwrap();
    assert_eq!(listed[0].backups[0].status, BackupStatus::Completed);
    backups::restore(ctx, &id, &backup.id.to_string()).await.unwrap();
    settle(fixture, reconciling, &runtime).await;
    for (demand, expected) in
        [(Demand::Stop, DatabaseStatus::Stopped), (Demand::Restart, DatabaseStatus::Running)]
    {
        databases::demand(ctx, &id, demand).await.unwrap();
        settle(fixture, reconciling, &runtime).await;
        let found = databases::view(ctx, secrets, &id).await.unwrap().database;
        assert_eq!((found.status, found.restoring), (expected, None));
    }
    let plan = databases::DatabaseChange { name: None, plan: Some(Plan::Hobby) };
    databases::update(ctx, &id, plan).await.unwrap();
    databases::delete(ctx, &id).await.unwrap();
    settle(fixture, reconciling, &runtime).await;
    assert!(runtime.workloads().is_empty());
}

async fn a_database_is_made_saved_brought_back_and_deleted(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    story(&fixture, &fixture.as_user(&store, ada), &store).await;
    for statement in [
        "SELECT COUNT(*) FROM managed_database",
        "SELECT COUNT(*) FROM database_backup",
        "SELECT COUNT(*) FROM operation WHERE finished_at IS NULL",
    ] {
        assert_eq!(fixture.executor().number(statement).await, 0, "{statement}");
    }
    let secret = "SELECT COUNT(*) FROM event WHERE changes LIKE '%secret-%'";
    assert_eq!(fixture.executor().number(secret).await, 0);
}

async fn databases_need_no_more_than_their_tables(fixture: Fixture) {
    let all = SqlStore::new(fixture.executor());
    let ada = fixture.register(&all, "ada@example.com").await.id;
    let asking = fixture
        .granted(&grant(
            &["user_account", "organization", "membership"],
            &["managed_database", "database_backup", "event_chain"],
            &["operation", "event"],
        ))
        .await;
    let carrying = fixture
        .granted(&grant(
            &["hostname"],
            &[
                "service",
                "deployment",
                "managed_database",
                "database_backup",
                "operation",
                "event_chain",
            ],
            &["deployment_log", "event"],
        ))
        .await;
    let (asking, carrying) = (SqlStore::new(&asking), SqlStore::new(&carrying));
    story(&fixture, &fixture.as_user(&asking, ada), &carrying).await;
    let ctx = fixture.anonymous(&asking);
    let refused = reconcile::step(&ctx, &runtime(), "host-1").await;
    assert!(matches!(refused, Err(Error::Internal { .. })), "{refused:?}");
}

async fn many_databases_are_read_page_by_page(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let gone = databases::create(&ctx, new_database("gone")).await.unwrap();
    databases::delete(&ctx, &gone.id.to_string()).await.unwrap();
    databases::create(&ctx, new_database("orders")).await.unwrap();
    assert_eq!(fixture.executor().execute(COPIES).await, 2_500);
    let kept = store.kept_databases().await.unwrap();
    assert_eq!(kept.len(), 2_501);
    assert!(kept.iter().all(|row| row.id != gone.id));
}

const COPIES: &str = "\
    INSERT INTO managed_database (id, organization_id, name, engine, version, plan, region, \
    desired, status, error, image, image_digest, username, password, database_name, variables, \
    address, restoring, actor_id, actor_email, revision, created_at, updated_at) \
    WITH RECURSIVE numbers (number) AS \
    (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 2500) \
    SELECT '00000000-0000-0000-0000-' || CAST(100000000000 + number AS TEXT), organization_id, \
    'copy' || CAST(number AS TEXT), engine, version, plan, region, desired, status, error, image, \
    image_digest, username, password, database_name, variables, address, restoring, actor_id, \
    actor_email, revision, created_at, updated_at FROM managed_database, numbers \
    WHERE desired <> 'deleted'";
