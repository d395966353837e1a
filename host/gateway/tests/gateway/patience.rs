//! Clients that keep silent, half say something, or do not read: they are cut off, and nobody else
//! is.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windlass_gateway::GatewayLimits;

use crate::fixture::{HUGE_BYTES, LONG_BYTES, Served, TIME, read_to_end, within};
use crate::frames::{DATA, Frames, GOAWAY, PREFACE, RESET};

/// A window that is never in the way, and can be opened by as much again.
const WIDE: u32 = 1 << 29;

#[tokio::test]
async fn a_connection_without_a_request_gives_its_place_back() {
    let served = Served::start_with(|limits| limits.connections = 1).await;
    let (half_a_preface, only_a_preface) = (&PREFACE[..12], PREFACE);
    let (a_letter, half_a_head) = (&b"G"[..], &b"GET /short HTTP/1.1\r\nhost:"[..]);
    for begun in [b"", a_letter, half_a_head, half_a_preface, only_a_preface] {
        let began = Instant::now();
        let mut silent = served.send(begun).await;
        // Served once the only place is free.
        let mut next = served.send(b"GET /short HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let mut answer = [0; 15];
        within(next.read_exact(&mut answer)).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        assert!(began.elapsed() >= TIME, "{begun:?} was cut off early");
        drop(next);
        read_to_end(&mut silent).await;
    }
}

#[tokio::test]
async fn an_idle_connection_of_http_1_is_closed() {
    let served = Served::start_with(patient_but_for_idleness).await;
    let mut client = served.send(b"").await;
    for _ in 0..2 {
        client.write_all(b"GET /short HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is open");
        let mut answer = [0; 15];
        within(client.read_exact(&mut answer)).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let rest = within(read_answer(&mut client)).await;
        assert!(rest.ends_with("short"), "{rest}");
    }
    let began = Instant::now();
    assert_eq!(read_to_end(&mut client).await, b"");
    assert!(began.elapsed() >= TIME / 2, "it was closed early");
}

async fn read_answer(client: &mut tokio::net::TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\nshort") {
        let byte = client.read_u8().await.expect("the answer goes on");
        text.push(char::from(byte));
    }
    text
}

#[tokio::test]
async fn an_idle_connection_of_http_2_is_told_goodbye() {
    let served = Served::start_with(patient_but_for_idleness).await;
    let mut client = Frames::connect(&served, WIDE).await;
    for stream in [1, 3] {
        client.get(stream, "/short").await;
        let data = client.next_of(DATA).await;
        assert_eq!((data.stream, data.payload.as_slice()), (stream, &b"short"[..]));
    }
    let began = Instant::now();
    client.next_of(GOAWAY).await;
    while client.next().await.is_some() {}
    assert!(began.elapsed() >= TIME / 2, "it was closed early");
}

/// Other limits than the one on idleness are out of reach.
fn patient_but_for_idleness(limits: &mut GatewayLimits) {
    let defaults = GatewayLimits::default();
    limits.receive_time = defaults.receive_time;
    limits.stall_time = defaults.stall_time;
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up_though_pings_are_answered() {
    let served = Served::start_with(patient_but_for_stalls).await;
    // A window that is shut, one that lets a single byte through, and one that shuts in the middle.
    for window in [0, 1, 100_000] {
        let mut client = Frames::connect(&served, window).await;
        client.open_window(0, WIDE).await;
        client.get(1, "/long").await;
        assert_eq!(client.next_of(RESET).await.stream, 1);
        // The connection goes on, and serves answers that are read.
        client.get(3, "/short").await;
        client.open_window(3, 5).await;
        let mut read = client.next_of(DATA).await;
        if !read.is_last() {
            let rest = client.next_of(DATA).await;
            read.payload.extend(rest.payload);
        }
        assert_eq!((read.stream, read.payload.as_slice()), (3, &b"short"[..]));
    }
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_over_http_1_arrives() {
    let served = Served::start_with(patient_but_for_the_next_request).await;
    let mut client = served.send(b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (began, mut received) = (Instant::now(), 0);
    let mut part = vec![0; HUGE_BYTES / 32];
    while received < HUGE_BYTES {
        // A slow client is one that takes its time: more than idleness and a goodbye may take.
        tokio::time::sleep(TIME / 6).await;
        let read = within(client.read(&mut part)).await.expect("the answer goes on");
        assert!(read > 0, "it was broken off after {received} bytes");
        received += read;
    }
    assert!(began.elapsed() > TIME, "it was read too fast to tell");
}

/// The limits that begin when an answer is read: on idleness, and on the next head.
fn patient_but_for_the_next_request(limits: &mut GatewayLimits) {
    limits.stall_time = GatewayLimits::default().stall_time;
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_over_http_2_arrives() {
    let served = Served::start_with(patient_but_for_stalls).await;
    let mut client = Frames::connect(&served, 0).await;
    client.open_window(0, WIDE).await;
    client.get(1, "/long").await;
    let (began, mut received) = (Instant::now(), 0);
    loop {
        // A slow client is one that takes its time.
        tokio::time::sleep(TIME / 8).await;
        client.open_window(1, 20_000).await;
        let frame = client.next_of(DATA).await;
        received += frame.payload.len();
        if frame.is_last() {
            break;
        }
    }
    assert_eq!(received, LONG_BYTES);
    assert!(began.elapsed() > TIME, "it was read too fast to tell");
}

/// Other limits than the one on reading nothing are out of reach.
fn patient_but_for_stalls(limits: &mut GatewayLimits) {
    let defaults = GatewayLimits::default();
    limits.receive_time = defaults.receive_time;
    limits.idle_time = defaults.idle_time;
}

#[tokio::test]
async fn a_little_that_is_not_read_ends_with_its_connection() {
    let served = Served::start_with(patient_but_for_idleness).await;
    let mut client = Frames::connect(&served, 1).await;
    client.get(1, "/short").await;
    assert_eq!(client.next_of(DATA).await.payload, b"s");
    while client.next().await.is_some() {}
}
