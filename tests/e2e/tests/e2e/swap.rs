//! Components replaced while they serve.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use windlass_harness::fixtures::{component, fixture};
use windlass_harness::load::{Load, Outcome};
use windlass_harness::management::{install, install_with, swap};
use windlass_harness::{Account, Server};

use crate::check::{eventually, text};

/// Swaps before memory is measured. The engine keeps up to 64 places of instances warm, and each
/// swap under load uses others: they are all warm after about a hundred.
const WARM_UP: usize = 150;
const SWAPS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_swaps_under_load_fail_no_request() {
    let server = Server::start();
    let management = server.management();
    let (a, b) = (fixture("greeter_a"), fixture("greeter_b"));
    management.release(&[install("greeter", &a)]).await.expect(200);
    let load = Load::start(&server.client(), "/greeter/hello", 8, 40);
    let releases = [[swap("greeter", &b)], [swap("greeter", &a)]];
    for release in releases.iter().cycle().take(WARM_UP) {
        management.release(release).await.expect(200);
    }
    let before = server.resident_kib();
    for release in releases.iter().cycle().take(SWAPS) {
        management.release(release).await.expect(200);
    }
    let after = server.resident_kib();
    let rate = load.rate();
    let outcome = load.finish().await;
    assert_eq!(bodies(&outcome), ["a", "b"].into_iter().collect(), "{:?}", outcome.answers);
    assert!(rate >= 200.0, "only {rate:.0} requests a second were sent");
    assert!(after * 5 <= before * 6, "resident memory grew from {before} to {after} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_serves_what_was_swapped_in() {
    let mut server = Server::start();
    let account = Account::register(&server.client()).await;
    let project = account.create_project("Kept").await;
    let management = server.management();
    management.release(&[install("greeter", &fixture("greeter_a"))]).await.expect(200);
    management.release(&[swap("greeter", &fixture("greeter_b"))]).await.expect(200);
    // In place of a component of the map too.
    management.release(&[swap("containr-audit", &fixture("greeter_a"))]).await.expect(200);
    let before = digests(&server).await;
    for restart in ["a kill", "a termination"] {
        if restart == "a termination" {
            assert!(server.terminate().success());
        }
        server.restart();
        assert_eq!(digests(&server).await, before, "after {restart}");
        let client = server.client();
        assert_eq!(client.get("/greeter/hello").await.expect(200).text(), "b");
        assert_eq!(client.get("/api/v1/audit-logs").await.expect(200).text(), "a");
        let path = format!("/api/v1/projects/{}", text(&project, "id"));
        assert_eq!(client.with_token(&account.token).get(&path).await.expect(200).json(), project);
    }
    let management = server.management();
    management.rollback("containr-audit").await.expect(200);
    account_sees_the_trail(&server, &account).await;
}

async fn account_sees_the_trail(server: &Server, account: &Account) {
    let client = server.client().with_token(&account.token);
    let trail = client.get("/api/v1/audit-logs").await.expect(200).json();
    assert!(trail["audit_logs"].as_array().is_some_and(|entries| entries.len() >= 3), "{trail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_moves_together_or_not_at_all() {
    let server = Server::start();
    let management = server.management();
    let (a, b) = (fixture("greeter_a"), fixture("greeter_b"));
    let answers = async || {
        let client = server.client();
        [
            client.get("/one/x").await.expect(200).text(),
            client.get("/two/x").await.expect(200).text(),
        ]
    };
    management.release(&[install("one", &a), install("two", &a)]).await.expect(200);
    assert_eq!(answers().await, ["a", "a"]);
    let released = management.release(&[swap("one", &b), swap("two", &b)]).await.expect(200).json();
    assert_eq!(released["components"].as_array().map(Vec::len), Some(2), "{released}");
    assert_eq!(answers().await, ["b", "b"]);
    let half = [swap("one", &a), swap("two", &fixture("canary_trap"))];
    let refusal = management.release(&half).await;
    assert_eq!(refusal.status, 422, "{}", refusal.text());
    assert_eq!(answers().await, ["b", "b"], "one of two was refused, so neither moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_is_one_step_and_under_load() {
    let server = Server::start();
    let management = server.management();
    management.release(&[install("greeter", &fixture("greeter_a"))]).await.expect(200);
    assert_eq!(management.rollback("greeter").await.status, 409, "there is nothing before");
    management.release(&[swap("greeter", &fixture("greeter_b"))]).await.expect(200);
    let load = Load::start(&server.client(), "/greeter/hello", 4, 50);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let rolled_back = management.rollback("greeter").await.expect(200).json();
    assert_eq!(server.client().get("/greeter/hello").await.text(), "a");
    assert_eq!(management.component("greeter").await["digest"], rolled_back["digest"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bodies(&load.finish().await), ["a", "b"].into_iter().collect());
    assert_eq!(management.rollback("nobody").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_canary_gets_its_share_and_is_promoted() {
    let server = Server::start();
    let management = server.management();
    management.release(&[install("greeter", &fixture("greeter_a"))]).await.expect(200);
    let good = [swap("greeter", &fixture("greeter_b"))];
    management.canary(&good, 0.25, 0.1, 20).await.expect(200);
    let mut from_b = 0;
    for _ in 0..200 {
        from_b += u32::from(server.client().get("/greeter/x").await.expect(200).text() == "b");
    }
    assert!((40..=60).contains(&from_b), "{from_b} of 200 requests went to a share of a quarter");
    management.promote("greeter").await.expect(200);
    for _ in 0..20 {
        assert_eq!(server.client().get("/greeter/x").await.expect(200).text(), "b");
    }
    assert!(management.component("greeter").await["canary"].is_null());
    management.rollback("greeter").await.expect(200);
    assert_eq!(server.client().get("/greeter/x").await.text(), "a");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_canary_is_taken_back_by_itself() {
    let server = Server::start();
    let management = server.management();
    management.release(&[install("greeter", &fixture("greeter_a"))]).await.expect(200);
    let bad = [swap("greeter", &fixture("fails_sometimes"))];
    management.canary(&bad, 0.5, 0.1, 20).await.expect(200);
    let mut seen_b = 0;
    for _ in 0..200 {
        // What fails on the new one is asked of the old one, so that no reader notices.
        let answer = server.client().get("/greeter/x").await.expect(200);
        seen_b += u32::from(answer.text() == "b");
    }
    assert!((1..50).contains(&seen_b), "{seen_b} answers of the canary");
    let listed = management.component("greeter").await;
    assert_eq!(listed["canary"]["abandoned"], true, "{listed}");
    for _ in 0..50 {
        assert_eq!(server.client().get("/greeter/x").await.expect(200).text(), "a");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_installed_can_be_removed() {
    let server = Server::start();
    let management = server.management();
    management.release(&[install("guest", &fixture("greeter_a"))]).await.expect(200);
    server.client().get("/guest/x").await.expect(200);
    management.remove("guest").await.expect(204);
    server.client().get("/guest/x").await.expect_error(404);
    assert_eq!(management.remove("guest").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_says_what_runs() {
    let server = Server::start();
    let management = server.management();
    let manifest = json!({"version": "2.3.4"});
    let new = install_with("greeter", &fixture("greeter_a"), &manifest);
    management.release(&[new]).await.expect(200);
    for _ in 0..30 {
        server.client().get("/greeter/x").await.expect(200);
    }
    let listed = management.component("greeter").await;
    assert_eq!(listed["routes"], json!(["/greeter/..."]));
    assert_eq!(listed["version"], "2.3.4");
    assert!(text(&listed, "digest").starts_with("sha256:"));
    assert_eq!(listed["requests"], 30);
    assert_eq!(listed["errors"], 0);
    assert!(listed["p50_ms"].as_f64().is_some_and(|p50| p50 > 0.0), "{listed}");
    assert!(listed["p99_ms"].as_f64() >= listed["p50_ms"].as_f64(), "{listed}");
    assert!(listed["previous"].is_null() && listed["canary"].is_null(), "{listed}");
    let ids: Vec<_> =
        management.components().await.iter().map(|one| text(one, "id").to_owned()).collect();
    assert_eq!(
        ids,
        [
            "containr-accounts",
            "containr-audit",
            "containr-builds",
            "containr-databases",
            "containr-deployments",
            "containr-git",
            "containr-logs",
            "containr-projects",
            "containr-services",
            "containr-templates",
            "greeter",
            "reconciler"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_controller_can_be_swapped_for_itself_under_authenticated_load() {
    let server = Server::start();
    let account = Account::register(&server.client()).await;
    account.create_project("Busy").await;
    let load = Load::start(&account.client, "/api/v1/projects", 4, 25);
    let same = [swap("containr-projects", &component("containr_projects"))];
    for _ in 0..20 {
        server.management().release(&same).await.expect(200);
    }
    let outcome = load.finish().await;
    assert!(outcome.broken.is_empty(), "{:?}", outcome.broken);
    assert!(outcome.answers.keys().all(|(status, _)| *status == 200), "{:?}", outcome.answers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_changes_the_version_that_is_listed() {
    let mut server = Server::start();
    let management = server.management();
    let (a, b) = (fixture("greeter_a"), fixture("greeter_b"));
    let first = install_with("greeter", &a, &json!({"version": "1.0.0"}));
    management.release(&[first]).await.expect(200);
    let version = async |server: &Server| {
        let listed = server.management().component("greeter").await;
        listed["version"].as_str().map(str::to_owned)
    };
    assert_eq!(version(&server).await.as_deref(), Some("1.0.0"));
    management.release(&[swap("greeter", &a)]).await.expect(200);
    assert_eq!(version(&server).await.as_deref(), Some("1.0.0"), "the code is the same");
    management.release(&[swap("greeter", &b)]).await.expect(200);
    assert_eq!(version(&server).await, None, "nobody said which version this is");
    let mut named = swap("greeter", &a);
    named["version"] = "2.0.0".into();
    management.release(&[named]).await.expect(200);
    assert_eq!(version(&server).await.as_deref(), Some("2.0.0"));
    // What the component itself carries is known best.
    let mut carrying = swap("greeter", &with_version(&b, "3.0.0"));
    carrying["version"] = "2.0.1".into();
    management.release(&[carrying]).await.expect(200);
    assert_eq!(version(&server).await.as_deref(), Some("3.0.0"));
    management.rollback("greeter").await.expect(200);
    assert_eq!(version(&server).await.as_deref(), Some("2.0.0"));
    server.restart();
    assert_eq!(version(&server).await.as_deref(), Some("2.0.0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_is_made_to_its_end_when_its_client_hangs_up() {
    let server = Server::start();
    let canary = json!({"canary": "/late/x?ms=1500"});
    let late = install_with("late", &fixture("slow"), &canary);
    let management = server.management();
    let release = tokio::spawn(async move { management.release(&[late]).await });
    assert!(server.logs("its canary is asked").await);
    // Aborting the task closes the connection.
    release.abort();
    assert!(release.await.is_err_and(|error| error.is_cancelled()), "it was still under way");
    let client = server.client();
    eventually("the component serves", async || client.get("/late/x").await.status == 200).await;
}

/// The same component with a version in it, as `wasm-tools metadata add --version` writes it.
fn with_version(wasm: &[u8], version: &str) -> Vec<u8> {
    let mut section = vec![b"version".len() as u8];
    section.extend_from_slice(b"version");
    section.extend_from_slice(version.as_bytes());
    [wasm, &[0, section.len() as u8], &section].concat()
}

/// The different bodies, after asserting that every request was answered 200.
fn bodies(outcome: &Outcome) -> BTreeSet<&str> {
    assert!(
        outcome.broken.is_empty(),
        "{} of {}: {:?}",
        outcome.broken.len(),
        outcome.requests(),
        outcome.broken.first()
    );
    assert!(outcome.answers.keys().all(|(status, _)| *status == 200), "{:?}", outcome.answers);
    outcome.answers.keys().map(|(_, body)| body.as_str()).collect()
}

async fn digests(server: &Server) -> BTreeSet<(String, String)> {
    let components = server.management().components().await;
    let pair =
        |one: &serde_json::Value| (text(one, "id").to_owned(), text(one, "digest").to_owned());
    components.iter().map(pair).collect()
}
