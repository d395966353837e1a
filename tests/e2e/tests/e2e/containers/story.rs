//! A container is deployed, visited, read, replaced under load, and put back.

use serde_json::{Value, json};
use windlass_harness::load::Load;
use windlass_harness::{Database, DockerEngine, Server};

use super::{containers, make_app, make_broken, start};
use crate::check::{eventually, text};
use crate::deployments::Tenant;
use crate::deployments::story::{colour, state, visited};

const HOST: &str = "web-harbour.localhost";
/// Visits that go on while a release is replaced.
const VISITS: u64 = 5_000;
/// Visitors, and how often each comes in a second.
const LOAD: (u32, u32) = (8, 50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_is_deployed_replaced_under_load_and_put_back_on_sqlite() {
    tell(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_is_deployed_replaced_under_load_and_put_back_on_postgres() {
    tell(Database::Postgres).await;
}

async fn tell(database: Database) {
    let engine = DockerEngine::start();
    make_app(&engine, "shop:1", "blue");
    let server = start(&engine, database);
    let tenant = Tenant::new(&server, "Harbour").await;
    let service = tenant
        .service_with(&json!({
            "name": "web",
            "type": "web",
            "source": {"type": "image", "image": "shop:1"},
            "build_config": {"environment_variables": {"COLOUR": "navy"}},
        }))
        .await;
    let blue = tenant.deploy(&service).await;
    it_is_reached_and_read(&server, &tenant, &service).await;

    make_app(&engine, "shop:1", "green");
    colour(&tenant, &service, "lime").await;
    it_is_replaced_under_load(&server, &tenant, &service).await;

    make_broken(&engine, "shop:1");
    a_broken_one_never_answers(&server, &tenant, &service).await;

    colour(&tenant, &service, "grey").await;
    it_is_put_back(&server, &tenant, &service, &blue).await;
    let only_one = async || containers(&engine).len() == 1;
    eventually("the end of every release but the live one", only_one).await;
}

async fn it_is_reached_and_read(server: &Server, tenant: &Tenant, service: &str) {
    let visitor = server.visitor(HOST);
    assert_eq!(visitor.get("/").await.expect(200).text().trim(), "blue navy");
    let second = server.http2_visitor(HOST).get("/").await.expect(200);
    assert_eq!(second.text().trim(), "blue navy");
    visitor.get("/nothing").await.expect(404);
    let told = visitor.get("/cgi-bin/say?hello").await.expect(200).text();
    for line in ["HTTP_X_FORWARDED_FOR=127.0.0.1", "HTTP_X_FORWARDED_PROTO=http"] {
        assert!(told.lines().any(|found| found == line), "{line} is not in:\n{told}");
    }
    for (stream, line) in
        [("stdout", "up as blue"), ("stderr", "listening on 8080"), ("stderr", "said hello")]
    {
        let line = (stream.to_owned(), line.to_owned());
        let read = async || tenant.lines(service).await.contains(&line);
        eventually("each line it wrote", read).await;
    }
    let path = format!("/api/v1/services/{service}/logs?follow=true&tail=0");
    let mut stream = tenant.client().request(reqwest::Method::GET, &path).open().await;
    assert_eq!(stream.status(), 200);
    visitor.get("/cgi-bin/say?later").await.expect(200);
    let mut text = String::new();
    while !text.contains("\n\n") {
        let piece = stream.chunk().await.expect("the stream goes on").expect("it has not ended");
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    let entry = text.lines().next().and_then(|line| line.strip_prefix("data: "));
    let entry: Value = serde_json::from_str(entry.expect("an event")).expect("it is JSON");
    assert_eq!((&entry["message"], &entry["stream"]), (&json!("said later"), &json!("stderr")));
}

async fn it_is_replaced_under_load(server: &Server, tenant: &Tenant, service: &str) {
    let load = Load::start(&server.visitor(HOST), "/", LOAD.0, LOAD.1);
    visited(&load, VISITS / 4).await;
    tenant.deploy(service).await;
    let after = server.visitor(HOST).get("/").await.expect(200);
    assert_eq!(after.text().trim(), "green lime", "deployed is what visitors reach");
    visited(&load, VISITS).await;
    let outcome = load.finish().await;
    assert_eq!(outcome.broken, Vec::<String>::new());
    assert!(outcome.requests() >= VISITS);
    let answers: Vec<_> =
        outcome.answers.keys().map(|(status, body)| (*status, body.trim())).collect();
    assert_eq!(answers, [(200, "blue navy"), (200, "green lime")]);
}

async fn a_broken_one_never_answers(server: &Server, tenant: &Tenant, service: &str) {
    let load = Load::start(&server.visitor(HOST), "/", 2, 50);
    let ended = tenant.ended(&tenant.ask(service).await).await;
    assert_eq!(ended["status"], "failed");
    let error = text(&ended, "error");
    assert!(error.contains("exit code 3") && error.contains("there is no database"), "{ended}");
    let outcome = load.finish().await;
    assert_eq!(outcome.broken, Vec::<String>::new());
    let answers: Vec<_> = outcome.answers.keys().map(|(_, body)| body.trim()).collect();
    assert_eq!(answers, ["green lime"]);
    assert_eq!(state(tenant, service).await.0, "running", "what was live goes on");
}

async fn it_is_put_back(server: &Server, tenant: &Tenant, service: &str, first: &str) {
    let path = format!("/api/v1/deployments/{first}/rollback");
    let answer = tenant.client().post(&path, &json!({})).await.expect(201).json();
    let ended = tenant.ended(text(&answer["deployment"], "id")).await;
    assert_eq!(ended["status"], "deployed", "{ended}");
    let served = server.visitor(HOST).get("/").await.expect(200);
    assert_eq!(served.text().trim(), "blue navy", "image, configuration and variables");
    assert_eq!(state(tenant, service).await, ("running".to_owned(), json!({"COLOUR": "navy"})));
}
