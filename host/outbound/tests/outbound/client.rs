//! Redirects, secrets, sizes and times.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use url::Url;
use windlass_outbound::{Bounds, Client, Error, Outbound};
use windlass_test_support::{HttpStub, http_answer};

const BOUNDS: Bounds = Bounds { time: Duration::from_secs(20), bytes: 1_000 };

fn client(networks: &[&str]) -> Client {
    let networks: Vec<String> = networks.iter().map(|text| (*text).to_owned()).collect();
    Client::new(Outbound::allowing(&networks).unwrap()).unwrap()
}

fn url(stub: &HttpStub, path: &str) -> Url {
    format!("{}{path}", stub.base()).parse().unwrap()
}

fn secret() -> HeaderMap {
    let mut value = HeaderValue::from_static("Bearer secret");
    value.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", value);
    headers.insert("accept", HeaderValue::from_static("text/plain"));
    headers
}

#[tokio::test]
async fn an_answer_of_any_status_is_an_answer() {
    let stub = HttpStub::start(|_| http_answer("404 Not Found", "x-mark: yes\r\n", "nothing"));
    let answer = client(&["127.0.0.1"]).get(&url(&stub, "/a?b=c"), secret(), BOUNDS).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (404, &b"nothing"[..]));
    assert_eq!(answer.headers["x-mark"], "yes");
    let heads = stub.heads();
    assert!(heads[0].starts_with("GET /a?b=c HTTP/1.1\r\n"), "{heads:?}");
    assert!(heads[0].contains("authorization: bearer secret\r\n"), "{heads:?}");
}

#[tokio::test]
async fn this_machine_is_reached_only_where_the_operator_says_so() {
    let stub = HttpStub::start(|_| http_answer("200 OK", "", ""));
    let refused = client(&[]).get(&url(&stub, "/"), HeaderMap::new(), BOUNDS).await.unwrap_err();
    assert_eq!(refused, Error::Refused { host: "127.0.0.1".to_owned() });
    assert!(stub.heads().is_empty());
}

#[tokio::test]
async fn a_redirect_into_a_private_network_is_refused() {
    for inside in ["http://127.0.0.2:1/", "http://[::1]:1/", "http://0x0a000001/", "//10.0.0.1/"] {
        let location = format!("location: {inside}\r\n");
        let stub = HttpStub::start(move |_| http_answer("302 Found", &location, ""));
        let client = client(&["127.0.0.1"]);
        let refused = client.get(&url(&stub, "/"), HeaderMap::new(), BOUNDS).await.unwrap_err();
        assert!(matches!(refused, Error::Refused { .. }), "{inside}: {refused:?}");
    }
}

#[tokio::test]
async fn a_redirect_keeps_secrets_at_home_and_drops_them_elsewhere() {
    let elsewhere = HttpStub::start(|_| http_answer("200 OK", "", "elsewhere"));
    let away = format!("location: {}\r\n", url(&elsewhere, "/there"));
    let home = HttpStub::start(move |head| match head.contains("/first") {
        true => http_answer("301 Moved Permanently", "location: /second\r\n", ""),
        false => http_answer("307 Temporary Redirect", &away, ""),
    });
    let client = client(&["127.0.0.1"]);
    let answer = client.get(&url(&home, "/first"), secret(), BOUNDS).await.unwrap();
    assert_eq!((&answer.body[..], answer.url), (&b"elsewhere"[..], url(&elsewhere, "/there")));
    let kept = home.heads();
    assert!(kept.iter().all(|head| head.contains("authorization")) && kept.len() == 2, "{kept:?}");
    let dropped = elsewhere.heads();
    assert!(!dropped[0].contains("authorization"), "{dropped:?}");
    assert!(dropped[0].contains("accept: text/plain"), "{dropped:?}");
}

#[tokio::test]
async fn redirects_end_and_are_not_followed_by_what_writes() {
    let stub = HttpStub::start(|_| http_answer("302 Found", "location: /again\r\n", ""));
    let client = client(&["127.0.0.1"]);
    let misled = client.get(&url(&stub, "/"), HeaderMap::new(), BOUNDS).await.unwrap_err();
    assert!(matches!(misled, Error::Misled { .. }), "{misled:?}");
    assert_eq!(stub.heads().len(), 6);
    let body = "x".into();
    let posted = client.send(Method::POST, &url(&stub, "/"), HeaderMap::new(), body, BOUNDS).await;
    assert_eq!(posted.unwrap().status, 302);
    let stub =
        HttpStub::start(|_| http_answer("302 Found", "location: ftp://example.com/\r\n", ""));
    let misled = client.get(&url(&stub, "/"), HeaderMap::new(), BOUNDS).await.unwrap_err();
    assert!(matches!(misled, Error::NoAddress { .. }), "{misled:?}");
}

#[tokio::test]
async fn a_huge_answer_is_cut_off_and_a_slow_one_given_up() {
    let stub = HttpStub::start(|head| match head.contains("/huge") {
        true => http_answer("200 OK", "", &"x".repeat(1_001)),
        false => Vec::new(),
    });
    let client = client(&["127.0.0.1"]);
    let large = client.get(&url(&stub, "/huge"), HeaderMap::new(), BOUNDS).await.unwrap_err();
    assert_eq!(large, Error::TooLarge { host: "127.0.0.1".to_owned(), bytes: 1_000 });
    let bounds = Bounds { time: Duration::from_millis(50), ..BOUNDS };
    let late = client.get(&url(&stub, "/slow"), HeaderMap::new(), bounds).await.unwrap_err();
    assert!(matches!(late, Error::Late { .. }) && late.is_passing(), "{late:?}");
}

#[tokio::test]
async fn an_answer_that_ends_early_or_is_none_is_unreachable() {
    for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "not HTTP\r\n\r\n"] {
        let stub = HttpStub::start(move |_| answer.as_bytes().to_vec());
        let client = client(&["127.0.0.1"]);
        let broken = client.get(&url(&stub, "/"), HeaderMap::new(), BOUNDS).await.unwrap_err();
        assert!(matches!(broken, Error::Unreachable { .. }), "{broken:?}");
    }
}
