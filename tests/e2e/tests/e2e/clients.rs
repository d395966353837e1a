//! Clients that read slowly or hang up: they cost nobody else anything, and hide nothing.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use windlass_harness::fixtures::fixture;
use windlass_harness::management::install_with;
use windlass_harness::{Management, Server};

use crate::check::eventually;

/// 12 MiB: more than the sockets of both sides take for a client that does not read.
const LARGE_PIECES: usize = 192;
const PIECE_BYTES: usize = 64 * 1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_of_large_answers_hold_no_instance() {
    let server = Server::start();
    let management = server.management();
    let deadline = Duration::from_secs(4);
    let limits = json!({"limits": {"deadline_ms": 4_000, "concurrency": 3, "queue": 3}});
    let large = install_with("large", &fixture("giant_answer"), &limits);
    management.release(&[large]).await.expect(200);
    let path = format!("/large/x?pieces={LARGE_PIECES}");
    let mut readers = Vec::new();
    for _ in 0..3 {
        readers.push(begin(&server, &path, "HTTP/1.1 200").await);
    }
    let begun = Instant::now();
    for _ in 0..10 {
        let answer = server.client().get("/large/x?pieces=1").await.expect(200);
        assert_eq!(answer.body.len(), PIECE_BYTES);
    }
    assert!(begun.elapsed() < deadline, "somebody waited for those who do not read");
    eventually("every instance is free", async || busy(&management, "large").await == 0).await;
    let mut rest = Vec::new();
    readers.remove(0).read_to_end(&mut rest).await.expect("who reads at last gets all of it");
    assert!(rest.len() >= LARGE_PIECES * PIECE_BYTES, "{} bytes", rest.len());
    drop(readers);
    let listed = management.component("large").await;
    assert_eq!((&listed["errors"], &listed["quarantined"]), (&json!(0), &json!(false)), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_count_although_no_client_waits_for_them() {
    let server = Server::start();
    let management = server.management();
    let limits = json!({"limits": {"deadline_ms": 3_000, "concurrency": 4, "queue": 4}});
    let looping = install_with("looping", &fixture("endless_loop"), &limits);
    management.release(&[looping]).await.expect(200);
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(send(&server, "/looping/x").await);
    }
    eventually("all of them are worked on", async || busy(&management, "looping").await == 3).await;
    drop(clients);
    eventually("three failures were counted", async || {
        let listed = management.component("looping").await;
        listed["errors"] == 3 && listed["quarantined"] == true
    })
    .await;
    assert!(server.logs("keeps failing").await, "the log says why it is paused");
    assert!(server.logs("the client left before it was answered").await);
    server.client().get("/looping/canary").await.expect(200);
    eventually("the good answer let it out", async || {
        management.component("looping").await["quarantined"] == false
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_as_they_happen_and_may_be_left_at_any_time() {
    let server = Server::start();
    let management = server.management();
    let limits = json!({"limits": {"deadline_ms": 20_000, "concurrency": 4, "queue": 0}});
    let events = install_with("news", &fixture("never_ending_body"), &limits);
    management.release(&[events]).await.expect(200);
    for _ in 0..2 {
        let mut readers = Vec::new();
        for _ in 0..4 {
            readers.push(begin(&server, "/news/events", "one moment").await);
        }
        assert_eq!(busy(&management, "news").await, 4);
        drop(readers);
        eventually("who left holds nothing", async || busy(&management, "news").await == 0).await;
    }
    let listed = management.component("news").await;
    assert_eq!((&listed["errors"], &listed["quarantined"]), (&json!(0), &json!(false)), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_events_is_cut_off_at_its_deadline_without_blame() {
    let server = Server::start();
    let management = server.management();
    let limits = json!({"limits": {"deadline_ms": 300, "concurrency": 4}});
    let events = install_with("news", &fixture("never_ending_body"), &limits);
    management.release(&[events]).await.expect(200);
    for _ in 0..4 {
        let mut reader = begin(&server, "/news/events", "one moment").await;
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.expect("the host closes the connection");
    }
    assert_eq!(management.component("news").await["quarantined"], false);
}

/// Sends a request and reads nothing.
async fn send(server: &Server, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.expect("the server listens");
    let head = format!("GET {path} HTTP/1.1\r\nHost: windlass\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    stream
}

/// Sends a request and reads until this much of the answer is there, and no further.
async fn begin(server: &Server, path: &str, until: &str) -> TcpStream {
    let mut stream = send(server, path).await;
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(until) {
        let byte = stream.read_u8().await;
        read.push(byte.unwrap_or_else(|error| {
            panic!("{error} after {:?}", String::from_utf8_lossy(&read));
        }));
    }
    stream
}

/// Instances at work.
async fn busy(management: &Management, component: &str) -> u32 {
    let metrics = management.metrics().await;
    let name = format!("windlass_component_instances_busy{{component=\"{component}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value.and_then(|value| value.parse().ok()).expect("the metric is there")
}
