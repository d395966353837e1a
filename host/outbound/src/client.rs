//! HTTP to others: every connection is looked at, every request is bounded, and what is secret goes
//! to nobody but whom it was meant for.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use url::Url;

use crate::error::Error;
use crate::outbound::Outbound;

/// How many redirects of one request are followed.
const REDIRECTS: usize = 5;
/// Connections to one host that are kept for the next request.
const KEPT_CONNECTIONS: usize = 4;
/// How long they are kept.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// What one request may take, redirects included.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Time until the last byte of the answer.
    pub time: Duration,
    /// Bytes of the answer's body.
    pub bytes: usize,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Where it came from, after redirects.
    pub url: Url,
}

/// Speaks HTTP to others.
#[derive(Clone)]
pub struct Client {
    http: Pooled<HttpsConnector<Connector>, Full<Bytes>>,
}

impl Client {
    /// Reaches what `outbound` permits. Certificates are checked against the system's authorities.
    ///
    /// # Errors
    /// A sentence for the operator, when TLS cannot be set up.
    pub fn new(outbound: Outbound) -> Result<Self, String> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls()?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(Connector(outbound));
        let http = Pooled::builder(TokioExecutor::new())
            .pool_max_idle_per_host(KEPT_CONNECTIONS)
            .pool_idle_timeout(KEPT_FOR)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .build(connector);
        Ok(Self { http })
    }

    /// Asks for something, and follows redirects.
    ///
    /// # Errors
    /// See [`Error`]. An answer of any status is an answer.
    pub async fn get(
        &self,
        url: &Url,
        headers: HeaderMap,
        bounds: Bounds,
    ) -> Result<Answer, Error> {
        self.send(Method::GET, url, headers, Bytes::new(), bounds).await
    }

    /// Sends a request. Redirects are followed where that repeats nothing: for `GET` and `HEAD`.
    ///
    /// # Errors
    /// See [`Error`]. An answer of any status is an answer.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        bounds: Bounds,
    ) -> Result<Answer, Error> {
        let sent = self.follow(method, url.clone(), headers, body, bounds.bytes);
        let late = || Error::Late { host: host(url), seconds: bounds.time.as_secs() };
        tokio::time::timeout(bounds.time, sent).await.map_err(|_| late())?
    }

    async fn follow(
        &self,
        method: Method,
        mut url: Url,
        mut headers: HeaderMap,
        body: Bytes,
        bytes: usize,
    ) -> Result<Answer, Error> {
        let may_follow = method == Method::GET || method == Method::HEAD;
        for _ in 0..=REDIRECTS {
            let answer =
                self.once(method.clone(), &url, headers.clone(), body.clone(), bytes).await?;
            let next = if may_follow { redirect(&answer)? } else { None };
            let Some(next) = next else { return Ok(answer) };
            if next.origin() != url.origin() {
                headers = without_secrets(headers);
            }
            url = next;
        }
        Err(Error::Misled { host: host(&url), reason: format!("more than {REDIRECTS} times") })
    }

    async fn once(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        bytes: usize,
    ) -> Result<Answer, Error> {
        let no_address = || Error::NoAddress { text: url.to_string() };
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(no_address());
        }
        let uri: Uri = url.as_str().parse().map_err(|_| no_address())?;
        let mut request = Request::new(Full::new(body));
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) =
            (method, uri, headers);
        let response = self.http.request(request).await.map_err(|error| failed(url, &error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, bytes).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return Error::TooLarge { host: host(url), bytes };
            }
            let reason = "its answer ended early".to_owned();
            Error::Unreachable { host: host(url), reason }
        })?;
        let body = body.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body, url: url.clone() })
    }
}

/// Where an answer sends us, if anywhere.
fn redirect(answer: &Answer) -> Result<Option<Url>, Error> {
    let follows = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let Some(location) = answer.headers.get(LOCATION).filter(|_| follows.contains(&answer.status))
    else {
        return Ok(None);
    };
    let misled =
        |reason: &str| Error::Misled { host: host(&answer.url), reason: reason.to_owned() };
    let location = location.to_str().map_err(|_| misled("to no address"))?;
    let next = answer.url.join(location).map_err(|_| misled("to no address"))?;
    if answer.url.scheme() == "https" && next.scheme() != "https" {
        return Err(misled("to an address without TLS"));
    }
    Ok(Some(next))
}

/// What may go along to another origin.
fn without_secrets(headers: HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in &headers {
        if !value.is_sensitive() && name != CONTENT_TYPE && name != CONTENT_LENGTH {
            kept.append(name, value.clone());
        }
    }
    kept
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// What a failed request means. Ours is somewhere among its causes.
fn failed(url: &Url, error: &hyper_util::client::legacy::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let mut reason = error.to_string();
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return ours.clone();
        }
        reason = error.to_string();
        cause = error.source();
    }
    Error::Unreachable { host: host(url), reason }
}

fn tls() -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    // What the system has and cannot be read is its own affair; without any, TLS says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        tracing::warn!("the system has no certificate authorities; install ca-certificates");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS to others cannot be set up: {error}"))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Connects where it is permitted.
#[derive(Clone)]
struct Connector(Outbound);

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let outbound = self.0.clone();
        Box::pin(async move {
            let host = uri.host().ok_or_else(|| Error::NoAddress { text: uri.to_string() })?;
            let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
                Some("https") => 443,
                _ => 80,
            });
            outbound.connect(host, port).await.map(TokioIo::new)
        })
    }
}
