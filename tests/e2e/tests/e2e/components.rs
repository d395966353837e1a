//! What a component may be built for: the generations of WASI HTTP.

use reqwest::Method;
use serde_json::json;
use windlass_harness::Server;
use windlass_harness::fixtures::fixture;
use windlass_harness::management::install;

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
