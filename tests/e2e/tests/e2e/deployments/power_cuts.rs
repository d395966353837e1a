//! The power is cut after each thing that the reconciler does, one after the other, while a service
//! is deployed, put back and deleted. Whatever was promised comes about, once.
//!
//! What a component does is what it calls in the host, so that a crash after every call that changes
//! something is a crash at every step there is, also at those that somebody will add.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_harness::{Account, Client, CrashPoint, Database, Server};

use super::{PATIENCE, Tenant, push};
use crate::check::{eventually, text};

const HOST: &str = "web-harbour.localhost";
/// The calls that change something while a component is deployed.
const EFFECTS: [&str; 4] = [
    "reconciler/storage.sql.transaction.commit",
    "reconciler/runtime.workloads.start",
    "reconciler/runtime.workloads.stop",
    "reconciler/runtime.ingress.publish",
];
/// No change takes as many of one kind; more would be a loop.
const MANY: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_survives_a_power_cut_after_each_step_on_sqlite() {
    Story::begin(Database::Sqlite).await.survives(Change::Deploy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_survives_a_power_cut_after_each_step_on_postgres() {
    Story::begin(Database::Postgres).await.survives(Change::Deploy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_survives_a_power_cut_after_each_step_on_sqlite() {
    Story::begin(Database::Sqlite).await.survives(Change::RollBack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_survives_a_power_cut_after_each_step_on_postgres() {
    Story::begin(Database::Postgres).await.survives(Change::RollBack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_survives_a_power_cut_after_each_step_on_sqlite() {
    Story::begin(Database::Sqlite).await.survives(Change::Delete).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_survives_a_power_cut_after_each_step_on_postgres() {
    Story::begin(Database::Postgres).await.survives(Change::Delete).await;
}

/// What is asked for while the power may go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Deploy,
    RollBack,
    Delete,
}

/// A service that is blue or green, and a host that crashes.
struct Story {
    server: Server,
    tenant: Tenant,
    service: String,
    /// What visitors find.
    colour: &'static str,
    /// Deployments that were acknowledged, oldest first.
    acknowledged: Vec<String>,
}

impl Story {
    async fn begin(database: Database) -> Self {
        let server = Server::start_on(database);
        let tenant = Tenant::new(&server, "Harbour").await;
        push(&server, "web:1", "workload_blue").await;
        let service = tenant.service("web", "web", "local/web:1").await;
        let first = tenant.deploy(&service).await;
        push(&server, "web:1", "workload_green").await;
        let second = tenant.deploy(&service).await;
        Self { server, tenant, service, colour: "green", acknowledged: vec![first, second] }
    }

    /// Cuts the power after the first call of each kind, the second, and so on, until a change
    /// comes about without so many of them.
    async fn survives(mut self, change: Change) {
        let mut cuts = 0;
        for effect in EFFECTS {
            for after in 0.. {
                assert!(after < MANY, "{effect} does not end");
                if !self.cut(change, CrashPoint { call: effect.to_owned(), after }).await {
                    break;
                }
                cuts += 1;
            }
        }
        assert!(cuts >= EFFECTS.len(), "the power was cut only {cuts} times");
    }

    /// Makes a change with a power cut in it. Answers whether there was one.
    async fn cut(&mut self, change: Change, point: CrashPoint) -> bool {
        self.prepare(change).await;
        let what = format!("a cut after {point:?}");
        self.server.restart_to_crash(point);
        self.tenant.account.client = self.client();
        let acknowledged = self.ask(change).await;
        let was_cut = self.ends_or_crashes(change, acknowledged.as_deref()).await;
        self.server.restart();
        self.tenant.account = Account::login(&self.server.client(), &self.account_email()).await;
        match change {
            Change::Delete => self.is_deleted(acknowledged.is_some(), &what).await,
            Change::Deploy | Change::RollBack => self.is_live(change, acknowledged, &what).await,
        }
        was_cut
    }

    /// Makes something to change: the other colour behind the tag, or a service to delete.
    async fn prepare(&mut self, change: Change) {
        match change {
            Change::Deploy => {
                push(&self.server, "web:1", &format!("workload_{}", other(self.colour))).await;
            }
            Change::RollBack => {}
            Change::Delete => {
                if self.acknowledged.is_empty() {
                    push(&self.server, "web:1", "workload_blue").await;
                    self.service = self.tenant.service("web", "web", "local/web:1").await;
                    let deployed = self.tenant.deploy(&self.service).await;
                    self.acknowledged.push(deployed);
                    self.colour = "blue";
                }
            }
        }
    }

    /// Asks for the change; `None` when the power went before the answer came.
    async fn ask(&self, change: Change) -> Option<String> {
        let service = &self.service;
        let client = self.client();
        let request = match change {
            Change::Deploy => {
                let path = format!("/api/v1/services/{service}/deployments");
                client.request(reqwest::Method::POST, &path).json(&json!({}))
            }
            Change::RollBack => {
                let to = &self.acknowledged[self.acknowledged.len() - 2];
                let path = format!("/api/v1/deployments/{to}/rollback");
                client.request(reqwest::Method::POST, &path)
            }
            Change::Delete => {
                client.request(reqwest::Method::DELETE, &format!("/api/v1/services/{service}"))
            }
        };
        let answer = request.try_send().await.ok()?;
        Some(match change {
            Change::Deploy => text(&answer.expect(201).json(), "id").to_owned(),
            Change::RollBack => text(&answer.expect(201).json()["deployment"], "id").to_owned(),
            Change::Delete => answer.expect(204).text(),
        })
    }

    /// Waits until the change has come about, or the power has gone: whether it has.
    async fn ends_or_crashes(&mut self, change: Change, acknowledged: Option<&str>) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut settled = 0;
        while self.server.is_running() {
            assert!(Instant::now() < deadline, "it neither ends nor crashes");
            // What follows an end, such as clearing away, has some time to crash as well.
            settled += usize::from(self.has_ended(change, acknowledged).await);
            if settled > 40 {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    async fn has_ended(&self, change: Change, acknowledged: Option<&str>) -> bool {
        let Some(id) = acknowledged else { return false };
        if change == Change::Delete {
            let visit = self.server.visitor(HOST).request(reqwest::Method::GET, "/");
            return visit.try_send().await.is_ok_and(|answer| answer.status == 503);
        }
        let path = format!("/api/v1/deployments/{id}");
        let answer = self.client().request(reqwest::Method::GET, &path).try_send().await;
        answer.is_ok_and(|answer| answer.json()["deployment"]["status"] == "deployed")
    }

    /// The change is asked for again where nobody knows whether it was heard, and comes about once.
    async fn is_live(&mut self, change: Change, acknowledged: Option<String>, what: &str) {
        let known = self.deployments().await;
        let new = known.into_iter().find(|id| !self.acknowledged.contains(id));
        if let Some(id) = &acknowledged {
            assert_eq!(new.as_ref(), Some(id), "{what}: what was acknowledged is there");
        }
        let id = match new {
            Some(id) => id,
            None => self.ask(change).await.expect("there is power"),
        };
        let ended = self.tenant.ended(&id).await;
        assert_eq!(ended["status"], "deployed", "{what}: {ended}");
        self.acknowledged.push(id);
        self.colour = other(self.colour);
        // It was live before the cut, perhaps, and is again as soon as it is started.
        let (server, colour) = (&self.server, self.colour);
        let is_back = async || server.visitor(HOST).get("/").await.text() == colour;
        eventually(what, is_back).await;
        for _ in 0..10 {
            assert_eq!(server.visitor(HOST).get("/").await.expect(200).text(), colour, "{what}");
        }
        let known: Vec<_> = self.deployments().await.into_iter().rev().collect();
        let listed = known.len().min(self.acknowledged.len());
        assert_eq!(
            known[known.len() - listed..],
            self.acknowledged[self.acknowledged.len() - listed..],
            "{what}: each is there once"
        );
        assert_eq!(self.outcomes(self.acknowledged.last()).await, 1, "{what}: it ended once");
    }

    async fn is_deleted(&mut self, acknowledged: bool, what: &str) {
        let path = format!("/api/v1/services/{}", self.service);
        let status = self.tenant.client().get(&path).await.status;
        if acknowledged {
            assert_eq!(status, 404, "{what}: what was deleted does not come back");
        } else if status == 200 {
            self.tenant.client().delete(&path).await.expect(204);
        }
        let server = &self.server;
        let is_gone = async || server.visitor(HOST).get("/").await.status == 503;
        eventually(what, is_gone).await;
        self.acknowledged.clear();
    }

    /// The ids of the service's deployments, newest first.
    async fn deployments(&self) -> Vec<String> {
        let path = format!("/api/v1/services/{}/deployments", self.service);
        let body = self.tenant.client().get(&path).await.expect(200).json();
        let rows = body["deployments"].as_array().expect("a list").iter();
        rows.map(|row| text(row, "id").to_owned()).collect()
    }

    /// How often the end of a deployment is in the trail.
    async fn outcomes(&self, deployment: Option<&String>) -> usize {
        let path = "/api/v1/audit-logs?resource=deployment&action=finish&limit=100";
        let body = self.tenant.client().get(path).await.expect(200).json();
        let ends: &[Value] = body["audit_logs"].as_array().expect("a list");
        ends.iter().filter(|end| end["resource_id"].as_str() == deployment.map(|id| &**id)).count()
    }

    fn client(&self) -> Client {
        self.server.client().with_token(&self.tenant.account.token)
    }

    fn account_email(&self) -> String {
        self.tenant.account.email.clone()
    }
}

fn other(colour: &str) -> &'static str {
    if colour == "blue" { "green" } else { "blue" }
}
