//! From method and path to a handler. What a handler does with its call is left to the surface,
//! and so is the body of every refusal.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use http::{Method, StatusCode};
use windlass_domain::Context;
use windlass_domain::git::Hosting;
use windlass_domain::identity::Identity;
use windlass_domain::logs::Logs;
use windlass_domain::measurements::Measurements;
use windlass_domain::secrets::Connections;

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
    /// What else the controller was granted.
    pub ports: Ports<'a>,
    parameters: Parameters<'a>,
}

/// What handlers may use beside the context. What a controller was not granted refuses.
#[derive(Clone, Copy)]
pub struct Ports<'a> {
    /// Passwords and tokens.
    pub identity: &'a dyn Identity,
    /// What workloads wrote. It outlives the call, because answers may go on while it is written.
    pub logs: &'static dyn Logs,
    /// What workloads take of the machine.
    pub measurements: &'static dyn Measurements,
    /// Git providers.
    pub hosting: &'a dyn Hosting,
    /// The URLs of databases.
    pub connections: &'a dyn Connections,
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
    paths: Vec<PathEntry>,
    error: PhantomData<fn() -> E>,
}

struct PathEntry {
    path: &'static str,
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
        Self { paths: Vec::new(), error: PhantomData }
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
        let entry =
            Entry { method, open, handler: Box::new(HandlerOf(handler, PhantomData::<fn() -> E>)) };
        match self.paths.iter_mut().find(|known| known.path == path) {
            Some(known) => known.handlers.push(entry),
            None => self.paths.push(PathEntry { path, handlers: vec![entry] }),
        }
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
        ports: Ports<'_>,
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
        entry.handler.call(Call { request, context, ports, parameters }).await
    }

    /// The handler and the decoded parameters, or the answer that needs none.
    fn find<'a>(&'a self, request: &'a Request) -> Result<(&'a Entry, Parameters<'a>), Response> {
        let unknown = || E::from(Refusal::UnknownPath).into();
        let path = self
            .paths
            .iter()
            .filter(|known| fits(known.path, request.path()))
            .min_by_key(|known| known.path.matches('{').count())
            .ok_or_else(unknown)?;
        let wanted = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        match path.handlers.iter().find(|entry| entry.method == wanted) {
            Some(entry) => {
                let parameters = parameters(path.path, request.path()).ok_or_else(unknown)?;
                Ok((entry, parameters))
            }
            None if request.method() == Method::OPTIONS => {
                let allow = allow(&path.handlers);
                Err(Response::empty(StatusCode::NO_CONTENT).with_header("allow", allow))
            }
            None => {
                let allow = allow(&path.handlers);
                let refusal = Refusal::MethodNotAllowed { allow: allow.clone() };
                let answer: Response = E::from(refusal).into();
                Err(answer.with_header("allow", allow))
            }
        }
    }
}

/// Whether a path has the segments of a route. A parameter fits every segment but an empty one.
/// A controller has a few routes, and going through them costs less than building a tree in every
/// fresh instance.
fn fits(route: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    route.split('/').all(|expected| match segments.next() {
        Some(segment) if expected.starts_with('{') => !segment.is_empty(),
        Some(segment) => segment == expected,
        None => false,
    }) && segments.next().is_none()
}

/// The parameters of a path that fits the route; `None` when one of them cannot be decoded.
fn parameters<'a>(route: &'a str, path: &str) -> Option<Parameters<'a>> {
    let mut parameters = Vec::new();
    for (expected, segment) in route.split('/').zip(path.split('/')) {
        let name = expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        if let Some(name) = name {
            parameters.push((name, decode(segment, false)?));
        }
    }
    Some(parameters)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_segment_by_segment() {
        let check = |route: &str, path: &str, expected: Option<&[(&str, &str)]>| {
            let found = fits(route, path).then(|| parameters(route, path)).flatten();
            let found: Option<Vec<_>> = found.as_ref().map(|parameters| {
                parameters.iter().map(|(name, value)| (*name, value.as_str())).collect()
            });
            assert_eq!(found.as_deref(), expected, "{route} {path}");
        };
        check("/a/b", "/a/b", Some(&[]));
        check("/a/b", "/a", None);
        check("/a/b", "/a/b/", None);
        check("/a/b", "/a/c", None);
        check("/a/b", "/a/%62", None);
        check("/a/{id}", "/a/x", Some(&[("id", "x")]));
        check("/a/{id}", "/a/", None);
        check("/a/{id}", "/a/x/y", None);
        check("/a/{id}", "/a/x%2Fy+z", Some(&[("id", "x/y+z")]));
        check("/a/{id}", "/a/%ff", None);
        check("/a/{id}", "/a/%00", None);
        check("/a/{one}/b/{two}", "/a/1/b/2", Some(&[("one", "1"), ("two", "2")]));
    }
}
