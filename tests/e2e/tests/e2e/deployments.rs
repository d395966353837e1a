//! Services that are really deployed: pushed, started, visited, read, replaced and put back.

pub(crate) mod story;

mod crashes;
mod endings;
mod power_cuts;
mod programs;
mod refusals;
pub(crate) mod registries;
mod visits;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_harness::fixtures::fixture;
use windlass_harness::{Account, Client, Server};

use crate::check::text;

/// Longer than a release has to work, which is a minute.
const PATIENCE: Duration = Duration::from_secs(90);

/// A user with a project, who deploys.
pub(crate) struct Tenant {
    /// The user.
    pub(crate) account: Account,
    /// The project's id.
    pub(crate) project: String,
}

impl Tenant {
    /// Registers one, with a project of this name.
    pub(crate) async fn new(server: &Server, project: &str) -> Self {
        let account = Account::register(&server.client()).await;
        let project = text(&account.create_project(project).await, "id").to_owned();
        Self { account, project }
    }

    /// Creates a service of a kind from an image and answers its id.
    pub(crate) async fn service(&self, name: &str, kind: &str, image: &str) -> String {
        let source = json!({"type": "image", "image": image});
        self.service_with(&json!({"name": name, "type": kind, "source": source})).await
    }

    /// Creates a service and answers its id.
    pub(crate) async fn service_with(&self, new: &Value) -> String {
        let path = format!("/api/v1/projects/{}/services", self.project);
        let service = self.client().post(&path, new).await.expect(201).json();
        text(&service, "id").to_owned()
    }

    /// Asks for a deployment and answers its id.
    pub(crate) async fn ask(&self, service: &str) -> String {
        let path = format!("/api/v1/services/{service}/deployments");
        let deployment = self.client().post(&path, &json!({})).await.expect(201).json();
        text(&deployment, "id").to_owned()
    }

    /// Deploys, and answers the id when visitors reach it.
    pub(crate) async fn deploy(&self, service: &str) -> String {
        let id = self.ask(service).await;
        let ended = self.ended(&id).await;
        assert_eq!(ended["status"], "deployed", "{ended}");
        id
    }

    /// Waits until a deployment is carried out, well or badly.
    pub(crate) async fn ended(&self, deployment: &str) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.deployment(deployment).await;
            if ["deployed", "failed"].contains(&text(&found, "status")) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "it goes on for ever: {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A deployment as it is now.
    pub(crate) async fn deployment(&self, id: &str) -> Value {
        let path = format!("/api/v1/deployments/{id}");
        let body = self.client().get(&path).await.expect(200).json();
        body["deployment"].clone()
    }

    /// The lines that a service wrote, with where it wrote them.
    pub(crate) async fn lines(&self, service: &str) -> Vec<(String, String)> {
        let path = format!("/api/v1/services/{service}/logs");
        let body = self.client().get(&path).await.expect(200).json();
        let entries = body["logs"].as_array().expect("a list").iter();
        let line =
            |entry: &Value| (text(entry, "stream").to_owned(), text(entry, "message").to_owned());
        entries.map(line).collect()
    }

    /// What the tenant asks the API with.
    pub(crate) fn client(&self) -> &Client {
        &self.account.client
    }
}

/// Keeps a fixture as an image and answers its name.
pub(crate) async fn push(server: &Server, name: &str, of: &str) -> String {
    let pushed = server.management().push_image(name, &fixture(of)).await.expect(201).json();
    text(&pushed, "name").to_owned()
}
