//! Listening: connections, TLS, HTTP/1.1 and 2, compression, CORS, and an end that lets everybody
//! finish.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::Either;
use http::{Extensions, HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tower_http::compression::{CompressionBody, CompressionLayer};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};
use windlass_engine::{AnswerBody, is_unbuffered};

use crate::pace::{Paced, Streams, paced};
use crate::patience::{Patience, Work};
use crate::{Cors, Gateway};

/// Requests one HTTP/2 connection may have open.
const STREAMS: u32 = 128;
/// Bytes of the head of a request.
const HEAD_BYTES: u32 = 64 * 1_024;
/// Answers below this many bytes are not worth compressing.
const COMPRESSED_FROM_BYTES: u64 = 1_024;
/// How long to wait before accepting again when the system is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a client that is told of the end of its connection may take to note it. It is told, so
/// that it does not send a request into a connection that is being closed.
const GOODBYE: Duration = Duration::from_secs(1);

/// Marks an answer that is not worth compressing for each client anew: compressing megabytes takes
/// more time and memory than sending them, and anybody may ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsItIs;

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
        let open = TaskTracker::new();
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
                stop: stop.clone(),
                peer,
            };
            let tls = tls.clone();
            open.spawn(async move {
                connection.open(stream, tls).await;
                drop(permit);
            });
        }
        drop(listener);
        open.close();
        if tokio::time::timeout(drain, open.wait()).await.is_err() {
            tracing::warn!("some requests did not end within the time to drain");
        }
    }

    fn protocols(&self) -> auto::Builder<Streams> {
        let streams = Streams { stall_time: self.limits.stall_time };
        let mut server = auto::Builder::new(streams);
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
    server: Arc<auto::Builder<Streams>>,
    stop: CancellationToken,
    peer: SocketAddr,
}

impl Connection {
    async fn open(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Answers are written whole; waiting for more would only delay them.
        _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.gateway.limits.stall_time));
        let stream = Box::pin(stream);
        let Some(tls) = tls else { return self.speak(stream, false).await };
        let handshake = tokio::time::timeout(self.gateway.limits.receive_time, tls.accept(stream));
        match handshake.await {
            Ok(Ok(stream)) => self.speak(stream, true).await,
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, "TLS handshake: {error}"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake: too slow"),
        }
    }

    /// Serves requests until the client ends the connection, the host stops, or nothing was asked
    /// for too long.
    async fn speak(
        self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        secure: bool,
    ) {
        let Self { gateway, server, stop, peer } = self;
        let limits = &gateway.limits;
        // The protocols' own time limits begin with the first byte, and know nothing of idleness.
        let client = Arc::new(Patience::new(limits.receive_time, limits.idle_time));
        let service = service(Arc::clone(&gateway), peer, secure, Arc::clone(&client));
        let service = TowerToHyperService::new(service);
        let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => Some(ended),
            () = stop.cancelled() => None,
            () = client.ended() => {
                client.extend(GOODBYE);
                None
            }
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    ended = connection => ended,
                    () = client.ended() => Err("nothing was asked for too long".into()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, "connection: {error}");
        }
    }
}

/// What answers the requests of one connection.
fn service(
    gateway: Arc<Gateway>,
    peer: SocketAddr,
    secure: bool,
    client: Arc<Patience>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Paced<CompressionBody<AnswerBody>>>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    let cors = cors_layer(&gateway.cors);
    // Boxed, because the layers and hyper would move it from hand to hand otherwise, and it is
    // kilobytes long.
    let exchanging = Arc::clone(&gateway);
    let exchange =
        tower::service_fn(move |request| Box::pin(Arc::clone(&exchanging).exchange(request, peer)));
    // Which origins may call is a rule of the platform's APIs, and not of what tenants deployed.
    let platform = ServiceBuilder::new().option_layer(cors).service(exchange);
    let either = tower::service_fn(move |request| match gateway.visit(&request) {
        Some(visit) => {
            let forward = Arc::clone(&gateway).forward(visit, request, peer, secure);
            Either::Left(Box::pin(forward))
        }
        None => Either::Right(platform.clone().oneshot(request)),
    });
    let worthwhile = SizeAbove::new(COMPRESSED_FROM_BYTES).and(
        // Whoever waits for the next line waits for what a compressor holds back.
        |_, _, headers: &HeaderMap, marks: &Extensions| {
            !is_unbuffered(headers) && marks.get::<AsItIs>().is_none()
        },
    );
    ServiceBuilder::new()
        .map_future(move |answering| paced(answering, Work::begin(&client)))
        .layer(CompressionLayer::new().compress_when(worthwhile))
        .service(either)
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
