//! A request as handlers see it: method, path, query, headers and a body that was read whole.
//! Typed bodies are parsed in [`crate::json`], queries in [`crate::query`].

use std::borrow::Cow;

use http::Method;
use serde::de::DeserializeOwned;
use windlass_domain::Revision;

use crate::entity_tag::{self, EntityTag};
use crate::error::Refusal;
use crate::json;
use crate::query::Query;

/// How much of a body a component takes, whatever the host lets through. Bodies of controllers
/// are small documents; the bound keeps one request from filling the memory of an instance.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// One request, body included.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    path: String,
    query: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Body,
}

/// The body, or what stood in the way of reading it. Kept as a value, so that a request without
/// credentials hears about those first.
#[derive(Debug, Clone)]
enum Body {
    Complete(Vec<u8>),
    Refused(Refusal),
}

impl Request {
    /// A request without headers and body. The target is a path with an optional query.
    pub fn new(method: Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: Body::Complete(Vec::new()),
        }
    }

    /// The same request with these headers. Names are compared without regard to case.
    #[must_use]
    pub fn with_headers(mut self, headers: Vec<(String, Vec<u8>)>) -> Self {
        self.headers = headers;
        self
    }

    /// The same request with a body, or with the reason why it could not be read.
    #[must_use]
    pub fn with_body(mut self, body: Result<Vec<u8>, Refusal>) -> Self {
        self.body = match body {
            Ok(bytes) if bytes.len() > MAX_BODY_BYTES => Body::Refused(Refusal::BodyTooLarge),
            Ok(bytes) => Body::Complete(bytes),
            Err(refusal) => Body::Refused(refusal),
        };
        self
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, still percent-encoded, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query as it was sent, without the question mark; empty when there is none.
    pub fn raw_query(&self) -> &str {
        &self.query
    }

    /// The first header of this name, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The query, decoded. Malformed encodings are refused.
    pub fn query(&self) -> Result<Query, Refusal> {
        Query::parse(&self.query)
    }

    /// The body as `T`. The refusal names the property that does not fit; properties that `T`
    /// does not know are ignored.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let bytes = match &self.body {
            Body::Complete(bytes) => bytes,
            Body::Refused(refusal) => return Err(refusal.clone()),
        };
        if !self.declares_json() {
            return Err(Refusal::UnsupportedMediaType);
        }
        json::parse(bytes)
    }

    /// The same where the body may be left out, which is what an empty one is.
    pub fn json_if_any<T: DeserializeOwned + Default>(&self) -> Result<T, Refusal> {
        match &self.body {
            Body::Complete(bytes) if bytes.is_empty() => Ok(T::default()),
            Body::Complete(_) | Body::Refused(_) => self.json(),
        }
    }

    /// The revision that `If-Match` demands, `None` when any will do. The domain compares it with the revision it finds, so that a
    /// resource that is not there is reported before a stale revision.
    pub fn expected_revision(&self) -> Result<Option<Revision>, Refusal> {
        let values = self.header_values("if-match");
        entity_tag::expected_revision(&values)
    }

    /// Whether `If-None-Match` says that the client holds this version already.
    pub fn holds(&self, tag: &EntityTag) -> bool {
        self.header_values("if-none-match").iter().any(|value| tag.is_listed_in(value))
    }

    fn header_values(&self, name: &str) -> Vec<Cow<'_, str>> {
        self.headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| String::from_utf8_lossy(value))
            .collect()
    }

    fn declares_json(&self) -> bool {
        let Some(declared) = self.header("content-type") else { return false };
        let essence = declared.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    }
}
