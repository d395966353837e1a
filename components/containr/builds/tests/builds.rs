//! Builds, through the router and over ports in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use containr_builds::routes::router;
use containr_common::Error;
use serde_json::{Value, json};
use windlass_domain::ids::{BuildId, UserId};
use windlass_domain::logs::Output;
use windlass_domain::testing::FakeRuntime;
use windlass_sdk::Method;
use windlass_sdk::testing::TestHost;

const START: &str = "2026-01-01T00:00:00.000000Z";
const MISSING: &str = "00000000-0000-7000-8000-000000000000";
const BUILDS: &str = "/api/v1/builds";
const REPOSITORY: &str = "https://git.example.com/acme/shop.git";

fn host() -> (TestHost<Error>, UserId) {
    let host = TestHost::new(router());
    let user = host.world.register("ada@example.com").id;
    (host, user)
}

fn body() -> Value {
    json!({"source_path": REPOSITORY, "image_name": "shop", "image_tag": "1", "branch": "main"})
}

fn start(host: &TestHost<Error>, user: UserId) -> String {
    let answer = host.as_user(user, Method::POST, BUILDS).json(body()).send();
    assert_eq!(answer.status(), 201);
    answer.json::<Value>()["id"].as_str().unwrap().to_owned()
}

fn runtime() -> FakeRuntime {
    let runtime = FakeRuntime::default();
    runtime.add_repository(REPOSITORY, "0123abc", "sha256:1");
    runtime
}

#[test]
fn create_answers_the_build_and_wakes_the_reconciler() {
    let (host, ada) = host();
    let before = host.world.signal.count();
    let answer = host.as_user(ada, Method::POST, BUILDS).json(body()).send();
    assert_eq!(answer.status(), 201);
    let body: Value = answer.json();
    assert_eq!(
        body,
        json!({"id": body["id"], "status": "pending", "image_name": "shop", "image_tag": "1",
               "size": 0, "digest": "", "build_time": START, "success": true, "error": ""}),
    );
    assert_eq!(host.world.signal.count(), before + 1);
}

#[test]
fn a_build_is_looked_at_with_its_log_and_listed_without() {
    let (host, ada) = host();
    let id = start(&host, ada);
    host.world.settle(&runtime());
    host.logs.write(BuildId::parse(&id).unwrap(), Output::Stdout, "completed");
    let path = format!("{BUILDS}/{id}");
    let view: Value = host.as_user(ada, Method::GET, &path).send().json();
    assert_eq!(
        view,
        json!({"id": id, "project_id": "", "service_id": "", "status": "success", "progress": 100,
               "started_at": view["started_at"], "completed_at": view["completed_at"],
               "image_name": "shop", "image_tag": "1", "size": 1000, "error": "",
               "log": format!("{START} completed\n"),
               "metadata": {"builder": "component", "repository": REPOSITORY, "branch": "main",
                            "commit": "0123abc", "digest": "sha256:1"}}),
    );
    assert!(view["started_at"].is_string() && view["completed_at"].is_string());
    let list = host.as_user(ada, Method::GET, BUILDS).send();
    assert!(list.header("link").unwrap().contains("rel=\"first\""));
    let mut listed = view.clone();
    listed["log"] = json!("");
    assert_eq!(
        list.json::<Value>(),
        json!({"builds": [listed], "total": 1, "page": 1, "limit": 20})
    );
    let log = host.as_user(ada, Method::GET, &format!("{path}/logs?follow=true")).send();
    assert_eq!(log.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(log.body(), format!("{START} completed\n").as_bytes());
}

#[test]
fn a_log_is_followed_while_it_is_written() {
    let (host, ada) = host();
    let id = start(&host, ada);
    host.logs.write(BuildId::parse(&id).unwrap(), Output::Stdout, "queued");
    let target = format!("{BUILDS}/{id}/logs?follow=true");
    let answer = host.as_user(ada, Method::GET, &target).send();
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.body(), format!("{START} queued\n").as_bytes());
    let refused = host.as_user(ada, Method::GET, &target.replace("true", "yes")).send();
    assert_eq!(refused.status(), 400);
}

#[test]
fn a_build_is_cancelled_once() {
    let (host, ada) = host();
    let id = start(&host, ada);
    let target = format!("{BUILDS}/{id}/cancel");
    let answer = host.as_user(ada, Method::POST, &target).send();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<Value>(), json!({"message": "Build cancelled"}));
    let again = host.as_user(ada, Method::POST, &target).send();
    assert_eq!(again.status(), 409);
    assert_eq!(
        again.json::<Value>(),
        json!({"error": "the build is already finished", "code": "CONFLICT",
               "details": {"resource": "build"}}),
    );
    host.world.settle(&runtime());
    let path = format!("{BUILDS}/{id}");
    let view: Value = host.as_user(ada, Method::GET, &path).send().json();
    assert_eq!((&view["status"], &view["progress"]), (&json!("cancelled"), &json!(0)));
}

#[test]
fn lists_are_filtered_by_what_the_query_says() {
    let (host, ada) = host();
    start(&host, ada);
    let total = |query: &str| -> Value {
        let found = host.as_user(ada, Method::GET, &format!("{BUILDS}?{query}")).send();
        found.json::<Value>()["total"].clone()
    };
    assert_eq!(total("status=pending&page=1&limit=1"), 1);
    assert_eq!(total("status=running"), 0);
    assert_eq!(total(&format!("project_id={MISSING}")), 0);
    assert_eq!(total("service_id=x"), 0);
    assert_eq!(total("status=&service_id=&project_id="), 1);
    for query in ["status=done", "limit=0", "limit=101", "page=0", "page=x"] {
        let refused = host.as_user(ada, Method::GET, &format!("{BUILDS}?{query}")).send();
        assert_eq!(refused.status(), 400, "{query}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let (host, ada) = host();
    let check = |change: Value, field: &str| {
        let mut body = body();
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = host.as_user(ada, Method::POST, BUILDS).json(&body).send();
        assert_eq!(answer.status(), 400, "{body}");
        assert_eq!(answer.json::<Value>()["details"]["field"], field, "{body}");
    };
    check(json!({"build_type": "make"}), "build_type");
    check(json!({"build_type": null}), "build_type");
    check(json!({"image_name": "Shop"}), "image_name");
    check(json!({"image_tag": ""}), "image_tag");
    check(json!({"source_path": ""}), "source_path");
    check(json!({"source_path": "/etc"}), "source_path");
    check(json!({"prebuilt_image": "shop:1"}), "source_path");
    check(json!({"environment": {"A": 1}}), "environment.A");
    check(json!({"labels": {"": "x"}}), "labels");
    check(json!({"commit": "HEAD"}), "commit");
    let missing = host.as_user(ada, Method::POST, BUILDS).json(json!({"image_tag": "1"})).send();
    assert_eq!(missing.json::<Value>()["details"]["field"], "image_name");
}

#[test]
fn others_find_nothing() {
    let (host, ada) = host();
    let id = start(&host, ada);
    let eve = host.world.register("eve@example.com").id;
    for (method, path) in [
        (Method::GET, format!("{BUILDS}/{id}")),
        (Method::GET, format!("{BUILDS}/{id}/logs")),
        (Method::POST, format!("{BUILDS}/{id}/cancel")),
    ] {
        let foreign = host.as_user(eve, method.clone(), &path).send();
        assert_eq!(foreign.status(), 404, "{method} {path}");
        let missing = path.replace(&id, MISSING);
        let missing = host.as_user(eve, method.clone(), &missing).send();
        assert_eq!(foreign.json::<Value>(), missing.json::<Value>(), "{method} {path}");
        assert_eq!(host.anonymous(method, &path).send().status(), 401);
    }
    assert_eq!(host.anonymous(Method::GET, BUILDS).send().status(), 401);
    let list: Value = host.as_user(eve, Method::GET, BUILDS).send().json();
    assert_eq!(list, json!({"builds": [], "total": 0, "page": 1, "limit": 20}));
}
