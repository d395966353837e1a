//! No read walks over a whole table, whatever it holds.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use rusqlite::Connection;
use windlass_store::statements::READS;

use crate::support::Fixture;

/// How SQLite carries a statement out: the lines of its plan.
fn plan(connection: &Connection, statement: &str) -> Vec<String> {
    let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    let parameters = vec![rusqlite::types::Value::Null; explained.parameter_count()];
    let lines = explained.query_map(rusqlite::params_from_iter(parameters), |row| row.get(3));
    lines.unwrap().map(|line| line.unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_search_by_index_and_never_scan_a_table() {
    let fixture = Fixture::sqlite().await;
    let connection = Connection::open(fixture.path()).unwrap();
    assert!(READS.len() >= 20, "every reading statement is listed");
    for (name, statement) in READS {
        let plan = plan(&connection, statement);
        // The cut page and the constant row of a window are no tables.
        let scans: Vec<_> = plan
            .iter()
            .filter(|line| line.starts_with("SCAN"))
            .filter(|line| !line.contains("page") && !line.contains("subquery"))
            .collect();
        assert!(scans.is_empty(), "{name} scans: {plan:#?}");
        assert!(plan.iter().any(|line| line.starts_with("SEARCH")), "{name}: {plan:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_events_come_out_of_the_index_in_order() {
    let fixture = Fixture::sqlite().await;
    let connection = Connection::open(fixture.path()).unwrap();
    for (name, statement) in READS.iter().filter(|(name, _)| name.starts_with("events")) {
        let plan = plan(&connection, statement);
        assert!(!plan.iter().any(|line| line.contains("B-TREE")), "{name} sorts: {plan:#?}");
    }
}
