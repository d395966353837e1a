//! The host's own records, as the store keeps them, on both databases.

use windlass_domain::future::PortFuture;
use windlass_storage::{Database, HostSession, Migrations, Options, Transaction};
use windlass_store::platform::idempotency::{self, AnswerRecord, Claim, Claimer};
use windlass_store::platform::releases::{self, Change, ReleaseRecord};
use windlass_store::platform::tokens::{self, ApiTokenRecord};
use windlass_store::{Answer, Executor, ExecutorError, ExecutorTransaction, Rows, Value};

use crate::fixture::Fixture;
use crate::on_both_databases;

on_both_databases!(
    key_is_claimed_once_and_answers_again,
    key_of_a_request_without_effect_is_given_back,
    crash_between_commit_and_answer_is_told_from_a_first_try,
    revocations_are_kept_until_they_expire,
    api_tokens_are_kept_by_hash,
    release_makes_the_one_before_it_the_previous_one,
    failed_release_records_nothing,
);

/// The host's session as the store sees it.
pub(crate) struct Records(HostSession);

struct Work(Transaction);

impl Executor for Records {
    fn query<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<Rows>> {
        Box::pin(async move { rows(self.0.query(statement, values(parameters)).await) })
    }

    fn begin<'a>(&'a self) -> PortFuture<'a, Answer<Box<dyn ExecutorTransaction + 'a>>> {
        Box::pin(async move {
            let work = self.0.begin().await.map_err(failed)?;
            Ok(Box::new(Work(work)) as Box<dyn ExecutorTransaction + 'a>)
        })
    }
}

impl ExecutorTransaction for Work {
    fn query<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<Rows>> {
        Box::pin(async move { rows(self.0.query(statement, values(parameters)).await) })
    }

    fn execute<'a>(
        &'a self,
        statement: &'static str,
        parameters: Vec<Value>,
    ) -> PortFuture<'a, Answer<u64>> {
        Box::pin(async move { self.0.execute(statement, values(parameters)).await.map_err(failed) })
    }

    fn commit<'a>(self: Box<Self>) -> PortFuture<'a, Answer<()>>
    where
        Self: 'a,
    {
        Box::pin(async move { self.0.commit().await.map_err(failed) })
    }
}

fn values(values: Vec<Value>) -> Vec<windlass_storage::Value> {
    use windlass_storage::Value as Host;
    let convert = |value| match value {
        Value::Null => Host::Null,
        Value::Boolean(value) => Host::Boolean(value),
        Value::Integer(value) => Host::Integer(value),
        Value::Real(value) => Host::Real(value),
        Value::Text(value) => Host::Text(value),
        Value::Blob(value) => Host::Blob(value),
    };
    values.into_iter().map(convert).collect()
}

fn rows(answer: Result<windlass_storage::Rows, windlass_storage::Error>) -> Answer<Rows> {
    use windlass_storage::Value as Host;
    let convert = |value| match value {
        Host::Null => Value::Null,
        Host::Boolean(value) => Value::Boolean(value),
        Host::Integer(value) => Value::Integer(value),
        Host::Real(value) => Value::Real(value),
        Host::Text(value) => Value::Text(value),
        Host::Blob(value) => Value::Blob(value),
    };
    let rows = answer.map_err(failed)?;
    let converted = rows.rows.into_iter().map(|row| row.into_iter().map(convert).collect());
    Ok(Rows { columns: rows.columns, rows: converted.collect() })
}

fn failed(error: windlass_storage::Error) -> ExecutorError {
    match error {
        windlass_storage::Error::Conflict(text) => ExecutorError::Conflict(text),
        other => ExecutorError::Other(format!("{other:?}")),
    }
}

/// Records over a database with the embedded migrations.
pub(crate) async fn records(fixture: &Fixture) -> Records {
    let url = if fixture.url.starts_with("sqlite") {
        "sqlite:records.db".to_owned()
    } else {
        windlass_test_support::fresh_database()
    };
    let path = fixture.directory.path();
    let database = Database::open(&url, path, Options::default()).await.unwrap();
    database.migrate(&Migrations::embedded()).await.unwrap();
    Records(database.host())
}

/// Somebody whose request has ended 50 microseconds later, and whose key is kept for 1,000.
fn claimer(fingerprint: &str, now_us: i64) -> Claimer<'_> {
    Claimer {
        id: "k1",
        fingerprint,
        now_us,
        running_until_us: now_us + 50,
        expires_at_us: now_us + 1_000,
    }
}

fn answer() -> AnswerRecord {
    AnswerRecord { status: 201, headers: "[]".into(), body: vec![0, 1, 2] }
}

async fn key_is_claimed_once_and_answers_again(fixture: Fixture) {
    let records = records(&fixture).await;
    let claim = async |fingerprint: &str, now_us: i64| {
        idempotency::claim(&records, claimer(fingerprint, now_us)).await.unwrap()
    };
    assert_eq!(claim("same", 10).await, Claim::New);
    assert_eq!(claim("same", 11).await, Claim::InProgress);
    assert_eq!(claim("other", 12).await, Claim::Mismatch);
    idempotency::complete(&records, "k1", answer()).await.unwrap();
    assert_eq!(claim("same", 13).await, Claim::Replay(answer()));
    assert_eq!(claim("other", 14).await, Claim::Mismatch);
    assert_eq!(claim("other", 1_009).await, Claim::Mismatch);
    assert_eq!(claim("other", 1_010).await, Claim::New);
    assert_eq!(idempotency::forget_expired(&records, 2_009).await, Ok(0));
    assert_eq!(idempotency::forget_expired(&records, 2_010).await, Ok(1));
}

async fn key_of_a_request_without_effect_is_given_back(fixture: Fixture) {
    let records = records(&fixture).await;
    let claim = async |fingerprint: &str, now_us: i64| {
        idempotency::claim(&records, claimer(fingerprint, now_us)).await.unwrap()
    };
    assert_eq!(claim("same", 10).await, Claim::New);
    idempotency::release(&records, "k1").await.unwrap();
    assert_eq!(claim("other", 11).await, Claim::New);
    // Left behind: its time passes, or its process is known to be gone.
    assert_eq!(claim("other", 61).await, Claim::InProgress);
    assert_eq!(claim("third", 62).await, Claim::New);
    assert_eq!(claim("third", 63).await, Claim::InProgress);
    assert_eq!(idempotency::end_running(&records).await, Ok(1));
    assert_eq!(claim("third", 64).await, Claim::New);
}

async fn crash_between_commit_and_answer_is_told_from_a_first_try(fixture: Fixture) {
    let records = records(&fixture).await;
    idempotency::claim(&records, claimer("same", 10)).await.unwrap();
    let mark = if fixture.url.starts_with("sqlite") {
        idempotency::MARK_COMMITTED
    } else {
        idempotency::MARK_COMMITTED_POSTGRES
    };
    let work = records.begin().await.unwrap();
    work.execute(mark, vec!["k1".into()]).await.unwrap();
    work.commit().await.unwrap();
    // It has had an effect: neither given back nor tried again.
    idempotency::release(&records, "k1").await.unwrap();
    let running = idempotency::claim(&records, claimer("same", 60)).await.unwrap();
    assert_eq!(running, Claim::InProgress);
    let gone = idempotency::claim(&records, claimer("same", 61)).await.unwrap();
    assert_eq!(gone, Claim::CommittedWithoutAnswer);
}

async fn revocations_are_kept_until_they_expire(fixture: Fixture) {
    let records = records(&fixture).await;
    for (id, expires) in [("t1", 100), ("t1", 200), ("t2", 300)] {
        tokens::revoke(&records, id, expires).await.unwrap();
    }
    for moment in [50, 70, 60] {
        tokens::revoke_subject(&records, "s1", moment).await.unwrap();
    }
    let mut revoked = tokens::revoked(&records, 99).await.unwrap();
    revoked.sort();
    assert_eq!(revoked, [("t1".to_owned(), 100), ("t2".to_owned(), 300)]);
    assert_eq!(tokens::revoked(&records, 100).await.unwrap(), [("t2".to_owned(), 300)]);
    assert_eq!(tokens::revoked_subjects(&records).await.unwrap(), [("s1".to_owned(), 70)]);
    assert_eq!(tokens::forget_expired(&records, 100).await, Ok(1));
}

async fn api_tokens_are_kept_by_hash(fixture: Fixture) {
    let records = records(&fixture).await;
    let token = ApiTokenRecord {
        hash: "h1".into(),
        id: "a1".into(),
        subject: "s1".into(),
        created_at_us: 1,
        expires_at_us: None,
    };
    let ending = ApiTokenRecord {
        hash: "h2".into(),
        id: "a2".into(),
        expires_at_us: Some(9),
        ..token.clone()
    };
    tokens::create_api_token(&records, &token).await.unwrap();
    tokens::create_api_token(&records, &ending).await.unwrap();
    let twice = tokens::create_api_token(&records, &token).await;
    assert!(matches!(twice, Err(ExecutorError::Conflict(_))), "{twice:?}");
    let mut kept = tokens::api_tokens(&records).await.unwrap();
    kept.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(kept, [token, ending.clone()]);
    for _ in 0..2 {
        tokens::delete_api_token(&records, "a1").await.unwrap();
    }
    assert_eq!(tokens::api_tokens(&records).await.unwrap(), [ending]);
}

fn release(component: &str, digest: &str) -> ReleaseRecord {
    ReleaseRecord {
        component: component.into(),
        digest: digest.into(),
        manifest: "{}".into(),
        base_digest: Some("base".into()),
        version: None,
        bytes: digest.as_bytes().to_vec(),
    }
}

async fn release_makes_the_one_before_it_the_previous_one(fixture: Fixture) {
    let records = records(&fixture).await;
    let (first, second, third) = (release("a", "d1"), release("a", "d2"), release("a", "d3"));
    let other = release("b", "d1");
    let changes = [&first, &other].map(|now| Change { now: now.clone(), before: None });
    releases::record(&records, "me", changes.into(), 1).await.unwrap();
    let mut before = first.clone();
    for now in [&second, &third] {
        let change = Change { now: now.clone(), before: Some(before) };
        releases::record(&records, "me", vec![change], 2).await.unwrap();
        before = now.clone();
    }
    assert_eq!(releases::current(&records).await.unwrap(), [third, other.clone()]);
    assert_eq!(releases::previous(&records, "a").await.unwrap(), Some(second));
    assert_eq!(releases::previous(&records, "b").await.unwrap(), None);
    releases::remove(&records, "a").await.unwrap();
    assert_eq!(releases::current(&records).await.unwrap(), [other]);
    // Files that nothing names are let go of; `d1` is still named.
    let files = records.0.query("SELECT digest FROM host_artifact", vec![]).await.unwrap();
    assert_eq!(files.rows, [[windlass_storage::Value::Text("d1".into())]]);
    let history = records.0.query("SELECT sequence FROM host_release_history", vec![]).await;
    assert_eq!(history.unwrap().rows.len(), 4);
}

async fn failed_release_records_nothing(fixture: Fixture) {
    let records = records(&fixture).await;
    let broken = ReleaseRecord { version: Some("null \0 character".into()), ..release("b", "d2") };
    let changes = [release("a", "d1"), broken].map(|now| Change { now, before: None });
    let result = releases::record(&records, "me", changes.into(), 1).await;
    // SQLite keeps such a text, PostgreSQL refuses it: all or nothing, either way.
    let recorded = releases::current(&records).await.unwrap().len();
    assert_eq!(recorded, if result.is_ok() { 2 } else { 0 });
}
