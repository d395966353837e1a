//! HTTP as the git protocol wants it, over the guarded client.
//!
//! The protocol's library is synchronous and runs on a thread of its own. It writes a request
//! first and then reads the answer, so the request is sent when the answer is first read.

use std::io::{self, BufRead, Cursor, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gix::error::ErrorExt;
use gix_transport::client::blocking_io::http::{GetResponse, Http, PostBodyDataKind, PostResponse};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;
use url::Url;
use windlass_outbound::{Answer, Bounds, Client};

use super::{Credential, too_long};

/// Bytes of an answer in which a pack must have begun. What comes before it is a few lines.
const BEGINNING: usize = 1_048_576;
/// Objects of a pack. Each takes memory while the pack is taken apart, however small it is.
const OBJECTS: u32 = 500_000;

/// One repository's server.
pub(super) struct Wire {
    client: Client,
    runtime: tokio::runtime::Handle,
    url: Url,
    credential: Option<HeaderValue>,
    cancelled: CancellationToken,
    until: Instant,
    /// Bytes that may still be fetched, over all repositories of one tree.
    left: Arc<AtomicUsize>,
    /// What went wrong, in our words: the library's are for whoever programs with it.
    failure: Mutex<Option<String>>,
}

impl Wire {
    pub(super) fn new(
        client: Client,
        runtime: tokio::runtime::Handle,
        url: Url,
        credential: Option<Credential>,
        (cancelled, until, left): (CancellationToken, Instant, Arc<AtomicUsize>),
    ) -> Self {
        let credential = credential.and_then(|Credential { user, token }| {
            let basic = format!("Basic {}", STANDARD.encode(format!("{user}:{token}")));
            let mut value = HeaderValue::try_from(basic).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        let failure = Mutex::default();
        Self { client, runtime, url, credential, cancelled, until, left, failure }
    }

    /// What went wrong, if it was on this wire.
    pub(super) fn failure(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exchange(
        &self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> io::Result<Answer> {
        if let Some(credential) = &self.credential
            && url.origin() == self.url.origin()
        {
            headers.insert(AUTHORIZATION, credential.clone());
        }
        let time = self.until.saturating_duration_since(Instant::now());
        let bounds = Bounds { time, bytes: self.left.load(Ordering::Relaxed) };
        let sent = self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.cancelled.cancelled() => Err("it is not wanted any more".to_owned()),
                () = tokio::time::sleep(time) => Err(too_long()),
                answer = self.client.send(method, url, headers, body, bounds) => {
                    answer.map_err(|error| error.to_string())
                }
            }
        });
        let answer = sent.and_then(|answer| self.check(answer));
        answer.map_err(|reason| {
            self.lock().get_or_insert_with(|| reason.clone());
            io::Error::other(reason)
        })
    }

    fn check(&self, answer: Answer) -> Result<Answer, String> {
        let repository = &self.url;
        match answer.status {
            StatusCode::OK => {}
            // A server does not tell a private repository from one that is not there.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                return Err(format!("there is no repository {repository}, or it is private"));
            }
            status => return Err(format!("{repository} answers {status}")),
        }
        let length = answer.body.len();
        if length > BEGINNING && objects(&answer.body).is_none_or(|objects| objects > OBJECTS) {
            return Err(format!("{repository} has more than {OBJECTS} objects in one commit"));
        }
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(length));
        taken.map_err(|_| format!("{repository} is too large"))?;
        Ok(answer)
    }
}

/// How many objects the pack in an answer says it has.
fn objects(body: &[u8]) -> Option<u32> {
    const HEAD: &[u8] = b"PACK\0\0\0\x02";
    let beginning = body.get(..BEGINNING).unwrap_or(body);
    let place = beginning.windows(HEAD.len()).position(|window| window == HEAD)? + HEAD.len();
    let count = body.get(place..place + 4)?;
    Some(u32::from_be_bytes(count.try_into().ok()?))
}

/// The library's way to HTTP.
pub(super) struct GitHttp {
    wire: Arc<Wire>,
    /// Where the repository really is, after a redirect.
    moved: Option<String>,
}

impl GitHttp {
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        Self { wire, moved: None }
    }
}

impl Http for GitHttp {
    type Headers = Late;
    type ResponseBody = Late;
    type PostBody = Outgoing;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Late, Late>> {
        let tail = url.strip_prefix(base_url).unwrap_or_default().to_owned();
        let request = Request::new(Method::GET, url, headers).map_err(ErrorExt::raise)?;
        let exchange = Arc::new(Exchange::new(Arc::clone(&self.wire), request));
        let came_from =
            exchange.answer(|answer| answer.url.to_string()).map_err(ErrorExt::raise)?;
        if came_from != url {
            // The rest of the repository is taken to be where the first piece of it was.
            self.moved = came_from.strip_suffix(&tail).map(str::to_owned);
        }
        let (headers, body) = Late::both(&exchange);
        Ok(GetResponse { headers, body })
    }

    fn post(
        &mut self,
        url: &str,
        _base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Late, Late, Outgoing>> {
        let request = Request::new(Method::POST, url, headers).map_err(ErrorExt::raise)?;
        let exchange = Arc::new(Exchange::new(Arc::clone(&self.wire), request));
        let (headers, body) = Late::both(&exchange);
        Ok(PostResponse { post_body: Outgoing(exchange), headers, body })
    }

    fn configure(&mut self, _config: &dyn std::any::Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.moved.clone()
    }
}

struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    fn new(
        method: Method,
        url: &str,
        lines: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> io::Result<Self> {
        let url = Url::parse(url).map_err(io::Error::other)?;
        let mut headers = HeaderMap::new();
        for line in lines {
            if let Some((name, value)) = line.as_ref().split_once(':') {
                let name = HeaderName::try_from(name.trim()).map_err(io::Error::other)?;
                let value = HeaderValue::try_from(value.trim()).map_err(io::Error::other)?;
                headers.append(name, value);
            }
        }
        Ok(Self { method, url, headers, body: Vec::new() })
    }
}

/// A request and, once somebody wants to read it, its answer.
struct Exchange {
    wire: Arc<Wire>,
    state: Mutex<State>,
}

enum State {
    Open(Request),
    Answered(Answer),
    Failed(String),
}

impl Exchange {
    fn new(wire: Arc<Wire>, request: Request) -> Self {
        Self { wire, state: Mutex::new(State::Open(request)) }
    }

    fn answer<T>(&self, read: impl FnOnce(&Answer) -> T) -> io::Result<T> {
        let mut state = self.lock();
        if let State::Open(request) = &mut *state {
            let (method, url) = (request.method.clone(), request.url.clone());
            let headers = std::mem::take(&mut request.headers);
            let body = Bytes::from(std::mem::take(&mut request.body));
            *state = match self.wire.exchange(method, &url, headers, body) {
                Ok(answer) => State::Answered(answer),
                Err(error) => State::Failed(error.to_string()),
            };
        }
        match &*state {
            State::Answered(answer) => Ok(read(answer)),
            State::Failed(reason) => Err(io::Error::other(reason.clone())),
            State::Open(_) => Err(io::Error::other("it was not sent")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of a request.
pub(super) struct Outgoing(Arc<Exchange>);

impl Write for Outgoing {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock() {
            State::Open(request) => request.body.write(buffer),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A part of an answer, which is there when it is read.
pub(super) struct Late {
    exchange: Arc<Exchange>,
    part: fn(&Answer) -> Bytes,
    read: Option<Cursor<Bytes>>,
}

impl Late {
    /// The headers, line by line, and the body.
    fn both(exchange: &Arc<Exchange>) -> (Self, Self) {
        let late =
            |part: fn(&Answer) -> Bytes| Self { exchange: Arc::clone(exchange), part, read: None };
        (late(|answer| lines(&answer.headers)), late(|answer| answer.body.clone()))
    }

    fn there(&mut self) -> io::Result<&mut Cursor<Bytes>> {
        if self.read.is_none() {
            self.read = Some(Cursor::new(self.exchange.answer(self.part)?));
        }
        self.read.as_mut().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Read for Late {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.there()?.read(buffer)
    }
}

impl BufRead for Late {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.there()?.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Some(read) = &mut self.read {
            read.consume(amount);
        }
    }
}

fn lines(headers: &HeaderMap) -> Bytes {
    let mut lines = Vec::new();
    for (name, value) in headers {
        // Only texts are of interest; what is none is left out.
        if let Ok(value) = value.to_str() {
            lines.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }
    Bytes::from(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_says_how_many_objects_it_has() {
        let check = |body: &[u8], expected: Option<u32>| assert_eq!(objects(body), expected);
        check(b"000dpackfile\n0019\x01PACK\0\0\0\x02\0\0\x01\x02rest", Some(258));
        check(b"PACK\0\0\0\x02\0\0", None);
        check(b"PACK\0\0\0\x03\0\0\0\0", None);
        check(b"", None);
    }
}
