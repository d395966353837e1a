//! What the host serves by itself.

use crate::fixture::{LONG_BYTES, Served, read_to_end};

async fn ask(served: &Served, method: &str, path: &str) -> String {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n"
    );
    let mut stream = served.send(request.as_bytes()).await;
    String::from_utf8_lossy(&read_to_end(&mut stream).await).into_owned()
}

#[tokio::test]
async fn a_page_can_be_read_and_nothing_else() {
    let served = Served::start_with(|_| {}).await;
    for (method, status) in [
        ("GET", "200 OK"),
        ("HEAD", "200 OK"),
        ("OPTIONS", "204 No Content"),
        ("POST", "405 Method Not Allowed"),
        ("PUT", "405 Method Not Allowed"),
        ("DELETE", "405 Method Not Allowed"),
        ("BREW", "405 Method Not Allowed"),
    ] {
        let answer = ask(&served, method, "/short").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{method}: {answer}");
        let allows = answer.contains("\r\nallow: GET, HEAD, OPTIONS\r\n");
        assert_eq!(allows, !status.starts_with("200"), "{method}: {answer}");
        let missing = ask(&served, method, "/missing").await;
        assert!(missing.starts_with("HTTP/1.1 404"), "{method}: {missing}");
    }
}

#[tokio::test]
async fn a_page_is_not_compressed_for_each_client() {
    let served = Served::start_with(|_| {}).await;
    let answer = ask(&served, "GET", "/long").await;
    assert!(answer.len() > LONG_BYTES && !answer.contains("content-encoding"));
}
