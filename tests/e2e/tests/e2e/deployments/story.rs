//! What a platform is for: push something, see it run, read its logs, replace it under load, put it
//! back.

use std::time::{Duration, Instant};

use reqwest::Version;
use serde_json::{Value, json};
use windlass_harness::Server;
use windlass_harness::load::Load;

use super::{Tenant, push};
use crate::check::{has_exactly, text, time};

on_each_database!(a_service_is_deployed_read_replaced_under_load_and_put_back);

const HOST: &str = "web-harbour.localhost";
/// Visits that go on while a release is replaced.
const VISITS: u64 = 5_000;
/// Visitors, and how often each comes in a second.
const LOAD: (u32, u32) = (8, 100);

pub(crate) async fn a_service_is_deployed_read_replaced_under_load_and_put_back(server: &Server) {
    push(server, "web:1", "workload_blue").await;
    let tenant = Tenant::new(server, "Harbour").await;
    let service = tenant
        .service_with(&json!({
            "name": "web",
            "type": "web",
            "source": {"type": "image", "image": "local/web:1"},
            "build_config": {"environment_variables": {"COLOUR": "navy"}},
        }))
        .await;
    let blue = tenant.deploy(&service).await;
    it_is_reached_and_described(server, &tenant, &service, &blue).await;
    its_lines_are_read_and_followed(server, &tenant, &service).await;

    colour(&tenant, &service, "lime").await;
    let green = it_is_replaced_under_load(server, &tenant, &service).await;
    a_broken_one_never_answers(server, &tenant, &service).await;

    colour(&tenant, &service, "grey").await;
    it_is_put_back(server, &tenant, &service, &blue).await;
    let path = format!("/api/v1/services/{service}/deployments");
    let listed = tenant.client().get(&path).await.expect(200).json();
    let listed = listed["deployments"].as_array().expect("a list");
    let ids: Vec<&str> = listed.iter().map(|one| text(one, "id")).collect();
    assert_eq!((ids.len(), ids[2], ids[3]), (4, green.as_str(), blue.as_str()));
}

async fn it_is_reached_and_described(
    server: &Server,
    tenant: &Tenant,
    service: &str,
    deployment: &str,
) {
    let first = server.visitor(HOST).get("/any/path").await.expect(200);
    assert_eq!((first.text().as_str(), first.version), ("blue navy", Version::HTTP_11));
    let second = server.http2_visitor(HOST).get("/").await.expect(200);
    assert_eq!((second.text().as_str(), second.version), ("blue navy", Version::HTTP_2));
    server.visitor(HOST).get("/fail").await.expect(500);

    let found = tenant.deployment(deployment).await;
    assert_eq!(found["service_id"], service);
    assert_eq!((&found["image_name"], &found["image_tag"]), (&json!("local/web"), &json!("1")));
    assert!(time(&found["started_at"]) <= time(&found["completed_at"]));
    assert!(text(&found, "build_log").contains("healthy"), "{found}");
    assert!(text(&found, "runtime_log").contains("visit /any/path"), "{found}");
    assert_eq!(state(tenant, service).await, ("running".to_owned(), json!({"COLOUR": "navy"})));
}

async fn its_lines_are_read_and_followed(server: &Server, tenant: &Tenant, service: &str) {
    let lines = tenant.lines(service).await;
    for stream in ["stdout", "stderr"] {
        let line = (stream.to_owned(), "visit /any/path".to_owned());
        assert!(lines.contains(&line), "{stream}: {lines:?}");
    }
    let path = format!("/api/v1/services/{service}/logs?follow=true&tail=0");
    let request = tenant.client().request(reqwest::Method::GET, &path);
    let mut stream = request.open().await;
    assert_eq!(stream.status(), 200);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    server.visitor(HOST).get("/later").await.expect(200);
    let mut text = String::new();
    while text.matches("visit /later").count() < 2 {
        let piece = stream.chunk().await.expect("the stream goes on").expect("it has not ended");
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    for frame in text.split_terminator("\n\n") {
        let entry = frame.strip_prefix("data: ").unwrap_or_else(|| panic!("no event: {frame}"));
        let entry: Value = serde_json::from_str(entry).expect("an event is JSON");
        has_exactly(&entry, &["timestamp", "message", "stream"]);
        assert_eq!(entry["message"], "visit /later", "what was written before was not asked for");
    }
}

/// Answers the id of the new release.
async fn it_is_replaced_under_load(server: &Server, tenant: &Tenant, service: &str) -> String {
    push(server, "web:1", "workload_green").await;
    let load = Load::start(&server.visitor(HOST), "/load", LOAD.0, LOAD.1);
    visited(&load, VISITS / 4).await;
    let green = tenant.deploy(service).await;
    let after = server.visitor(HOST).get("/").await.expect(200);
    assert_eq!(after.text(), "green lime", "deployed is what visitors reach");
    visited(&load, VISITS).await;
    let outcome = load.finish().await;
    assert_eq!(outcome.broken, Vec::<String>::new());
    assert!(outcome.requests() >= VISITS);
    let answers: Vec<_> = outcome.answers.keys().map(|(status, body)| (*status, &**body)).collect();
    assert_eq!(answers, [(200, "blue navy"), (200, "green lime")]);
    green
}

async fn a_broken_one_never_answers(server: &Server, tenant: &Tenant, service: &str) {
    push(server, "web:1", "trap").await;
    let load = Load::start(&server.visitor(HOST), "/load", 2, 50);
    let broken = tenant.ask(service).await;
    let ended = tenant.ended(&broken).await;
    assert_eq!(ended["status"], "failed");
    assert!(text(&ended, "error").contains("GET /"), "{ended}");
    let outcome = load.finish().await;
    assert_eq!(outcome.broken, Vec::<String>::new());
    let answers: Vec<_> = outcome.answers.into_keys().collect();
    assert_eq!(answers, [(200, "green lime".to_owned())]);
    assert_eq!(state(tenant, service).await.0, "running", "what was live goes on");
}

async fn it_is_put_back(server: &Server, tenant: &Tenant, service: &str, first: &str) {
    let path = format!("/api/v1/deployments/{first}/rollback");
    let answer = tenant.client().post(&path, &json!({})).await.expect(201).json();
    has_exactly(&answer, &["deployment", "message"]);
    let ended = tenant.ended(text(&answer["deployment"], "id")).await;
    assert_eq!(ended["status"], "deployed", "{ended}");
    assert_eq!(server.visitor(HOST).get("/").await.expect(200).text(), "blue navy");
    assert_eq!(state(tenant, service).await, ("running".to_owned(), json!({"COLOUR": "navy"})));
    let id = text(&ended, "id");
    for (kind, streams) in [("build", "build"), ("runtime", "runtime")] {
        let path = format!("/api/v1/deployments/{id}/logs?type={kind}");
        let body = tenant.client().get(&path).await.expect(200).json();
        has_exactly(&body, &["logs", "build_log", "runtime_log"]);
        let logs = body["logs"].as_array().expect("a list");
        assert!(!logs.is_empty() && logs.iter().all(|entry| entry["stream"] == streams), "{body}");
        assert!(text(&body, "build_log").contains("returning to sha256:"), "{body}");
    }
}

pub(crate) async fn colour(tenant: &Tenant, service: &str, colour: &str) {
    let change = json!({"build_config": {"environment_variables": {"COLOUR": colour}}});
    tenant.client().put(&format!("/api/v1/services/{service}"), &change).await.expect(200);
}

/// The status of a service, and its variables.
pub(crate) async fn state(tenant: &Tenant, service: &str) -> (String, Value) {
    let found = tenant.client().get(&format!("/api/v1/services/{service}")).await;
    let found = found.expect(200).json();
    let variables = found["build_config"]["environment_variables"].clone();
    (text(&found, "status").to_owned(), variables)
}

/// Waits for so many visits.
pub(crate) async fn visited(load: &Load, visits: u64) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while load.requests() < visits {
        assert!(Instant::now() < deadline, "only {} visits came to an end", load.requests());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
