//! From method and path to a handler. What a handler does with its call is left to the surface,
//! and so is the body of every refusal.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use http::{Method, StatusCode};
use windlass_domain::Context;
use windlass_domain::identity::Identity;

use crate::error::Refusal;
use crate::query::decode;
use crate::request::Request;
use crate::response::Response;

/// What a handler gets.
pub struct Call<'a> {
    /// The request.
    pub request: &'a Request,
    /// Who asks, and the domain's ports.
    pub context: &'a Context<'a>,
    /// Passwords and tokens.
    pub identity: &'a dyn Identity,
    parameters: Parameters<'a>,
}

/// Names as in the route, values decoded.
type Parameters<'a> = Vec<(&'a str, String)>;

impl Call<'_> {
    /// The parameter of the path, decoded; empty when the route has none of this name.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value.as_str())
    }
}

/// One line of the table, for tests that compare it with the published document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, parameters in braces.
    pub path: &'static str,
    /// Whether the route answers callers without credentials.
    pub open: bool,
}

/// A table of routes. `E` is the surface's error type.
///
/// `HEAD` is answered as `GET` (the host leaves the body out), `OPTIONS` with the methods of the
/// path. Routes are for authenticated callers unless they are added with [`Router::open`]: a
/// caller without credentials is told so before anything else about the request is looked at.
pub struct Router<E> {
    table: matchit::Router<usize>,
    paths: Vec<PathEntry>,
    error: PhantomData<fn() -> E>,
}

struct PathEntry {
    path: &'static str,
    allow: String,
    handlers: Vec<Entry>,
}

struct Entry {
    method: Method,
    open: bool,
    handler: Box<dyn Handler>,
}

type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Handlers of all types behind one pointer.
trait Handler: Send + Sync {
    fn call<'a>(&'a self, call: Call<'a>) -> LocalFuture<'a, Response>;
}

struct HandlerOf<F, E>(F, PhantomData<fn() -> E>);

impl<F, E> Handler for HandlerOf<F, E>
where
    F: AsyncFn(Call<'_>) -> Result<Response, E> + Send + Sync,
    E: Into<Response>,
{
    fn call<'a>(&'a self, call: Call<'a>) -> LocalFuture<'a, Response> {
        Box::pin(async move { (self.0)(call).await.unwrap_or_else(Into::into) })
    }
}

impl<E> Default for Router<E>
where
    E: Into<Response> + From<Refusal> + From<windlass_domain::Error> + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Router<E>
where
    E: Into<Response> + From<Refusal> + From<windlass_domain::Error> + 'static,
{
    /// An empty table.
    pub fn new() -> Self {
        Self { table: matchit::Router::new(), paths: Vec::new(), error: PhantomData }
    }

    /// Adds a route for `GET` and `HEAD`.
    #[must_use]
    pub fn get<F>(self, path: &'static str, handler: F) -> Self
    where
        F: AsyncFn(Call<'_>) -> Result<Response, E> + Send + Sync + 'static,
    {
        self.add(Method::GET, path, false, handler)
    }

    /// Adds a route for `POST`.
    #[must_use]
    pub fn post<F>(self, path: &'static str, handler: F) -> Self
    where
        F: AsyncFn(Call<'_>) -> Result<Response, E> + Send + Sync + 'static,
    {
        self.add(Method::POST, path, false, handler)
    }

    /// Adds a route for `PUT`.
    #[must_use]
    pub fn put<F>(self, path: &'static str, handler: F) -> Self
    where
        F: AsyncFn(Call<'_>) -> Result<Response, E> + Send + Sync + 'static,
    {
        self.add(Method::PUT, path, false, handler)
    }

    /// Adds a route for `DELETE`.
    #[must_use]
    pub fn delete<F>(self, path: &'static str, handler: F) -> Self
    where
        F: AsyncFn(Call<'_>) -> Result<Response, E> + Send + Sync + 'static,
    {
        self.add(Method::DELETE, path, false, handler)
    }

    /// Adds a route that also answers callers without credentials, or with bad ones.
    #[must_use]
    pub fn open<F>(self, method: Method, path: &'static str, handler: F) -> Self
    where
        F: AsyncFn(Call<'_>) -> Result<Response, E> + Send + Sync + 'static,
    {
        self.add(method, path, true, handler)
    }

    fn add<F>(mut self, method: Method, path: &'static str, open: bool, handler: F) -> Self
    where
        F: AsyncFn(Call<'_>) -> Result<Response, E> + Send + Sync + 'static,
    {
        let index = self.paths.iter().position(|entry| entry.path == path).unwrap_or_else(|| {
            let index = self.paths.len();
            self.paths.push(PathEntry { path, allow: String::new(), handlers: Vec::new() });
            self.table.insert(path, index).expect("paths of a route table do not contradict");
            index
        });
        let entry = &mut self.paths[index];
        entry.handlers.push(Entry {
            method,
            open,
            handler: Box::new(HandlerOf(handler, PhantomData::<fn() -> E>)),
        });
        entry.allow = allow(&entry.handlers);
        self
    }

    /// All routes in the order in which they were added, path by path.
    pub fn routes(&self) -> Vec<Route> {
        let mut routes = Vec::new();
        for entry in &self.paths {
            for Entry { method, open, .. } in &entry.handlers {
                routes.push(Route { method: method.clone(), path: entry.path, open: *open });
            }
        }
        routes
    }

    /// Answers a request.
    pub async fn dispatch(
        &self,
        request: &Request,
        context: &Context<'_>,
        identity: &dyn Identity,
    ) -> Response {
        let (entry, parameters) = match self.find(request) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        if !entry.open
            && let Err(error) = context.user()
        {
            return E::from(error).into();
        }
        entry.handler.call(Call { request, context, identity, parameters }).await
    }

    /// The handler and the decoded parameters, or the answer that needs none.
    fn find<'a>(&'a self, request: &'a Request) -> Result<(&'a Entry, Parameters<'a>), Response> {
        let unknown = || E::from(Refusal::UnknownPath).into();
        let found = self.table.at(request.path()).map_err(|_| unknown())?;
        let parameters = found
            .params
            .iter()
            .map(|(name, value)| Some((name, decode(value, false)?)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(unknown)?;
        let path = &self.paths[*found.value];
        let wanted = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        match path.handlers.iter().find(|entry| entry.method == wanted) {
            Some(entry) => Ok((entry, parameters)),
            None if request.method() == Method::OPTIONS => {
                Err(Response::empty(StatusCode::NO_CONTENT).with_header("allow", &path.allow))
            }
            None => {
                let allow = path.allow.clone();
                let answer: Response = E::from(Refusal::MethodNotAllowed { allow }).into();
                Err(answer.with_header("allow", &path.allow))
            }
        }
    }
}

fn allow(handlers: &[Entry]) -> String {
    let mut allow = String::new();
    for entry in handlers {
        allow.push_str(entry.method.as_str());
        allow.push_str(", ");
        if entry.method == Method::GET {
            allow.push_str("HEAD, ");
        }
    }
    allow.push_str("OPTIONS");
    allow
}
