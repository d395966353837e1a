//! A component's rights on PostgreSQL: a role of its own that logs in by itself.
//!
//! Changing roles inside one connection would not do, for what a session can change it can change
//! back. The role's name contains a fingerprint of the grants, so that two releases of one
//! component with different grants have different roles while one replaces the other.

use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use windlass_engine::{ComponentId, StorageGrant};

use crate::database::{CommitMark, SetupError};

/// PostgreSQL cuts longer names off.
const NAME_BYTES: usize = 63;
/// Serialises the hosts that set up roles in one database. The number only has to be ours.
const LOCK: i64 = 0x7769_6e64_6c61_7373;

/// The name and the password of a role.
pub(super) struct Role {
    pub(super) name: String,
    pub(super) password: String,
}

impl Role {
    pub(super) fn new(
        database: &str,
        component: &ComponentId,
        grant: &StorageGrant,
        secret: &[u8; 32],
    ) -> Self {
        let grants = hex::encode(Sha256::digest(format!("{grant:?}")));
        let fingerprint = grants.get(..8).unwrap_or_default();
        let readable = format!("windlass_{database}_{component}_{fingerprint}");
        let name = if readable.len() <= NAME_BYTES {
            readable
        } else {
            format!("windlass_{}", &hex::encode(Sha256::digest(readable))[..48])
        };
        let mut digest = Sha256::new();
        digest.update(b"windlass database role\0");
        digest.update(secret);
        digest.update(name.as_bytes());
        Self { password: hex::encode(digest.finalize()), name }
    }
}

/// Makes the role what the grants say, in one transaction.
pub(super) async fn prepare(
    connection: &mut PgConnection,
    role: &Role,
    grant: &StorageGrant,
    mark: Option<&CommitMark>,
) -> Result<(), SetupError> {
    let mut transaction = connection.begin().await.map_err(|error| refused(role, &error))?;
    let (database, schema): (String, String) =
        sqlx::query_as("SELECT current_database()::text, current_schema()::text")
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| refused(role, &error))?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(|error| refused(role, &error))?;
    check_tables(&mut transaction, &schema, grant).await?;
    let exists: Option<i32> = sqlx::query_scalar("SELECT 1 FROM pg_roles WHERE rolname = $1")
        .bind(&role.name)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(|error| refused(role, &error))?;
    for statement in statements(role, grant, mark, &database, &schema, exists.is_some()) {
        transaction
            .execute(sqlx::query(AssertSqlSafe(statement)))
            .await
            .map_err(|error| refused(role, &error))?;
    }
    transaction.commit().await.map_err(|error| refused(role, &error))
}

fn statements(
    role: &Role,
    grant: &StorageGrant,
    mark: Option<&CommitMark>,
    database: &str,
    schema: &str,
    exists: bool,
) -> Vec<String> {
    let (name, schema) = (identifier(&role.name), identifier(schema));
    let verb = if exists { "ALTER" } else { "CREATE" };
    let mut statements = vec![
        // The password is of hexadecimal digits.
        format!("{verb} ROLE {name} LOGIN NOINHERIT PASSWORD '{}'", role.password),
        format!("GRANT CONNECT ON DATABASE {} TO {name}", identifier(database)),
        format!("GRANT USAGE ON SCHEMA {schema} TO {name}"),
        format!("REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {name}"),
    ];
    for (tables, rights) in [
        (&grant.read, "SELECT"),
        (&grant.append, "SELECT, INSERT"),
        (&grant.write, "SELECT, INSERT, UPDATE, DELETE"),
    ] {
        for table in tables {
            let table = identifier(table);
            statements.push(format!("GRANT {rights} ON TABLE {schema}.{table} TO {name}"));
        }
    }
    let writes = !grant.write.is_empty() || !grant.append.is_empty();
    if let Some(mark) = mark.filter(|_| writes) {
        let function = mark.postgres_function;
        statements.push(format!("GRANT EXECUTE ON FUNCTION {schema}.{function} TO {name}"));
    }
    statements
}

async fn check_tables(
    connection: &mut PgConnection,
    schema: &str,
    grant: &StorageGrant,
) -> Result<(), SetupError> {
    for table in grant.read.iter().chain(&grant.write).chain(&grant.append) {
        let found: Option<i32> =
            sqlx::query_scalar("SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = $2")
                .bind(schema)
                .bind(table)
                .fetch_optional(&mut *connection)
                .await
                .map_err(|error| SetupError::new(error.to_string()))?;
        if found.is_none() {
            return Err(SetupError::no_table(table));
        }
    }
    Ok(())
}

fn refused(role: &Role, error: &sqlx::Error) -> SetupError {
    let name = &role.name;
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
    SetupError::new(match code.as_ref() {
        "42501" => format!(
            "each component has a database role of its own, and the user of the database URL may \
             not make {name}: {error}. As a superuser run: ALTER ROLE <that user> CREATEROLE; and \
             let it own the database and its tables"
        ),
        _ => format!("the database role {name} cannot be set up: {error}"),
    })
}

/// A quoted identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
