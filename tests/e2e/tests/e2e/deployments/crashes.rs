//! A deployment that was promised is carried out, whatever becomes of the host meanwhile, and what
//! was live is live again without anybody asking.

use std::time::Duration;

use windlass_harness::{Account, Database, Server};

use super::{Tenant, push};
use crate::check::{eventually, text};

const HOST: &str = "web-harbour.localhost";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_survives_kills_of_the_host_on_sqlite() {
    survives_kills(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_survives_kills_of_the_host_on_postgres() {
    survives_kills(Database::Postgres).await;
}

async fn survives_kills(database: Database) {
    let mut server = Server::start_on(database);
    let image = push(&server, "web:1", "workload_blue").await;
    let mut tenant = Tenant::new(&server, "Harbour").await;
    let service = tenant.service("web", "web", &image).await;
    let first = tenant.ask(&service).await;
    restart(&mut server, &mut tenant).await;
    assert_eq!(tenant.ended(&first).await["status"], "deployed");
    everybody_finds(&server, "blue").await;

    // A deployment takes some tenths of a second, so that these fall on different steps.
    let mut expected = vec![first];
    for (milliseconds, colour) in [(0, "green"), (30, "blue"), (90, "green"), (200, "blue")] {
        push(&server, "web:1", &format!("workload_{colour}")).await;
        let next = tenant.ask(&service).await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        restart(&mut server, &mut tenant).await;
        assert_eq!(tenant.ended(&next).await["status"], "deployed", "after {milliseconds} ms");
        everybody_finds(&server, colour).await;
        expected.insert(0, next);
    }

    server.visitor(HOST).get("/before").await.expect(200);
    restart(&mut server, &mut tenant).await;
    let served = async || server.visitor(HOST).get("/").await.text() == "blue";
    eventually("what was live before the restart", served).await;
    everybody_finds(&server, "blue").await;
    assert_eq!(ended(&tenant).await, expected, "each ended once");
    let line = ("stdout".to_owned(), "visit /before".to_owned());
    assert!(tenant.lines(&service).await.contains(&line), "what it wrote is still there");
}

/// The power is cut, and comes back. Tokens outlive it; ports do not.
async fn restart(server: &mut Server, tenant: &mut Tenant) {
    server.restart();
    tenant.account = Account::login(&server.client(), &tenant.account.email).await;
}

/// The releases whose end is in the trail, newest first; each must be there once.
async fn ended(tenant: &Tenant) -> Vec<String> {
    let path = "/api/v1/audit-logs?resource=deployment&action=finish&limit=100";
    let body = tenant.client().get(path).await.expect(200).json();
    let ends = body["audit_logs"].as_array().expect("a list").iter();
    ends.map(|end| text(end, "resource_id").to_owned()).collect()
}

/// Whoever comes finds this, however often.
async fn everybody_finds(server: &Server, colour: &str) {
    for _ in 0..20 {
        assert_eq!(server.visitor(HOST).get("/").await.expect(200).text(), colour);
    }
}
