//! A native host for a router: the domain's ports in memory, a caller of the test's choice, and
//! no sockets. What only the real host does (verifying tokens, limits, idempotency keys) is left
//! to end-to-end tests.

use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use windlass_domain::context::Caller;
use windlass_domain::ids::UserId;
use windlass_domain::testing::{MemoryLogs, MemoryMeasurements, World, block_on};

use crate::error::Refusal;
use crate::request::Request;
use crate::response::Response;
use crate::router::{Ports, Router};

/// A router and the world it works on.
pub struct TestHost<E> {
    /// Time, ids, storage and identity, for arranging and for looking at afterwards.
    pub world: World,
    /// What workloads wrote.
    pub logs: &'static MemoryLogs,
    /// What workloads take of the machine.
    pub measurements: &'static MemoryMeasurements,
    router: Router<E>,
}

impl<E> TestHost<E>
where
    E: Into<Response> + From<Refusal> + From<windlass_domain::Error> + 'static,
{
    /// A host with an empty store.
    pub fn new(router: Router<E>) -> Self {
        // Answers that go on need it longer than any test can lend it.
        Self {
            world: World::default(),
            logs: Box::leak(Box::default()),
            measurements: Box::leak(Box::default()),
            router,
        }
    }

    /// The routes that are served.
    pub fn router(&self) -> &Router<E> {
        &self.router
    }

    /// A call without credentials.
    pub fn anonymous(&self, method: Method, target: &str) -> TestCall<'_, E> {
        self.call(Caller::Anonymous, method, target)
    }

    /// A call of a user.
    pub fn as_user(&self, id: UserId, method: Method, target: &str) -> TestCall<'_, E> {
        self.call(Caller::User { id, token_id: "token-1".to_owned() }, method, target)
    }

    /// A call of any caller.
    pub fn call(&self, caller: Caller, method: Method, target: &str) -> TestCall<'_, E> {
        TestCall { host: self, caller, request: Request::new(method, target), headers: Vec::new() }
    }
}

/// A call that is being put together.
pub struct TestCall<'a, E> {
    host: &'a TestHost<E>,
    caller: Caller,
    request: Request,
    headers: Vec<(String, Vec<u8>)>,
}

impl<E> TestCall<'_, E>
where
    E: Into<Response> + From<Refusal> + From<windlass_domain::Error> + 'static,
{
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    /// Adds a body that is declared as JSON, whatever it is.
    #[must_use]
    pub fn json(mut self, body: impl ToString) -> Self {
        self.request = self.request.with_body(Ok(body.to_string().into_bytes()));
        self.header("content-type", "application/json")
    }

    /// Adds a body that is not declared as anything, or the reason why it cannot be read.
    #[must_use]
    pub fn body(mut self, body: Result<Vec<u8>, Refusal>) -> Self {
        self.request = self.request.with_body(body);
        self
    }

    /// Has it answered.
    pub fn send(self) -> Answer {
        let request = self.request.with_headers(self.headers);
        let world = &self.host.world;
        let context = world.context(self.caller);
        let ports = Ports {
            identity: &world.identity,
            logs: self.host.logs,
            measurements: self.host.measurements,
            hosting: &world.hosting,
            connections: &world.secrets,
        };
        let mut response = block_on(self.host.router.dispatch(&request, &context, ports));
        block_on(response.collect());
        Answer(response)
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer(Response);

impl Answer {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.header(name)
    }

    /// The body as it would be sent.
    pub fn body(&self) -> &[u8] {
        self.0.body()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none, or not declared as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        assert_eq!(self.0.header("content-type"), Some("application/json"));
        match serde_json::from_slice(self.0.body()) {
            Ok(value) => value,
            Err(error) => {
                panic!("{error}: {}", String::from_utf8_lossy(self.0.body()))
            }
        }
    }
}
