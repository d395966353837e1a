//! Answers: a status, headers and a body. Most bodies are complete, so that their length is known;
//! some go on while they are sent. The shapes of bodies are left to each surface.

use std::fmt;
use std::pin::Pin;

use http::StatusCode;
use serde::Serialize;

use crate::entity_tag::EntityTag;
use crate::paging::Paging;
use crate::request::Request;

/// One answer.
#[derive(Debug)]
pub struct Response {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: Body,
}

/// What an answer carries.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// Where it comes from.
    Stream(Box<dyn Source>),
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(body) => write!(formatter, "{:?}", String::from_utf8_lossy(body)),
            Self::Stream(_) => formatter.write_str("a stream"),
        }
    }
}

/// A body that is made while it is sent.
pub trait Source {
    /// The next piece; `None` at the end.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + '_>>;
}

impl Response {
    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(Vec::new()) }
    }

    /// 204.
    pub fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }

    /// An answer with a JSON body, serialised once. Values whose serialisation fails (a map with
    /// keys that are no strings) are a programming error and answered with 500.
    pub fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Self {
        let mut body = Vec::with_capacity(512);
        match serde_json::to_writer(&mut body, value) {
            Ok(()) => Self {
                status,
                headers: vec![("content-type", "application/json".to_owned())],
                body: Body::Whole(body),
            },
            Err(_) => Self::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// A text.
    pub fn text(status: StatusCode, text: String) -> Self {
        let headers = vec![("content-type", "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, body: Body::Whole(text.into_bytes()) }
    }

    /// A text that `source` goes on to write. The host, and every proxy after it, passes it on as it
    /// comes.
    pub fn text_stream(source: impl Source + 'static) -> Self {
        let headers = vec![
            ("content-type", "text/plain; charset=utf-8".to_owned()),
            ("cache-control", "no-cache".to_owned()),
            ("x-accel-buffering", "no".to_owned()),
        ];
        Self { status: StatusCode::OK, headers, body: Body::Stream(Box::new(source)) }
    }

    /// A stream of server-sent events (HTML standard, 9.2), which `source` writes.
    pub fn events(source: impl Source + 'static) -> Self {
        let headers = vec![
            ("content-type", "text/event-stream".to_owned()),
            ("cache-control", "no-cache".to_owned()),
        ];
        Self { status: StatusCode::OK, headers, body: Body::Stream(Box::new(source)) }
    }

    /// A view of one resource with its `ETag`: 304 when the client holds this version already,
    /// and then the body is not even made.
    pub fn view<T: Serialize>(
        request: &Request,
        tag: &EntityTag,
        view: impl FnOnce() -> T,
    ) -> Self {
        if request.holds(tag) {
            return Self::empty(StatusCode::NOT_MODIFIED).with_tag(tag);
        }
        Self::json(StatusCode::OK, &view()).with_tag(tag)
    }

    /// The same answer with an `ETag`.
    #[must_use]
    pub fn with_tag(self, tag: &EntityTag) -> Self {
        self.with_header("etag", tag.to_string())
    }

    /// The same answer with a `Link` to the other pages.
    #[must_use]
    pub fn with_links(self, request: &Request, paging: &Paging) -> Self {
        self.with_header("link", paging.links(request))
    }

    /// The same answer with one more header. The value must be printable ASCII.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers, names in lower case, `content-length` not among them.
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The body; empty while it is a stream.
    pub fn body(&self) -> &[u8] {
        match &self.body {
            Body::Whole(body) => body,
            Body::Stream(_) => &[],
        }
    }

    /// Reads a stream to its end, so that the body is whole.
    pub async fn collect(&mut self) {
        if let Body::Stream(source) = &mut self.body {
            let mut whole = Vec::new();
            while let Some(piece) = source.next().await {
                whole.extend(piece);
            }
            self.body = Body::Whole(whole);
        }
    }

    /// Status, headers and body, for whoever sends them.
    pub fn into_parts(self) -> (StatusCode, Vec<(&'static str, String)>, Body) {
        (self.status, self.headers, self.body)
    }
}
