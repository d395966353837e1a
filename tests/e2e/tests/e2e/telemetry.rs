//! What the operator can find out: the log line behind an answer, and a metric for every function
//! of the host.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use windlass_harness::Server;
use windlass_harness::fixtures::{checkout, fixture};
use windlass_harness::management::{install, install_with};

use crate::deployments::{Tenant, push};

/// What names the host for those who carry operations out.
const HOLDER: &str = "operations.holder.name";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_component_prints_is_found_by_the_id_of_its_request() {
    let server = Server::start();
    let talkative = install("talkative", &fixture("talkative"));
    server.management().release(&[talkative]).await.expect(200);
    let talk = async |id: &str, lines: u32| {
        let request =
            server.client().request(reqwest::Method::GET, &format!("/talkative/x?lines={lines}"));
        request.header("x-request-id", id).send().await.expect(200);
        assert!(server.logs(&format!("{id} method=GET")).await, "{id} has its line");
    };
    // The same instance prints for both.
    talk("first-request", 2).await;
    talk("second-request", 1_000).await;
    assert!(server.logs("the rest is dropped").await);
    let log = server.log();
    let count = |id: &str, text: &str| {
        let fits = |line: &&str| line.contains(id) && line.contains(text);
        log.lines().filter(fits).count()
    };
    assert_eq!(count("first-request", "of many"), 2, "{log}");
    assert_eq!(count("first-request", "half a line"), 1, "{log}");
    assert_eq!(count("second-request", "of many"), 100, "{log}");
    assert_eq!(count("second-request", "the rest is dropped"), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_of_the_host_has_a_metric() {
    let server = Server::start();
    let granted = json!({
        "grants": ["storage", "identity", "secrets", "connections", "operations", "source"],
        "storage": {"write": ["project"]},
    });
    let caller = install_with("caller", &fixture("every_function"), &granted);
    server.management().release(&[caller]).await.expect(200);
    let failed = server.client().get("/caller/x").await.expect(200).text();
    assert_eq!(failed, "", "a function that should work did not");
    let metrics = server.management().metrics().await;
    let has = |line: &str| metrics.lines().any(|metric| metric.starts_with(line));
    let packages = ["storage", "identity", "secrets", "operations", "source"];
    let functions: Vec<_> = packages.into_iter().flat_map(functions).collect();
    assert!(functions.len() >= 17, "{functions:?}");
    // What only the reconciler may call has a test of its own.
    for function in functions.iter().filter(|function| *function != HOLDER) {
        let labels = format!("{{function=\"{function}\",component=\"caller\"");
        let counted = ["windlass_host_call_seconds_count", "windlass_host_calls_total"]
            .into_iter()
            .any(|metric| has(&format!("{metric}{labels}")));
        assert!(counted, "{function} is not in:\n{metrics}");
    }
    for (function, error) in [
        ("identity.passwords.verify", "invalid"),
        ("identity.throttle.admit", "quota"),
        ("secrets.vault.seal", "invalid"),
        ("secrets.connections.render", "invalid"),
        ("operations.signal.raise", "invalid"),
        ("source.hosting.repositories", "invalid"),
    ] {
        let labels = format!("{{function=\"{function}\",component=\"caller\",error=\"{error}\"}}");
        assert!(has(&format!("windlass_host_call_errors_total{labels} 1")), "{labels}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_function_of_the_runtime_has_a_metric() {
    let server = &Server::start();
    let tenant = Tenant::new(server, "Harbour").await;
    let image = push(server, "web:1", "workload_blue").await;
    let service = tenant.service("web", "web", &image).await;
    tenant.deploy(&service).await;
    let path = format!("/api/v1/services/{service}/logs?follow=true&tail=0");
    let mut stream = tenant.client().request(reqwest::Method::GET, &path).open().await;
    server.visitor("web-harbour.localhost").get("/").await.expect(200);
    stream.chunk().await.expect("the stream goes on").expect("it has not ended");
    // A workload with a sealed variable is started by another function.
    let body = serde_json::json!({"project_id": tenant.project, "name": "sealed",
        "variables": {"IMAGE": image, "NPM_TOKEN": "secret"}});
    let made = tenant.client().post("/api/v1/templates/tpl-nodejs/deploy", &body).await;
    tenant.ask(crate::check::text(&made.expect(201).json(), "service_id")).await;
    // The release before is stopped, and with it there is a call of every kind.
    tenant.deploy(&service).await;
    let called = |metrics: &str, function: &str| {
        ["windlass_host_call_seconds_count", "windlass_host_calls_total"].into_iter().any(
            |metric| {
                let line = format!("{metric}{{function=\"{function}\"");
                metrics.lines().any(|found| found.starts_with(&line) && !found.ends_with(" 0"))
            },
        )
    };
    let functions: Vec<_> = functions("runtime").into_iter().chain([HOLDER.to_owned()]).collect();
    assert_eq!(functions.len(), 20, "{functions:?}");
    for function in functions.into_iter().filter(|function| !is_for_containers(function)) {
        let begun = Instant::now();
        while !called(&server.management().metrics().await, &function) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{function} was never counted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Whether a function is called only for what keeps data, and so for no component.
fn is_for_containers(function: &str) -> bool {
    let prefixes = [
        "images.resolve_container",
        "jobs.",
        "measurements.",
        "workloads.address",
        "workloads.list_volumes",
        "workloads.remove_",
    ];
    prefixes.iter().any(|name| function.starts_with(&format!("runtime.{name}")))
}

/// The functions that a package of `wit/deps` offers to components, as the metrics name them. What
/// is there twice, for languages without asynchronous functions, is one function.
fn functions(package: &str) -> Vec<String> {
    let file = checkout().join(format!("wit/deps/{package}/{package}.wit"));
    let text = fs::read_to_string(file).expect("the package is there");
    let (mut interface, mut resource, mut found) = (String::new(), String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        let opened = |kind: &str| {
            let name = line.strip_prefix(kind)?.strip_suffix(" {")?;
            Some(name.trim_end_matches("-sync").to_owned())
        };
        if let Some(name) = opened("interface ") {
            (interface, resource) = (name, String::new());
        } else if let Some(name) = opened("resource ") {
            resource = format!("{name}.");
        } else if let Some((name, kind)) = line.split_once(':')
            && kind.contains("func(")
            && !line.starts_with("//")
            // Components offer this one to the host.
            && interface != "reconcile"
        {
            // A name that is also a word of WIT has a sign before it.
            let name = name.trim_start_matches('%');
            found.push(format!("{package}.{interface}.{resource}{name}").replace('-', "_"));
        }
    }
    found.sort();
    found.dedup();
    found
}
