//! Workers: programs that run for ever, and such that do not.

use windlass_harness::Server;

use super::{Tenant, push};
use crate::check::{eventually, text};

on_each_database!(lines_of_a_worker_are_in_its_log);

pub(crate) async fn lines_of_a_worker_are_in_its_log(server: &Server) {
    let image = push(server, "worker:1", "workload_worker").await;
    let tenant = Tenant::new(server, "Harbour").await;
    let service = tenant.service("worker", "worker", &image).await;
    tenant.deploy(&service).await;
    let ticks = async || {
        let lines = tenant.lines(&service).await;
        lines.iter().filter(|(stream, line)| stream == "stdout" && line.contains("tick ")).count()
    };
    assert!(ticks().await > 0);
    let before = ticks().await;
    eventually("the next line", async || ticks().await > before).await;
    server.visitor("worker-harbour.localhost").get("/").await.expect(503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_crashes_fails_its_deployment_and_says_how() {
    let server = Server::start();
    let image = push(&server, "crash:1", "workload_crash").await;
    let tenant = Tenant::new(&server, "Harbour").await;
    let service = tenant.service("crash", "worker", &image).await;
    let deployment = tenant.ask(&service).await;
    let ended = tenant.ended(&deployment).await;
    assert_eq!(ended["status"], "failed");
    // WASI 0.2 says whether a program ended well, and not by which number it did not.
    assert!(text(&ended, "error").contains("ended with an error"), "{ended}");
    let log = text(&ended, "runtime_log");
    assert!(log.contains("ended with an error; starting again in 0.5 s"), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_is_none_fails_its_deployment() {
    let server = Server::start();
    let image = push(&server, "crash:1", "workload_crash").await;
    let tenant = Tenant::new(&server, "Harbour").await;
    let service = tenant
        .service_with(&serde_json::json!({
            "name": "nightly",
            "type": "cron",
            "source": {"type": "image", "image": image},
            "build_config": {"environment_variables": {"CRON_SCHEDULE": "every night"}},
        }))
        .await;
    let deployment = tenant.ask(&service).await;
    let ended = tenant.ended(&deployment).await;
    assert_eq!(ended["status"], "failed");
    assert!(text(&ended, "error").contains("crontab"), "{ended}");
}
