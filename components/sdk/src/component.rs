//! A router as a component: `wasi:http/handler` on one side, the ports over WIT on the other.
//!
//! This speaks spin-sdk's `wasip3` directly rather than through its `http` types, because each
//! accessor of a request is a call into the host and the conversion there makes twice as many.

use std::io::Write as _;

use http::{Method, StatusCode};
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method as WasiMethod};
use spin_sdk::wasip3::wit_bindgen::{StreamResult, StreamWriter};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};
use windlass_domain::{Caller, Context, Error, Origin};
use windlass_store::SqlStore;

use crate::error::Refusal;
use crate::ports;
use crate::request::{MAX_BODY_BYTES, Request};
use crate::response::{Body, Response};
use crate::router::{Ports, Router};

pub use spin_sdk::wasip3::http::types::{
    ErrorCode as HandlerError, Request as IncomingRequest, Response as OutgoingResponse,
};

pub use crate::ports::{Granted, Host};

/// How much of a body is read from the host at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Answers one request of the host.
///
/// # Errors
/// Only when the host refuses the headers of the answer, which is a fault of the controller.
pub async fn serve<E>(
    router: &Router<E>,
    granted: Granted,
    incoming: IncomingRequest,
) -> Result<OutgoingResponse, ErrorCode>
where
    E: Into<Response> + From<Refusal> + From<Error> + 'static,
{
    let method = method(incoming.get_method());
    let target = incoming.get_path_with_query().unwrap_or_else(|| "/".to_owned());
    let headers = incoming.get_headers().copy_all();
    let writes = !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let mut request = Request::new(method, &target).with_headers(headers);
    if writes {
        request = request.with_body(read(incoming).await);
    }
    let executor = ports::WitExecutor;
    let store = SqlStore::new(&executor);
    let context = Context {
        caller: ports::caller(),
        // Only what writes leaves an event and is throttled, so that reads are spared the calls.
        origin: if writes { ports::origin(&request) } else { Default::default() },
        clock: &ports::SystemClock,
        ids: &ports::RandomIds,
        store: &store,
        signal: granted.signal,
        secrets: granted.secrets,
    };
    let ports = Ports {
        identity: granted.identity,
        logs: granted.logs,
        measurements: granted.measurements,
        hosting: granted.hosting,
        connections: granted.connections,
    };
    send(router.dispatch(&request, &context, ports).await)
}

/// Runs something that no request asked for, on nobody's behalf.
pub async fn with_context<T>(work: impl AsyncFnOnce(&Context<'_>) -> T) -> T {
    let executor = ports::WitExecutor;
    let store = SqlStore::new(&executor);
    let context = Context {
        caller: Caller::Anonymous,
        origin: Origin::default(),
        clock: &ports::SystemClock,
        ids: &ports::RandomIds,
        store: &store,
        signal: Granted::NOTHING.signal,
        secrets: Granted::NOTHING.secrets,
    };
    work(&context).await
}

/// Writes an error to the log of the host, with what only the operator may read.
pub fn log(error: &Error) {
    let internal = error.internal().unwrap_or_default();
    // A log that cannot be written is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{error}: {internal}");
}

fn method(method: WasiMethod) -> Method {
    match method {
        WasiMethod::Get => Method::GET,
        WasiMethod::Head => Method::HEAD,
        WasiMethod::Post => Method::POST,
        WasiMethod::Put => Method::PUT,
        WasiMethod::Delete => Method::DELETE,
        WasiMethod::Connect => Method::CONNECT,
        WasiMethod::Options => Method::OPTIONS,
        WasiMethod::Trace => Method::TRACE,
        WasiMethod::Patch => Method::PATCH,
        // What is no token is no method of any route either.
        WasiMethod::Other(name) => Method::from_bytes(name.as_bytes()).unwrap_or(Method::TRACE),
    }
}

/// Reads a body whole. The host says at its end whether it was complete.
async fn read(incoming: IncomingRequest) -> Result<Vec<u8>, Refusal> {
    let (_consumed, done) = wit_future::new(|| Ok(()));
    let (mut stream, trailers) = IncomingRequest::consume_body(incoming, done);
    let mut body = Vec::new();
    loop {
        let (result, mut chunk) = stream.read(Vec::with_capacity(CHUNK_BYTES)).await;
        body.append(&mut chunk);
        if body.len() > MAX_BODY_BYTES {
            return Err(Refusal::BodyTooLarge);
        }
        if !matches!(result, StreamResult::Complete(_)) {
            break;
        }
    }
    match trailers.await {
        Ok(_) => Ok(body),
        Err(ErrorCode::HttpRequestBodySize(_)) => Err(Refusal::BodyTooLarge),
        Err(_) => Err(Refusal::MalformedBody { reason: "the body ended early".to_owned() }),
    }
}

/// Hands the answer to the host. The body is written by a task of its own, because the host
/// starts to read only after it has the answer.
fn send(response: Response) -> Result<OutgoingResponse, ErrorCode> {
    let (status, headers, body) = response.into_parts();
    let mut fields: Vec<(String, Vec<u8>)> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
    let bodiless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    if let Body::Whole(body) = &body
        && !bodiless
    {
        fields.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
    }
    let headers = Fields::from_list(&fields)
        .map_err(|error| ErrorCode::InternalError(Some(format!("headers: {error:?}"))))?;
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    let (mut writer, contents) = match &body {
        Body::Whole(body) if body.is_empty() => (None, None),
        Body::Whole(_) | Body::Stream(_) => {
            let (writer, reader) = wit_stream::new();
            (Some(writer), Some(reader))
        }
    };
    let (outgoing, _transmitted) = OutgoingResponse::new(headers, contents, no_trailers);
    spawn(async move {
        if let Some(writer) = writer.take() {
            write(writer, body).await;
        }
        // Nobody waits for trailers when the client is gone, and then this is no error either.
        let _ = trailers.write(Ok(None)).await;
    });
    outgoing
        .set_status_code(status.as_u16())
        .map_err(|()| ErrorCode::InternalError(Some("status".to_owned())))?;
    Ok(outgoing)
}

/// Writes a body. What could not be written was not wanted: the client is gone.
async fn write(mut writer: StreamWriter<u8>, body: Body) {
    match body {
        Body::Whole(body) => drop(writer.write_all(body).await),
        Body::Stream(mut source) => {
            while let Some(piece) = source.next().await {
                if !writer.write_all(piece).await.is_empty() {
                    return;
                }
            }
        }
    }
}
