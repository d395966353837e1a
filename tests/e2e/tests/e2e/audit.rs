//! The audit trail as its reader sees it.

use serde_json::{Value, json};
use windlass_harness::{Account, Server};

use crate::check::{MISSING_ID, has_exactly, text, time};
use crate::deployments::{Tenant, push};

on_each_database!(
    every_change_leaves_an_entry,
    deployments_leave_an_entry_when_asked_for_and_when_ended,
    entries_say_what_was_before_and_after,
    values_of_variables_never_enter_the_trail,
    entries_are_filtered_and_paged,
    nobody_reads_what_another_did,
    refused_requests_leave_no_entry,
);

const ENTRY: [&str; 10] = [
    "id",
    "user_id",
    "user_email",
    "resource",
    "resource_id",
    "action",
    "details",
    "ip_address",
    "user_agent",
    "created_at",
];
const LOGS: &str = "/api/v1/audit-logs";

pub(crate) async fn every_change_leaves_an_entry(server: &Server) {
    let (account, project, service) = history(server).await;
    let entries = listed(&account, "").await;
    let user = account.id.as_str();
    let expected = [
        ("user", user, "register"),
        ("user", user, "login"),
        ("project", project.as_str(), "create"),
        ("project", &project, "update"),
        ("service", &service, "create"),
        ("service", &service, "update"),
        ("service", &service, "delete"),
        ("user", user, "update"),
        ("project", &project, "delete"),
    ];
    let found: Vec<_> = entries.iter().rev().map(name).collect();
    assert_eq!(found, expected);
    for entry in &entries {
        has_exactly(entry, &ENTRY);
        assert_eq!(entry["user_id"], account.id);
        assert_eq!(entry["user_email"], account.email);
        assert_eq!(entry["ip_address"], "127.0.0.1");
        assert!(entry["user_agent"].is_string());
        time(&entry["created_at"]);
    }
    assert!(
        entries
            .is_sorted_by(|newer, older| time(&newer["created_at"]) >= time(&older["created_at"]))
    );
    let path = format!("{LOGS}/project/{project}");
    let of_project = account.client.get(&path).await.expect(200).json();
    has_exactly(&of_project, &["audit_logs"]);
    let of_project = of_project["audit_logs"].as_array().expect("a list").clone();
    assert_eq!(
        of_project.iter().map(|entry| text(entry, "action")).collect::<Vec<_>>(),
        ["delete", "update", "create"]
    );
}

pub(crate) async fn deployments_leave_an_entry_when_asked_for_and_when_ended(server: &Server) {
    let image = push(server, "web:1", "workload_blue").await;
    let tenant = Tenant::new(server, "Harbour").await;
    let source = json!({"type": "image", "image": image});
    let variables = json!({"environment_variables": {"COLOUR": "opensesame"}});
    let new = json!({"name": "web", "type": "web", "source": source, "build_config": variables});
    let service = tenant.service_with(&new).await;
    let first = tenant.deploy(&service).await;
    let path = format!("/api/v1/deployments/{first}/rollback");
    let answer = tenant.client().post(&path, &json!({})).await.expect(201).json();
    let second = text(&answer["deployment"], "id");
    tenant.ended(second).await;
    let entries = listed(&tenant.account, "?resource=deployment").await;
    let found: Vec<_> = entries.iter().rev().map(name).collect();
    let expected = [(first.as_str(), "deploy"), (&first, "finish"), (second, "rollback")];
    let expected = expected.into_iter().chain([(second, "finish")]);
    let expected: Vec<_> = expected.map(|(id, action)| ("deployment", id, action)).collect();
    assert_eq!(found, expected);
    for entry in &entries {
        assert_eq!(
            (&entry["user_id"], &entry["user_email"]),
            (&json!(tenant.account.id), &json!(tenant.account.email),)
        );
        assert!(!text(entry, "details").contains("sesame"), "values stay out of it: {entry}");
    }
    let details: Value = serde_json::from_str(text(&entries[0], "details")).expect("JSON");
    has_exactly(&details, &["status", "image_digest"]);
    assert_eq!(details["status"], json!({"after": "live"}), "{details}");
    let path = format!("{LOGS}/deployment/{second}");
    let of_one = tenant.client().get(&path).await.expect(200).json();
    assert_eq!(of_one["audit_logs"].as_array().map(Vec::len), Some(2), "{of_one}");
}

pub(crate) async fn entries_say_what_was_before_and_after(server: &Server) {
    let account = Account::register(&server.client()).await;
    let project = account.create_project("Before").await;
    let path = format!("/api/v1/projects/{}", text(&project, "id"));
    let request = account.client.request(reqwest::Method::PUT, &path);
    let request = request.header("user-agent", "the tests").json(&json!({"name": "After"}));
    request.send().await.expect(200);
    let newest = listed(&account, "").await.swap_remove(0);
    assert_eq!(newest["user_agent"], "the tests");
    let details: Value = serde_json::from_str(text(&newest, "details")).expect("details are JSON");
    assert_eq!(details, json!({"name": {"before": "Before", "after": "After"}}));
}

pub(crate) async fn values_of_variables_never_enter_the_trail(server: &Server) {
    let account = Account::register(&server.client()).await;
    let project = account.create_project("Secretive").await;
    let path = format!("/api/v1/projects/{}/services", text(&project, "id"));
    let with = |value: &str| json!({"environment_variables": {"API_KEY": value}});
    let new = json!({"name": "keeper", "type": "web", "build_config": with("opensesame")});
    let service = account.client.post(&path, &new).await.expect(201).json();
    let path = format!("/api/v1/services/{}", text(&service, "id"));
    account.client.put(&path, &json!({"build_config": with("closesesame")})).await.expect(200);
    account.client.delete(&path).await.expect(204);
    let trail = account.client.get(LOGS).await.expect(200).text();
    assert!(trail.contains("API_KEY"), "the names are kept: {trail}");
    assert!(!trail.contains("sesame"), "the values are not: {trail}");
    assert!(!trail.contains(windlass_harness::account::PASSWORD));
}

pub(crate) async fn entries_are_filtered_and_paged(server: &Server) {
    let (account, project, service) = history(server).await;
    let all = listed(&account, "").await;
    for (query, expected) in [
        (
            "?resource=service",
            vec![
                ("service", service.as_str(), "delete"),
                ("service", &service, "update"),
                ("service", &service, "create"),
            ],
        ),
        (
            "?action=delete",
            vec![("project", project.as_str(), "delete"), ("service", &service, "delete")],
        ),
        ("?resource=project&action=update", vec![("project", project.as_str(), "update")]),
        ("?resource=teapot", vec![]),
    ] {
        let found = listed(&account, query).await;
        assert_eq!(found.iter().map(name).collect::<Vec<_>>(), expected, "{query}");
    }
    let mut collected = Vec::new();
    for page in 1..=4 {
        collected.extend(listed(&account, &format!("?limit=3&page={page}")).await);
    }
    assert_eq!(collected, all);
    for (field, query) in
        [("page", "page=0"), ("page", "page=x"), ("limit", "limit=0"), ("limit", "limit=101")]
    {
        account.client.get(&format!("{LOGS}?{query}")).await.expect_invalid(field);
    }
}

pub(crate) async fn nobody_reads_what_another_did(server: &Server) {
    let (account, project, _) = history(server).await;
    let stranger = Account::register(&server.client()).await;
    let seen = listed(&stranger, "").await;
    assert!(seen.iter().all(|entry| entry["user_id"] == stranger.id), "{seen:?}");
    for id in [project.as_str(), MISSING_ID, "none"] {
        let path = format!("{LOGS}/project/{id}");
        let body = stranger.client.get(&path).await.expect(200).json();
        assert_eq!(body, json!({"audit_logs": []}));
    }
    assert!(!listed(&account, "").await.is_empty());
}

pub(crate) async fn refused_requests_leave_no_entry(server: &Server) {
    let account = Account::register(&server.client()).await;
    let before = listed(&account, "").await;
    account.client.post("/api/v1/projects", &json!({"name": "x"})).await.expect(400);
    account.client.delete(&format!("/api/v1/projects/{MISSING_ID}")).await.expect(404);
    let wrong = json!({"email": account.email, "password": "not the password"});
    server.client().post("/api/v1/auth/login", &wrong).await.expect(401);
    assert_eq!(listed(&account, "").await, before);
}

/// One of each change, and the ids of the project and the service that are gone at the end.
async fn history(server: &Server) -> (Account, String, String) {
    let account = Account::register(&server.client()).await;
    let client = &account.client;
    let project = text(&account.create_project("Harbour").await, "id").to_owned();
    let project_path = format!("/api/v1/projects/{project}");
    client.put(&project_path, &json!({"description": "Ships"})).await.expect(200);
    let service = text(&account.create_service(&project, "crane").await, "id").to_owned();
    let service_path = format!("/api/v1/services/{service}");
    client.put(&service_path, &json!({"name": "winch"})).await.expect(200);
    client.delete(&service_path).await.expect(204);
    client.put("/api/v1/user/profile", &json!({"name": "Harbourmaster"})).await.expect(200);
    client.delete(&project_path).await.expect(204);
    (account, project, service)
}

async fn listed(account: &Account, query: &str) -> Vec<Value> {
    let body = account.client.get(&format!("{LOGS}{query}")).await.expect(200).json();
    has_exactly(&body, &["audit_logs"]);
    body["audit_logs"].as_array().expect("a list").clone()
}

fn name(entry: &Value) -> (&str, &str, &str) {
    (text(entry, "resource"), text(entry, "resource_id"), text(entry, "action"))
}
