//! Units of work: all or nothing, and never longer than their deadline.

use std::time::{Duration, Instant};

use windlass_storage::{Error, Value};

use crate::fixture::{Fixture, soon};
use crate::on_both_databases;

on_both_databases!(
    committed_work_is_there_and_dropped_work_is_not,
    failed_statement_ends_the_transaction,
    constraints_are_conflicts,
    deadline_rolls_back_without_another_call,
    deadline_frees_the_writer,
    who_holds_the_writer_lets_go_before_anybody_gives_up,
    who_waits_too_long_is_told_in_time,
    commit_mark_is_part_of_the_commit,
    commit_mark_is_rolled_back_with_its_transaction,
    concurrent_writers_lose_nothing,
);

const INSERT: &str = "INSERT INTO trail (id, note) VALUES ($1, $2)";

fn note(id: i64) -> Vec<Value> {
    vec![Value::Integer(id), Value::Text("note".into())]
}

async fn committed_work_is_there_and_dropped_work_is_not(fixture: Fixture) {
    let transaction = fixture.component.begin(soon(), None).await.unwrap();
    assert_eq!(transaction.execute(INSERT, note(2)).await, Ok(1));
    assert_eq!(transaction.query("SELECT id FROM trail", vec![]).await.unwrap().rows.len(), 2);
    assert_eq!(fixture.query("SELECT id FROM trail").await.unwrap().rows.len(), 1);
    transaction.commit().await.unwrap();
    assert!(!transaction.is_open());
    assert_eq!(fixture.query("SELECT id FROM trail").await.unwrap().rows.len(), 2);

    let transaction = fixture.component.begin(soon(), None).await.unwrap();
    transaction.execute(INSERT, note(3)).await.unwrap();
    drop(transaction);
    assert_eq!(fixture.execute("INSERT INTO trail (id, note) VALUES (4, 'x')").await, Ok(1));
    assert_eq!(fixture.number("SELECT count(*) FROM trail").await, 3);
}

async fn failed_statement_ends_the_transaction(fixture: Fixture) {
    let transaction = fixture.component.begin(soon(), None).await.unwrap();
    transaction.execute(INSERT, note(2)).await.unwrap();
    let failed = transaction.execute(INSERT, note(2)).await;
    assert!(matches!(failed, Err(Error::Conflict(_))), "{failed:?}");
    assert!(!transaction.is_open());
    let after = transaction.execute(INSERT, note(3)).await;
    assert!(matches!(after, Err(Error::Conflict(_))), "{after:?}");
    let commit = transaction.commit().await;
    assert!(matches!(commit, Err(Error::Conflict(_))), "{commit:?}");
    assert_eq!(fixture.number("SELECT count(*) FROM trail").await, 1);
}

async fn constraints_are_conflicts(fixture: Fixture) {
    for statement in [
        "INSERT INTO parent (id, name) VALUES ('p1', 'other')",
        "INSERT INTO parent (id, name) VALUES ('p9', 'first')",
        "UPDATE parent SET name = 'first' WHERE id = 'p2'",
    ] {
        let result = fixture.execute(statement).await;
        assert!(matches!(result, Err(Error::Conflict(_))), "{statement}: {result:?}");
    }
    let host = "INSERT INTO child (id, parent_id, secret) VALUES ('c9', 'none', 'x')";
    let result = fixture.host.execute(host, vec![]).await;
    assert!(matches!(result, Err(Error::Conflict(_))), "{result:?}");
}

async fn deadline_rolls_back_without_another_call(fixture: Fixture) {
    let deadline = Instant::now() + Duration::from_millis(300);
    let transaction = fixture.component.begin(deadline, None).await.unwrap();
    transaction.execute(INSERT, note(2)).await.unwrap();
    while transaction.is_open() {
        assert!(Instant::now() < deadline + Duration::from_secs(5), "it is still open");
        tokio::task::yield_now().await;
    }
    let result = transaction.commit().await;
    assert!(matches!(result, Err(Error::Timeout(_))), "{result:?}");
    assert_eq!(fixture.number("SELECT count(*) FROM trail").await, 1);
}

async fn deadline_frees_the_writer(fixture: Fixture) {
    let held = fixture.component.begin(Instant::now() + Duration::from_millis(300), None).await;
    let held = held.unwrap();
    held.execute("UPDATE parent SET size = 7 WHERE id = 'p1'", vec![]).await.unwrap();
    // Waits for the one above, which nobody ends.
    assert_eq!(fixture.execute("UPDATE parent SET size = 8 WHERE id = 'p1'").await, Ok(1));
    assert_eq!(fixture.number("SELECT size FROM parent WHERE id = 'p1'").await, 8);
}

async fn who_holds_the_writer_lets_go_before_anybody_gives_up(fixture: Fixture) {
    let begun = Instant::now();
    let held = fixture.component.begin(soon(), None).await.unwrap();
    held.execute("UPDATE parent SET size = 7 WHERE id = 'p1'", vec![]).await.unwrap();
    let host = "UPDATE parent SET size = 8 WHERE id = 'p1'";
    // The host waits less long than a component, and comes through all the same.
    assert_eq!(fixture.host.execute(host, vec![]).await, Ok(1));
    assert!(begun.elapsed() < Duration::from_secs(8), "a request waits for 5 seconds");
    let result = held.commit().await;
    assert!(matches!(result, Err(Error::Timeout(_))), "{result:?}");
}

async fn who_waits_too_long_is_told_in_time(fixture: Fixture) {
    let held = fixture.component.begin(soon(), None).await.unwrap();
    held.execute("UPDATE parent SET size = 7 WHERE id = 'p1'", vec![]).await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(300);
    let refused = match fixture.component.begin(deadline, None).await {
        Ok(begun) => {
            // PostgreSQL has a writer for each, and waits at the row.
            let update = "UPDATE parent SET size = 8 WHERE id = 'p1'";
            begun.execute(update, vec![]).await.map(|_| ())
        }
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(Error::Timeout(_))), "{refused:?}");
    held.commit().await.unwrap();
    assert_eq!(fixture.number("SELECT size FROM parent WHERE id = 'p1'").await, 7);
}

async fn commit_mark_is_part_of_the_commit(fixture: Fixture) {
    let transaction = fixture.component.begin(soon(), Some("m1".into())).await.unwrap();
    transaction.execute(INSERT, note(2)).await.unwrap();
    assert_eq!(fixture.number("SELECT committed FROM host_mark").await, 0);
    transaction.commit().await.unwrap();
    assert_eq!(fixture.number("SELECT committed FROM host_mark").await, 1);
    assert_eq!(fixture.number("SELECT count(*) FROM trail").await, 2);
    // A record that is gone is no reason to fail.
    let transaction = fixture.component.begin(soon(), Some("gone".into())).await.unwrap();
    transaction.execute(INSERT, note(3)).await.unwrap();
    transaction.commit().await.unwrap();
    // The text of the mark was run on this component's connection, and stays denied to it.
    let result = fixture.execute("UPDATE host_mark SET committed = 1 WHERE id = $1").await;
    assert!(matches!(result, Err(Error::Denied(_) | Error::Invalid(_))), "{result:?}");
}

async fn commit_mark_is_rolled_back_with_its_transaction(fixture: Fixture) {
    let transaction = fixture.component.begin(soon(), Some("m1".into())).await.unwrap();
    transaction.execute(INSERT, note(2)).await.unwrap();
    transaction.abandon();
    assert!(transaction.commit().await.is_err());
    assert_eq!(fixture.number("SELECT committed FROM host_mark").await, 0);
}

async fn concurrent_writers_lose_nothing(fixture: Fixture) {
    let writers = (0..8).map(|writer| {
        let session = fixture.component.clone();
        tokio::spawn(async move {
            for step in 0..10 {
                let transaction = session.begin(soon(), None).await.unwrap();
                let statement = "UPDATE parent SET size = size + 1 WHERE id = 'p1'";
                transaction.execute(statement, vec![]).await.unwrap();
                transaction.execute(INSERT, note(100 + writer * 10 + step)).await.unwrap();
                transaction.commit().await.unwrap();
                session.query("SELECT size FROM parent", vec![], soon()).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(fixture.number("SELECT size FROM parent WHERE id = 'p1'").await, 81);
    assert_eq!(fixture.number("SELECT count(*) FROM trail").await, 81);
}
