//! Answers the host gives by itself, when no component could: `{error, code, details}`, with a
//! status that says whose turn it is.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;
use windlass_engine::{Answer, AnswerBody, Failure};

/// What went wrong before, or instead of, a component's answer.
#[derive(Debug)]
pub(crate) enum Problem {
    NoRoute,
    NothingLive,
    PageMethod,
    NoHost,
    BodyTooLarge { limit: usize },
    BodyTooSlow,
    BodyBroken,
    TooManyBodies,
    BadIdempotencyKey,
    KeyReused,
    KeyInProgress,
    TooManyKeys { retry_after: Duration },
    OutcomeUnknown,
    RecordsUnavailable,
    Component(Failure),
}

/// Seconds after which a client may try again when the host is overloaded.
const RETRY_AFTER_SECONDS: u64 = 1;
/// What can be asked of a page of the host.
pub(crate) const PAGE_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

impl Problem {
    /// Status, code and sentence.
    fn parts(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::NoRoute => {
                (StatusCode::NOT_FOUND, "not_found", "nothing is served at this path".to_owned())
            }
            Self::NothingLive => (
                StatusCode::SERVICE_UNAVAILABLE,
                "nothing_live",
                "nothing is live under this name now; try again, or deploy".to_owned(),
            ),
            Self::PageMethod => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this is a page of the host, which can only be read".to_owned(),
            ),
            Self::NoHost => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "the request names no host; send a Host header".to_owned(),
            ),
            Self::BodyTooLarge { limit } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                format!("the body is larger than {limit} bytes"),
            ),
            Self::BodyTooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "the body did not arrive in time".to_owned(),
            ),
            Self::BodyBroken => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "the body broke off, or its framing is wrong".to_owned(),
            ),
            Self::TooManyBodies => overloaded("too many requests are being received; try again"),
            Self::BadIdempotencyKey => (
                StatusCode::BAD_REQUEST,
                "invalid_idempotency_key",
                "Idempotency-Key must be one header of 1 to 255 printable ASCII characters"
                    .to_owned(),
            ),
            Self::KeyReused => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "this Idempotency-Key was used with another request; use a new key".to_owned(),
            ),
            Self::KeyInProgress => (
                StatusCode::CONFLICT,
                "idempotency_key_in_progress",
                "a request with this Idempotency-Key is being worked on; ask again".to_owned(),
            ),
            Self::TooManyKeys { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_idempotency_keys",
                "too many requests without credentials carried an Idempotency-Key; wait, or send \
                 none"
                    .to_owned(),
            ),
            Self::OutcomeUnknown => (
                StatusCode::CONFLICT,
                "idempotency_outcome_unknown",
                "the request with this Idempotency-Key was carried out, but its answer was lost \
                 when the server stopped; look up what it made, and do not repeat it"
                    .to_owned(),
            ),
            Self::RecordsUnavailable => overloaded("the idempotency key could not be recorded"),
            Self::Component(failure) => component(failure),
        }
    }

    /// The answer, with the id of the request in its details.
    pub(crate) fn answer(&self, request_id: &str) -> Answer {
        let (status, code, error) = self.parts();
        let body = json!({
            "error": error,
            "code": code,
            "details": { "request_id": request_id },
        });
        let body = AnswerBody::Whole(Full::new(Bytes::from(body.to_string())));
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after(status) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(self, Self::PageMethod) {
            headers.insert(ALLOW, PAGE_METHODS);
        }
        answer
    }

    /// Seconds after which it is worth trying again, if it is.
    fn retry_after(&self, status: StatusCode) -> Option<u64> {
        match self {
            // The first part of a second counts.
            Self::TooManyKeys { retry_after } => Some(retry_after.as_secs() + 1),
            Self::KeyInProgress => Some(RETRY_AFTER_SECONDS),
            _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_SECONDS),
        }
    }
}

fn overloaded(error: &str) -> (StatusCode, &'static str, String) {
    (StatusCode::SERVICE_UNAVAILABLE, "overloaded", error.to_owned())
}

/// What the component did is for the log; the client learns that it was not its fault.
fn component(failure: &Failure) -> (StatusCode, &'static str, String) {
    match failure {
        Failure::Overloaded => overloaded("the server is busy; try again"),
        Failure::Deadline => (
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the request was not answered in time".to_owned(),
        ),
        Failure::Unreachable(_) => (
            StatusCode::BAD_GATEWAY,
            "bad_gateway",
            "the service behind this name did not answer".to_owned(),
        ),
        Failure::Trapped(_) | Failure::Refused(_) | Failure::Unanswered | Failure::TooLarge(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "the server failed to answer; the log has the reason under this request id".to_owned(),
        ),
    }
}
