//! Listening: connections, TLS, HTTP/1.1 and 2, compression, CORS, and an end that lets everybody
//! finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use crate::{Cors, Gateway};

/// Requests one HTTP/2 connection may have open.
const STREAMS: u32 = 128;
/// Bytes of the head of a request.
const HEAD_BYTES: u32 = 64 * 1_024;
/// Answers below this many bytes are not worth compressing.
const COMPRESSED_FROM_BYTES: u64 = 1_024;
/// How long to wait before accepting again when the system is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Gateway {
    /// Serves until `stop` is cancelled, then lets requests that have begun end, for `drain` at
    /// the most.
    /// What goes wrong with one connection ends that connection alone.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        stop: CancellationToken,
        drain: Duration,
    ) {
        let connections = Arc::new(Semaphore::new(self.limits.connections));
        let graceful = GracefulShutdown::new();
        let server = Arc::new(self.protocols());
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept(&listener, &connections) => accepted,
            };
            let Some((stream, peer, permit)) = accepted else { continue };
            let connection = Connection {
                gateway: Arc::clone(&self),
                server: Arc::clone(&server),
                watcher: graceful.watcher(),
                peer,
            };
            let tls = tls.clone();
            tokio::spawn(async move {
                connection.open(stream, tls).await;
                drop(permit);
            });
        }
        drop(listener);
        if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not end within the time to drain");
        }
    }

    fn protocols(&self) -> auto::Builder<TokioExecutor> {
        let mut server = auto::Builder::new(TokioExecutor::new());
        server
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.receive_time)
            .max_buf_size(HEAD_BYTES as usize);
        server
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEAD_BYTES)
            .keep_alive_interval(self.limits.stall_time)
            .keep_alive_timeout(self.limits.receive_time);
        server
    }
}

struct Connection {
    gateway: Arc<Gateway>,
    server: Arc<auto::Builder<TokioExecutor>>,
    watcher: Watcher,
    peer: SocketAddr,
}

impl Connection {
    async fn open(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Answers are written whole; waiting for more would only delay them.
        _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.gateway.limits.stall_time));
        let stream = Box::pin(stream);
        let Some(tls) = tls else { return self.speak(stream).await };
        let handshake = tokio::time::timeout(self.gateway.limits.receive_time, tls.accept(stream));
        match handshake.await {
            Ok(Ok(stream)) => self.speak(stream).await,
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, "TLS handshake: {error}"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake: too slow"),
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let Self { gateway, server, watcher, peer } = self;
        let cors = cors_layer(&gateway.cors);
        // Boxed, because the layers and hyper would move it from hand to hand otherwise, and it is
        // kilobytes long.
        let exchange = tower::service_fn(move |request| {
            Box::pin(Arc::clone(&gateway).exchange(request, peer))
        });
        let worthwhile = SizeAbove::new(COMPRESSED_FROM_BYTES)
            .and(NotForContentType::const_new("text/event-stream"));
        let service = ServiceBuilder::new()
            .option_layer(cors)
            .layer(CompressionLayer::new().compress_when(worthwhile))
            .service(exchange);
        let connection = server
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%peer, "connection: {error}");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            accept_failed(&error).await;
            None
        }
    }
}

async fn accept_failed(error: &io::Error) {
    tracing::warn!("a connection could not be accepted: {error}");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn cors_layer(cors: &Cors) -> Option<CorsLayer> {
    if cors.origins.is_empty() {
        return None;
    }
    let origins = if cors.origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let origins = cors.origins.iter();
        AllowOrigin::list(origins.filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    // A wildcard would leave Authorization out (Fetch standard, 3.3.4): what is asked is allowed.
    let headers = AllowHeaders::mirror_request();
    let layer = CorsLayer::new().allow_origin(origins).allow_headers(headers).allow_methods(Any);
    Some(layer.expose_headers(Any).max_age(Duration::from_secs(600)))
}
