//! Traces as a collector receives them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use windlass_harness::fixtures::fixture;
use windlass_harness::management::install;
use windlass_harness::server::ServerOptions;
use windlass_harness::{Account, Database, Server};

/// The example of the W3C's recommendation, sampled.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_traced_with_its_component_and_its_storage_calls_under_the_callers_trace() {
    let (mut server, spans) = traced_server().await;
    let account = Account::register(&server.client()).await;
    let listed = account.client.request("GET".parse().expect("a method"), "/api/v1/projects");
    let parent = format!("00-{TRACE}-{CALLER}-01");
    listed.header("traceparent", &parent).send().await.expect(200);
    assert!(server.terminate().success(), "what was not sent yet is sent at the end");
    let spans = collected(spans);
    let ours: Vec<&Span> = spans.iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
    let request = named(&ours, "request");
    assert_eq!(hex(&request.parent_span_id), CALLER);
    assert_eq!(attribute(request, "http.request.method"), "GET");
    assert_eq!(attribute(request, "url.path"), "/api/v1/projects");
    assert_eq!(attribute(request, "http.response.status_code"), "200");
    assert_eq!(attribute(request, "windlass.component"), "containr-projects");
    let component = named(&ours, "component");
    assert_eq!(component.parent_span_id, request.span_id);
    assert_eq!(attribute(component, "windlass.component"), "containr-projects");
    assert!(attribute(component, "windlass.digest").starts_with("sha256:"));
    assert_eq!(named(&ours, "storage.query").parent_span_id, component.span_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_with_a_key_is_one_trace_to_its_commit_and_a_failure_is_an_error() {
    let (mut server, spans) = traced_server().await;
    let account = Account::register(&server.client()).await;
    let create = account.client.request("POST".parse().expect("a method"), "/api/v1/projects");
    let create = create.header("idempotency-key", "traced");
    create.json(&serde_json::json!({"name": "Traced"})).send().await.expect(201);
    server.management().release(&[install("trap", &fixture("trap"))]).await.expect(200);
    server.client().get("/trap/x").await.expect_error(500);
    assert!(server.terminate().success());
    let spans = collected(spans);
    let all: Vec<&Span> = spans.iter().collect();
    let requests = all.iter().filter(|span| span.name == "request");
    let of = |path: &str| {
        let found = requests.clone().find(|span| attribute(span, "url.path") == path);
        *found.unwrap_or_else(|| panic!("nothing of {path} in {:?}", names(&all)))
    };
    let created = of("/api/v1/projects");
    let within: Vec<&Span> =
        all.iter().filter(|span| span.trace_id == created.trace_id).copied().collect();
    let component = named(&within, "component");
    assert_eq!(component.parent_span_id, created.span_id);
    for call in ["storage.transaction.begin", "storage.transaction.commit"] {
        assert_eq!(named(&within, call).parent_span_id, component.span_id, "{call}");
    }
    let failed = of("/trap/x");
    assert_eq!(attribute(failed, "http.response.status_code"), "500");
    let status = failed.status.as_ref().expect("it has a status");
    assert_eq!(status.code(), StatusCode::Error);
}

/// A server that sends its traces here.
async fn traced_server() -> (Server, UnboundedReceiver<Span>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (sender, spans) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(collect(stream, sender.clone()));
        }
    });
    let mut options = ServerOptions::on(Database::Sqlite);
    options.environment.push(("WINDLASS_OTLP_ENDPOINT".to_owned(), endpoint));
    let server = tokio::task::spawn_blocking(|| Server::start_with(options)).await;
    (server.expect("it starts"), spans)
}

/// The smallest collector: `POST /v1/traces` with a length, answered 200, until the client goes.
async fn collect(stream: TcpStream, spans: UnboundedSender<Span>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.expect("a head of HTTP") == 0 {
                return;
            }
        }
        assert!(head.starts_with("POST /v1/traces "), "{head}");
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.expect("the exporter says how long it is")];
        stream.read_exact(&mut body).await.expect("a whole body");
        let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("it is OTLP");
        let scopes = request.resource_spans.into_iter().flat_map(|of_one| of_one.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            spans.send(span).expect("the test waits for spans");
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.get_mut().write_all(answer).await.expect("the exporter reads the answer");
    }
}

/// All spans of a server that has ended. It waited for our answers, so they are all here.
fn collected(mut spans: UnboundedReceiver<Span>) -> Vec<Span> {
    let mut found = Vec::new();
    while let Ok(span) = spans.try_recv() {
        found.push(span);
    }
    found
}

#[track_caller]
fn named<'a>(spans: &[&'a Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no span {name} in {:?}", names(spans)))
}

fn names<'a>(spans: &[&'a Span]) -> Vec<&'a str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    let value = found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref());
    match value {
        Some(Attribute::StringValue(text)) => text.clone(),
        Some(Attribute::IntValue(number)) => number.to_string(),
        other => panic!("{key} of {} is {other:?}", span.name),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
