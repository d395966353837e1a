//! What a component may be built for: the generations of WASI HTTP, and the interfaces of ours that
//! no controller of this version imports.

use reqwest::Method;
use serde_json::json;
use windlass_harness::Server;
use windlass_harness::fixtures::fixture;
use windlass_harness::management::{install, install_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_the_generation_before_serves_like_any_other() {
    let server = Server::start();
    let management = server.management();
    management.release(&[install("older", &fixture("incoming_handler"))]).await.expect(200);
    let client = server.client();
    for _ in 0..20 {
        assert_eq!(client.get("/older/x?y=z").await.expect(200).text(), "/older/x?y=z");
    }
    let long = client.get("/older/x?times=100000").await.expect(200);
    assert_eq!(long.body.len(), "/older/x?times=100000".len() * 100_000);
    let half = client.request(Method::GET, "/older/trap").send().await;
    half.expect_error(500);
    assert_eq!(client.get("/older/x").await.expect(200).text(), "/older/x");
    let listed = management.component("older").await;
    assert_eq!((&listed["requests"], &listed["errors"]), (&json!(23), &json!(1)), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_interface_of_ours_needs_its_grant() {
    let server = Server::start();
    let management = server.management();
    for (interface, function, grant) in [
        ("windlass:secrets/vault@0.1.0", "seal", "secrets"),
        ("windlass:operations/signal@0.1.0", "raise", "operations"),
        ("windlass:identity/tokens@0.1.0", "issue", "identity"),
        ("windlass:storage/sql@0.1.0", "query", "storage"),
        ("windlass:runtime/logs@0.1.0", "tail", "logs"),
        ("windlass:runtime/measurements@0.1.0", "measure", "measurements"),
        ("windlass:runtime/workloads@0.1.0", "start", "workloads"),
        ("windlass:runtime/jobs@0.1.0", "start", "workloads"),
        ("windlass:runtime/images@0.1.0", "resolve", "workloads"),
        ("windlass:runtime/ingress@0.1.0", "publish", "workloads"),
    ] {
        let importing = format!(
            "(component (import \"{interface}\" (instance (export \"{function}\" (func)))))"
        );
        let importing = wat::parse_str(importing).expect("it is a component");
        let refusal = management.release(&[install("probe", &importing)]).await;
        assert_eq!(refusal.status, 422, "{interface}: {}", refusal.text());
        let refusal = refusal.json();
        assert_eq!(refusal["code"], "ungranted_import", "{refusal}");
        let said = refusal["error"].as_str().expect("a refusal has a text");
        for named in [interface, function, grant, "grants"] {
            assert!(said.contains(named), "{named} is not named: {said}");
        }
        // With the grant it is the function's type, which is none of ours, that is in the way.
        let granted = install_with("probe", &importing, &json!({"grants": [grant]}));
        let refusal = management.release(&[granted]).await;
        assert_eq!(refusal.json()["code"], "mismatched_import", "{}", refusal.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_the_reconciler_is_granted_to_change_workloads() {
    let server = Server::start();
    let management = server.management();
    let greedy = json!({"grants": ["workloads"]});
    let greedy = [install_with("greedy", &fixture("greeter_a"), &greedy)];
    let refusal = management.release(&greedy).await.expect(422).json();
    let said = refusal["error"].as_str().expect("a refusal has a text");
    assert!(said.contains("reconciler") && said.contains("workloads"), "{said}");
    server.client().get("/greedy/x").await.expect_error(404);
}
