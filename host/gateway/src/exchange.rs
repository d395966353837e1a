//! One request, from its head to its answer. Read [`Gateway::exchange`] first.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use windlass_engine::{
    Answer, AnswerBody, Authentication, Controller, Failure, RequestContext, Slot,
};

use crate::idempotency::{self, Claim};
use crate::listen::AsItIs;
use crate::problem::{PAGE_METHODS, Problem};
use crate::{Gateway, Page, body};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What every answer carries, whoever made it.
const SAFETY: [(HeaderName, HeaderValue); 3] = [
    (http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (http::header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (http::header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// A request whose body has arrived.
struct Call {
    slot: Arc<Slot>,
    context: RequestContext,
    head: http::request::Parts,
    body: Bytes,
}

impl Gateway {
    /// Answers one request. There is always an answer.
    pub(crate) async fn exchange(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Answer, Infallible> {
        let begun = Instant::now();
        let id = request_id(request.headers());
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        // Only there when traces are exported; the log has its own line below.
        let span = tracing::debug_span!(
            target: "windlass::trace", "request",
            otel.kind = "server", http.request.method = %method, url.path = path, request_id = %id,
            windlass.component = Empty, http.response.status_code = Empty, otel.status_code = Empty,
        );
        if let (Some(join), false) = (self.join_trace, span.is_disabled()) {
            join(&span, request.headers());
        }
        let answer = self.answer(request, peer, &id, &span).instrument(span.clone());
        let mut answer = match answer.await {
            Ok(answer) => answer,
            Err(problem) => {
                if let Problem::Component(failure) = &problem {
                    tracing::error!(request_id = %id, %method, path, "no answer: {failure}");
                }
                problem.answer(&id)
            }
        };
        let headers = answer.headers_mut();
        for (name, value) in SAFETY {
            headers.entry(name).or_insert(value);
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
            headers.insert(REQUEST_ID, value);
        }
        span.record("http.response.status_code", answer.status().as_u16());
        if answer.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
        tracing::info!(
            request_id = %id, %method, path, status = answer.status().as_u16(),
            milliseconds = begun.elapsed().as_secs_f64() * 1_000.0, "request"
        );
        Ok(answer)
    }

    async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
        id: &Arc<str>,
        span: &Span,
    ) -> Result<Answer, Problem> {
        let path = request.uri().path();
        let slot = self.fleet.table().slot(path).cloned();
        let Some(slot) = slot else {
            return self.page(request.method(), path);
        };
        span.record("windlass.component", slot.stable().id().as_str());
        if request.uri().host().is_none() && !request.headers().contains_key(HOST) {
            return Err(Problem::NoHost);
        }
        let authentication = self.authenticator.authenticate(request.headers());
        let client_address = self.client_address(peer.ip(), request.headers());
        let (mut head, incoming) = request.into_parts();
        let received = self.receive(incoming).await?;
        // The time to answer begins when there is something to answer.
        let deadline = Instant::now() + slot.stable().manifest().limits.deadline();
        let key = idempotency::key(&head.method, &head.headers)?
            .map(|key| idempotency::record_id(&authentication, key));
        // Who calls is told by the host; what proves it is nobody's business any more.
        head.headers.remove(AUTHORIZATION);
        let context = RequestContext {
            id: Arc::clone(id),
            client_address,
            authentication,
            deadline,
            commit_mark: None,
        };
        let body = received.bytes.clone();
        let call = Call { slot, context, head, body };
        match key {
            None => self.call(call).await.map_err(Problem::Component),
            Some(_) if matches!(call.context.authentication, Authentication::Rejected(_)) => {
                self.call(call).await.map_err(Problem::Component)
            }
            Some(record) => {
                // The effect and the record belong together, also when the client goes away.
                let work = Arc::clone(self).call_once(call, record).instrument(span.clone());
                let work = tokio::spawn(work);
                work.await.unwrap_or(Err(Problem::Component(Failure::Unanswered)))
            }
        }
    }

    fn page(&self, method: &Method, path: &str) -> Result<Answer, Problem> {
        let page = self.pages.page(path).ok_or(Problem::NoRoute)?;
        match *method {
            Method::GET | Method::HEAD => Ok(page_answer(page)),
            Method::OPTIONS => {
                let mut answer = Answer::new(AnswerBody::default());
                *answer.status_mut() = StatusCode::NO_CONTENT;
                answer.headers_mut().insert(ALLOW, PAGE_METHODS);
                Ok(answer)
            }
            _ => Err(Problem::PageMethod),
        }
    }

    /// Calls the component, unless this was done before with the same key.
    async fn call_once(
        self: Arc<Self>,
        mut call: Call,
        record: Arc<str>,
    ) -> Result<Answer, Problem> {
        let anonymous = matches!(call.context.authentication, Authentication::Anonymous)
            .then_some(call.context.client_address);
        if let Some(client) = anonymous {
            let admitted = self.anonymous_keys.admit(client);
            admitted.map_err(|retry_after| Problem::TooManyKeys { retry_after })?;
        }
        let fingerprint = idempotency::fingerprint(&call.head.method, &call.head.uri, &call.body);
        let time_left = call.context.time_left();
        let claim = idempotency::claim(self.records.as_ref(), &record, &fingerprint, time_left);
        let claim = claim.await.map_err(|error| {
            tracing::error!(request_id = %call.context.id, "idempotency record: {error}");
            Problem::RecordsUnavailable
        })?;
        match claim {
            Claim::New => {}
            Claim::InProgress => return Err(Problem::KeyInProgress),
            Claim::Mismatch => return Err(Problem::KeyReused),
            Claim::Replay(stored) => return Ok(idempotency::replay(stored)),
            Claim::CommittedWithoutAnswer => return Err(Problem::OutcomeUnknown),
        }
        call.context.commit_mark = Some(Arc::clone(&record));
        let request_id = Arc::clone(&call.context.id);
        let answer = self.call(call).await.map_err(Problem::Component);
        let (answer, kept) = match answer {
            Ok(answer) if idempotency::is_kept(answer.status(), anonymous.is_some()) => {
                if let Some(client) = anonymous {
                    self.anonymous_keys.keep(client);
                }
                self.keep(answer, &record).await
            }
            other => (other, self.records.release(&record).await),
        };
        if let Err(error) = kept {
            tracing::error!(%request_id, "idempotency record: {error}");
        }
        answer
    }

    async fn keep(
        &self,
        answer: Answer,
        record: &str,
    ) -> (Result<Answer, Problem>, Result<(), String>) {
        let (head, body) = answer.into_parts();
        let body = match body.collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(failure) => {
                let released = self.records.release(record).await;
                return (Err(Problem::Component(failure)), released);
            }
        };
        let whole = AnswerBody::Whole(Full::new(body.clone()));
        let answer = Answer::from_parts(head, whole);
        let kept = self.records.complete(record, &idempotency::stored(&answer, &body)).await;
        (Ok(answer), kept)
    }

    /// Calls whoever is to answer. A request that changes nothing and fails on a version that is
    /// being tried is given to the one that is not.
    async fn call(&self, call: Call) -> Result<Answer, Failure> {
        let Call { slot, context, head, body } = call;
        let controller = slot.pick();
        if Arc::ptr_eq(&controller, slot.stable()) {
            return controller.handle(context, Request::from_parts(head, body::whole(body))).await;
        }
        let safe = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let again = safe.then(|| (context.clone(), head.clone(), body.clone()));
        let result = controller.handle(context, Request::from_parts(head, body::whole(body))).await;
        let failed = match &result {
            Ok(answer) => answer.status().is_server_error(),
            Err(_) => true,
        };
        self.judge(&slot, &controller, failed);
        match again {
            Some((context, head, body)) if failed => {
                let request = Request::from_parts(head, body::whole(body));
                slot.stable().handle(context, request).await
            }
            _ => result,
        }
    }

    fn judge(&self, slot: &Slot, controller: &Arc<Controller>, failed: bool) {
        if slot.judge(controller, failed) {
            let id = controller.id().clone();
            tracing::error!(
                component = %id, digest = controller.digest(),
                "the canary failed too often; all requests go to the version before it"
            );
            metrics::counter!("windlass_canaries_abandoned_total", "component" => id.to_string())
                .increment(1);
        }
    }

    /// The client as far as we can trust what we are told.
    pub(crate) fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusted_proxies.contains(&peer) {
            return peer;
        }
        let said = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<IpAddr> = said
            .flat_map(|value| value.split(','))
            .filter_map(|hop| hop.trim().parse().ok())
            .collect();
        let untrusted = hops.iter().rev().find(|hop| !self.trusted_proxies.contains(hop));
        untrusted.copied().unwrap_or(peer)
    }
}

/// The id the client sent, if it is fit for a log, or a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| {
        (1..=64).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    });
    sent.map_or_else(|| uuid::Uuid::now_v7().to_string().into(), Arc::from)
}

fn page_answer(page: Page) -> Answer {
    let mut answer = Answer::new(AnswerBody::Whole(Full::new(page.bytes)));
    *answer.status_mut() = StatusCode::OK;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    answer.extensions_mut().insert(AsItIs);
    answer
}
