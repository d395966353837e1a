//! What a start serves when the map, or what was released, has changed: the map's grants hold, and
//! no plugin keeps the host from starting.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use windlass_harness::fixtures::{fixture, target_directory};
use windlass_harness::management::{install, install_with, swap};
use windlass_harness::{Database, Server, ServerOptions};

use crate::check::text;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_refused_does_not_keep_the_host_from_starting() {
    let map = MapFile::new("greeter_a", "/greeter/...", "");
    let mut server = map.server();
    let management = server.management();
    let plugins =
        [install("guest", &fixture("greeter_b")), install("other", &fixture("greeter_b"))];
    management.release(&plugins).await.expect(200);
    // The operator gives the guest's route to somebody else.
    map.write("greeter_a", "/guest/...", "");
    server.restart();
    let client = server.client();
    assert_eq!(client.get("/guest/x").await.expect(200).text(), "a");
    assert_eq!(client.get("/other/x").await.expect(200).text(), "b");
    assert!(server.logs("guest was installed and does not run").await);
    let management = server.management();
    let left_out = left_out(&server).await;
    assert_eq!(left_out[0]["id"], "guest", "{left_out}");
    assert!(text(&left_out[0], "reason").contains("/guest/..."), "{left_out}");
    let listed = server.command(&["components", "list"]);
    let said = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(said.contains("guest is installed and does not run"), "{said}");
    // Either of the two things the log proposes helps.
    let elsewhere = json!({"routes": ["/elsewhere/..."], "canary": "/elsewhere/canary"});
    management
        .release(&[install_with("guest", &fixture("greeter_b"), &elsewhere)])
        .await
        .expect(200);
    assert_eq!(self::left_out(&server).await, json!([]));
    map.write("greeter_a", "/elsewhere/...", "");
    server.restart();
    assert_eq!(self::left_out(&server).await[0]["id"], "guest");
    server.management().remove("guest").await.expect(204);
    assert_eq!(self::left_out(&server).await, json!([]));
    server.restart();
    assert_eq!(self::left_out(&server).await, json!([]), "it was forgotten for good");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_map_names_must_be_let_in() {
    let map = MapFile::new("greeter_a", "/greeter/...", "");
    let mut server = map.server();
    server.kill();
    map.write("greeter_a", "/greeter/...", "grants = [\"root\"]");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--manage", "127.0.0.1:0"];
    let refused = server.command(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("\"root\""), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_to_the_same_code_with_other_rights_survives_a_restart() {
    let mut server = Server::start();
    let management = server.management();
    for route in ["/before/...", "/after/..."] {
        let manifest = json!({"routes": [route], "canary": route.replace("...", "canary")});
        let released = install_with("mover", &fixture("greeter_a"), &manifest);
        management.release(&[released]).await.expect(200);
    }
    server.client().get("/after/x").await.expect(200);
    management.rollback("mover").await.expect(200);
    for moment in ["after the rollback", "after a restart"] {
        assert_eq!(server.client().get("/before/x").await.status, 200, "{moment}");
        assert_eq!(server.client().get("/after/x").await.status, 404, "{moment}");
        server.restart();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_after_a_restart_does_not_bring_back_grants_that_were_narrowed() {
    let both = "grants = [\"storage\"]\nstorage = { read = [\"project\", \"membership\"] }";
    let map = MapFile::new("ungranted_table", "/probe/...", both);
    let mut server = map.server();
    assert_eq!(read(&server, "project").await, "rows 0");
    let other = [swap("probe", &fixture("greeter_b"))];
    server.management().release(&other).await.expect(200);
    let narrowed = "grants = [\"storage\"]\nstorage = { read = [\"membership\"] }";
    map.write("ungranted_table", "/probe/...", narrowed);
    server.restart();
    assert_eq!(server.client().get("/probe/x").await.text(), "b", "the release is kept");
    server.management().rollback("probe").await.expect(200);
    assert_eq!(read(&server, "membership").await, "rows 0");
    let denied = read(&server, "project").await;
    assert!(denied.contains("Denied"), "{denied}");
}

/// A map with one component, named as its first route is.
struct MapFile(TempDir);

impl MapFile {
    fn new(component: &str, route: &str, table: &str) -> Self {
        let map = Self(TempDir::with_prefix("windlass-map-").expect("a temporary directory"));
        map.write(component, route, table);
        map
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("spin.toml")
    }

    /// Writes it anew: the fixture, its route, and what stands in its table for Windlass.
    fn write(&self, fixture: &str, route: &str, table: &str) {
        let examples = target_directory().join("wasm32-wasip2/release/examples");
        let source = Path::new(&examples).join(format!("{fixture}.wasm"));
        let id = if fixture.starts_with("greeter") { "greeter" } else { "probe" };
        let text = format!(
            "spin_manifest_version = 2\n\
             [application]\n\
             name = \"small\"\n\
             [[trigger.http]]\n\
             route = {route:?}\n\
             component = {id:?}\n\
             [component.{id}]\n\
             source = {source:?}\n\
             [component.{id}.tool.windlass]\n\
             {table}\n"
        );
        fs::write(self.path(), text).expect("the directory is ours");
    }

    fn server(&self) -> Server {
        let options = ServerOptions::on(Database::Sqlite);
        Server::start_with(ServerOptions { manifest: Some(self.path()), ..options })
    }
}

/// What came of reading a table through the fixture that runs what it is told.
async fn read(server: &Server, table: &str) -> String {
    let request = server.client().request(Method::POST, "/probe/query");
    let statement = format!("SELECT organization_id FROM {table}");
    request.raw_json(statement).send().await.expect(200).text()
}

async fn left_out(server: &Server) -> serde_json::Value {
    server.management().client.get("/v1/components").await.expect(200).json()["left_out"].clone()
}
