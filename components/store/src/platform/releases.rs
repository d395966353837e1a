//! Which components run, which ran before, and their files.

use super::{blob, each, optional, text};
use crate::executor::{Answer, Executor, ExecutorTransaction, Value};

const KEEP_ARTIFACT: &str = "INSERT INTO host_artifact (digest, bytes, created_at_us) \
     VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING";
const SET: &str = "INSERT INTO host_component_release \
     (component, state, digest, manifest, base_digest, version, activated_at_us) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (component, state) DO UPDATE SET \
     digest = excluded.digest, manifest = excluded.manifest, base_digest = excluded.base_digest, \
     version = excluded.version, activated_at_us = excluded.activated_at_us";
const IN_STATE: &str = "SELECT host_component_release.component, host_component_release.digest, \
     host_component_release.manifest, host_component_release.base_digest, \
     host_component_release.version, host_artifact.bytes FROM host_component_release \
     JOIN host_artifact ON host_artifact.digest = host_component_release.digest \
     WHERE host_component_release.state = $1 ORDER BY host_component_release.component";
const PREVIOUS: &str = "SELECT host_component_release.component, host_component_release.digest, \
     host_component_release.manifest, host_component_release.base_digest, \
     host_component_release.version, host_artifact.bytes FROM host_component_release \
     JOIN host_artifact ON host_artifact.digest = host_component_release.digest \
     WHERE host_component_release.state = $1 AND host_component_release.component = $2";
const REMOVE: &str = "DELETE FROM host_component_release WHERE component = $1";
const FORGET_ARTIFACTS: &str = "DELETE FROM host_artifact WHERE digest NOT IN \
     (SELECT digest FROM host_component_release)";
const REMEMBER: &str = "INSERT INTO host_release_history \
     (sequence, component, actor, action, digest, at_us) \
     SELECT COALESCE(MAX(sequence), 0) + 1, CAST($1 AS TEXT), CAST($2 AS TEXT), \
     CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT) FROM host_release_history";

/// A component that runs, or ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRecord {
    /// Its name.
    pub component: String,
    /// The digest of its file.
    pub digest: String,
    /// What it is given; JSON, written and read by the host.
    pub manifest: String,
    /// The digest of the file the map named when this was released, if the map named one.
    pub base_digest: Option<String>,
    /// The version its author gave it.
    pub version: Option<String>,
    /// Its file.
    pub bytes: Vec<u8>,
}

/// One component giving way to another.
#[derive(Debug)]
pub struct Change {
    /// What runs from now on.
    pub now: ReleaseRecord,
    /// What ran until now.
    pub before: Option<ReleaseRecord>,
}

/// Records changes, all or none, and lets go of files that nothing refers to any more.
///
/// # Errors
/// Whatever the database says; nothing is recorded then.
pub async fn record(
    executor: &dyn Executor,
    actor: &str,
    changes: Vec<Change>,
    now_us: i64,
) -> Answer<()> {
    let work = executor.begin().await?;
    for Change { now, before } in changes {
        let remembered = [&now.component, actor, "release", &now.digest].map(Value::from);
        let mut remembered = remembered.to_vec();
        remembered.push(now_us.into());
        set(work.as_ref(), "current", now, now_us).await?;
        if let Some(before) = before {
            set(work.as_ref(), "previous", before, now_us).await?;
        }
        work.execute(REMEMBER, remembered).await?;
    }
    work.execute(FORGET_ARTIFACTS, Vec::new()).await?;
    work.commit().await
}

/// What runs.
///
/// # Errors
/// Whatever the database says.
pub async fn current(executor: &dyn Executor) -> Answer<Vec<ReleaseRecord>> {
    each(executor.query(IN_STATE, vec!["current".into()]).await?, read)
}

/// What ran before a component's present version.
///
/// # Errors
/// Whatever the database says.
pub async fn previous(executor: &dyn Executor, component: &str) -> Answer<Option<ReleaseRecord>> {
    let parameters = vec!["previous".into(), component.into()];
    let found = each(executor.query(PREVIOUS, parameters).await?, read)?;
    Ok(found.into_iter().next())
}

/// Forgets a component and the files nothing else refers to.
///
/// # Errors
/// Whatever the database says; nothing is forgotten then.
pub async fn remove(executor: &dyn Executor, component: &str) -> Answer<()> {
    let work = executor.begin().await?;
    work.execute(REMOVE, vec![component.into()]).await?;
    work.execute(FORGET_ARTIFACTS, Vec::new()).await?;
    work.commit().await
}

async fn set(
    work: &dyn ExecutorTransaction,
    state: &str,
    release: ReleaseRecord,
    now_us: i64,
) -> Answer<()> {
    let ReleaseRecord { component, digest, manifest, base_digest, version, bytes } = release;
    let artifact = vec![digest.clone().into(), Value::Blob(bytes), now_us.into()];
    work.execute(KEEP_ARTIFACT, artifact).await?;
    let parameters = vec![
        component.into(),
        state.into(),
        digest.into(),
        manifest.into(),
        base_digest.into(),
        version.into(),
        now_us.into(),
    ];
    work.execute(SET, parameters).await.map(drop)
}

fn read(row: &[Value]) -> Option<ReleaseRecord> {
    let [component, digest, manifest, base_digest, version, bytes] = row else { return None };
    Some(ReleaseRecord {
        component: text(component)?,
        digest: text(digest)?,
        manifest: text(manifest)?,
        base_digest: optional(base_digest, text)?,
        version: optional(version, text)?,
        bytes: blob(bytes)?,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::sync::Mutex;

    use windlass_domain::future::PortFuture;
    use windlass_domain::testing::block_on;

    use super::*;
    use crate::executor::{ExecutorError, Rows};

    /// Remembers the statements of each transaction that was committed, and refuses one statement.
    #[derive(Default)]
    struct Database {
        refuses: &'static str,
        committed: Mutex<Vec<Vec<&'static str>>>,
    }

    struct Work<'a> {
        database: &'a Database,
        statements: Mutex<Vec<&'static str>>,
    }

    impl Executor for Database {
        fn query<'a>(&'a self, _: &'static str, _: Vec<Value>) -> PortFuture<'a, Answer<Rows>> {
            Box::pin(async { Ok(Rows::default()) })
        }

        fn begin<'a>(&'a self) -> PortFuture<'a, Answer<Box<dyn ExecutorTransaction + 'a>>> {
            let work = Work { database: self, statements: Mutex::default() };
            Box::pin(async { Ok(Box::new(work) as Box<dyn ExecutorTransaction + 'a>) })
        }
    }

    impl ExecutorTransaction for Work<'_> {
        fn query<'a>(&'a self, _: &'static str, _: Vec<Value>) -> PortFuture<'a, Answer<Rows>> {
            Box::pin(async { Ok(Rows::default()) })
        }

        fn execute<'a>(
            &'a self,
            statement: &'static str,
            _: Vec<Value>,
        ) -> PortFuture<'a, Answer<u64>> {
            let refused = statement == self.database.refuses;
            self.statements.lock().unwrap().push(statement);
            let answer = if refused { Err(ExecutorError::Other("no".into())) } else { Ok(1) };
            Box::pin(async { answer })
        }

        fn commit<'a>(self: Box<Self>) -> PortFuture<'a, Answer<()>>
        where
            Self: 'a,
        {
            let statements = self.statements.into_inner().unwrap();
            self.database.committed.lock().unwrap().push(statements);
            Box::pin(async { Ok(()) })
        }
    }

    #[test]
    fn a_component_is_forgotten_as_a_whole_or_not_at_all() {
        let database = Database::default();
        block_on(remove(&database, "a")).unwrap();
        assert_eq!(*database.committed.lock().unwrap(), [[REMOVE, FORGET_ARTIFACTS]]);
        let database = Database { refuses: FORGET_ARTIFACTS, ..Database::default() };
        assert!(block_on(remove(&database, "a")).is_err());
        assert!(database.committed.lock().unwrap().is_empty(), "half of it was forgotten");
    }
}
