//! Projects, through the router and over ports in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use containr_common::Error;
use containr_projects::routes::router;
use serde_json::{Value, json};
use windlass_domain::ids::UserId;
use windlass_domain::organizations::Role;
use windlass_sdk::Method;
use windlass_sdk::testing::TestHost;

const PROJECTS: &str = "/api/v1/projects";
const START: &str = "2026-01-01T00:00:00.000000Z";
const MISSING: &str = "/api/v1/projects/00000000-0000-7000-8000-000000000000";

fn host() -> (TestHost<Error>, UserId) {
    let host = TestHost::new(router());
    let user = host.world.register("ada@example.com");
    (host, user.id)
}

fn create(host: &TestHost<Error>, user: UserId, name: &str) -> String {
    let answer = host.as_user(user, Method::POST, PROJECTS).json(json!({"name": name})).send();
    assert_eq!(answer.status(), 201);
    format!("{PROJECTS}/{}", answer.json::<Value>()["id"].as_str().unwrap())
}

#[test]
fn create_answers_the_project() {
    let (host, ada) = host();
    let answer = host
        .as_user(ada, Method::POST, PROJECTS)
        .json(json!({"name": "  Shop  ", "description": "line\nline", "extra": 1}))
        .send();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.header("etag"), Some("\"1-0\""));
    let body: Value = answer.json();
    assert_eq!(
        body,
        json!({"id": body["id"], "name": "Shop", "description": "line\nline",
               "owner_id": ada.to_string(), "created_at": START, "updated_at": START,
               "services_count": 0}),
    );
    let path = format!("{PROJECTS}/{}", body["id"].as_str().unwrap());
    let view = host.as_user(ada, Method::GET, &path).send();
    assert_eq!((view.status().as_u16(), view.header("etag")), (200, Some("\"1-0\"")));
    assert_eq!(view.json::<Value>(), body);
}

#[test]
fn bad_bodies_name_the_field() {
    let (host, ada) = host();
    let path = create(&host, ada, "Shop");
    let check = |body: Value, created: Option<&str>, updated: Option<&str>| {
        for (method, target, field) in
            [(Method::POST, PROJECTS, created), (Method::PUT, path.as_str(), updated)]
        {
            let answer = host.as_user(ada, method.clone(), target).json(&body).send();
            let Some(field) = field else {
                assert!(answer.status().is_success(), "{method} {body}");
                continue;
            };
            assert_eq!(answer.status(), 400, "{method} {body}");
            let error: Value = answer.json();
            assert_eq!(error["code"], "INVALID_INPUT");
            assert_eq!(error["details"]["field"], field, "{method} {body}");
            assert!(error["details"]["reason"].is_string());
        }
    };
    check(json!({}), Some("name"), Some("body"));
    check(json!(["Shop"]), Some("body"), Some("body"));
    check(json!({"description": "d"}), Some("name"), None);
    check(json!({"name": 1}), Some("name"), Some("name"));
    check(json!({"name": null}), Some("name"), Some("name"));
    check(json!({"name": " x "}), Some("name"), Some("name"));
    check(json!({"name": "x".repeat(101)}), Some("name"), Some("name"));
    check(json!({"name": "a\tb"}), Some("name"), Some("name"));
    check(json!({"name": "ok", "description": null}), Some("description"), Some("description"));
    check(
        json!({"name": "ok", "description": "d".repeat(2001)}),
        Some("description"),
        Some("description"),
    );
    check(json!({"name": "ok", "description": "\u{0}"}), Some("description"), Some("description"));
    check(json!({"name": "ok", "description": ""}), None, None);
}

#[test]
fn list_answers_pages_and_links() {
    let (host, ada) = host();
    for name in ["Alpha", "Beta", "Gamma"] {
        host.world.clock.advance_seconds(1);
        create(&host, ada, name);
    }
    let bob = host.world.register("bob@example.com").id;
    create(&host, bob, "Foreign");
    let check = |query: &str, names: &[&str], pagination: Value, link: &str| {
        let answer = host.as_user(ada, Method::GET, &format!("{PROJECTS}{query}")).send();
        assert_eq!(answer.status(), 200, "{query}");
        let body: Value = answer.json();
        let found: Vec<_> = body["projects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|project| project["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(found, names, "{query}");
        assert_eq!(body["pagination"], pagination, "{query}");
        assert_eq!(body.as_object().unwrap().len(), 2);
        assert_eq!(answer.header("link"), Some(link), "{query}");
    };
    check(
        "",
        &["Gamma", "Beta", "Alpha"],
        json!({"page": 1, "limit": 20, "total": 3, "total_pages": 1}),
        r#"</api/v1/projects?page=1>; rel="first", </api/v1/projects?page=1>; rel="last""#,
    );
    check(
        "?limit=2&page=2",
        &["Alpha"],
        json!({"page": 2, "limit": 2, "total": 3, "total_pages": 2}),
        r#"</api/v1/projects?limit=2&page=1>; rel="first", </api/v1/projects?limit=2&page=1>; rel="prev", </api/v1/projects?limit=2&page=2>; rel="last""#,
    );
    check(
        "?search=ET",
        &["Beta"],
        json!({"page": 1, "limit": 20, "total": 1, "total_pages": 1}),
        r#"</api/v1/projects?search=ET&page=1>; rel="first", </api/v1/projects?search=ET&page=1>; rel="last""#,
    );
    check(
        "?search=none",
        &[],
        json!({"page": 1, "limit": 20, "total": 0, "total_pages": 0}),
        r#"</api/v1/projects?search=none&page=1>; rel="first", </api/v1/projects?search=none&page=1>; rel="last""#,
    );
    let body: Value = host.as_user(ada, Method::GET, PROJECTS).send().json();
    let fields: Vec<_> = body["projects"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        fields,
        ["created_at", "description", "id", "name", "owner_id", "services_count", "updated_at"],
    );
}

#[test]
fn bad_queries_name_the_parameter() {
    let (host, ada) = host();
    let long_search = format!("search={}", "x".repeat(201));
    for (query, field) in [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=", "page"),
        ("page=2147483648", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1&limit=2", "limit"),
        ("search=%ff", "search"),
        ("search=%00", "search"),
        ("search=a&search=b", "search"),
        (long_search.as_str(), "search"),
    ] {
        let answer = host.as_user(ada, Method::GET, &format!("{PROJECTS}?{query}")).send();
        assert_eq!(answer.status(), 400, "{query}");
        let error: Value = answer.json();
        assert_eq!(error["code"], "INVALID_INPUT");
        assert_eq!(error["details"]["field"], field, "{query}");
    }
}

#[test]
fn update_changes_what_is_given() {
    let (host, ada) = host();
    let path = create(&host, ada, "Shop");
    host.world.clock.advance_seconds(5);
    let answer = host.as_user(ada, Method::PUT, &path).json(json!({"description": "sells"})).send();
    assert_eq!((answer.status().as_u16(), answer.header("etag")), (200, Some("\"2-0\"")));
    let body: Value = answer.json();
    assert_eq!(
        body,
        json!({"id": body["id"], "name": "Shop", "description": "sells",
               "owner_id": ada.to_string(), "created_at": START,
               "updated_at": "2026-01-01T00:00:05.000000Z", "services_count": 0}),
    );
}

#[test]
fn delete_answers_nothing_and_the_project_is_gone() {
    let (host, ada) = host();
    let path = create(&host, ada, "Shop");
    let answer = host.as_user(ada, Method::DELETE, &path).header("if-match", "\"1-0\"").send();
    assert_eq!((answer.status().as_u16(), answer.body()), (204, &b""[..]));
    assert_eq!(answer.header("content-type"), None);
    assert_eq!(host.as_user(ada, Method::GET, &path).send().status(), 404);
    assert_eq!(host.as_user(ada, Method::DELETE, &path).send().status(), 404);
}

#[test]
fn foreign_missing_and_malformed_ids_are_answered_alike() {
    let (host, ada) = host();
    let bob = host.world.register("bob@example.com").id;
    let foreign = create(&host, bob, "Foreign");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        for path in
            [foreign.as_str(), MISSING, "/api/v1/projects/x", "/api/v1/projects/%F0%9F%98%80"]
        {
            let answer = host
                .as_user(ada, method.clone(), path)
                .header("if-match", "\"9\"")
                .json(json!({"name": "Mine"}))
                .send();
            assert_eq!(answer.status(), 404, "{method} {path}");
            assert_eq!(
                answer.json::<Value>(),
                json!({"error": "project not found", "code": "NOT_FOUND",
                       "details": {"resource": "project"}}),
            );
        }
    }
    let undecodable = host.as_user(ada, Method::GET, "/api/v1/projects/%ff").send();
    assert_eq!(undecodable.status(), 404);
}

#[test]
fn revisions_are_kept_to() {
    let (host, ada) = host();
    let path = create(&host, ada, "Shop");
    for (tag, status) in [("\"1-0\"", 304), ("\"1\"", 200), ("*", 304), ("\"9\", \"1-0\"", 304)] {
        let answer = host.as_user(ada, Method::GET, &path).header("if-none-match", tag).send();
        assert_eq!(answer.status(), status, "{tag}");
    }
    for (tag, status) in
        [("\"2\"", 412), ("\"2-0\"", 412), ("W/\"1-0\"", 412), ("1", 400), ("*", 200)]
    {
        for method in [Method::PUT, Method::DELETE] {
            if method == Method::DELETE && status == 200 {
                continue;
            }
            let answer = host
                .as_user(ada, method.clone(), &path)
                .header("if-match", tag)
                .json(json!({"name": "Shop"}))
                .send();
            assert_eq!(answer.status(), status, "{method} {tag}");
        }
    }
    // The count of services is part of the tag for reading, not of the one for writing.
    let answer = host
        .as_user(ada, Method::PUT, &path)
        .header("if-match", "\"1-7\"")
        .json(json!({"name": "Store"}))
        .send();
    assert_eq!(answer.status(), 200);
    host.world.store.make_writes_stale();
    let stale = host.as_user(ada, Method::PUT, &path).json(json!({"name": "Other"})).send();
    assert_eq!(stale.status(), 409);
    assert_eq!(stale.json::<Value>()["code"], "CONFLICT");
}

#[test]
fn roles_are_kept_to() {
    let (host, ada) = host();
    let path = create(&host, ada, "Shop");
    let organization = host.world.store.memberships()[0].organization_id;
    let check = |role: Role, email: &str, update: u16, delete: u16| {
        let member = host.world.register(email).id;
        host.world.store.add_member(organization, member, role);
        assert_eq!(host.as_user(member, Method::GET, &path).send().status(), 200);
        let updated =
            host.as_user(member, Method::PUT, &path).json(json!({"description": email})).send();
        assert_eq!(updated.status(), update, "{email}");
        let deleted = host.as_user(member, Method::DELETE, &path).send();
        assert_eq!(deleted.status(), delete, "{email}");
        assert_eq!(deleted.json::<Value>()["code"], "FORBIDDEN");
    };
    check(Role::Viewer, "viewer@example.com", 403, 403);
    check(Role::Developer, "developer@example.com", 200, 403);
    check(Role::Admin, "admin@example.com", 200, 403);
}

#[test]
fn every_route_asks_who_is_calling() {
    let (host, _) = host();
    for route in host.router().routes() {
        let target = route.path.replace("{id}", "x");
        let answer = host.anonymous(route.method.clone(), &target).json("{").send();
        assert_eq!(answer.status(), 401, "{} {target}", route.method);
    }
}
