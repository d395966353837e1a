//! What was acknowledged is there after the power is cut, and nothing is there twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use windlass_harness::client::Answer;
use windlass_harness::{Account, Client, Database, Server};

use crate::check::text;

const PROJECTS: &str = "/api/v1/projects";
const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_kill_on_sqlite() {
    survives_kills(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_kill_on_postgres() {
    survives_kills(Database::Postgres).await;
}

async fn survives_kills(database: Database) {
    let mut server = Server::start_on(database);
    let account = Account::register(&server.client()).await;
    let attempts = Attempts::default();
    for round in 0..3_u32 {
        let client = server.client().with_token(&account.token);
        let stop = Arc::new(AtomicBool::new(false));
        let writers = (0..WRITERS).map(|writer| {
            let prefix = format!("{round}-{writer}");
            tokio::spawn(write(client.clone(), prefix, attempts.clone(), Arc::clone(&stop)))
        });
        let writers: Vec<_> = writers.collect();
        tokio::time::sleep(Duration::from_millis(1_000 + 300 * u64::from(round))).await;
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.expect("a writer does not panic");
        }
        server.restart();
        let client = server.client().with_token(&account.token);
        let acknowledged = attempts.acknowledged();
        assert!(acknowledged.len() > round as usize * WRITERS, "too little was written to tell");
        for (name, id) in &acknowledged {
            let project = client.get(&format!("{PROJECTS}/{id}")).await.expect(200).json();
            assert_eq!(text(&project, "name"), name);
        }
    }
    let client = server.client().with_token(&account.token);
    finish_what_was_cut_off(&client, &attempts).await;
    let projects = all(&client, PROJECTS, "projects").await;
    let mut names: Vec<&str> = projects.iter().map(|project| text(project, "name")).collect();
    names.sort_unstable();
    let expected: Vec<String> =
        attempts.0.lock().expect("no writer panicked").keys().cloned().collect();
    assert_eq!(names, expected, "each attempt is there, and once");

    // No row, no change: each project has the entry that was written with it, and no other has.
    let entries = all(&client, "/api/v1/audit-logs?resource=project", "audit_logs").await;
    let mut logged: Vec<&str> = entries.iter().map(|entry| text(entry, "resource_id")).collect();
    let mut created: Vec<&str> = projects.iter().map(|project| text(project, "id")).collect();
    logged.sort_unstable();
    created.sort_unstable();
    assert_eq!(logged, created);
}

/// Every name that was tried, and the id it was acknowledged with, if it was.
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<BTreeMap<String, Option<String>>>>);

impl Attempts {
    fn record(&self, name: &str, id: Option<String>) {
        self.0.lock().expect("no writer panicked").insert(name.to_owned(), id);
    }

    fn acknowledged(&self) -> Vec<(String, String)> {
        let attempts = self.0.lock().expect("no writer panicked");
        attempts.iter().filter_map(|(name, id)| Some((name.clone(), id.clone()?))).collect()
    }

    fn cut_off(&self) -> Vec<String> {
        let attempts = self.0.lock().expect("no writer panicked");
        attempts.iter().filter(|(_, id)| id.is_none()).map(|(name, _)| name.clone()).collect()
    }
}

/// Creates projects until the server is gone. The name of each is its idempotency key.
async fn write(client: Client, prefix: String, attempts: Attempts, stop: Arc<AtomicBool>) {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("attempt {prefix}-{number:04}");
        attempts.record(&name, None);
        match create(&client, &name).try_send().await {
            Ok(answer) => {
                let project = answer.expect(201).json();
                attempts.record(&name, Some(text(&project, "id").to_owned()));
            }
            Err(_) => return,
        }
    }
}

/// Sends again what got no answer: it is done now, or was done before, and never twice.
async fn finish_what_was_cut_off(client: &Client, attempts: &Attempts) {
    let cut_off = attempts.cut_off();
    assert!(!cut_off.is_empty(), "the kills hit nobody in the middle");
    for name in cut_off {
        let answer = settled(client, &name).await;
        if answer.status == 409 {
            assert_eq!(answer.json()["code"], "idempotency_outcome_unknown", "{}", answer.text());
        } else {
            answer.expect(201);
        }
    }
}

/// On a shared database another host could still be at work on the first try, until its deadline.
async fn settled(client: &Client, name: &str) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = create(client, name).send().await;
        let running = answer.text().contains("idempotency_key_in_progress");
        if !running || begun.elapsed() > Duration::from_secs(20) {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn create(client: &Client, name: &str) -> windlass_harness::client::Request {
    let request = client.request(Method::POST, PROJECTS).header("idempotency-key", name);
    request.json(&json!({"name": name}))
}

async fn all(client: &Client, path: &str, list: &str) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut found = Vec::new();
    for page in 1.. {
        let path = format!("{path}{separator}limit=100&page={page}");
        let body = client.get(&path).await.expect(200).json();
        let items = body[list].as_array().expect("a list").clone();
        if items.is_empty() {
            return found;
        }
        found.extend(items);
    }
    found
}
