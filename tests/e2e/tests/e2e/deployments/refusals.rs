//! What cannot be deployed is told so: at once where that can be known, else by a failed
//! deployment that says why.

use serde_json::{Value, json};
use windlass_harness::Server;
use windlass_harness::fixtures::fixture;

use super::{Tenant, push};
use crate::check::text;

on_each_database!(what_a_service_lacks_is_a_conflict, what_cannot_run_fails_and_says_why);

pub(crate) async fn what_a_service_lacks_is_a_conflict(server: &Server) {
    let tenant = Tenant::new(server, "Harbour").await;
    let source = json!({"type": "image", "image": "local/web:1"});
    let cases = [
        (json!({"name": "sourceless", "type": "web"}), "source"),
        (json!({"name": "data", "type": "database", "source": source}), "database"),
        (json!({"name": "nightly", "type": "cron", "source": source}), "CRON_SCHEDULE"),
    ];
    for (new, says) in cases {
        let service = tenant.service_with(&new).await;
        let path = format!("/api/v1/services/{service}/deployments");
        let refused = tenant.client().post(&path, &json!({})).await.expect_error(409);
        assert!(text(&refused, "error").contains(says), "{refused}");
        let listed = tenant.client().get(&path).await.expect(200).json();
        assert_eq!(listed, json!({"deployments": []}));
    }
}

pub(crate) async fn what_cannot_run_fails_and_says_why(server: &Server) {
    let tenant = Tenant::new(server, "Harbour").await;
    push(server, "stealer:1", "ungranted_table").await;
    push(server, "program:1", "workload_crash").await;
    let cases = [
        ("unknown", "web", "local/nothing:1", "local/nothing:1"),
        ("elsewhere", "web", "127.0.0.1:5000/shop:1", "127.0.0.1:5000/shop:1"),
        ("stealer", "web", "local/stealer:1", "windlass:storage/"),
        ("program", "web", "local/program:1", "wasi:http"),
        ("worker", "worker", "local/stealer:1", "windlass:storage/"),
    ];
    for (name, kind, image, says) in cases {
        let service = tenant.service(name, kind, image).await;
        let deployment = tenant.ask(&service).await;
        let ended = tenant.ended(&deployment).await;
        assert_eq!(ended["status"], "failed", "{name}");
        assert!(text(&ended, "error").contains(says), "{name}: {ended}");
        let found = tenant.client().get(&format!("/api/v1/services/{service}")).await;
        assert_eq!(found.expect(200).json()["status"], "failed", "{name}");
    }
    let visit = server.visitor("stealer-harbour.localhost").get("/").await.expect(503);
    assert_eq!(visit.json()["code"], "nothing_live");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_component_is_no_image() {
    let server = Server::start();
    let module = wat::parse_str("(module)").expect("it is a module");
    let check = async |name: &str, content: &[u8], says: &str| {
        let refused = server.management().push_image(name, content).await.expect(400).json();
        assert!(refused.to_string().contains(says), "{name}: {refused}");
    };
    check("web:1", &module, "core module").await;
    check("web:1", b"#!/bin/sh", "no WebAssembly component").await;
    check("web", &fixture("workload_blue"), "<name>:<tag>").await;
    check("../web:1", &fixture("workload_blue"), "<name>:<tag>").await;
    let listed = server.management().client.get("/v1/images").await.expect(200).json();
    assert_eq!(listed, json!({"images": Value::Array(Vec::new())}));
    let anonymous = server.management();
    anonymous.client.anonymous().get("/v1/images").await.expect(401);
}
