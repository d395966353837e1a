//! Services.

use reqwest::Method;
use serde_json::{Value, json};
use windlass_harness::{Account, Server};

use crate::check::{MISSING_ID, has_exactly, same_refusal, text, time};

on_each_database!(
    a_service_is_described_in_full_and_answered_in_full,
    a_service_without_details_gets_the_defaults,
    a_service_changes_in_what_is_sent_only,
    a_service_is_deleted,
    service_requests_name_the_field_that_does_not_fit,
    names_of_services_are_unique_in_their_project,
    the_services_of_a_project_are_a_bare_list,
    a_project_of_the_largest_services_is_listed,
    a_foreign_service_is_like_one_that_does_not_exist,
);

const SERVICE: [&str; 10] = [
    "id",
    "project_id",
    "name",
    "type",
    "status",
    "source",
    "build_config",
    "resources",
    "created_at",
    "updated_at",
];

pub(crate) async fn a_service_is_described_in_full_and_answered_in_full(server: &Server) {
    let (account, services) = project(server).await;
    let sources = [
        (
            "web",
            json!({
                "type": "git", "repository": "https://git.example.test/ada/app.git", "branch": "main",
                "root_directory": "apps/web", "dockerfile": "", "image": "",
            }),
        ),
        (
            "worker",
            json!({
                "type": "dockerfile", "repository": "git@git.example.test:ada/app.git", "branch": "next",
                "root_directory": "worker", "dockerfile": "docker/Dockerfile.worker", "image": "",
            }),
        ),
        (
            "database",
            json!({
                "type": "image", "repository": "", "branch": "", "root_directory": "", "dockerfile": "",
                "image": "registry.example.test/postgres:16",
            }),
        ),
    ];
    for (kind, source) in sources {
        let new = json!({
            "name": format!("full {kind}"), "type": kind, "source": source,
            "build_config": {
                "builder_type": "dockerfile", "build_command": "make", "start_command": "./serve",
                "environment_variables": {"PORT": "8080", "_EMPTY": "", "TEXT": "two\nlines"},
            },
            "resources": {"cpu": "1.5", "memory": "1Gi", "storage": "10Gi"},
        });
        let created = account.client.post(&services, &new).await.expect(201);
        assert!(created.header("etag").is_some());
        let service = created.json();
        has_exactly(&service, &SERVICE);
        for field in ["name", "type", "source", "build_config", "resources"] {
            assert_eq!(service[field], new[field], "{field}");
        }
        assert_eq!(service["status"], "stopped");
        assert!(services.contains(text(&service, "project_id")));
        assert_eq!(time(&service["created_at"]), time(&service["updated_at"]));
        let viewed = account.client.get(&path(&service)).await.expect(200);
        assert_eq!(viewed.header("etag"), created.header("etag"));
        assert_eq!(viewed.json(), service);
    }
}

pub(crate) async fn a_service_without_details_gets_the_defaults(server: &Server) {
    let (account, services) = project(server).await;
    let new = json!({"name": "  plain ", "type": "cron"});
    let service = account.client.post(&services, &new).await.expect(201).json();
    has_exactly(&service, &SERVICE);
    assert_eq!(service["name"], "plain");
    assert_eq!(service["resources"], json!({"cpu": "0.5", "memory": "512Mi", "storage": ""}));
    // An enumeration has no empty text, so what was not said is left out.
    let source = ["repository", "branch", "root_directory", "dockerfile", "image"];
    has_exactly(&service["source"], &source);
    assert!(source.iter().all(|field| service["source"][field] == ""), "{service}");
    let build = json!({"build_command": "", "start_command": "", "environment_variables": {}});
    assert_eq!(service["build_config"], build);
}

pub(crate) async fn a_service_changes_in_what_is_sent_only(server: &Server) {
    let (account, services) = project(server).await;
    let new = json!({
        "name": "before", "type": "web",
        "build_config": {
            "builder_type": "nixpacks", "start_command": "run",
            "environment_variables": {"A": "1", "B": "2"},
        },
    });
    let created = account.client.post(&services, &new).await.expect(201);
    let mut tag = created.header("etag").map(str::to_owned);
    let mut expected = created.json();
    let changes = [
        json!({"name": "after"}),
        json!({"build_config": {"build_command": "make all"}}),
        json!({"build_config": {"builder_type": "image"}}),
        json!({"build_config": {"environment_variables": {"B": "3"}}}),
        json!({"resources": {"cpu": "250m"}}),
        json!({"resources": {"memory": "2Gi", "storage": "5G"}}),
    ];
    for change in changes {
        let answer = account.client.put(&path(&expected), &change).await.expect(200);
        let next = answer.header("etag").map(str::to_owned);
        assert_ne!(next, tag, "a change changes the tag");
        tag = next;
        let body = answer.json();
        for (field, value) in change.as_object().expect("written as one") {
            match value.as_object() {
                Some(parts) => {
                    for (part, value) in parts {
                        expected[field][part] = value.clone();
                    }
                }
                None => expected[field] = value.clone(),
            }
        }
        assert!(time(&body["updated_at"]) > time(&expected["updated_at"]));
        expected["updated_at"] = body["updated_at"].clone();
        assert_eq!(body, expected);
        assert_eq!(account.client.get(&path(&expected)).await.expect(200).json(), expected);
    }
}

pub(crate) async fn a_service_is_deleted(server: &Server) {
    let (account, services) = project(server).await;
    let new = json!({"name": "gone", "type": "web"});
    let service = account.client.post(&services, &new).await.expect(201).json();
    assert!(account.client.delete(&path(&service)).await.expect(204).body.is_empty());
    account.client.get(&path(&service)).await.expect_error(404);
    account.client.put(&path(&service), &json!({"name": "back"})).await.expect_error(404);
    account.client.delete(&path(&service)).await.expect_error(404);
    assert_eq!(account.client.get(&services).await.expect(200).json(), json!([]));
    account.client.post(&services, &new).await.expect(201);
}

pub(crate) async fn service_requests_name_the_field_that_does_not_fit(server: &Server) {
    let (account, services) = project(server).await;
    let good = json!({"name": "good", "type": "web"});
    let service = account.client.post(&services, &good).await.expect(201).json();
    let both = [
        ("name", json!({"name": "  "})),
        ("name", json!({"name": "n".repeat(256)})),
        ("name", json!({"name": true})),
        ("build_config.builder_type", json!({"build_config": {"builder_type": "magic"}})),
        ("build_config.build_command", json!({"build_config": {"build_command": "a\u{7}b"}})),
        (
            "build_config.start_command",
            json!({"build_config": {"start_command": "s".repeat(4_097)}}),
        ),
        (
            "build_config.environment_variables",
            json!({"build_config": {"environment_variables": {"1A": "x"}}}),
        ),
        (
            "build_config.environment_variables",
            json!({"build_config": {"environment_variables": too_many()}}),
        ),
        ("resources.cpu", json!({"resources": {"cpu": "0"}})),
        ("resources.cpu", json!({"resources": {"cpu": "many"}})),
        ("resources.memory", json!({"resources": {"memory": "512"}})),
        ("resources.storage", json!({"resources": {"storage": "-1Gi"}})),
    ];
    for (field, change) in both {
        account.client.put(&path(&service), &change).await.expect_invalid(field);
        let mut new = json!({"name": "other", "type": "web"});
        merge(&mut new, &change);
        account.client.post(&services, &new).await.expect_invalid(field);
    }
    let new = [
        ("type", json!({"type": "lambda"})),
        ("source.type", json!({"source": {"type": "ftp"}})),
        ("source.repository", json!({"source": {"repository": "file:///etc/passwd"}})),
        ("source.root_directory", json!({"source": {"root_directory": "../up"}})),
        ("source.dockerfile", json!({"source": {"dockerfile": "/etc/passwd"}})),
    ];
    for (field, part) in new {
        let mut body = json!({"name": "other", "type": "web"});
        merge(&mut body, &part);
        account.client.post(&services, &body).await.expect_invalid(field);
    }
    account.client.post(&services, &json!({"type": "web"})).await.expect_invalid("name");
    account.client.post(&services, &json!({"name": "typeless"})).await.expect_invalid("type");
    account.client.put(&path(&service), &json!({})).await.expect_error(400);
    assert_eq!(account.client.get(&services).await.expect(200).json(), json!([service]));
}

pub(crate) async fn names_of_services_are_unique_in_their_project(server: &Server) {
    let (account, services) = project(server).await;
    let new = json!({"name": "api", "type": "web"});
    account.client.post(&services, &new).await.expect(201);
    let refusal = account.client.post(&services, &new).await.expect_error(409);
    assert_eq!(refusal["details"]["field"], "name", "{refusal}");
    let second = json!({"name": "second", "type": "web"});
    let second = account.client.post(&services, &second).await.expect(201).json();
    account.client.put(&path(&second), &json!({"name": "api"})).await.expect_error(409);
    let elsewhere = account.create_project("Elsewhere").await;
    account.create_service(text(&elsewhere, "id"), "api").await;
}

pub(crate) async fn the_services_of_a_project_are_a_bare_list(server: &Server) {
    let (account, services) = project(server).await;
    assert_eq!(account.client.get(&services).await.expect(200).json(), json!([]));
    let mut expected = Vec::new();
    for name in ["one", "two", "three"] {
        let new = json!({"name": name, "type": "worker"});
        expected.push(account.client.post(&services, &new).await.expect(201).json());
    }
    assert_eq!(account.client.get(&services).await.expect(200).json(), json!(expected));
}

pub(crate) async fn a_foreign_service_is_like_one_that_does_not_exist(server: &Server) {
    let (owner, services) = project(server).await;
    let stranger = Account::register(&server.client()).await.client;
    let new = json!({"name": "private", "type": "web"});
    let service = owner.client.post(&services, &new).await.expect(201).json();
    let nowhere = |id: &str| format!("/api/v1/projects/{id}/services");
    for (method, foreign, missing, malformed) in [
        (Method::GET, path(&service), service_path(MISSING_ID), service_path("none")),
        (Method::PUT, path(&service), service_path(MISSING_ID), service_path("none")),
        (Method::DELETE, path(&service), service_path(MISSING_ID), service_path("none")),
        (Method::GET, services.clone(), nowhere(MISSING_ID), nowhere("none")),
        (Method::POST, services.clone(), nowhere(MISSING_ID), nowhere("none")),
    ] {
        let call = |path: String| {
            let request = stranger.request(method.clone(), &path);
            let writes = method == Method::PUT || method == Method::POST;
            if writes { request.json(&new).send() } else { request.send() }
        };
        let refusal = call(foreign).await;
        assert_eq!(refusal.status, 404, "{method}");
        same_refusal(refusal.clone(), call(missing).await);
        same_refusal(refusal, call(malformed).await);
    }
    assert_eq!(owner.client.get(&path(&service)).await.expect(200).json(), service);
}

/// A user with a project, and the path of its services.
async fn project(server: &Server) -> (Account, String) {
    let account = Account::register(&server.client()).await;
    let project = account.create_project("Harbour").await;
    let services = format!("/api/v1/projects/{}/services", text(&project, "id"));
    (account, services)
}

fn path(service: &Value) -> String {
    service_path(text(service, "id"))
}

fn service_path(id: &str) -> String {
    format!("/api/v1/services/{id}")
}

fn merge(into: &mut Value, more: &Value) {
    let more = more.as_object().expect("written as one").clone();
    into.as_object_mut().expect("written as one").extend(more);
}

fn too_many() -> Value {
    (0..201)
        .map(|number| (format!("V{number}"), json!("x")))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Everything as long as it may be, of what takes the most room as JSON.
fn largest_service(number: usize) -> Value {
    let (quotes, wide) = ("\"".repeat(32_000), "\u{1F600}".repeat(4_096));
    json!({
        "name": format!("{number:03}{}", "\u{1F600}".repeat(252)), "type": "web",
        "source": {
            "type": "git", "repository": "https://git.example.test/app.git", "branch": "main",
            "root_directory": "\u{1F600}".repeat(512), "dockerfile": "\u{1F600}".repeat(512),
        },
        "build_config": {
            "build_command": wide, "start_command": wide,
            "environment_variables": {"ONE": quotes, "OTHER": quotes},
        },
    })
}

async fn a_project_of_the_largest_services_is_listed(server: &Server) {
    let (account, services) = project(server).await;
    for tens in 0..20 {
        let creations = (tens * 10..tens * 10 + 10).map(|number| {
            let (account, services) = (&account, &services);
            async move { account.client.post(services, &largest_service(number)).await.expect(201) }
        });
        futures::future::join_all(creations).await;
    }
    let listed = account.client.get(&services).await.expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(200));
    account.client.post(&services, &largest_service(200)).await.expect_error(429);
    let trail = account.client.get("/api/v1/audit-logs?limit=100").await.expect(200).json();
    assert_eq!(trail["audit_logs"].as_array().map(Vec::len), Some(100));
}
