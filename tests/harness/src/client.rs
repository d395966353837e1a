//! An HTTP client for the main listener that writes down what it asks for.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::ledger;

/// No answer takes longer, not even to a hostile component.
const PATIENCE: Duration = Duration::from_secs(30);

/// Talks to one listener, with one token or none.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    authorization: Option<String>,
}

impl Client {
    /// A client without a token for a listener such as `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .expect("the client needs nothing of the system");
        Self { http, base: base.to_owned(), authorization: None }
    }

    /// The same, speaking HTTP/2 from the first byte.
    pub fn http2(base: &str) -> Self {
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .http2_prior_knowledge()
            .build()
            .expect("the client needs nothing of the system");
        Self { http, base: base.to_owned(), authorization: None }
    }

    /// A visitor of what is deployed, who finds every host name at this listener.
    pub fn visitor(base: &str, host: &str) -> Self {
        Self::at(base, host, reqwest::Client::builder())
    }

    /// The same, speaking HTTP/2 from the first byte.
    pub fn http2_visitor(base: &str, host: &str) -> Self {
        Self::at(base, host, reqwest::Client::builder().http2_prior_knowledge())
    }

    fn at(base: &str, host: &str, builder: reqwest::ClientBuilder) -> Self {
        let address = base.trim_start_matches("http://");
        let address: SocketAddr = address.parse().expect("a listener is an address and a port");
        let http = builder
            .timeout(PATIENCE)
            .resolve(host, address)
            .build()
            .expect("the client needs nothing of the system");
        Self { http, base: format!("http://{host}:{}", address.port()), authorization: None }
    }

    /// The same client with a bearer token.
    pub fn with_token(&self, token: &str) -> Self {
        self.with_authorization(&format!("Bearer {token}"))
    }

    /// The same client with this `Authorization` header, whatever it says.
    pub fn with_authorization(&self, authorization: &str) -> Self {
        Self { authorization: Some(authorization.to_owned()), ..self.clone() }
    }

    /// The same client without a token.
    pub fn anonymous(&self) -> Self {
        Self { authorization: None, ..self.clone() }
    }

    /// Where the listener is, such as `http://127.0.0.1:8080`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Begins a request.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let mut builder = self.http.request(method.clone(), format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            builder = builder.header("authorization", authorization);
        }
        Request { builder, method, path: path.to_owned() }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::POST, path).json(body).send().await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.request(Method::PUT, path).json(body).send().await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path).send().await
    }
}

/// A request that was begun.
#[derive(Debug)]
pub struct Request {
    builder: reqwest::RequestBuilder,
    method: Method,
    path: String,
}

impl Request {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// Sets a JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.builder = self.builder.json(body);
        self
    }

    /// Sets a body as it is, said to be JSON.
    pub fn raw_json(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.builder = self.builder.header("content-type", "application/json").body(body);
        self
    }

    /// Sends it and reads the whole answer. Panics when there is none.
    pub async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.path);
        match self.try_send().await {
            Ok(answer) => answer,
            Err(error) => panic!("{what}: {error:?}"),
        }
    }

    /// Sends it and leaves the body to be read as it comes. Panics when there is no answer.
    pub async fn open(self) -> reqwest::Response {
        let response = match self.builder.send().await {
            Ok(response) => response,
            Err(error) => panic!("{} {}: {error:?}", self.method, self.path),
        };
        ledger::record(self.method.as_str(), &self.path, response.status().as_u16());
        response
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// When the connection fails or ends before the answer does.
    pub async fn try_send(self) -> Result<Answer, reqwest::Error> {
        let response = self.builder.send().await?;
        let status = response.status().as_u16();
        ledger::record(self.method.as_str(), &self.path, status);
        let (version, headers) = (response.version(), response.headers().clone());
        let body = response.bytes().await?.to_vec();
        Ok(Answer {
            what: format!("{} {}", self.method, self.path),
            status,
            version,
            headers,
            body,
        })
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    what: String,
    /// The status.
    pub status: u16,
    /// The version of HTTP it came by.
    pub version: reqwest::Version,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Asserts the status and returns the answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.what, self.text());
        self
    }

    /// The body as JSON; panics with the body when it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.what, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header, when it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Asserts that the answer is an error as the contract shapes them, and returns the body.
    #[track_caller]
    pub fn expect_error(self, status: u16) -> Value {
        let answer = self.expect(status);
        let body = answer.json();
        let said = format!("{}: {body}", answer.what);
        assert!(
            body["error"].as_str().is_some_and(|text| !text.is_empty()),
            "no error text: {said}"
        );
        assert!(body["code"].as_str().is_some_and(|text| !text.is_empty()), "no code: {said}");
        assert!(body["details"].is_object(), "no details: {said}");
        assert!(answer.header("x-request-id").is_some(), "no request id: {said}");
        body
    }

    /// Asserts a 400 whose details name the field.
    #[track_caller]
    pub fn expect_invalid(self, field: &str) {
        let what = self.what.clone();
        let body = self.expect_error(400);
        let details = body["details"].to_string();
        assert!(
            details.contains(&format!("\"{field}\"")),
            "{what}: {field} is not named in {body}"
        );
    }
}
