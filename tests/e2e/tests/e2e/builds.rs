//! Images made of git repositories, which a real git server on loopback has.

pub(crate) mod story;

mod crashes;
mod endings;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_harness::fixtures::fixture;
use windlass_harness::{Account, Client, Database, Server, ServerOptions};
use windlass_test_support::{GitManners, GitServer};

use crate::check::text;

const BUILDS: &str = "/api/v1/builds";
/// Longer than anything here takes, on a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(90);

/// A host that may reach git servers on loopback.
fn server(database: Database) -> Server {
    let mut options = ServerOptions::on(database);
    let networks = "[\"127.0.0.0/8\"]".to_owned();
    options.environment = vec![("WINDLASS_OUTBOUND_ALLOW".to_owned(), networks)];
    Server::start_with(options)
}

/// A git server with a component in `shop.git`, under `build/shop.wasm`, that answers its colour.
pub(crate) fn git_server(colour: &str) -> GitServer {
    let server = GitServer::start();
    let repository = server.repository("shop.git");
    let component = fixture(&format!("workload_{colour}"));
    repository.commit(&[("README.md", b"A shop."), ("build/shop.wasm", &component)]);
    server
}

/// Answers nobody from now on, so that whatever is fetched goes on.
fn stall(server: &GitServer) {
    server.behave(GitManners { silent: true, ..GitManners::default() });
}

/// Asks for a build and answers its id.
async fn ask(client: &Client, body: &Value) -> String {
    let started = client.post(BUILDS, body).await.expect(201).json();
    text(&started, "id").to_owned()
}

/// What a build of a repository is asked for with.
fn of(source_path: &str) -> Value {
    json!({"source_path": source_path, "image_name": "shop", "image_tag": "1"})
}

async fn build(client: &Client, id: &str) -> Value {
    client.get(&format!("{BUILDS}/{id}")).await.expect(200).json()
}

/// Waits until a build is in one of these states.
async fn reached(client: &Client, id: &str, states: &[&str]) -> Value {
    let begun = Instant::now();
    loop {
        let found = build(client, id).await;
        if states.contains(&text(&found, "status")) {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "it is never {states:?}: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a build has ended.
async fn ended(client: &Client, id: &str) -> Value {
    reached(client, id, &["success", "failed", "cancelled"]).await
}

async fn tenant(server: &Server) -> Client {
    Account::register(&server.client()).await.client
}
