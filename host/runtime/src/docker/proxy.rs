//! From the ingress to a container: requests are passed on to the port that the engine published on
//! this machine, and answers come back as they arrive.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONNECTION, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderName, Request, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use wasmtime_wasi_http::WasiBody;
use windlass_engine::{
    Answer, AnswerBody, Destination, DestinationFuture, Failure, RequestContext,
};

/// How long the head of an answer may take, as for a component.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How long a connection on this machine may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody uses: shorter than servers keep them, so that a request
/// does not go into one that is being closed.
const IDLE_TIME: Duration = Duration::from_secs(4);
/// Connections of one container that are kept.
const IDLE_CONNECTIONS: usize = 64;
/// Requests of one container at a time. Each is a connection, and descriptors are the host's.
const CONCURRENCY: usize = 512;
/// Headers of one hop (RFC 9110, 7.6.1) that the standard names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Where the requests of one container go.
pub(super) struct Proxy {
    client: Client<HttpConnector, WasiBody>,
    address: Mutex<Option<SocketAddr>>,
    begun: Arc<AtomicUsize>,
}

/// A request that has begun. Ends with the last byte of its answer.
struct Begun(Arc<AtomicUsize>);

impl Proxy {
    /// One that leads nowhere yet.
    pub(super) fn new() -> Arc<Self> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIME));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector);
        Arc::new(Self { client, address: Mutex::default(), begun: Arc::default() })
    }

    /// The engine publishes a container that was started again somewhere else.
    pub(super) fn lead_to(&self, address: Option<SocketAddr>) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no request is being answered.
    pub(super) fn is_idle(&self) -> bool {
        self.begun.load(Ordering::Acquire) == 0
    }

    async fn pass_on(&self, mut request: Request<WasiBody>) -> Result<Answer, Failure> {
        let begun = Begun::new(&self.begun).ok_or(Failure::Overloaded)?;
        let starting = || Failure::Unreachable("it does not run at the moment".to_owned());
        let address = self.address().ok_or_else(starting)?;
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let target = Uri::builder().scheme("http").authority(address.to_string());
        *request.uri_mut() = target.path_and_query(path).build().map_err(unreachable)?;
        *request.version_mut() = Version::HTTP_11;
        end_hop(request.headers_mut());
        let answer = self.client.request(request).await.map_err(unreachable)?;
        let (mut head, body) = answer.into_parts();
        end_hop(&mut head.headers);
        let body = PassedBody { body, _begun: begun }.boxed_unsync();
        Ok(Answer::from_parts(head, AnswerBody::Passed(body)))
    }
}

impl Destination for Proxy {
    fn time_limit(&self) -> Duration {
        TIME_LIMIT
    }

    fn answer(
        self: Arc<Self>,
        context: RequestContext,
        request: Request<WasiBody>,
    ) -> DestinationFuture {
        Box::pin(async move {
            let answered = tokio::time::timeout(context.time_left(), self.pass_on(request)).await;
            answered.unwrap_or(Err(Failure::Deadline))
        })
    }
}

impl Begun {
    fn new(begun: &Arc<AtomicUsize>) -> Option<Self> {
        let before = begun.fetch_add(1, Ordering::AcqRel);
        let begun = Self(Arc::clone(begun));
        (before < CONCURRENCY).then_some(begun)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Drops what was meant for the connection and not for who is behind it. The host's name stays.
fn end_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| name != HOST)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn unreachable(error: impl std::error::Error) -> Failure {
    // The reason is at the bottom of the chain; above it stands that there is one.
    let mut reason: &dyn std::error::Error = &error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    Failure::Unreachable(reason.to_string())
}

/// A body on its way back.
struct PassedBody {
    body: Incoming,
    _begun: Begun,
}

impl Body for PassedBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        Pin::new(&mut self.body).poll_frame(cx).map_err(unreachable)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn headers_of_one_hop_go_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Mine, host"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("host", "shop.example"),
            ("authorization", "Bearer of-the-tenant"),
            ("x-forwarded-for", "192.0.2.1"),
        ] {
            headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        end_hop(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "host", "x-forwarded-for"]);
    }

    #[tokio::test]
    async fn what_does_not_run_is_unreachable_and_nothing_hangs() {
        let proxy = Proxy::new();
        let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = Request::get("http://shop.example/").body(body).unwrap();
        let context = RequestContext::internal("1", TIME_LIMIT);
        let answered = Arc::clone(&proxy).answer(context, request).await;
        assert!(matches!(answered, Err(Failure::Unreachable(_))));
        assert!(proxy.is_idle());
    }
}
