//! Logs of services, through the router and over ports in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use containr_common::Error;
use containr_logs::routes::router;
use serde_json::{Value, json};
use windlass_domain::deployments::{self, NewDeployment};
use windlass_domain::ids::{DeploymentId, UserId};
use windlass_domain::logs::Output;
use windlass_domain::testing::{FakeRuntime, block_on};
use windlass_sdk::Method;
use windlass_sdk::testing::TestHost;

const START: &str = "2026-01-01T00:00:00.000000Z";

/// A host with a service, and the path of its logs.
fn host() -> (TestHost<Error>, UserId, String) {
    let host = TestHost::new(router());
    let user = host.world.register("ada@example.com").id;
    let service = host.world.image_service(user, "shop:1").id;
    (host, user, format!("/api/v1/services/{service}/logs"))
}

/// Makes a deployment of the service live.
fn deploy(host: &TestHost<Error>, user: UserId, path: &str) -> DeploymentId {
    let service = path.split('/').nth(4).unwrap();
    let ctx = host.world.as_user(user);
    let deployed = block_on(deployments::create(&ctx, service, NewDeployment::default())).unwrap();
    let runtime = FakeRuntime::default();
    runtime.add_image("shop:1", "sha256:1");
    host.world.settle(&runtime);
    deployed.id
}

#[test]
fn without_lines_the_message_says_why() {
    let (host, ada, path) = host();
    let read = || -> Value { host.as_user(ada, Method::GET, &path).send().json() };
    assert_eq!(read(), json!({"logs": [], "message": "the service has no live deployment"}));
    deploy(&host, ada, &path);
    assert_eq!(read(), json!({"logs": [], "message": "nothing was written yet"}));
}

#[test]
fn the_newest_lines_are_answered_oldest_first() {
    let (host, ada, path) = host();
    let id = deploy(&host, ada, &path);
    host.logs.write(id, Output::Stdout, "one");
    host.logs.write(id, Output::Stderr, "a \"two\" \\ three");
    let read = |query: &str| -> Value {
        host.as_user(ada, Method::GET, &format!("{path}{query}")).send().json()
    };
    let one = json!({"timestamp": START, "message": "one", "stream": "stdout"});
    let two = json!({"timestamp": START, "message": "a \"two\" \\ three", "stream": "stderr"});
    assert_eq!(read(""), json!({"logs": [one, two], "message": ""}));
    assert_eq!(read("?tail=1"), json!({"logs": [two], "message": ""}));
    assert_eq!(read("?tail=all"), read("?tail=10000"));
    for query in ["?tail=-1", "?tail=10001", "?tail=x", "?tail=", "?follow=yes", "?tail=1&tail=2"] {
        let refused = host.as_user(ada, Method::GET, &format!("{path}{query}")).send();
        assert_eq!(refused.status(), 400, "{query}");
    }
}

#[test]
fn a_followed_log_is_a_stream_of_events() {
    let (host, ada, path) = host();
    let follow = format!("{path}?follow=true&tail=1");
    let answer = host.as_user(ada, Method::GET, &follow).send();
    assert_eq!((answer.status().as_u16(), answer.body()), (200, &b""[..]));
    let id = deploy(&host, ada, &path);
    host.logs.write(id, Output::Stdout, "one");
    host.logs.write(id, Output::Stdout, "two \\ \"quoted\"");
    let answer = host.as_user(ada, Method::GET, &follow).send();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    let expected = format!(
        "data: {{\"timestamp\":\"{START}\",\"message\":\"two \\\\ \\\"quoted\\\"\",\"stream\":\"stdout\"}}\n\n"
    );
    assert_eq!(std::str::from_utf8(answer.body()), Ok(expected.as_str()));
    let none = host.as_user(ada, Method::GET, &follow.replace("tail=1", "tail=0")).send();
    assert_eq!(none.body(), b"", "what was written before is not asked for");
}

#[test]
fn a_log_followed_without_old_lines_begins_with_the_next_one() {
    let (host, ada, path) = host();
    let id = deploy(&host, ada, &path);
    host.logs.write(id, Output::Stdout, "old");
    let follow = format!("{path}?follow=true&tail=0");
    let answer = host.as_user(ada, Method::GET, &follow).send();
    assert_eq!((answer.status().as_u16(), answer.body()), (200, &b""[..]));
}

#[test]
fn others_find_nothing() {
    let (host, ada, path) = host();
    let id = deploy(&host, ada, &path);
    host.logs.write(id, Output::Stdout, "secret");
    let eve = host.world.register("eve@example.com").id;
    for query in ["", "?follow=true"] {
        let target = format!("{path}{query}");
        assert_eq!(host.as_user(eve, Method::GET, &target).send().status(), 404);
        assert_eq!(host.anonymous(Method::GET, &target).send().status(), 401);
    }
}
