//! The audit trail, through the router and over ports in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use containr_audit::routes::router;
use containr_common::Error;
use serde_json::{Value, json};
use windlass_domain::ids::UserId;
use windlass_domain::projects::{self, NewProject, ProjectChange};
use windlass_domain::testing::block_on;
use windlass_sdk::Method;
use windlass_sdk::testing::TestHost;

const LOGS: &str = "/api/v1/audit-logs";

/// A host with a user who made, changed and deleted a project, a second apart.
fn host() -> (TestHost<Error>, UserId, String) {
    let host = TestHost::new(router());
    let ada = host.world.register("ada@example.com").id;
    let ctx = host.world.as_user(ada);
    let new_project = NewProject { name: "Shop".to_owned(), description: String::new() };
    host.world.clock.advance_seconds(1);
    let id = block_on(projects::create(&ctx, new_project)).unwrap().project.id.to_string();
    let change = ProjectChange { name: Some("Store".to_owned()), description: None };
    host.world.clock.advance_seconds(1);
    block_on(projects::update(&ctx, &id, change, None)).unwrap();
    host.world.clock.advance_seconds(1);
    block_on(projects::delete(&ctx, &id, None)).unwrap();
    (host, ada, id)
}

fn actions(host: &TestHost<Error>, user: UserId, target: &str) -> Vec<String> {
    let answer = host.as_user(user, Method::GET, target).send();
    assert_eq!(answer.status(), 200, "{target}");
    let body: Value = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 1);
    body["audit_logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|log| {
            format!("{} {}", log["resource"].as_str().unwrap(), log["action"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn an_entry_has_all_fields() {
    let (host, ada, id) = host();
    let answer = host.as_user(ada, Method::GET, &format!("{LOGS}?action=update")).send();
    let body: Value = answer.json();
    let details = body["audit_logs"][0]["details"].as_str().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(details).unwrap(),
        json!({"name": {"before": "Shop", "after": "Store"}}),
    );
    assert_eq!(
        body,
        json!({"audit_logs": [{
            "id": body["audit_logs"][0]["id"],
            "user_id": ada.to_string(),
            "user_email": "ada@example.com",
            "resource": "project",
            "resource_id": id,
            "action": "update",
            "details": details,
            "ip_address": "192.0.2.1",
            "user_agent": "test/1",
            "created_at": "2026-01-01T00:00:02.000000Z",
        }]}),
    );
}

#[test]
fn what_was_made_has_no_before_and_what_was_deleted_no_after() {
    let (host, ada, _) = host();
    let details = |action: &str| {
        let target = format!("{LOGS}?resource=project&action={action}");
        let body: Value = host.as_user(ada, Method::GET, &target).send().json();
        let text = body["audit_logs"][0]["details"].as_str().unwrap().to_owned();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    assert_eq!(details("create"), json!({"name": {"after": "Shop"}}));
    assert_eq!(
        details("delete"),
        json!({"name": {"before": "Store"}, "services_count": {"before": "0"}}),
    );
}

#[test]
fn the_list_is_filtered_and_newest_first() {
    let (host, ada, _) = host();
    let bob = host.world.register("bob@example.com").id;
    let check = |query: &str, expected: &[&str]| {
        assert_eq!(actions(&host, ada, &format!("{LOGS}{query}")), expected, "{query}");
    };
    let project = ["project delete", "project update", "project create"];
    check("", &[project[0], project[1], project[2], "user register"]);
    check("?resource=project", &project);
    check("?resource=&action=", &[project[0], project[1], project[2], "user register"]);
    check("?resource=user&action=register", &["user register"]);
    check("?resource=user&action=delete", &[]);
    check("?resource=volcano", &[]);
    check("?action=erupt", &[]);
    check("?limit=2&page=2", &["project create", "user register"]);
    check("?page=9", &[]);
    assert_eq!(actions(&host, bob, LOGS), ["user register"]);
}

#[test]
fn links_lead_from_page_to_page() {
    let (host, ada, _) = host();
    let link = |query: &str| {
        let answer = host.as_user(ada, Method::GET, &format!("{LOGS}{query}")).send();
        answer.header("link").unwrap().to_owned()
    };
    assert_eq!(link(""), r#"</api/v1/audit-logs?page=1>; rel="first""#);
    assert_eq!(
        link("?limit=1&page=2"),
        r#"</api/v1/audit-logs?limit=1&page=1>; rel="first", </api/v1/audit-logs?limit=1&page=1>; rel="prev", </api/v1/audit-logs?limit=1&page=3>; rel="next""#,
    );
}

#[test]
fn bad_queries_name_the_parameter() {
    let (host, ada, _) = host();
    for (query, field) in [
        ("page=0", "page"),
        ("page=one", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("resource=%00", "resource"),
        ("action=a&action=b", "action"),
    ] {
        let answer = host.as_user(ada, Method::GET, &format!("{LOGS}?{query}")).send();
        assert_eq!(answer.status(), 400, "{query}");
        let error: Value = answer.json();
        assert_eq!(
            (&error["code"], &error["details"]["field"]),
            (&json!("INVALID_INPUT"), &json!(field))
        );
    }
}

#[test]
fn a_resource_lists_the_callers_own_entries_alone() {
    let (host, ada, id) = host();
    let bob = host.world.register("bob@example.com").id;
    let of_project = format!("{LOGS}/project/{id}");
    assert_eq!(
        actions(&host, ada, &of_project),
        ["project delete", "project update", "project create"],
    );
    assert_eq!(actions(&host, ada, &format!("{LOGS}/user/{ada}")), ["user register"]);
    for nothing in [
        format!("{LOGS}/service/{id}"),
        format!("{LOGS}/project/x"),
        format!("{LOGS}/volcano/{id}"),
        format!("{LOGS}/project/{ada}"),
    ] {
        assert_eq!(actions(&host, ada, &nothing), [""; 0], "{nothing}");
    }
    assert_eq!(actions(&host, bob, &of_project), [""; 0]);
}

#[test]
fn every_route_asks_who_is_calling() {
    let (host, _, _) = host();
    for route in host.router().routes() {
        let target = route.path.replace("{resource}", "project").replace("{id}", "x");
        let answer = host.anonymous(route.method.clone(), &target).send();
        assert_eq!(answer.status(), 401, "{} {target}", route.method);
    }
}
