//! Statements that take long, whatever they took before.

use std::time::{Duration, Instant};

use windlass_storage::{Error, Value};

use crate::fixture::Fixture;

/// As quick or as slow as its parameter says.
const COUNT: &str = "\
    WITH RECURSIVE counted (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM counted WHERE i < $1) \
    SELECT count(*) FROM counted";
const ENDLESS: i64 = 1_000_000_000_000;

fn within(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quick_text_that_turns_slow_stops_nobody() {
    let fixture = Fixture::sqlite().await;
    let count = async |to: i64, limit: Instant| {
        fixture.component.query(COUNT, vec![Value::Integer(to)], limit).await
    };
    for _ in 0..3 {
        assert!(count(10, within(5_000)).await.is_ok());
    }
    // As many at once as there are threads, and more.
    let hostile: Vec<_> = (0..6)
        .map(|_| {
            let component = fixture.component.clone();
            tokio::spawn(async move {
                component.query(COUNT, vec![Value::Integer(ENDLESS)], within(1_500)).await
            })
        })
        .collect();
    let mut ticks = 0;
    let end = within(1_200);
    while Instant::now() < end {
        tokio::spawn(tokio::time::sleep(Duration::from_millis(5))).await.unwrap();
        ticks += 1;
    }
    assert!(ticks > 30, "in more than a second the runtime came round {ticks} times");
    for query in hostile {
        let result = query.await.unwrap();
        assert!(matches!(result, Err(Error::Timeout(_))), "{result:?}");
    }
    // Another component's session is as quick as before, and this one's goes on.
    assert!(fixture.host.query(COUNT, vec![Value::Integer(10)]).await.is_ok());
    assert!(count(10, within(5_000)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_reads_wait_for_each_other_no_longer_than_they_may() {
    let fixture = Fixture::sqlite().await;
    let slow: Vec<_> = (0..2)
        .map(|_| {
            let component = fixture.component.clone();
            tokio::spawn(async move {
                component.query(COUNT, vec![Value::Integer(ENDLESS)], within(2_000)).await
            })
        })
        .collect();
    // Texts that nobody knows are taken for slow ones: once both of the others run, they wait.
    let mut number = 0;
    loop {
        number += 1;
        let text = format!("{COUNT} LIMIT {number}");
        match fixture.component.query(&text, vec![Value::Integer(10)], within(50)).await {
            Ok(_) => assert!(!slow.iter().all(|query| query.is_finished()), "nobody waited"),
            Err(Error::Timeout(text)) if text.contains("before this one") => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    for query in slow {
        let result = query.await.unwrap();
        assert!(matches!(result, Err(Error::Timeout(_))), "{result:?}");
    }
    let rows = fixture.component.query(COUNT, vec![Value::Integer(10)], within(5_000)).await;
    assert_eq!(rows.unwrap().rows, [[Value::Integer(10)]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_was_interrupted_begins_anew_and_ends() {
    let fixture = Fixture::sqlite().await;
    let count = |to: i64| fixture.component.query(COUNT, vec![Value::Integer(to)], within(20_000));
    assert!(count(10).await.is_ok());
    assert!(count(10).await.is_ok());
    // Takes longer than a statement may on an asynchronous thread, and less than its own time.
    let to = 1_000_000;
    let rows = count(to).await.unwrap().rows;
    assert_eq!(rows, [[Value::Integer(to)]]);
}
