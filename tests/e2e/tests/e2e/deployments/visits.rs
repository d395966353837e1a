//! What lies between a visitor and what a tenant deployed: the host name decides, and beyond that
//! nothing of the platform does.

use reqwest::Method;
use windlass_harness::{Database, Server, ServerOptions};

use super::{Tenant, push};

/// A page of another site, which the platform's own interface is open to.
const ORIGIN: &str = "https://console.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_arrives_as_it_was_sent_but_for_who_comes() {
    let options = ServerOptions::on(Database::Sqlite);
    let environment = vec![("WINDLASS_CORS_ORIGINS".to_owned(), format!("[{ORIGIN:?}]"))];
    let server = Server::start_with(ServerOptions { environment, ..options });
    let image = push(&server, "web:1", "workload_blue").await;
    let tenant = Tenant::new(&server, "Harbour").await;
    let service = tenant.service("web", "web", &image).await;
    tenant.deploy(&service).await;
    let visitor = server.visitor("web-harbour.localhost");
    let preflight = |method: Method| {
        visitor
            .request(method, "/head?a=b")
            .header("authorization", "Basic dGVuYW50")
            .header("cookie", "session=1")
            .header("origin", ORIGIN)
            .header("access-control-request-method", "PUT")
            .header("x-forwarded-for", "192.0.2.1")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "bank.example")
    };
    for method in [Method::OPTIONS, Method::GET, Method::DELETE] {
        let answer = preflight(method.clone()).send().await.expect(200);
        let head = answer.text();
        assert_eq!(head.lines().next(), Some(method.as_str()), "{head}");
        for line in [
            "authorization: Basic dGVuYW50",
            "cookie: session=1",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-proto: http",
        ] {
            assert!(head.lines().any(|found| found == line), "{line} is not in:\n{head}");
        }
        assert!(head.contains("x-forwarded-host: web-harbour.localhost:"), "{head}");
        assert!(!head.contains("192.0.2.1") && !head.contains("bank.example"), "{head}");
        for header in ["access-control-allow-origin", "x-content-type-options", "x-frame-options"] {
            assert_eq!(answer.header(header), None, "the tenant's answer is the tenant's");
        }
    }
    // The same for the platform's own interface is what was configured.
    let request = server.client().request(Method::GET, "/api/v1/health").header("origin", ORIGIN);
    let answer = request.send().await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert!(answer.header("x-content-type-options").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_name_decides_between_the_platform_and_tenants() {
    let server = Server::start();
    let image = push(&server, "web:1", "workload_blue").await;
    let tenant = Tenant::new(&server, "Harbour").await;
    let service = tenant.service("web", "web", &image).await;
    tenant.deploy(&service).await;
    let visitor = server.visitor("WEB-harbour.localhost");
    let path = "/api/v1/health";
    assert_eq!(visitor.get(path).await.expect(200).text(), "blue", "every path is the tenant's");
    for host in ["localhost", "windlass.example"] {
        let answer = server.visitor(host).get(path).await.expect(200);
        assert_eq!(answer.json()["status"], "ok", "{host} is the platform's");
    }
    let nobody = server.visitor("nobody.localhost").get(path).await.expect(503);
    assert_eq!(nobody.json()["code"], "nothing_live");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_with_the_same_names_have_different_hosts() {
    let server = Server::start();
    let mut hosts = Vec::new();
    for (colour, fixture) in [("blue", "workload_blue"), ("green", "workload_green")] {
        let image = push(&server, &format!("web:{colour}"), fixture).await;
        let tenant = Tenant::new(&server, "Harbour").await;
        let service = tenant.service("web", "web", &image).await;
        tenant.deploy(&service).await;
        let host = if hosts.is_empty() {
            "web-harbour.localhost".to_owned()
        } else {
            // Told apart by the end of the service's id.
            format!("web-harbour-{}.localhost", &service[service.len() - 8..])
        };
        hosts.push((host, colour));
    }
    for (host, colour) in hosts {
        assert_eq!(server.visitor(&host).get("/").await.expect(200).text(), colour);
    }
}
