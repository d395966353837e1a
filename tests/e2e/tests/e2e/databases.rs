//! Managed databases: what the API answers of them, and, on a Docker engine of the test's own, that
//! they are really there.

pub(crate) mod engines;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use windlass_harness::{Account, Client, Server};

use crate::check::{MISSING_ID, has_exactly, text, time};

pub(crate) const DATABASES: &str = "/api/v1/databases";
/// Longer than the first start of an engine takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

on_each_database!(
    a_database_without_anything_to_run_it_says_so_and_can_be_deleted,
    bodies_that_do_not_fit_are_refused
);

/// A database by its path.
pub(crate) struct Kept<'a> {
    client: &'a Client,
    pub(crate) id: String,
}

impl<'a> Kept<'a> {
    pub(crate) async fn create(client: &'a Client, name: &str, engine: &str) -> Self {
        let new = json!({"name": name, "type": engine, "plan": "hobby", "region": "here"});
        let created = client.post(DATABASES, &new).await.expect(201).json();
        has_exactly(&created, &["id", "message", "status"]);
        assert_eq!(created["status"], "building");
        Self { client, id: text(&created, "id").to_owned() }
    }

    /// The same through another client.
    pub(crate) fn of(client: &'a Client, id: &str) -> Self {
        Self { client, id: id.to_owned() }
    }

    pub(crate) fn client(&self) -> &Client {
        self.client
    }

    pub(crate) fn path(&self) -> String {
        format!("{DATABASES}/{}", self.id)
    }

    pub(crate) async fn view(&self) -> Value {
        self.client.get(&self.path()).await.expect(200).json()
    }

    pub(crate) async fn act(&self, action: &str) -> Value {
        let path = format!("{}/action", self.path());
        self.client.post(&path, &json!({"action": action})).await.expect(200).json()
    }

    /// Waits until it has this status, and answers it.
    #[track_caller]
    pub(crate) fn becomes(&self, status: &str) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let begun = Instant::now();
            loop {
                let found = self.view().await;
                if found["status"] == status {
                    return found;
                }
                assert!(begun.elapsed() < PATIENCE, "{place}: it never is {status}: {found}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Has it backed up and answers the backup when it is there.
    pub(crate) async fn back_up(&self) -> Value {
        let path = format!("{}/backup", self.path());
        let asked = self.client.request(Method::POST, &path).send().await.expect(201).json();
        has_exactly(&asked, &["backup_id", "message", "status"]);
        assert_eq!(asked["status"], "in_progress");
        let begun = Instant::now();
        loop {
            let backups = self.view().await["backups"]["backups"].clone();
            let mut all = backups.as_array().expect("a list").iter();
            let found = all.find(|backup| backup["id"] == asked["backup_id"]).cloned();
            let found = found.expect("it is listed");
            match text(&found, "status") {
                "completed" => return found,
                "in_progress" => {}
                _ => panic!("it failed: {found}"),
            }
            assert!(begun.elapsed() < PATIENCE, "it never ends: {found}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn restore(&self, backup: &Value) {
        let path = format!("{}/restore", self.path());
        let body = json!({"backup_id": backup["id"]});
        let answer = self.client.post(&path, &body).await.expect(200).json();
        has_exactly(&answer, &["message"]);
    }
}

pub(crate) async fn a_database_without_anything_to_run_it_says_so_and_can_be_deleted(
    server: &Server,
) {
    let account = Account::register(&server.client()).await;
    let client = &account.client;
    let database = Kept::create(client, "orders", "pg").await;
    let failed = database.becomes("error").await;
    assert_eq!(failed["connection_url"], "");
    assert_eq!((&failed["type"], &failed["region"]), (&json!("postgresql"), &json!("here")));
    assert!(failed.get("metrics").is_none(), "nothing is counted: {failed}");
    assert!(time(&failed["updated_at"]) >= time(&failed["created_at"]));
    let listed = client.get(DATABASES).await.expect(200).json();
    assert_eq!(listed, json!({"databases": [failed]}));
    let taken = json!({"name": "orders", "type": "redis", "plan": "hobby", "region": ""});
    client.post(DATABASES, &taken).await.expect_error(409);
    let change = json!({"name": "sales", "plan": "starter"});
    client.put(&database.path(), &change).await.expect(200);
    let changed = database.becomes("error").await;
    assert_eq!((&changed["name"], &changed["plan"]), (&json!("sales"), &json!("starter")));
    assert_eq!(database.act("start").await["status"], "building");
    database.becomes("error").await;
    let backup = format!("{}/backup", database.path());
    client.request(Method::POST, &backup).send().await.expect_error(409);
    let restore = format!("{}/restore", database.path());
    client.post(&restore, &json!({"backup_id": MISSING_ID})).await.expect_error(404);
    let trail = format!("/api/v1/audit-logs/database/{}", database.id);
    let trail = client.get(&trail).await.expect(200).json();
    let told = trail["audit_logs"].to_string();
    assert!(told.contains("runs no containers"), "the trail says why: {told}");
    client.delete(&database.path()).await.expect(200);
    client.get(&database.path()).await.expect_error(404);
    client
        .post(
            DATABASES,
            &json!({"name": "sales", "type": "mongo", "plan": "hobby",
        "region": "x"}),
        )
        .await
        .expect(201);
}

async fn bodies_that_do_not_fit_are_refused(server: &Server) {
    let account = Account::register(&server.client()).await;
    let client = &account.client;
    let check = async |body: Value, field: &str| {
        let refused = client.post(DATABASES, &body).await.expect_error(400);
        assert_eq!(refused["details"]["field"], field, "{body}: {refused}");
    };
    let all = json!({"name": "a", "type": "redis", "plan": "hobby", "region": "x"});
    for (field, wrong) in [
        ("name", json!("")),
        ("type", json!("oracle")),
        ("plan", json!("free")),
        ("plan", json!(1)),
        ("region", json!("r".repeat(65))),
    ] {
        let mut body = all.clone();
        body[field] = wrong;
        check(body, field).await;
    }
    for path in ["", "/action", "/backup", "/restore"] {
        let path = format!("{DATABASES}/{MISSING_ID}{path}");
        let body = json!({"name": "x", "action": "stop", "backup_id": MISSING_ID});
        match path.ends_with(MISSING_ID) {
            true => client.put(&path, &body).await.expect_error(404),
            false => client.post(&path, &body).await.expect_error(404),
        };
    }
}
