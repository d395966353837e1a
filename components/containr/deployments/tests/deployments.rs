//! Deployments, through the router and over ports in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use containr_common::Error;
use containr_deployments::routes::router;
use serde_json::{Value, json};
use windlass_domain::ids::{DeploymentId, UserId};
use windlass_domain::logs::Output;
use windlass_domain::testing::FakeRuntime;
use windlass_sdk::Method;
use windlass_sdk::testing::TestHost;

const START: &str = "2026-01-01T00:00:00.000000Z";
const MISSING: &str = "00000000-0000-7000-8000-000000000000";

/// A host with a service of the image `registry.example:5000/shop:1`.
fn host() -> (TestHost<Error>, UserId, String) {
    let host = TestHost::new(router());
    let user = host.world.register("ada@example.com").id;
    let service = host.world.image_service(user, "registry.example:5000/shop:1").id.to_string();
    (host, user, service)
}

fn deploy(host: &TestHost<Error>, user: UserId, service: &str) -> String {
    let target = format!("/api/v1/services/{service}/deployments");
    let answer = host.as_user(user, Method::POST, &target).send();
    assert_eq!(answer.status(), 201);
    answer.json::<Value>()["id"].as_str().unwrap().to_owned()
}

#[test]
fn create_answers_the_deployment_and_wakes_the_reconciler() {
    let (host, ada, service) = host();
    let target = format!("/api/v1/services/{service}/deployments");
    let before = host.world.signal.count();
    let answer = host
        .as_user(ada, Method::POST, &target)
        .json(json!({"commit_hash": "0123abc", "env_vars": {"A": "1"}}))
        .send();
    assert_eq!(answer.status(), 201);
    let body: Value = answer.json();
    assert_eq!(
        body,
        json!({"id": body["id"], "service_id": service, "commit_hash": "0123abc",
               "status": "pending", "image_name": "registry.example:5000/shop", "image_tag": "1",
               "build_log": "", "runtime_log": "", "error": "", "created_at": START,
               "updated_at": START}),
    );
    assert_eq!(host.world.signal.count(), before + 1);
    let list: Value = host.as_user(ada, Method::GET, &target).send().json();
    assert_eq!(list, json!({"deployments": [body]}));
}

#[test]
fn a_deployment_is_looked_at_with_both_its_logs() {
    let (host, ada, service) = host();
    let runtime = FakeRuntime::default();
    runtime.add_image("registry.example:5000/shop:1", "sha256:1");
    let id = deploy(&host, ada, &service);
    host.world.settle(&runtime);
    let workload = DeploymentId::parse(&id).unwrap();
    host.logs.write(workload, Output::Stdout, "listening");
    let path = format!("/api/v1/deployments/{id}");
    let view: Value = host.as_user(ada, Method::GET, &path).send().json();
    let deployment = &view["deployment"];
    assert_eq!(deployment["status"], "deployed");
    assert!(deployment["completed_at"].is_string());
    assert!(deployment["build_log"].as_str().unwrap().ends_with(" live\n"));
    assert_eq!(deployment["runtime_log"], format!("{START} listening\n"));
    let logs = |query: &str| -> Value {
        host.as_user(ada, Method::GET, &format!("{path}/logs{query}")).send().json()
    };
    let of = |logs: &Value| -> Vec<String> {
        let entries = logs["logs"].as_array().unwrap().iter();
        entries.map(|entry| entry["stream"].as_str().unwrap().to_owned()).collect()
    };
    let all = logs("");
    assert_eq!(of(&all), ["build", "build", "build", "build", "build", "runtime"]);
    assert_eq!(of(&logs("?type=runtime")), ["runtime"]);
    assert_eq!(of(&logs("?type=build")).len(), 5);
    assert_eq!(logs("?type=runtime")["build_log"], all["build_log"]);
    let refused = host.as_user(ada, Method::GET, &format!("{path}/logs?type=both")).send();
    assert_eq!(refused.status(), 400);
}

#[test]
fn a_rollback_is_a_deployment_of_what_was() {
    let (host, ada, service) = host();
    let runtime = FakeRuntime::default();
    runtime.add_image("registry.example:5000/shop:1", "sha256:1");
    let first = deploy(&host, ada, &service);
    let target = format!("/api/v1/deployments/{first}/rollback");
    let refused = host.as_user(ada, Method::POST, &target).send();
    assert_eq!(refused.status(), 409, "it has no image yet");
    host.world.settle(&runtime);
    let answer = host.as_user(ada, Method::POST, &target).send();
    assert_eq!(answer.status(), 201);
    let body: Value = answer.json();
    assert_eq!(body["message"], "Rollback initiated");
    assert_eq!(body["deployment"]["status"], "rolling_back");
    assert_ne!(body["deployment"]["id"], json!(first));
}

#[test]
fn what_does_not_fit_is_named() {
    let (host, ada, service) = host();
    let target = format!("/api/v1/services/{service}/deployments");
    let check = |body: Value, field: &str| {
        let answer = host.as_user(ada, Method::POST, &target).json(&body).send();
        assert_eq!(answer.status(), 400, "{body}");
        assert_eq!(answer.json::<Value>()["details"]["field"], field, "{body}");
    };
    check(json!({"commit_hash": "xyz"}), "commit_hash");
    check(json!({"branch": "--upload-pack=x"}), "branch");
    check(json!({"trigger": "a\nb"}), "trigger");
    check(json!({"env_vars": {"1": "x"}}), "env_vars");
    check(json!({"env_vars": {"A": 1}}), "env_vars.A");
    check(json!([]), "body");
    let bare = host.world.image_service(ada, "").id;
    let target = format!("/api/v1/services/{bare}/deployments");
    let refused = host.as_user(ada, Method::POST, &target).send();
    assert_eq!(refused.status(), 409);
    assert!(refused.json::<Value>()["error"].as_str().unwrap().contains("has no source"));
}

#[test]
fn others_find_nothing() {
    let (host, ada, service) = host();
    let id = deploy(&host, ada, &service);
    let eve = host.world.register("eve@example.com").id;
    for (method, path) in [
        (Method::GET, format!("/api/v1/services/{service}/deployments")),
        (Method::POST, format!("/api/v1/services/{service}/deployments")),
        (Method::GET, format!("/api/v1/deployments/{id}")),
        (Method::GET, format!("/api/v1/deployments/{id}/logs")),
        (Method::POST, format!("/api/v1/deployments/{id}/rollback")),
    ] {
        let foreign = host.as_user(eve, method.clone(), &path).send();
        assert_eq!(foreign.status(), 404, "{method} {path}");
        let missing = path.replace(&id, MISSING).replace(&service, MISSING);
        let missing = host.as_user(eve, method.clone(), &missing).send();
        assert_eq!(foreign.json::<Value>(), missing.json::<Value>(), "{method} {path}");
        assert_eq!(host.anonymous(method, &path).send().status(), 401);
    }
}
