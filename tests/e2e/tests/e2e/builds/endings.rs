//! Every build ends: badly with a reason, or because nobody wants it any more.

use std::time::Duration;

use serde_json::json;
use windlass_harness::{Database, Server};
use windlass_test_support::GitManners;

use super::{BUILDS, ask, build, ended, git_server, of, reached, server, stall, tenant};
use crate::check::{MISSING_ID, text};
use crate::deployments::push;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_cannot_be_made_says_why() {
    let (host, git) = (server(Database::Sqlite), git_server("blue"));
    git.repository("words.git").commit(&[("README.md", b"words")]);
    git.repository("docker.git").commit(&[("Dockerfile", b"FROM scratch\n")]);
    let client = tenant(&host).await;
    for (body, part) in [
        (of(&git.url("none.git")), "there is no repository"),
        (of(&git.url("words.git")), "neither a WebAssembly component nor a file \"Dockerfile\""),
        (
            json!({"source_path": git.url("shop.git"), "image_name": "shop", "image_tag": "1",
                   "branch": "elsewhere"}),
            "no branch or tag",
        ),
        (
            json!({"source_path": git.url("shop.git"), "image_name": "shop", "image_tag": "1",
                   "build_type": "nixpacks"}),
            "no planner",
        ),
        (
            json!({"prebuilt_image": "local/none:1", "image_name": "shop", "image_tag": "1"}),
            "there is no image local/none:1",
        ),
        // In a network that this host may not reach.
        (of("http://10.255.255.1/shop.git"), "outbound_allow"),
    ] {
        let id = ask(&client, &body).await;
        let failed = ended(&client, &id).await;
        assert_eq!(failed["status"], "failed", "{failed}");
        assert!(text(&failed, "error").contains(part), "{part}: {failed}");
        let log = client.get(&format!("{BUILDS}/{id}/logs")).await.expect(200).text();
        assert!(log.contains("failed: "), "{log}");
        let refused = client.post(&format!("{BUILDS}/{id}/cancel"), &json!({})).await;
        refused.expect_error(409);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_for_is_refused_by_its_field() {
    let host = server(Database::Sqlite);
    let client = tenant(&host).await;
    let with = |field: &str, value: serde_json::Value| {
        let mut body = of("https://git.example.com/shop.git");
        body[field] = value;
        body
    };
    for (body, field) in [
        (json!({"image_tag": "1"}), "image_name"),
        (json!({"image_name": "shop"}), "image_tag"),
        (json!({"image_name": "shop", "image_tag": "1"}), "source_path"),
        (with("source_path", json!("/etc")), "source_path"),
        (with("source_path", json!("file:///etc")), "source_path"),
        (with("source_path", json!("../etc")), "source_path"),
        (with("source_path", json!("https://token@git.example.com/shop")), "source_path"),
        (with("build_type", json!("make")), "build_type"),
        (with("build_type", json!("prebuilt")), "prebuilt_image"),
        (with("image_name", json!("../shop")), "image_name"),
        (with("image_tag", json!("a b")), "image_tag"),
        (with("branch", json!("--upload-pack=x")), "branch"),
        (with("commit", json!("HEAD")), "commit"),
        (with("registry_url", json!("file:///x")), "registry_url"),
        (with("environment", json!({"1": "x"})), "environment"),
    ] {
        client.post(BUILDS, &body).await.expect_invalid(field);
    }
    for field in ["project_id", "service_id"] {
        client.post(BUILDS, &with(field, json!(MISSING_ID))).await.expect_error(404);
    }
    for path in [MISSING_ID, "no-id"] {
        client.get(&format!("{BUILDS}/{path}")).await.expect_error(404);
        client.get(&format!("{BUILDS}/{path}/logs?follow=true")).await.expect_error(404);
        client.post(&format!("{BUILDS}/{path}/cancel"), &json!({})).await.expect_error(404);
    }
    client.get(&format!("{BUILDS}?status=done")).await.expect_invalid("status");
    client.get(&format!("{BUILDS}?limit=101")).await.expect_invalid("limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_was_pushed_is_taken_as_it_is() {
    let host = server(Database::Sqlite);
    let image = push(&host, "given:1", "workload_blue").await;
    let client = tenant(&host).await;
    let body = json!({"prebuilt_image": image, "image_name": "shop", "image_tag": "1"});
    let id = ask(&client, &body).await;
    let made = ended(&client, &id).await;
    assert_eq!(
        (text(&made, "status"), text(&made["metadata"], "builder")),
        ("success", "prebuilt")
    );
    assert_eq!(made["metadata"]["prebuilt_image"], json!(image));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_is_cancelled_while_it_waits_and_while_it_works() {
    let (host, git) = (server(Database::Sqlite), git_server("blue"));
    let client = tenant(&host).await;
    stall(&git);
    // Two at a time are worked on, and the third waits.
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(ask(&client, &of(&git.url("shop.git"))).await);
    }
    reached(&client, &ids[0], &["running"]).await;
    reached(&client, &ids[1], &["running"]).await;
    assert_eq!(build(&client, &ids[2]).await["status"], "pending");
    for id in ids.iter().rev() {
        let answer = client.post(&format!("{BUILDS}/{id}/cancel"), &json!({})).await.expect(200);
        assert_eq!(answer.json(), json!({"message": "Build cancelled"}));
        assert_eq!(build(&client, id).await["status"], "cancelled", "at once");
    }
    // Whoever comes next has their places.
    git.behave(GitManners::default());
    let id = ask(&client, &of(&git.url("shop.git"))).await;
    assert_eq!(ended(&client, &id).await["status"], "success");
    for id in &ids {
        let cancelled = build(&client, id).await;
        assert_eq!((text(&cancelled, "status"), text(&cancelled, "error")), ("cancelled", ""));
        let again = client.post(&format!("{BUILDS}/{id}/cancel"), &json!({})).await;
        again.expect_error(409);
    }
    the_lists_know_them(&client, &ids).await;
}

async fn the_lists_know_them(client: &windlass_harness::Client, cancelled: &[String]) {
    let listed = async |query: &str| {
        let body = client.get(&format!("{BUILDS}?{query}")).await.expect(200).json();
        let builds = body["builds"].as_array().expect("a list").clone();
        let ids: Vec<String> = builds.iter().map(|build| text(build, "id").to_owned()).collect();
        (ids, body["total"].as_i64())
    };
    let newest_first: Vec<String> = cancelled.iter().rev().cloned().collect();
    assert_eq!(listed("status=cancelled").await, (newest_first.clone(), Some(3)));
    let page = newest_first.get(2..).expect("three").to_vec();
    assert_eq!(listed("status=cancelled&limit=2&page=2").await, (page, Some(3)));
    assert_eq!(listed("status=success").await.1, Some(1));
    assert_eq!(listed("status=failed").await, (Vec::new(), Some(0)));
    assert_eq!(listed(&format!("project_id={MISSING_ID}")).await.1, Some(0));
    assert_eq!(listed("service_id=no-id&project_id=").await.1, Some(0));
    assert_eq!(listed("status=&project_id=&service_id=").await.1, Some(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_followed_from_before_the_beginning_to_the_end() {
    let (host, git) = (server(Database::Sqlite), git_server("blue"));
    let client = tenant(&host).await;
    stall(&git);
    let id = ask(&client, &of(&git.url("shop.git"))).await;
    let path = format!("{BUILDS}/{id}/logs?follow=true");
    let mut answer = client.request(reqwest::Method::GET, &path).open().await;
    assert_eq!(answer.status(), 200);
    let kind = answer.headers().get("content-type").cloned();
    assert!(kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain")));
    let mut text = String::new();
    let mut released = false;
    let reading = async {
        while let Some(piece) = answer.chunk().await.expect("the text ends well") {
            text.push_str(&String::from_utf8_lossy(&piece));
            if text.contains("fetching ") && !released {
                released = true;
                let cancel = format!("{BUILDS}/{id}/cancel");
                client.post(&cancel, &json!({})).await.expect(200);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("it ends");
    assert!(text.contains("queued") && text.trim_end().ends_with("broken off"), "{text}");
    let whole = client.get(&format!("{BUILDS}/{id}/logs?follow=true")).await.expect(200).text();
    assert_eq!(whole, text, "what has ended is followed no longer than it takes to read");
}

/// Nothing of a stranger's is listed, shown or broken off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_find_no_builds() {
    let (host, git) = (server(Database::Sqlite), git_server("blue"));
    let (ada, eve) = (tenant(&host).await, tenant(&host).await);
    stall(&git);
    let id = ask(&ada, &of(&git.url("shop.git"))).await;
    eve.get(&format!("{BUILDS}/{id}")).await.expect_error(404);
    eve.get(&format!("{BUILDS}/{id}/logs")).await.expect_error(404);
    eve.post(&format!("{BUILDS}/{id}/cancel"), &json!({})).await.expect_error(404);
    assert_eq!(eve.get(BUILDS).await.expect(200).json()["total"], 0);
    assert_ne!(build(&ada, &id).await["status"], "cancelled");
    no_directory_is_left(&host, &ada, &id).await;
}

/// What was fetched goes with the build.
async fn no_directory_is_left(host: &Server, client: &windlass_harness::Client, id: &str) {
    client.post(&format!("{BUILDS}/{id}/cancel"), &json!({})).await.expect(200);
    let fetches = host.data_directory().join("fetches");
    let is_empty =
        async || std::fs::read_dir(&fetches).expect("the directory is there").next().is_none();
    crate::check::eventually("an empty directory of fetches", is_empty).await;
}
