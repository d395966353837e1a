//! Services, through the router and over ports in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use containr_common::Error;
use containr_services::routes::router;
use serde_json::{Value, json};
use windlass_domain::ids::UserId;
use windlass_domain::organizations::Role;
use windlass_domain::projects::{self, NewProject};
use windlass_domain::testing::block_on;
use windlass_sdk::Method;
use windlass_sdk::testing::TestHost;

const START: &str = "2026-01-01T00:00:00.000000Z";

fn host() -> (TestHost<Error>, UserId, String) {
    let host = TestHost::new(router());
    let user = host.world.register("ada@example.com");
    let collection = project(&host, user.id);
    (host, user.id, collection)
}

/// Makes a project and answers the path of its services.
fn project(host: &TestHost<Error>, user: UserId) -> String {
    let new_project = NewProject { name: "Shop".to_owned(), description: String::new() };
    let summary = block_on(projects::create(&host.world.as_user(user), new_project)).unwrap();
    format!("/api/v1/projects/{}/services", summary.project.id)
}

fn create(host: &TestHost<Error>, user: UserId, collection: &str, name: &str) -> String {
    let body = json!({"name": name, "type": "web"});
    let answer = host.as_user(user, Method::POST, collection).json(body).send();
    assert_eq!(answer.status(), 201);
    format!("/api/v1/services/{}", answer.json::<Value>()["id"].as_str().unwrap())
}

#[test]
fn a_minimal_service_has_all_fields() {
    let (host, ada, collection) = host();
    let answer = host
        .as_user(ada, Method::POST, &collection)
        .json(json!({"name": " web ", "type": "web"}))
        .send();
    assert_eq!((answer.status().as_u16(), answer.header("etag")), (201, Some("\"1\"")));
    let body: Value = answer.json();
    assert_eq!(
        body,
        json!({
            "id": body["id"],
            "project_id": collection.split('/').nth(4),
            "name": "web",
            "type": "web",
            "status": "stopped",
            "source": {"repository": "", "branch": "", "root_directory": "", "dockerfile": "", "image": ""},
            "build_config": {"build_command": "", "start_command": "", "environment_variables": {}},
            "resources": {"cpu": "0.5", "memory": "512Mi", "storage": ""},
            "created_at": START,
            "updated_at": START,
        }),
    );
}

#[test]
fn a_full_service_is_answered_as_it_was_given() {
    let (host, ada, collection) = host();
    let given = json!({
        "name": "api",
        "type": "worker",
        "source": {"type": "git", "repository": "https://git.example.com/acme/api.git", "branch": "main",
                   "root_directory": "services/api", "dockerfile": "Dockerfile", "image": "acme/api:1"},
        "build_config": {"builder_type": "nixpacks", "build_command": "make", "start_command": "./api",
                         "environment_variables": {"A": "1", "B": "line\nline"}},
        "resources": {"cpu": "250m", "memory": "1Gi", "storage": "10Gi"},
    });
    let answer = host.as_user(ada, Method::POST, &collection).json(&given).send();
    assert_eq!(answer.status(), 201);
    let body: Value = answer.json();
    for (name, value) in given.as_object().unwrap() {
        assert_eq!(&body[name], value, "{name}");
    }
    let path = format!("/api/v1/services/{}", body["id"].as_str().unwrap());
    let view = host.as_user(ada, Method::GET, &path).send();
    assert_eq!((view.status().as_u16(), view.header("etag")), (200, Some("\"1\"")));
    assert_eq!(view.json::<Value>(), body);
    let list = host.as_user(ada, Method::GET, &collection).send();
    assert_eq!(list.status(), 200);
    assert_eq!(list.json::<Value>(), json!([body]));
}

#[test]
fn an_empty_project_lists_an_empty_array() {
    let (host, ada, collection) = host();
    let answer = host.as_user(ada, Method::GET, &collection).send();
    assert_eq!((answer.status().as_u16(), answer.body()), (200, &b"[]"[..]));
}

#[test]
fn bad_bodies_name_the_field() {
    let (host, ada, collection) = host();
    create(&host, ada, &collection, "taken");
    let check = |change: Value, status: u16, field: &str| {
        let mut body = json!({"name": "web", "type": "web"});
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = host.as_user(ada, Method::POST, &collection).json(&body).send();
        assert_eq!(answer.status(), status, "{body}");
        let error: Value = answer.json();
        assert_eq!(error["details"]["field"], field, "{body}: {error}");
    };
    check(json!({"name": "taken"}), 409, "name");
    check(json!({"name": ""}), 400, "name");
    check(json!({"name": "x".repeat(256)}), 400, "name");
    check(json!({"name": null}), 400, "name");
    check(json!({"type": "daemon"}), 400, "type");
    check(json!({"type": ""}), 400, "type");
    check(json!({"type": {"web": null}}), 400, "type");
    check(json!({"source": null}), 400, "source");
    check(json!({"source": ["git"]}), 400, "source");
    check(json!({"source": {"type": "svn"}}), 400, "source.type");
    check(json!({"source": {"type": null}}), 400, "source.type");
    check(json!({"source": {"repository": "file:///etc/passwd"}}), 400, "source.repository");
    check(
        json!({"source": {"repository": "https://me:secret@x.test/a"}}),
        400,
        "source.repository",
    );
    check(json!({"source": {"branch": "--upload-pack=x"}}), 400, "source.branch");
    check(json!({"source": {"root_directory": "../.."}}), 400, "source.root_directory");
    check(json!({"source": {"dockerfile": "/etc/passwd"}}), 400, "source.dockerfile");
    check(json!({"source": {"image": "-v"}}), 400, "source.image");
    check(json!({"build_config": []}), 400, "build_config");
    check(json!({"build_config": {"builder_type": "railpack"}}), 400, "build_config.builder_type");
    check(json!({"build_config": {"build_command": "a\u{0}"}}), 400, "build_config.build_command");
    check(json!({"build_config": {"start_command": 1}}), 400, "build_config.start_command");
    let variables = "build_config.environment_variables";
    check(json!({"build_config": {"environment_variables": {"1A": "x"}}}), 400, variables);
    check(json!({"build_config": {"environment_variables": []}}), 400, variables);
    check(
        json!({"build_config": {"environment_variables": {"A": 1}}}),
        400,
        "build_config.environment_variables.A",
    );
    check(json!({"resources": {"cpu": "0"}}), 400, "resources.cpu");
    check(json!({"resources": {"cpu": 1}}), 400, "resources.cpu");
    check(json!({"resources": {"memory": "512"}}), 400, "resources.memory");
    check(json!({"resources": {"storage": "much"}}), 400, "resources.storage");
    check(json!({"resources": "small"}), 400, "resources");
}

#[test]
fn update_changes_what_is_given() {
    let (host, ada, collection) = host();
    let path = create(&host, ada, &collection, "web");
    let before: Value = host.as_user(ada, Method::GET, &path).send().json();
    host.world.clock.advance_seconds(3);
    let mut expected = before;
    let mut check = |body: Value, pointer: &str, value: Value, tag: &str| {
        let answer = host.as_user(ada, Method::PUT, &path).json(&body).send();
        assert_eq!((answer.status().as_u16(), answer.header("etag")), (200, Some(tag)), "{body}");
        match pointer.rsplit_once('/') {
            Some((parent, name)) => {
                expected.pointer_mut(parent).unwrap()[name] = value;
            }
            None => panic!("{pointer}"),
        }
        expected["updated_at"] = json!("2026-01-01T00:00:03.000000Z");
        assert_eq!(answer.json::<Value>(), expected, "{body}");
    };
    check(json!({"name": "site"}), "/name", json!("site"), "\"2\"");
    check(
        json!({"build_config": {"builder_type": "image"}}),
        "/build_config/builder_type",
        json!("image"),
        "\"3\"",
    );
    check(
        json!({"build_config": {"environment_variables": {"A": "1"}}}),
        "/build_config/environment_variables",
        json!({"A": "1"}),
        "\"4\"",
    );
    check(json!({"resources": {"storage": "1Gi"}}), "/resources/storage", json!("1Gi"), "\"5\"");
    check(json!({"resources": {"cpu": "1"}}), "/resources/cpu", json!("1"), "\"6\"");
}

#[test]
fn updates_that_say_nothing_or_nonsense_are_refused() {
    let (host, ada, collection) = host();
    let path = create(&host, ada, &collection, "web");
    create(&host, ada, &collection, "taken");
    let check = |body: Value, status: u16, field: &str| {
        let answer = host.as_user(ada, Method::PUT, &path).json(&body).send();
        assert_eq!(answer.status(), status, "{body}");
        assert_eq!(answer.json::<Value>()["details"]["field"], field, "{body}");
    };
    check(json!({}), 400, "body");
    check(json!({"build_config": {}, "resources": {}}), 400, "body");
    check(json!({"type": "cron"}), 400, "body");
    check(json!({"name": null}), 400, "name");
    check(json!({"name": "taken"}), 409, "name");
    check(json!({"resources": {"memory": ""}}), 400, "resources.memory");
    check(json!({"build_config": {"builder_type": ""}}), 400, "build_config.builder_type");
}

#[test]
fn delete_answers_nothing_and_the_service_is_gone() {
    let (host, ada, collection) = host();
    let path = create(&host, ada, &collection, "web");
    let answer = host.as_user(ada, Method::DELETE, &path).send();
    assert_eq!((answer.status().as_u16(), answer.body()), (204, &b""[..]));
    assert_eq!(host.as_user(ada, Method::GET, &path).send().status(), 404);
}

#[test]
fn foreign_missing_and_malformed_ids_are_answered_alike() {
    let (host, ada, _) = host();
    let bob = host.world.register("bob@example.com").id;
    let foreign_project = project(&host, bob);
    let foreign = create(&host, bob, &foreign_project, "web");
    let missing = "00000000-0000-7000-8000-000000000000";
    let not_found = |kind: &str| {
        json!({"error": format!("{kind} not found"), "code": "NOT_FOUND",
               "details": {"resource": kind}})
    };
    for path in [foreign, format!("/api/v1/services/{missing}"), "/api/v1/services/x".to_owned()] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let call = host.as_user(ada, method.clone(), &path).json(json!({"name": "mine"}));
            let answer = call.send();
            assert_eq!(answer.status(), 404, "{method} {path}");
            assert_eq!(answer.json::<Value>(), not_found("service"));
        }
    }
    for path in [
        foreign_project,
        format!("/api/v1/projects/{missing}/services"),
        "/api/v1/projects/x/services".to_owned(),
    ] {
        for method in [Method::GET, Method::POST] {
            let body = json!({"name": "mine", "type": "web"});
            let answer = host.as_user(ada, method.clone(), &path).json(body).send();
            assert_eq!(answer.status(), 404, "{method} {path}");
            assert_eq!(answer.json::<Value>(), not_found("project"));
        }
    }
}

#[test]
fn revisions_are_kept_to() {
    let (host, ada, collection) = host();
    let path = create(&host, ada, &collection, "web");
    let fresh = host.as_user(ada, Method::GET, &path).header("if-none-match", "\"1\"").send();
    assert_eq!((fresh.status().as_u16(), fresh.body()), (304, &b""[..]));
    for method in [Method::PUT, Method::DELETE] {
        for (tag, status) in [("\"2\"", 412), ("W/\"1\"", 412), ("one", 400)] {
            let answer = host
                .as_user(ada, method.clone(), &path)
                .header("if-match", tag)
                .json(json!({"name": "site"}))
                .send();
            assert_eq!(answer.status(), status, "{method} {tag}");
        }
    }
    let deleted = host.as_user(ada, Method::DELETE, &path).header("if-match", "\"1\"").send();
    assert_eq!(deleted.status(), 204);
}

#[test]
fn viewers_only_read() {
    let (host, ada, collection) = host();
    let path = create(&host, ada, &collection, "web");
    let viewer = host.world.register("viewer@example.com").id;
    let organization = host.world.store.memberships()[0].organization_id;
    host.world.store.add_member(organization, viewer, Role::Viewer);
    let body = json!({"name": "mine", "type": "web"});
    for (method, target, status) in [
        (Method::GET, &collection, 200),
        (Method::GET, &path, 200),
        (Method::POST, &collection, 403),
        (Method::PUT, &path, 403),
        (Method::DELETE, &path, 403),
    ] {
        let answer = host.as_user(viewer, method.clone(), target).json(&body).send();
        assert_eq!(answer.status(), status, "{method} {target}");
    }
}

#[test]
fn a_full_project_takes_no_more_services() {
    let (host, ada, collection) = host();
    for number in 0..200 {
        create(&host, ada, &collection, &format!("web-{number}"));
    }
    let body = json!({"name": "one-more", "type": "web"});
    let answer = host.as_user(ada, Method::POST, &collection).json(body).send();
    assert_eq!((answer.status().as_u16(), answer.header("retry-after")), (429, None));
    assert_eq!(answer.json::<Value>()["code"], "QUOTA_EXCEEDED");
    let list: Vec<Value> = host.as_user(ada, Method::GET, &collection).send().json();
    assert_eq!(list.len(), 200);
}

#[test]
fn every_route_asks_who_is_calling() {
    let (host, _, _) = host();
    for route in host.router().routes() {
        let target = route.path.replace("{id}", "x").replace("{project_id}", "x");
        let answer = host.anonymous(route.method.clone(), &target).json("{").send();
        assert_eq!(answer.status(), 401, "{} {target}", route.method);
    }
}
