//! What was deleted is visited no more.

use windlass_harness::Server;

use super::{Tenant, push};
use crate::check::eventually;

on_each_database!(
    a_deleted_service_is_visited_no_more,
    a_deleted_project_is_visited_no_more,
    a_service_can_be_deleted_while_it_is_deployed,
);

pub(crate) async fn a_deleted_service_is_visited_no_more(server: &Server) {
    let image = push(server, "web:1", "workload_blue").await;
    let tenant = Tenant::new(server, "Harbour").await;
    let (web, other) =
        (tenant.service("web", "web", &image).await, tenant.service("other", "web", &image).await);
    tenant.deploy(&web).await;
    tenant.deploy(&other).await;
    tenant.client().delete(&format!("/api/v1/services/{web}")).await.expect(204);
    nothing_is_live(server, "web-harbour.localhost").await;
    server.visitor("other-harbour.localhost").get("/").await.expect(200);
}

pub(crate) async fn a_deleted_project_is_visited_no_more(server: &Server) {
    let image = push(server, "web:1", "workload_blue").await;
    let tenant = Tenant::new(server, "Harbour").await;
    let service = tenant.service("web", "web", &image).await;
    tenant.deploy(&service).await;
    tenant.client().delete(&format!("/api/v1/projects/{}", tenant.project)).await.expect(204);
    nothing_is_live(server, "web-harbour.localhost").await;
}

pub(crate) async fn a_service_can_be_deleted_while_it_is_deployed(server: &Server) {
    let image = push(server, "web:1", "workload_blue").await;
    let tenant = Tenant::new(server, "Harbour").await;
    for _ in 0..5 {
        let service = tenant.service("web", "web", &image).await;
        tenant.ask(&service).await;
        tenant.ask(&service).await;
        tenant.client().delete(&format!("/api/v1/services/{service}")).await.expect(204);
    }
    // Its name is free again, and those who come later do not wait for it.
    let service = tenant.service("web", "web", &image).await;
    tenant.deploy(&service).await;
    server.visitor("web-harbour.localhost").get("/").await.expect(200);
    assert!(!server.log().contains("a step failed"), "{}", server.log());
}

async fn nothing_is_live(server: &Server, host: &str) {
    let visitor = server.visitor(host);
    eventually("the end of it", async || visitor.get("/").await.status == 503).await;
    let answer = visitor.get("/").await.expect(503);
    assert_eq!(answer.json()["code"], "nothing_live");
    let pause = answer.header("retry-after").and_then(|pause| pause.parse::<u32>().ok());
    assert!(pause.is_some_and(|pause| pause > 0), "{:?}", answer.headers);
}
