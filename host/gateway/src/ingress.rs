//! The ingress: requests for what tenants deployed, told from those for the platform by their host
//! name.
//!
//! They come by the same listener, so that the same limits on connections hold. Beyond that nothing
//! of the platform touches them: credentials, keys and cross-origin rules are the tenant's, bodies
//! are passed on as they arrive, and answers are left as they are.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use windlass_engine::{Answer, Authentication, Destination, RequestContext};

use crate::Gateway;
use crate::exchange::{FORWARDED_FOR, REQUEST_ID, request_id};
use crate::problem::Problem;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Knows what tenants deployed, and under which names.
pub trait Ingress: Send + Sync {
    /// What a host name (which may have a port) belongs to.
    fn find(&self, host: &str) -> Deployed;
}

/// What a host name belongs to.
pub enum Deployed {
    /// To the platform.
    Not,
    /// To tenants; but nothing is live under it now.
    Nothing,
    /// To this.
    Live(Arc<dyn Destination>),
}

/// A request for what a tenant deployed.
pub(crate) struct Visit {
    destination: Option<Arc<dyn Destination>>,
    host: String,
}

impl Gateway {
    /// Whether a request is for what a tenant deployed.
    pub(crate) fn visit<B>(&self, request: &Request<B>) -> Option<Visit> {
        let ingress = self.ingress.as_ref()?;
        let host = host(request)?;
        let destination = match ingress.find(host) {
            Deployed::Not => return None,
            Deployed::Nothing => None,
            Deployed::Live(destination) => Some(destination),
        };
        Some(Visit { destination, host: host.to_owned() })
    }

    /// Passes a request on, and its answer back. There is always an answer.
    pub(crate) async fn forward(
        self: Arc<Self>,
        visit: Visit,
        mut request: Request<Incoming>,
        peer: SocketAddr,
        secure: bool,
    ) -> Result<Answer, Infallible> {
        let begun = Instant::now();
        let Visit { destination, host } = visit;
        let id = request_id(request.headers());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let client = self.client_address(peer.ip(), request.headers());
        introduce(request.headers_mut(), &id, &host, client, secure);
        let answered = match destination {
            None => Err(Problem::NothingLive),
            Some(destination) => {
                let context = RequestContext {
                    id: Arc::clone(&id),
                    client_address: client,
                    authentication: Authentication::Anonymous,
                    deadline: begun + destination.time_limit(),
                    commit_mark: None,
                };
                let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
                destination.answer(context, request).await.map_err(Problem::Component)
            }
        };
        let mut answer = answered.unwrap_or_else(|problem| problem.answer(&id));
        if let Ok(value) = HeaderValue::from_str(&id) {
            answer.headers_mut().entry(REQUEST_ID).or_insert(value);
        }
        tracing::info!(
            request_id = %id, host, %method, path, status = answer.status().as_u16(),
            milliseconds = begun.elapsed().as_secs_f64() * 1_000.0, "visit"
        );
        Ok(answer)
    }
}

/// The host a request names: in its target over HTTP/2, in a header over HTTP/1.1.
fn host<B>(request: &Request<B>) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(HOST)?.to_str().ok(),
    }
}

/// Tells the tenant's service who asks and how, whatever the client says of itself.
fn introduce(headers: &mut HeaderMap, id: &str, host: &str, client: IpAddr, secure: bool) {
    let scheme = if secure { "https" } else { "http" };
    let said = [
        (REQUEST_ID, id.to_owned()),
        (FORWARDED_FOR, client.to_string()),
        (FORWARDED_HOST, host.to_owned()),
        (FORWARDED_PROTO, scheme.to_owned()),
    ];
    for (name, value) in said {
        match HeaderValue::from_str(&value) {
            Ok(value) => drop(headers.insert(name, value)),
            Err(_) => drop(headers.remove(name)),
        }
    }
    if let (false, Ok(value)) = (headers.contains_key(HOST), HeaderValue::from_str(host)) {
        headers.insert(HOST, value);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn what_a_client_says_of_itself_does_not_count() {
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, HeaderValue::from_static("10.0.0.1"));
        headers.append(FORWARDED_FOR, HeaderValue::from_static("10.0.0.2"));
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        introduce(&mut headers, "id-1", "shop.example", client, false);
        let values = |name: &str| -> Vec<_> { headers.get_all(name).iter().collect() };
        assert_eq!(values("x-forwarded-for"), ["192.0.2.1"]);
        assert_eq!(values("x-forwarded-proto"), ["http"]);
        assert_eq!(values("x-forwarded-host"), ["shop.example"]);
        assert_eq!(values("host"), ["shop.example"]);
    }

    #[test]
    fn the_host_is_found_in_both_versions_of_http() {
        let check = |request: http::Result<Request<()>>, expected: Option<&str>| {
            assert_eq!(request.as_ref().ok().and_then(host), expected);
        };
        check(Request::get("/a").header(HOST, "a.example:80").body(()), Some("a.example:80"));
        check(Request::get("http://b.example/a").body(()), Some("b.example"));
        check(Request::get("/a").body(()), None);
    }
}
