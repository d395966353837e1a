//! A gateway without components: it serves three pages.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use windlass_engine::{
    Authentication, ComponentId, Engine, Fleet, LedgerFuture, Recorded, ReleaseLedger, Transition,
};
use windlass_gateway::{
    Authenticator, Claim, Gateway, GatewayLimits, IdempotencyRecords, Page, Pages, RecordFuture,
    StoredAnswer,
};

/// Time for a head, for reading, and for asking again.
pub(crate) const TIME: Duration = Duration::from_millis(400);
/// No test waits longer for what must come.
const LONGEST: Duration = Duration::from_secs(20);
/// Bytes of the page `/long`.
pub(crate) const LONG_BYTES: usize = 256 * 1_024;

/// Bytes of the page `/huge`, which no buffer of the system takes at once.
pub(crate) const HUGE_BYTES: usize = 32 * 1_048_576;

/// A running gateway. It stops when it is dropped.
pub(crate) struct Served {
    address: SocketAddr,
    _stop: DropGuard,
    _cache: TempDir,
}

impl Served {
    /// Serves with limits of [`TIME`], changed by the test.
    pub(crate) async fn start_with(change: impl FnOnce(&mut GatewayLimits)) -> Self {
        let mut limits = GatewayLimits {
            receive_time: TIME,
            stall_time: TIME,
            idle_time: TIME,
            ..GatewayLimits::default()
        };
        change(&mut limits);
        let cache = TempDir::new().expect("a temporary directory");
        let engine = Engine::new(cache.path(), Vec::new()).expect("an engine");
        let fleet = Arc::new(Fleet::new(Arc::new(engine), Arc::new(Nothing)));
        let (nobody, nothing, pages) = (Arc::new(Nothing), Arc::new(Nothing), Arc::new(Three));
        let gateway = Arc::new(Gateway::new(fleet, nobody, nothing, pages, limits));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let stop = CancellationToken::new();
        tokio::spawn(gateway.serve(listener, None, stop.clone(), Duration::ZERO));
        Self { address, _stop: stop.drop_guard(), _cache: cache }
    }

    /// Connects and sends this.
    pub(crate) async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        stream.write_all(bytes).await.expect("it is sent");
        stream
    }
}

/// Reads until the other side ends the connection.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end too.
    _ = within(stream.read_to_end(&mut bytes)).await;
    bytes
}

/// Waits for what must come.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONGEST, what).await.expect("it comes in time")
}

/// Serves `/short`, `/long` and `/huge`.
struct Three;

impl Pages for Three {
    fn page(&self, path: &str) -> Option<Page> {
        let bytes = match path {
            "/short" => Bytes::from_static(b"short"),
            "/long" => Bytes::from(vec![b'x'; LONG_BYTES]),
            "/huge" => Bytes::from(vec![b'x'; HUGE_BYTES]),
            _ => return None,
        };
        Some(Page { content_type: "text/plain", bytes })
    }
}

/// Knows nobody, and keeps nothing.
struct Nothing;

impl Authenticator for Nothing {
    fn authenticate(&self, _headers: &HeaderMap) -> Authentication {
        Authentication::Anonymous
    }
}

impl IdempotencyRecords for Nothing {
    fn claim<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> RecordFuture<'a, Claim> {
        Box::pin(async { Ok(Claim::New) })
    }

    fn complete<'a>(&'a self, _: &'a str, _: &'a StoredAnswer) -> RecordFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn release<'a>(&'a self, _: &'a str) -> RecordFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl ReleaseLedger for Nothing {
    fn record<'a>(&'a self, _: &'a [Transition]) -> LedgerFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn previous<'a>(&'a self, _: &'a ComponentId) -> LedgerFuture<'a, Option<Recorded>> {
        Box::pin(async { Ok(None) })
    }

    fn forget<'a>(&'a self, _: &'a ComponentId) -> LedgerFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
