//! HTTP as people expect it, whatever component answers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Method, Version};
use serde_json::{Value, json};
use windlass_harness::{Account, Database, Server, ServerOptions};

use crate::check::text;

on_each_database!(
    a_repeated_request_with_a_key_is_answered_again_and_done_once,
    fifty_requests_at_once_with_one_key_have_one_effect,
    a_change_against_an_old_version_is_refused,
);

const PROJECTS: &str = "/api/v1/projects";

async fn a_repeated_request_with_a_key_is_answered_again_and_done_once(server: &Server) {
    let (account, other) =
        (Account::register(&server.client()).await, Account::register(&server.client()).await);
    let post = |account: &Account, key: &str, name: &str| {
        let request = account.client.request(Method::POST, PROJECTS).header("idempotency-key", key);
        request.json(&json!({"name": name})).send()
    };
    let first = post(&account, "order-1", "Once").await.expect(201);
    let again = post(&account, "order-1", "Once").await.expect(201);
    assert_eq!(again.json(), first.json());
    assert_eq!(again.header("etag"), first.header("etag"));
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    post(&account, "order-1", "Another body").await.expect_error(422);
    post(&account, "order-2", "Twice").await.expect(201);
    let theirs = post(&other, "order-1", "Once").await.expect(201);
    assert_ne!(theirs.json()["id"], first.json()["id"], "keys are private to their caller");
    let total = account.client.get(PROJECTS).await.json()["pagination"]["total"].clone();
    assert_eq!(total, 2);

    // A refusal is the answer too.
    post(&account, "order-3", "x").await.expect_error(400);
    post(&account, "order-3", "x").await.expect_error(400);
    for key in ["", &"k".repeat(256), "tab\there"] {
        post(&account, key, "Never").await.expect_error(400);
    }
}

async fn fifty_requests_at_once_with_one_key_have_one_effect(server: &Server) {
    let account = Account::register(&server.client()).await;
    let answers = join_all((0..50).map(|_| {
        let request = account.client.request(Method::POST, PROJECTS);
        request.header("idempotency-key", "all-at-once").json(&json!({"name": "Single"})).send()
    }));
    let mut created = Vec::new();
    for answer in answers.await {
        match answer.status {
            201 => created.push(answer.json()),
            409 => drop(answer.expect_error(409)),
            status => panic!("{status}: {}", answer.text()),
        }
    }
    assert!(!created.is_empty(), "somebody was first");
    assert!(created.iter().all(|project| project == &created[0]), "{created:?}");
    assert_eq!(account.client.get(PROJECTS).await.json()["pagination"]["total"], 1);
}

async fn a_change_against_an_old_version_is_refused(server: &Server) {
    let account = Account::register(&server.client()).await;
    let project = account.create_project("Versioned").await;
    let service = account.create_service(text(&project, "id"), "versioned").await;
    for path in [
        "/api/v1/user/profile".to_owned(),
        format!("{PROJECTS}/{}", text(&project, "id")),
        format!("/api/v1/services/{}", text(&service, "id")),
    ] {
        let call = |method: Method, condition: &str, tag: &str| {
            let request = account.client.request(method.clone(), &path).header(condition, tag);
            let named = json!({"name": format!("At {tag}").replace('"', "")});
            if method == Method::PUT { request.json(&named).send() } else { request.send() }
        };
        let seen = account.client.get(&path).await.expect(200);
        let old = seen.header("etag").expect("it has a version").to_owned();
        let unchanged = call(Method::GET, "if-none-match", &old).await.expect(304);
        assert!(unchanged.body.is_empty());
        assert_eq!(unchanged.header("etag"), Some(old.as_str()));
        call(Method::GET, "if-none-match", "\"another\"").await.expect(200);

        let changed = call(Method::PUT, "if-match", &old).await.expect(200);
        let new = changed.header("etag").expect("it has a version").to_owned();
        call(Method::PUT, "if-match", &old).await.expect_error(412);
        call(Method::PUT, "if-match", "no tag").await.expect_error(400);
        call(Method::GET, "if-none-match", &old).await.expect(200);
        call(Method::GET, "if-none-match", &new).await.expect(304);
        if !path.ends_with("profile") {
            call(Method::DELETE, "if-match", &old).await.expect_error(412);
        }
        call(Method::PUT, "if-match", "*").await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_path_is_404_and_a_wrong_method_405_with_allow() {
    let server = Server::start();
    let client = server.client();
    for path in ["/", "/api/v1/nothing", "/api/v1/projects/a/b/c", "/API/v1/projects"] {
        client.get(path).await.expect_error(404);
    }
    for (path, allowed) in [
        ("/api/v1/health", vec!["GET"]),
        ("/api/v1/auth/login", vec!["POST"]),
        (PROJECTS, vec!["GET", "POST"]),
        ("/api/v1/projects/x", vec!["GET", "PUT", "DELETE"]),
        ("/api/v1/audit-logs", vec!["GET"]),
        ("/reference", vec!["GET", "HEAD"]),
        ("/openapi.json", vec!["GET", "HEAD"]),
    ] {
        let answer = client.request(Method::PATCH, path).send().await;
        let allow = answer.header("allow").expect("405 says what is allowed").to_owned();
        for method in allowed {
            assert!(
                allow.split(',').any(|one| one.trim() == method),
                "{method} of {path}: {allow}"
            );
        }
        answer.expect_error(405);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_refused_that_is_too_large_malformed_or_of_another_type() {
    let server = Server::start();
    let account = Account::register(&server.client()).await;
    let post = || account.client.request(Method::POST, PROJECTS);
    let large = format!(r#"{{"name":"Large","description":"{}"}}"#, "x".repeat(1 << 20));
    post().raw_json(large.clone()).send().await.expect_error(413);
    let pieces = large.into_bytes().chunks(60_000).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let pieces = futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    post().raw_json(reqwest::Body::wrap_stream(pieces)).send().await.expect_error(413);
    for malformed in
        ["", "{", r#"{"name": }"#, "[]", "null", "\u{feff}{}", "{\"name\": \"a\\ud800\"}"]
    {
        post().raw_json(malformed).send().await.expect_error(400);
    }
    post().raw_json(b"{\"name\": \"\xff\xfe\"}".to_vec()).send().await.expect_error(400);
    post().raw_json(r#"{"name": {"nested": 1}}"#).send().await.expect_invalid("name");
    let foreign = post().header("content-type", "text/plain").json(&json!({"name": "Typed"}));
    foreign.send().await.expect_error(415);
    assert_eq!(account.client.get(PROJECTS).await.json()["pagination"]["total"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_is_get_without_the_body() {
    let server = Server::start();
    let account = Account::register(&server.client()).await;
    let project = account.create_project("Headed").await;
    for path in [PROJECTS.to_owned(), format!("{PROJECTS}/{}", text(&project, "id"))] {
        let get = account.client.get(&path).await.expect(200);
        let head = account.client.request(Method::HEAD, &path).send().await.expect(200);
        assert!(head.body.is_empty());
        for header in ["content-type", "etag", "link"] {
            assert_eq!(head.header(header), get.header(header), "{header} of {path}");
        }
    }
    server.client().request(Method::HEAD, PROJECTS).send().await.expect(401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_carries_a_request_id() {
    let server = Server::start();
    let client = server.client();
    let own = client.request(Method::GET, "/api/v1/health").header("x-request-id", "trace-me_1.2");
    assert_eq!(own.send().await.header("x-request-id"), Some("trace-me_1.2"));
    let mut seen = Vec::new();
    for (path, sent) in [("/api/v1/health", "two words"), ("/nowhere", ""), (PROJECTS, "<script>")]
    {
        let request = client.request(Method::GET, path).header("x-request-id", sent);
        let id = request.send().await.header("x-request-id").expect("an id").to_owned();
        assert!(id != sent && !seen.contains(&id), "{id}");
        seen.push(id);
    }
    for id in seen.iter().map(String::as_str).chain(["trace-me_1.2"]) {
        assert!(server.logs(id).await, "{id} is not in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_answer_is_compressed_for_those_who_ask() {
    let server = Server::start();
    let account = Account::register(&server.client()).await;
    for number in 0..20 {
        account.create_project(&format!("Compressible {number}")).await;
    }
    let plain = account.client.get(PROJECTS).await.expect(200);
    assert_eq!(plain.header("content-encoding"), None);
    for (encoding, magic) in [("gzip", &[0x1f, 0x8b][..]), ("zstd", &[0x28, 0xb5]), ("br", &[])] {
        let request =
            account.client.request(Method::GET, PROJECTS).header("accept-encoding", encoding);
        let answer = request.send().await.expect(200);
        assert_eq!(answer.header("content-encoding"), Some(encoding));
        assert!(answer.body.starts_with(magic), "{encoding}: {:?}", &answer.body[..8]);
        assert!(answer.body.len() * 2 < plain.body.len(), "{encoding} saves more than half");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_is_spoken_from_the_first_byte() {
    let server = Server::start();
    let client = server.http2();
    let answers = join_all((0..100).map(|_| client.get("/api/v1/health"))).await;
    for answer in answers {
        assert_eq!(answer.version, Version::HTTP_2);
        answer.expect(200);
    }
    assert_eq!(server.client().get("/api/v1/health").await.version, Version::HTTP_11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stalls_is_cut_off_and_holds_up_nobody() {
    let mut options = ServerOptions::on(Database::Sqlite);
    options.environment.push(("WINDLASS_RECEIVE_SECONDS".to_owned(), "1".to_owned()));
    let server = Server::start_with(options);
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: windlass\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n{\"email\":";
    let mut stalled: Vec<TcpStream> = (0..100).map(|_| begin(&server, head)).collect();
    let began = Instant::now();
    server.client().get("/api/v1/health").await.expect(200);
    let wrong = json!({"email": "nobody@example.test", "password": "not the password"});
    server.client().post("/api/v1/auth/login", &wrong).await.expect(401);
    assert!(began.elapsed() < Duration::from_secs(5), "a hundred stalled clients hold up others");
    for stream in &mut stalled {
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(20), "they were cut off late");
}

fn begin(server: &Server, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time is given");
    stream.write_all(text.as_bytes()).expect("it is sent");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_may_call_from_configured_origins_only() {
    let mut options = ServerOptions::on(Database::Sqlite);
    let origins = r#"["https://console.example"]"#.to_owned();
    options.environment.push(("WINDLASS_CORS_ORIGINS".to_owned(), origins));
    let (open, closed) = (Server::start_with(options), Server::start());
    let ask = |server: &Server, origin: &str| {
        let request = server.client().request(Method::OPTIONS, PROJECTS).header("origin", origin);
        request.header("access-control-request-method", "POST").send()
    };
    let allowed = |answer: &windlass_harness::Answer| {
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    let console = "https://console.example";
    assert_eq!(allowed(&ask(&open, console).await).as_deref(), Some(console));
    assert_eq!(allowed(&ask(&open, "https://evil.example").await), None);
    assert_eq!(allowed(&ask(&closed, console).await), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_management_listener_wants_its_own_token() {
    let server = Server::start();
    let management = server.management();
    let anonymous = management.client.anonymous();
    for path in ["/healthz", "/readyz"] {
        anonymous.get(path).await.expect(200);
    }
    let user = Account::register(&server.client()).await;
    let calls = [
        (Method::GET, "/metrics"),
        (Method::GET, "/v1/components"),
        (Method::POST, "/v1/releases"),
        (Method::POST, "/v1/components/containr-audit/rollback"),
        (Method::POST, "/v1/components/containr-audit/promote"),
        (Method::DELETE, "/v1/components/containr-audit"),
        (Method::POST, "/v1/tokens"),
        (Method::POST, "/v1/tokens/revoke"),
    ];
    for (method, path) in calls {
        for caller in
            [&anonymous, &anonymous.with_token("wrong"), &anonymous.with_token(&user.token)]
        {
            let request = caller.request(method.clone(), path).json(&json!({}));
            assert_eq!(request.send().await.status, 401, "{method} {path}");
        }
    }
    let listed: Vec<Value> = management.components().await;
    assert_eq!(listed.len(), 11, "{listed:?}");
    let metrics = management.metrics().await;
    for expected in ["windlass_", "containr-accounts", "containr-projects"] {
        assert!(metrics.contains(expected), "{expected} is not in:\n{metrics}");
    }
    // The main listener knows nothing of the management interface.
    server.client().get("/v1/components").await.expect_error(404);
    server.client().get("/metrics").await.expect_error(404);
}
