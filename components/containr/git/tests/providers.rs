//! Git providers, through the router and over ports in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use containr_common::Error;
use containr_git::routes::router;
use serde_json::{Value, json};
use windlass_domain::git::{HostingFault, Repository};
use windlass_domain::ids::UserId;
use windlass_sdk::Method;
use windlass_sdk::testing::TestHost;

const PROVIDERS: &str = "/api/v1/git/providers";

fn host() -> (TestHost<Error>, UserId) {
    let host = TestHost::new(router());
    let user = host.world.register("ada@example.com").id;
    (host, user)
}

fn add(host: &TestHost<Error>, user: UserId) -> Value {
    let body = json!({"type": "github", "name": "Work", "access_token": "ghp_secret"});
    let answer = host.as_user(user, Method::POST, PROVIDERS).json(body).send();
    assert_eq!(answer.status(), 201);
    answer.json()
}

#[test]
fn a_provider_is_answered_without_its_token() {
    let (host, ada) = host();
    let empty = host.as_user(ada, Method::GET, PROVIDERS).send();
    assert_eq!((empty.status().as_u16(), empty.body()), (200, &b"[]"[..]));
    let added = add(&host, ada);
    assert_eq!(
        added,
        json!({"id": added["id"], "type": "github", "name": "Work", "access_token": "********",
               "created_at": "2026-01-01T00:00:00.000000Z"})
    );
    let listed = host.as_user(ada, Method::GET, PROVIDERS).send();
    assert_eq!(listed.json::<Value>(), json!([added]));
    let nameless = json!({"type": "bitbucket", "access_token": "t"});
    let answer = host.as_user(ada, Method::POST, PROVIDERS).json(nameless).send();
    assert_eq!(answer.json::<Value>()["name"], "Bitbucket");
}

#[test]
fn bad_bodies_name_the_field_and_never_the_token() {
    let (host, ada) = host();
    add(&host, ada);
    let check = |body: Value, status: u16, field: &str| {
        let answer = host.as_user(ada, Method::POST, PROVIDERS).json(&body).send();
        assert_eq!(answer.status(), status, "{body}");
        let error: Value = answer.json();
        assert_eq!(error["details"]["field"], field, "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    };
    check(json!({"type": "github", "access_token": "s3cret"}), 409, "type");
    check(json!({"type": "svn", "access_token": "s3cret"}), 400, "type");
    check(json!({"access_token": "s3cret"}), 400, "type");
    check(json!({"type": "gitlab"}), 400, "access_token");
    check(json!({"type": "gitlab", "access_token": ""}), 400, "access_token");
    check(json!({"type": "gitlab", "access_token": "s3cret with blanks"}), 400, "access_token");
    check(json!({"type": "gitlab", "access_token": null}), 400, "access_token");
    check(json!({"type": "gitlab", "access_token": "s3cret", "name": null}), 400, "name");
    check(json!({"type": "gitlab", "access_token": "s3cret", "name": "a\nb"}), 400, "name");
}

#[test]
fn repositories_are_answered_as_the_provider_describes_them() {
    let (host, ada) = host();
    let id = add(&host, ada)["id"].as_str().unwrap().to_owned();
    host.world.hosting.add(Repository {
        id: "7".to_owned(),
        name: "shop".to_owned(),
        full_name: "acme/shop".to_owned(),
        private: true,
        default_branch: "main".to_owned(),
        ..Repository::default()
    });
    let path = format!("{PROVIDERS}/{id}/repositories");
    let answer = host.as_user(ada, Method::GET, &path).send();
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.json::<Value>(),
        json!([{"id": "7", "name": "shop", "full_name": "acme/shop", "description": "",
                "private": true, "default_branch": "main", "clone_url": "", "web_url": ""}])
    );
    let eve = host.world.register("eve@example.com").id;
    for (user, id) in [(eve, id.as_str()), (ada, "none")] {
        let path = format!("{PROVIDERS}/{id}/repositories");
        assert_eq!(host.as_user(user, Method::GET, &path).send().status(), 404);
    }
}

#[test]
fn what_a_provider_refuses_has_a_status_and_says_why() {
    let (host, ada) = host();
    let id = add(&host, ada)["id"].as_str().unwrap().to_owned();
    let path = format!("{PROVIDERS}/{id}/repositories");
    let check = |fault: HostingFault, status: u16, said: &str| {
        host.world.hosting.fail(fault);
        let answer = host.as_user(ada, Method::GET, &path).send();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.json::<Value>()["error"], said);
    };
    check(HostingFault::Refused("GitHub says no".to_owned()), 409, "GitHub says no");
    check(HostingFault::TooOften("slow down".to_owned()), 429, "slow down");
    check(HostingFault::Unreachable("GitHub is away".to_owned()), 503, "GitHub is away");
    check(HostingFault::Internal("row 7".to_owned()), 500, "internal error");
}
