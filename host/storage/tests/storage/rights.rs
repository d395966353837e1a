//! What a grant allows, statement by statement.

use std::time::{Duration, Instant};

use windlass_engine::StorageGrant;
use windlass_storage::{Database, Error, Options, Value};

use crate::fixture::{Fixture, component_id, soon};
use crate::on_both_databases;

on_both_databases!(
    granted_statements_are_carried_out,
    ungranted_statements_are_denied,
    malformed_statements_are_invalid,
    query_outside_of_a_transaction_cannot_write,
    cascades_of_a_granted_table_reach_ungranted_ones,
    values_come_back_as_they_went,
    parameters_are_bound_by_their_number,
    answers_are_bounded,
    endless_statements_time_out,
    grants_that_cannot_be_kept_are_refused,
    withdrawn_grants_are_gone,
);

async fn granted_statements_are_carried_out(fixture: Fixture) {
    for statement in [
        "SELECT id, COUNT(*) OVER () FROM parent WHERE lower(name) LIKE '%s%' ESCAPE '\\'",
        "WITH named AS (SELECT id FROM parent) SELECT count(*) FROM named",
        "-- a comment\nSELECT note FROM trail",
        "/* another */ SELECT count(*) FROM shown;",
        "VALUES (1), (2)",
        "SELECT p.name, (SELECT max(s.id) FROM shown s) FROM parent p ORDER BY p.name LIMIT 1",
    ] {
        fixture.query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    for statement in [
        "INSERT INTO parent (id, name) VALUES ('p3', 'third')",
        "INSERT INTO parent (id, name) VALUES ('p3', 'x') ON CONFLICT (id) DO UPDATE SET name = 'y'",
        "UPDATE parent SET size = 3 WHERE id = 'p3' RETURNING name",
        "DELETE FROM parent WHERE id = 'p3'",
        "INSERT INTO trail (id, note) VALUES (2, 'more')",
    ] {
        let changed = fixture.execute(statement).await;
        assert_eq!(changed, Ok(1), "{statement}");
    }
}

async fn ungranted_statements_are_denied(fixture: Fixture) {
    for statement in [
        // Tables without a grant, read in every place a statement can read in.
        "SELECT * FROM child",
        "SELECT count(*) FROM child",
        "SELECT id FROM parent WHERE EXISTS (SELECT 1 FROM child WHERE secret = 'hidden')",
        "WITH c AS (SELECT secret FROM child) SELECT * FROM c",
        "DELETE FROM parent WHERE id IN (SELECT secret FROM child)",
        "UPDATE parent SET name = (SELECT secret FROM child)",
        "INSERT INTO parent (id, name) SELECT id, secret FROM child",
        "DELETE FROM parent WHERE id = 'p1' RETURNING (SELECT secret FROM child)",
        // ... and written.
        "INSERT INTO child (id, parent_id, secret) VALUES ('c2', 'p1', 'x')",
        "UPDATE child SET secret = 'x'",
        "DELETE FROM child",
        // Tables that may only be read, or only be added to.
        "INSERT INTO shown (id) VALUES (2)",
        "DELETE FROM shown",
        "UPDATE trail SET note = 'x'",
        "DELETE FROM trail",
        "INSERT INTO trail (id, note) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET note = 'x'",
        "INSERT OR REPLACE INTO trail (id, note) VALUES (1, 'x')",
        "REPLACE INTO trail (id, note) VALUES (1, 'x')",
        "WITH x AS (SELECT 1) REPLACE INTO trail (id, note) VALUES (1, 'x')",
        // The host's and the database's own.
        "SELECT * FROM host_mark",
        "UPDATE host_mark SET committed = 1 WHERE id = 'm1'",
        "SELECT * FROM _sqlx_migrations",
        "SELECT sql FROM sqlite_master",
        "SELECT sql FROM main.sqlite_schema",
        "SELECT * FROM pragma_table_list",
        "SELECT rolname FROM pg_roles",
        "SELECT table_name FROM information_schema.tables",
        "SELECT mark_committed('m1')",
        // The shape of the database, its settings and its sessions.
        "CREATE TABLE mine (id TEXT)",
        "CREATE TEMP TABLE mine (id TEXT)",
        "DROP TABLE parent",
        "ALTER TABLE parent ADD COLUMN more TEXT",
        "CREATE INDEX mine ON parent (name)",
        "PRAGMA writable_schema = 1",
        "/* hidden */ PRAGMA foreign_keys = OFF",
        "-- hidden\nATTACH DATABASE 'other.db' AS other",
        "VACUUM",
        "SET ROLE postgres",
        "RESET ROLE",
        "SELECT set_config('role', 'postgres', false)",
        "SELECT \"set_config\" ('role', 'postgres', false)",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "SELECT load_extension('x')",
        "SELECT randomblob(1000000)",
        "COPY parent TO '/tmp/x'",
        "COPY parent FROM PROGRAM 'id'",
        "DO 'BEGIN END'",
        "GRANT ALL ON child TO PUBLIC",
        // Transactions belong to the host.
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT x",
        // One statement a call.
        "SELECT 1; SELECT 2",
        "SELECT 1; DELETE FROM parent",
        "SELECT 1 /* ; */ ; COMMIT",
    ] {
        let result = fixture.execute(statement).await;
        assert!(matches!(result, Err(Error::Denied(_))), "{statement}: {result:?}");
    }
    assert_eq!(fixture.number("SELECT count(*) FROM child").await, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM trail").await, 1);
    assert_eq!(fixture.number("SELECT committed FROM host_mark").await, 0);
}

async fn malformed_statements_are_invalid(fixture: Fixture) {
    for statement in [
        "",
        "  ",
        "SELECT FROM WHERE",
        "SELECT missing FROM parent",
        "SELECT 'open",
        "SELECT $1 FROM parent",
        "INSERT INTO parent (id, name) VALUES ('p9', NULL)",
    ] {
        let result = fixture.execute(statement).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{statement}: {result:?}");
    }
    let long = format!("SELECT '{}'", "x".repeat(65_536));
    assert!(matches!(fixture.query(&long).await, Err(Error::Invalid(_))));
    let many = vec![Value::Integer(1); 1_000];
    let result = fixture.component.query("SELECT $1", many, soon()).await;
    assert!(matches!(result, Err(Error::Invalid(_))), "{result:?}");
}

async fn query_outside_of_a_transaction_cannot_write(fixture: Fixture) {
    for statement in [
        "INSERT INTO trail (id, note) VALUES (9, 'x')",
        "UPDATE parent SET size = 9",
        "DELETE FROM parent RETURNING id",
    ] {
        let result = fixture.query(statement).await;
        assert!(matches!(result, Err(Error::Denied(_))), "{statement}: {result:?}");
    }
    // Only PostgreSQL knows writing in a query named by WITH; SQLite calls it a syntax error.
    let hidden = "WITH gone AS (DELETE FROM parent RETURNING id) SELECT * FROM gone";
    let result = fixture.query(hidden).await;
    assert!(matches!(result, Err(Error::Denied(_) | Error::Invalid(_))), "{result:?}");
    assert_eq!(fixture.number("SELECT count(*) FROM parent").await, 2);
}

async fn cascades_of_a_granted_table_reach_ungranted_ones(fixture: Fixture) {
    assert_eq!(fixture.execute("DELETE FROM parent WHERE id = 'p1'").await, Ok(1));
    assert_eq!(fixture.number("SELECT count(*) FROM child").await, 0);
}

async fn values_come_back_as_they_went(fixture: Fixture) {
    let values = vec![
        Value::Text("it's 'ünïcode' -- not a comment".into()),
        Value::Integer(i64::MIN),
        Value::Real(0.5),
        Value::Blob(vec![0, 1, 255]),
        Value::Null,
    ];
    let statement = "SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS DOUBLE PRECISION), \
                     $4, CAST($5 AS TEXT)";
    // Twice, the second time with another null: what is kept prepared must not remember types.
    let rows = fixture.component.query(statement, values.clone(), soon()).await.unwrap();
    assert_eq!(rows.rows, std::slice::from_ref(&values));
    assert_eq!(rows.columns.len(), 5);
    let mut others = values.clone();
    others.swap(0, 4);
    let rows = fixture.component.query(statement, others.clone(), soon()).await.unwrap();
    assert_eq!(rows.rows, [others]);
}

async fn parameters_are_bound_by_their_number(fixture: Fixture) {
    let statement = "SELECT CAST($2 AS TEXT), CAST($1 AS TEXT), CAST($2 AS TEXT)";
    let parameters = vec![Value::Text("one".into()), Value::Text("two".into())];
    let rows = fixture.component.query(statement, parameters, soon()).await.unwrap();
    let expected = ["two", "one", "two"].map(|text| Value::Text(text.into()));
    assert_eq!(rows.rows, [expected]);
}

async fn answers_are_bounded(fixture: Fixture) {
    let counting = |rows: u32| {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
             SELECT i FROM n"
        )
    };
    assert_eq!(fixture.query(&counting(10_000)).await.unwrap().rows.len(), 10_000);
    let result = fixture.query(&counting(10_001)).await;
    assert!(matches!(result, Err(Error::Quota(_))), "{:?}", result.map(|rows| rows.rows.len()));

    let big = Value::Text("x".repeat(3 * 1_048_576));
    let parameters = vec![big.clone(), big];
    let statement = "SELECT CAST($1 AS TEXT), CAST($2 AS TEXT)";
    let result = fixture.component.query(statement, parameters, soon()).await;
    assert!(matches!(result, Err(Error::Quota(_))));
}

async fn endless_statements_time_out(fixture: Fixture) {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 - 1 FROM n) \
                   SELECT count(*) FROM n";
    let start = Instant::now();
    let deadline = start + Duration::from_millis(200);
    let result = fixture.component.query(endless, vec![], deadline).await;
    assert!(matches!(result, Err(Error::Timeout(_))), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(4), "it ran on for {:?}", start.elapsed());
    // The connection, or another one, works on.
    fixture.query("SELECT 1").await.unwrap();
}

async fn grants_that_cannot_be_kept_are_refused(fixture: Fixture) {
    for (table, reason) in [
        ("missing", "does not exist"),
        ("host_mark", "cannot be granted"),
        ("pg_class", "cannot be granted"),
        ("sqlite_master", "cannot be granted"),
        ("a; DROP TABLE b", "is no table name"),
        ("", "is no table name"),
    ] {
        let grant = StorageGrant { read: vec![table.into()], ..StorageGrant::default() };
        let result = fixture.database.admit(&component_id(), &grant).await;
        let error = result.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(reason), "{table}: {error}");
    }
}

async fn withdrawn_grants_are_gone(fixture: Fixture) {
    let less = StorageGrant { read: vec!["shown".into()], ..StorageGrant::default() };
    let session = fixture.database.admit(&component_id(), &less).await.unwrap();
    session.query("SELECT id FROM shown", vec![], soon()).await.unwrap();
    let result = session.query("SELECT id FROM parent", vec![], soon()).await;
    assert!(matches!(result, Err(Error::Denied(_))), "{result:?}");
    // The release before it, with more grants, serves on until it is gone.
    fixture.query("SELECT id FROM parent").await.unwrap();
}

#[tokio::test]
async fn owner_that_may_not_make_roles_is_told_what_to_grant() {
    let fixture = Fixture::postgres().await;
    fixture.host.execute("CREATE ROLE plain LOGIN PASSWORD 'x'", vec![]).await.unwrap();
    let url = fixture.url.replace("//postgres@", "//plain:x@");
    let path = fixture.directory.path();
    let database = Database::open(&url, path, Options::default()).await.unwrap();
    let grant = StorageGrant { read: vec!["shown".into()], ..StorageGrant::default() };
    let result = database.admit(&component_id(), &grant).await;
    let error = result.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("CREATEROLE"), "{error}");
}

#[tokio::test]
async fn component_role_can_do_nothing_that_was_not_granted() {
    // Past the checks of statements: what the role itself may do, asked as the role.
    let fixture = Fixture::postgres().await;
    let roles = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'windlass_%'";
    let rows = fixture.host.query(roles, vec![]).await.unwrap().rows;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let Some(Value::Text(role)) = row.first() else { panic!("{row:?}") };
    for statement in [
        "SELECT * FROM child",
        "UPDATE trail SET note = 'x'",
        "DELETE FROM shown",
        "SELECT * FROM host_mark",
        "CREATE TABLE mine (id TEXT)",
        "CREATE TEMP TABLE mine (id TEXT)",
        "SELECT pg_read_file('/etc/passwd')",
        "COPY parent TO '/tmp/x'",
        "COPY parent TO PROGRAM 'id'",
        "ALTER ROLE CURRENT_USER CREATEROLE",
        "SELECT * FROM _sqlx_migrations",
    ] {
        let transaction = fixture.host.begin().await.unwrap();
        transaction.execute(&format!("SET LOCAL ROLE \"{role}\""), vec![]).await.unwrap();
        let result = transaction.execute(statement, vec![]).await;
        assert!(matches!(result, Err(Error::Denied(_))), "{statement}: {result:?}");
    }
}
