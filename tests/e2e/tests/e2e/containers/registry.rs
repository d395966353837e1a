//! Images that are not here: fetched from a registry, or refused in words for who asked.

use serde_json::Value;
use windlass_harness::{Database, DockerEngine, Server};

use super::{containers, make_app, start};
use crate::check::{eventually, text};
use crate::deployments::Tenant;
use crate::deployments::registries::Registry;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_a_registry_is_fetched_and_kept_by_its_digest() {
    let engine = DockerEngine::start();
    let registry = Registry::start();
    let name = format!("{}/team/shop:1", registry.address);
    make_app(&engine, &name, "blue");
    engine.run(&["push", &name]);
    engine.run(&["rmi", "--force", &name]);
    let server = start(&engine, Database::Sqlite);
    let tenant = Tenant::new(&server, "Harbour").await;
    let service = tenant.service("web", "web", &name).await;
    let first = tenant.deploy(&service).await;
    let log = text(&tenant.deployment(&first).await, "build_log").to_owned();
    let kept = format!("{}/team/shop@sha256:", registry.address);
    assert!(log.contains("fetching image") && log.contains(&kept), "{log}");

    // The tag moves, and somebody clears the machine: each release is still what it was.
    make_app(&engine, &name, "green");
    engine.run(&["push", &name]);
    tenant.deploy(&service).await;
    assert_eq!(served(&server).await, "green");
    let only_green = async || containers(&engine).len() == 1;
    eventually("the end of the release before", only_green).await;
    engine.run(&["image", "prune", "--all", "--force"]);
    let path = format!("/api/v1/deployments/{first}/rollback");
    let answer = tenant.client().post(&path, &serde_json::json!({})).await.expect(201).json();
    let ended = tenant.ended(text(&answer["deployment"], "id")).await;
    assert_eq!(ended["status"], "deployed", "{ended}");
    assert_eq!(served(&server).await, "blue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_fetched_is_refused_in_words_for_the_tenant() {
    let engine = DockerEngine::start();
    let registry = Registry::start();
    let server = start(&engine, Database::Sqlite);
    let tenant = Tenant::new(&server, "Harbour").await;
    let missing = format!("{}/team/missing:1", registry.address);
    let error = refused(&tenant, "missing", &missing).await;
    assert!(error.contains("there is no image") && error.contains(&missing), "{error}");
    drop(registry);
    let service = tenant.service("down", "web", &missing).await;
    let asked = tenant.ask(&service).await;
    let tried = async || {
        let log = text(&tenant.deployment(&asked).await, "build_log").to_owned();
        log.contains("trying again") && log.contains("cannot be reached")
    };
    eventually("a deployment that waits for the registry", tried).await;
}

async fn refused(tenant: &Tenant, name: &str, image: &str) -> String {
    let service = tenant.service(name, "web", image).await;
    let ended: Value = tenant.ended(&tenant.ask(&service).await).await;
    assert_eq!(ended["status"], "failed", "{ended}");
    text(&ended, "error").to_owned()
}

async fn served(server: &Server) -> String {
    let visitor = server.visitor("web-harbour.localhost");
    visitor.get("/").await.expect(200).text().trim().to_owned()
}
