//! Bringing a database up to date, and refusing to guess.

use std::os::unix::fs::PermissionsExt;

use windlass_storage::{Database, Migrations, Options};

use crate::fixture::Fixture;
use crate::on_both_databases;

on_both_databases!(
    new_migrations_are_applied_once,
    edited_migration_is_refused,
    newer_database_is_refused,
    failed_migration_leaves_nothing,
    embedded_migrations_apply,
);

/// Opens the fixture's database again, as the next start does.
async fn reopen(fixture: &Fixture) -> Database {
    Database::open(&fixture.url, fixture.directory.path(), Options::default()).await.unwrap()
}

/// The refusal of a set of migrations.
async fn refusal(fixture: &Fixture, files: &[(&str, &str)]) -> String {
    let migrations = Migrations::from_files(files.iter().copied());
    let result = reopen(fixture).await.migrate(&migrations).await;
    result.unwrap_err().to_string()
}

async fn new_migrations_are_applied_once(fixture: Fixture) {
    let first = [("0001_one.sql", "CREATE TABLE one (id BIGINT)")];
    let url = if fixture.url.starts_with("sqlite") {
        "sqlite:other.db".to_owned()
    } else {
        windlass_test_support::fresh_database()
    };
    let path = fixture.directory.path();
    let database = Database::open(&url, path, Options::default()).await.unwrap();
    let applied = database.migrate(&Migrations::from_files(first)).await.unwrap();
    assert_eq!(applied, ["0001 one"]);
    let both = Migrations::from_files([
        first[0],
        ("0002_two_words.sqlite.sql", "CREATE TABLE two (only_sqlite BIGINT)"),
        ("0002_two_words.postgres.sql", "CREATE TABLE two (only_postgres BIGINT)"),
    ]);
    assert_eq!(database.pending(&both).await.unwrap(), ["0002 two words"]);
    assert_eq!(database.migrate(&both).await.unwrap(), ["0002 two words"]);
    assert!(database.pending(&both).await.unwrap().is_empty());
    assert!(database.migrate(&both).await.unwrap().is_empty());
    let column = if url.starts_with("sqlite") { "only_sqlite" } else { "only_postgres" };
    database.host().query(&format!("SELECT {column} FROM two"), vec![]).await.unwrap();
}

async fn edited_migration_is_refused(fixture: Fixture) {
    let error = refusal(&fixture, &[("0001_tables.sql", "CREATE TABLE edited (id TEXT)")]).await;
    assert!(error.contains("was edited after it had been applied"), "{error}");
}

async fn newer_database_is_refused(fixture: Fixture) {
    let error = refusal(&fixture, &[]).await;
    assert!(error.contains("the database is newer than this program"), "{error}");
}

async fn failed_migration_leaves_nothing(_fixture: Fixture) {
    let fixture = _fixture;
    let url = if fixture.url.starts_with("sqlite") {
        "sqlite:other.db".to_owned()
    } else {
        windlass_test_support::fresh_database()
    };
    let path = fixture.directory.path();
    let database = Database::open(&url, path, Options::default()).await.unwrap();
    let broken = [("0001_one.sql", "CREATE TABLE one (id BIGINT); CREATE TABLE one (id BIGINT);")];
    let error = database.migrate(&Migrations::from_files(broken)).await.unwrap_err().to_string();
    assert!(error.contains("a migration failed"), "{error}");
    let fixed = [("0001_one.sql", "CREATE TABLE one (id BIGINT)")];
    assert_eq!(database.migrate(&Migrations::from_files(fixed)).await.unwrap(), ["0001 one"]);
}

async fn embedded_migrations_apply(fixture: Fixture) {
    let url = if fixture.url.starts_with("sqlite") {
        "sqlite:embedded.db".to_owned()
    } else {
        windlass_test_support::fresh_database()
    };
    let path = fixture.directory.path();
    let database = Database::open(&url, path, Options::default()).await.unwrap();
    let applied = database.migrate(&Migrations::embedded()).await.unwrap();
    assert_eq!(applied.first().map(String::as_str), Some("0001 host records"));
    if url.starts_with("sqlite") {
        let mode = std::fs::metadata(path.join("embedded.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn wrong_urls_are_refused_with_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    for (url, reason) in [
        ("mysql://localhost/x", "neither sqlite: nor postgres://"),
        ("sqlite::memory:", "names no file"),
        ("sqlite:", "names no file"),
        ("sqlite:a/missing/folder.db", "cannot be opened"),
        ("postgres://nobody@%2Fnowhere/x", "no connection to PostgreSQL"),
    ] {
        let result = Database::open(url, directory.path(), Options::default()).await;
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(reason), "{url}: {error}");
    }
}
