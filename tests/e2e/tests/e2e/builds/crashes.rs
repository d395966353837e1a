//! A build that was promised is carried out, whatever becomes of the host meanwhile.

use std::time::Duration;

use windlass_harness::{Account, Database};
use windlass_test_support::GitManners;

use super::{ask, build, ended, git_server, of, reached, server, stall};
use crate::check::text;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_survives_kills_of_the_host_on_sqlite() {
    survives_kills(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_survives_kills_of_the_host_on_postgres() {
    survives_kills(Database::Postgres).await;
}

async fn survives_kills(database: Database) {
    let (mut host, git) = (server(database), git_server("blue"));
    let mut account = Account::register(&host.client()).await;
    // In the middle of a fetch, which is begun again.
    stall(&git);
    let stalled = ask(&account.client, &of(&git.url("shop.git"))).await;
    reached(&account.client, &stalled, &["running"]).await;
    host.restart();
    account = Account::login(&host.client(), &account.email).await;
    git.behave(GitManners::default());
    let made = ended(&account.client, &stalled).await;
    assert_eq!(made["status"], "success", "{made}");
    assert!(text(&made, "log").matches("queued").count() >= 2, "it was begun again: {made}");

    // A build takes some tenths of a second, so that these fall on different steps.
    for milliseconds in [0, 30, 90, 200, 400] {
        let id = ask(&account.client, &of(&git.url("shop.git"))).await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        host.restart();
        account = Account::login(&host.client(), &account.email).await;
        let made = ended(&account.client, &id).await;
        assert_eq!(made["status"], "success", "after {milliseconds} ms: {made}");
    }

    // What was cancelled stays so.
    stall(&git);
    let id = ask(&account.client, &of(&git.url("shop.git"))).await;
    reached(&account.client, &id, &["running"]).await;
    let path = format!("/api/v1/builds/{id}/cancel");
    account.client.post(&path, &serde_json::json!({})).await.expect(200);
    host.restart();
    account = Account::login(&host.client(), &account.email).await;
    git.behave(GitManners::default());
    let next = ask(&account.client, &of(&git.url("shop.git"))).await;
    ended(&account.client, &next).await;
    assert_eq!(build(&account.client, &id).await["status"], "cancelled");
    // Each of them ended once.
    let path = "/api/v1/audit-logs?resource=build&action=finish&limit=100";
    let trail = account.client.get(path).await.expect(200).json();
    let mut ids: Vec<&str> = trail["audit_logs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| text(entry, "resource_id"))
        .collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), count), (7, 7), "{trail}");
}
