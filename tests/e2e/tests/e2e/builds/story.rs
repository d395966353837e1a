//! From a repository to a visitor.

use serde_json::{Value, json};
use windlass_harness::{Account, Database, Server};
use windlass_test_support::GitServer;

use super::{BUILDS, ask, build, ended, git_server, of, server};
use crate::check::{eventually, has_exactly, text, time};
use crate::deployments::Tenant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_is_built_deployed_and_visited_on_sqlite() {
    let (host, git) = (server(Database::Sqlite), git_server("blue"));
    a_repository_is_built_and_its_image_deployed(&host, &git).await;
    a_service_is_deployed_from_its_repository(&host, &git).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_is_built_deployed_and_visited_on_postgres() {
    let (host, git) = (server(Database::Postgres), git_server("blue"));
    a_repository_is_built_and_its_image_deployed(&host, &git).await;
    a_service_is_deployed_from_its_repository(&host, &git).await;
}

pub(crate) async fn a_repository_is_built_and_its_image_deployed(host: &Server, git: &GitServer) {
    let tenant = Tenant::new(host, "Builders").await;
    let client = tenant.client();
    let body = json!({"source_path": git.url("shop.git"), "image_name": "acme/shop",
                      "image_tag": "v1", "branch": "main", "project_id": tenant.project});
    let started = client.post(BUILDS, &body).await.expect(201).json();
    has_exactly(
        &started,
        &[
            "id",
            "status",
            "image_name",
            "image_tag",
            "size",
            "digest",
            "build_time",
            "success",
            "error",
        ],
    );
    assert_eq!(started["status"], "pending");
    assert_eq!((&started["success"], &started["size"]), (&json!(true), &json!(0)));
    time(&started["build_time"]);
    let id = text(&started, "id");
    let made = ended(client, id).await;
    has_exactly(
        &made,
        &[
            "id",
            "project_id",
            "service_id",
            "status",
            "progress",
            "started_at",
            "completed_at",
            "image_name",
            "image_tag",
            "size",
            "error",
            "log",
            "metadata",
        ],
    );
    assert_eq!((&made["status"], &made["progress"]), (&json!("success"), &json!(100)), "{made}");
    assert!(made["size"].as_i64().is_some_and(|size| size > 10_000), "{made}");
    assert!(time(&made["started_at"]) <= time(&made["completed_at"]));
    let metadata = &made["metadata"];
    assert_eq!(metadata["builder"], "component");
    assert_eq!(text(metadata, "commit").len(), 40);
    assert!(text(metadata, "digest").starts_with("sha256:"));

    let log = client.get(&format!("{BUILDS}/{id}/logs")).await.expect(200);
    assert!(log.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let log = log.text();
    for part in ["queued", "started", "fetching http://", "build/shop.wasm is a component"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert!(log.trim_end().ends_with(text(metadata, "digest")), "{log}");
    assert_eq!(text(&made, "log"), log);
    let listed = client.get(BUILDS).await.expect(200).json();
    let mut expected = made.clone();
    expected["log"] = json!("");
    assert_eq!(listed, json!({"builds": [expected], "total": 1, "page": 1, "limit": 20}));

    let service = tenant.service("shop", "web", "acme/shop:v1").await;
    tenant.deploy(&service).await;
    let visitor = host.visitor("shop-builders.localhost");
    assert_eq!(visitor.get("/").await.expect(200).text(), "blue");
    a_name_means_nothing_to_others(host).await;
    let again = client.post(&format!("{BUILDS}/{id}/cancel"), &json!({})).await;
    assert_eq!(again.expect_error(409)["error"], "the build is already finished");
    let doomed = ask(client, &of(&git.url("shop.git"))).await;
    let cancelled = client.post(&format!("{BUILDS}/{doomed}/cancel"), &json!({})).await;
    // It may have been faster.
    if cancelled.status == 200 {
        assert_eq!(cancelled.json(), json!({"message": "Build cancelled"}));
        assert_eq!(build(client, &doomed).await["status"], "cancelled");
    }
}

/// What one built under a name is not what another deploys under it: that is looked for outside.
async fn a_name_means_nothing_to_others(host: &Server) {
    let other = Tenant::new(host, "Others").await;
    let service = other.service("shop", "web", "acme/shop:v1").await;
    let asked = other.ask(&service).await;
    let looked = async || {
        let deployment = other.deployment(&asked).await;
        assert_ne!(deployment["status"], "deployed", "{deployment}");
        let log = text(&deployment, "build_log");
        ["fetching image", "trying again", "failed: "].iter().any(|sign| log.contains(sign))
    };
    eventually("a look outside", looked).await;
    // Nobody waits for a registry that cannot be reached from here.
    other.client().delete(&format!("/api/v1/services/{service}")).await.expect(204);
}

pub(crate) async fn a_service_is_deployed_from_its_repository(host: &Server, git: &GitServer) {
    let tenant = Tenant::new(host, "Gitters").await;
    let source = json!({"type": "git", "repository": git.url("shop.git"), "branch": "main",
                        "root_directory": "build"});
    let service = json!({"name": "shop", "type": "web", "source": source});
    let service = tenant.service_with(&service).await;
    let first = tenant.deploy(&service).await;
    let visitor = host.visitor("shop-gitters.localhost");
    assert_eq!(visitor.get("/").await.expect(200).text(), "blue");
    let deployment = tenant.deployment(&first).await;
    let commit = text(&deployment, "commit_hash");
    assert_eq!(commit.len(), 40, "{deployment}");
    let logs = tenant.client().get(&format!("/api/v1/deployments/{first}/logs?type=build")).await;
    let logs: Value = logs.expect(200).json();
    let lines: Vec<&str> = logs["logs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| text(entry, "message"))
        .collect();
    for part in [format!("commit {commit} has 2 files"), "started".to_owned(), "live".to_owned()] {
        assert!(lines.contains(&part.as_str()), "{part}: {lines:?}");
    }
    assert_eq!(lines.last(), Some(&"live"), "{lines:?}");
    assert_eq!(deployment["build_log"], logs["build_log"]);

    let green = windlass_harness::fixtures::fixture("workload_green");
    let next = git.existing("shop.git").commit(&[("build/shop.wasm", &green)]);
    let second = tenant.deploy(&service).await;
    assert_eq!(visitor.get("/").await.expect(200).text(), "green");
    assert_eq!(tenant.deployment(&second).await["commit_hash"], json!(next));
    let path = format!("/api/v1/services/{service}/deployments");
    let earlier = json!({"commit_hash": commit});
    let third = tenant.client().post(&path, &earlier).await.expect(201).json();
    assert_eq!(tenant.ended(text(&third, "id")).await["status"], "deployed");
    assert_eq!(visitor.get("/").await.expect(200).text(), "blue", "an earlier commit by its hash");

    git.existing("shop.git").commit(&[("build/shop.wasm", b"not a component")]);
    let broken = tenant.ask(&service).await;
    let broken = tenant.ended(&broken).await;
    assert_eq!(broken["status"], "failed");
    assert!(text(&broken, "error").contains("the build failed"), "{broken}");
    assert_eq!(visitor.get("/").await.expect(200).text(), "blue", "what was live stays");
    let back = format!("/api/v1/deployments/{second}/rollback");
    let back = tenant.client().post(&back, &json!({})).await.expect(201).json();
    tenant.ended(text(&back["deployment"], "id")).await;
    assert_eq!(visitor.get("/").await.expect(200).text(), "green", "what was built is kept");
    let stranger = Account::register(&host.client()).await.client;
    let listed = stranger.get(BUILDS).await.expect(200).json();
    assert_eq!(listed["total"], 0);
}
