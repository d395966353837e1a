//! The routes of databases, over ports in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use containr_common::Error;
use containr_databases::routes::router;
use serde_json::{Value, json};
use windlass_domain::ids::{DatabaseId, UserId};
use windlass_domain::measurements::Usage;
use windlass_domain::testing::FakeRuntime;
use windlass_sdk::testing::{Answer, TestHost};
use windlass_sdk::{Method, StatusCode};

/// A host with a user, and a runtime with the image of PostgreSQL.
struct Stage {
    host: TestHost<Error>,
    runtime: FakeRuntime,
    ada: UserId,
}

impl Stage {
    fn new() -> Self {
        let host = TestHost::new(router());
        let ada = host.world.register("ada@example.com").id;
        let runtime = FakeRuntime::default();
        runtime.add_image("postgres:16-alpine", "postgres@sha256:1");
        Self { host, runtime, ada }
    }

    fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let call = self.host.as_user(self.ada, method, path);
        match body {
            Some(body) => call.json(body).send(),
            None => call.send(),
        }
    }

    fn create(&self) -> String {
        let created = self.send(Method::POST, "/api/v1/databases", Some(orders()));
        assert_eq!(created.status(), StatusCode::CREATED);
        let created: Value = created.json();
        assert_eq!(created["status"], "building");
        assert_eq!(created["message"], "Database provisioning started");
        created["id"].as_str().unwrap().to_owned()
    }

    fn running(&self) -> String {
        let id = self.create();
        self.host.world.settle(&self.runtime);
        id
    }

    fn view(&self, id: &str) -> Value {
        let answer = self.send(Method::GET, &format!("/api/v1/databases/{id}"), None);
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json()
    }
}

fn orders() -> Value {
    json!({"name": "orders", "type": "postgresql", "plan": "hobby", "region": "us-east"})
}

#[test]
fn a_database_is_shown_with_everything_the_contract_names() {
    let stage = Stage::new();
    let id = stage.running();
    let workload = DatabaseId::parse(&id).unwrap().into();
    let usage = Usage {
        cpu_millis: 125,
        memory_bytes: 128 << 20,
        network_received_bytes: 3 << 20,
        network_sent_bytes: 1 << 19,
        ..Usage::default()
    };
    stage.host.measurements.set(workload, usage);
    let view = stage.view(&id);
    let url = "postgresql://app:secret-1@127.0.0.1:49153/orders?sslmode=disable";
    let expected = json!({
        "id": id,
        "name": "orders",
        "type": "postgresql",
        "status": "running",
        "connection_url": url,
        "version": "16",
        "plan": "hobby",
        "region": "us-east",
        "metrics": {"cpu": 25.0, "memory": 25.0, "network_in": 3.0, "network_out": 0.5},
        "backups": {"enabled": false, "retention": 20, "backups": []},
        "settings": {"max_connections": 50, "timeout": 0, "ssl": false, "logging": true},
        "created_at": view["created_at"],
        "updated_at": view["updated_at"],
    });
    assert_eq!(view, expected);
    let listed: Value = stage.send(Method::GET, "/api/v1/databases", None).json();
    assert_eq!(listed["databases"][0]["connection_url"], url);
    assert!(listed["databases"][0].get("metrics").is_none());
}

#[test]
fn wrong_bodies_name_the_field() {
    let stage = Stage::new();
    let id = stage.running();
    let check = |method: Method, path: &str, body: Value, field: &str| {
        let answer = stage.send(method, path, Some(body));
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{field}");
        assert_eq!(answer.json::<Value>()["details"]["field"], field);
    };
    let with = |field: &str, value: Value| {
        let mut body = orders();
        body[field] = value;
        body
    };
    let all = "/api/v1/databases";
    check(Method::POST, all, with("plan", json!("free")), "plan");
    check(Method::POST, all, with("type", json!("oracle")), "type");
    check(Method::POST, all, with("name", json!(" ")), "name");
    check(Method::POST, all, json!({"name": "x", "type": "redis", "plan": "hobby"}), "region");
    let one = format!("/api/v1/databases/{id}");
    check(Method::PUT, &one, json!({}), "body");
    check(Method::PUT, &one, json!({"plan": "free"}), "plan");
    check(Method::POST, &format!("{one}/action"), json!({"action": "explode"}), "action");
    check(Method::POST, &format!("{one}/restore"), json!({}), "backup_id");
    for alias in ["postgres", "pg"] {
        let mut body = with("type", json!(alias));
        body["name"] = json!(alias);
        assert_eq!(stage.send(Method::POST, all, Some(body)).status(), StatusCode::CREATED);
    }
}

#[test]
fn what_is_asked_of_a_database_is_answered_as_the_contract_says() {
    let stage = Stage::new();
    let id = stage.running();
    let one = format!("/api/v1/databases/{id}");
    let message = |method: Method, path: &str, body: Option<Value>, status: StatusCode| {
        let answer = stage.send(method, path, body);
        assert_eq!(answer.status(), status, "{path}");
        let body = answer.json::<Value>();
        stage.host.world.settle(&stage.runtime);
        body
    };
    let renamed = message(Method::PUT, &one, Some(json!({"name": "sales"})), StatusCode::OK);
    assert_eq!(renamed, json!({"message": "Database updated"}));
    let action = format!("{one}/action");
    let act =
        |word: &str| message(Method::POST, &action, Some(json!({"action": word})), StatusCode::OK);
    assert_eq!(act("stop"), json!({"message": "Database stop initiated", "status": "running"}));
    assert_eq!(stage.view(&id)["status"], "stopped");
    assert_eq!(act("start"), json!({"message": "Database start initiated", "status": "building"}));
    let restarted = json!({"message": "Database restart initiated", "status": "building"});
    assert_eq!(act("restart"), restarted);
    let backup = format!("{one}/backup");
    let backup = message(Method::POST, &backup, None, StatusCode::CREATED);
    assert_eq!(backup["status"], "in_progress");
    let listed = &stage.view(&id)["backups"];
    assert_eq!(listed["backups"][0]["id"], backup["backup_id"]);
    assert_eq!(listed["backups"][0]["status"], "completed");
    assert_eq!(listed["backups"][0]["size"], "1000 B");
    assert!(listed["last_backup"].is_string());
    let restore = format!("{one}/restore");
    let body = json!({"backup_id": backup["backup_id"]});
    let restored = message(Method::POST, &restore, Some(body), StatusCode::OK);
    assert_eq!(restored, json!({"message": "Database restore initiated"}));
    assert_eq!(stage.view(&id)["status"], "running");
    let deleted = message(Method::DELETE, &one, None, StatusCode::OK);
    assert_eq!(deleted, json!({"message": "Database deleted"}));
    assert_eq!(stage.send(Method::GET, &one, None).status(), StatusCode::NOT_FOUND);
    assert!(stage.runtime.workloads().is_empty());
}

#[test]
fn strangers_and_callers_without_credentials_learn_nothing() {
    let stage = Stage::new();
    let id = stage.running();
    let eve = stage.host.world.register("eve@example.com").id;
    for route in stage.host.router().routes() {
        let path = route.path.replace("{id}", &id);
        let body = json!({"name": "x", "type": "redis", "plan": "hobby", "region": "", "action":
            "stop", "backup_id": id});
        let anonymous = stage.host.anonymous(route.method.clone(), &path).json(&body).send();
        assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED, "{path}");
        if route.path.contains("{id}") {
            let stranger = stage.host.as_user(eve, route.method, &path).json(&body).send();
            assert_eq!(stranger.status(), StatusCode::NOT_FOUND, "{path}");
            let unknown = json!({"error": "database not found", "code": "NOT_FOUND",
                "details": {"resource": "database"}});
            assert_eq!(stranger.json::<Value>(), unknown);
        }
    }
    assert_eq!(stage.view(&id)["status"], "running");
}
