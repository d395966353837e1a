//! From what went wrong to a status and the body `{error, code, details}`. Which rule was broken
//! is the domain's to say; here it only gets its words and its number.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;
use windlass_domain as domain;
use windlass_domain::{Conflict, Kind};
use windlass_sdk::{Refusal, Response, StatusCode};

/// What handlers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How long a client waits before it tries a dependency again that could not be reached.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Everything a handler can fail with.
#[derive(Debug)]
pub enum Error {
    /// The request never reached the domain.
    Refusal(Refusal),
    /// A rule stands against it, or something broke.
    Domain(domain::Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<domain::Error> for Error {
    fn from(error: domain::Error) -> Self {
        Self::Domain(error)
    }
}

impl From<Error> for Response {
    fn from(error: Error) -> Self {
        match error {
            Error::Refusal(refusal) => refused(&refusal),
            Error::Domain(error) => failed(&error),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    code: &'a str,
    details: Details<'a>,
}

/// What else is known. Always an object; what is `None` is left out.
#[derive(Serialize, Default)]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<BTreeMap<&'a str, &'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_variables: Option<&'a [&'static str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

impl<'a> Details<'a> {
    fn of_resource(kind: Kind) -> Self {
        Self { resource: Some(kind.as_str()), ..Self::default() }
    }

    fn of_field(field: &'a str, reason: &'a str) -> Self {
        Self { field: Some(field), reason: Some(reason), ..Self::default() }
    }
}

fn answer(status: StatusCode, code: &str, error: &str, details: Details<'_>) -> Response {
    Response::json(status, &Body { error, code, details })
}

fn refused(refusal: &Refusal) -> Response {
    let code = match refusal {
        Refusal::UnknownPath => "NOT_FOUND",
        Refusal::MethodNotAllowed { .. } => "METHOD_NOT_ALLOWED",
        Refusal::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
        Refusal::BodyTooLarge => "PAYLOAD_TOO_LARGE",
        Refusal::MalformedBody { .. }
        | Refusal::InvalidField { .. }
        | Refusal::InvalidHeader { .. } => "INVALID_INPUT",
    };
    let details = refusal
        .culprit()
        .map_or_else(Details::default, |(field, reason)| Details::of_field(field, reason));
    answer(refusal.status(), code, &refusal.to_string(), details)
}

fn failed(error: &domain::Error) -> Response {
    if let Some(internal) = error.internal() {
        // The host adds the component and the request to each line. A log that cannot be written
        // must not cost the client its answer.
        let _ = writeln!(std::io::stderr(), "{error}: {internal}");
    }
    let message = error.to_string();
    let answer = |status, code, details| answer(status, code, &message, details);
    match error {
        domain::Error::NotFound { kind, .. } => {
            answer(StatusCode::NOT_FOUND, "NOT_FOUND", Details::of_resource(*kind))
        }
        domain::Error::AlreadyExists { kind, field } => {
            let details = Details { field: Some(field), ..Details::of_resource(*kind) };
            answer(StatusCode::CONFLICT, "ALREADY_EXISTS", details)
        }
        domain::Error::Invalid(violations) => {
            answer(StatusCode::BAD_REQUEST, "INVALID_INPUT", violated(violations))
        }
        domain::Error::MissingVariables(missing) => {
            let details = Details { missing_variables: Some(missing), ..Details::default() };
            answer(StatusCode::BAD_REQUEST, "INVALID_INPUT", details)
        }
        domain::Error::Conflict { kind, cause } => {
            let (status, code) = match cause {
                Conflict::PreconditionFailed => {
                    (StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED")
                }
                Conflict::StaleRevision | Conflict::State(_) | Conflict::Elsewhere(_) => {
                    (StatusCode::CONFLICT, "CONFLICT")
                }
            };
            answer(status, code, Details::of_resource(*kind))
        }
        domain::Error::Unauthenticated(_) => {
            answer(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", Details::default())
                .with_header("www-authenticate", "Bearer")
        }
        domain::Error::Forbidden(_) => {
            answer(StatusCode::FORBIDDEN, "FORBIDDEN", Details::default())
        }
        domain::Error::QuotaExceeded { retry_after_seconds: Some(seconds), .. } => {
            let details = Details { retry_after_seconds: Some(*seconds), ..Details::default() };
            answer(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED", details)
                .with_header("retry-after", seconds.to_string())
        }
        // Waiting does not help against a full quota, so none is suggested.
        domain::Error::QuotaExceeded { retry_after_seconds: None, .. } => {
            answer(StatusCode::TOO_MANY_REQUESTS, "QUOTA_EXCEEDED", Details::default())
        }
        domain::Error::Unavailable { .. } => {
            answer(StatusCode::SERVICE_UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", Details::default())
                .with_header("retry-after", RETRY_AFTER_SECONDS.to_string())
        }
        // What is missing is told; when it will be there is not known.
        domain::Error::NotAvailable(_) => {
            answer(StatusCode::SERVICE_UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", Details::default())
        }
        domain::Error::Internal { .. } => {
            answer(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", Details::default())
        }
    }
}

/// One violation is `{field, reason}`, several are `{fields: {<field>: <reason>}}`.
fn violated(violations: &[domain::Violation]) -> Details<'_> {
    if let [only] = violations {
        return Details::of_field(&only.field, &only.reason);
    }
    let mut fields = BTreeMap::new();
    for violation in violations {
        // The first thing that is wrong with a field is the one to mend first.
        fields.entry(&*violation.field).or_insert(&*violation.reason);
    }
    Details { fields: Some(fields), ..Details::default() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value, json};
    use windlass_domain::{Error as DomainError, Violation};

    use super::*;

    fn check(error: impl Into<Error>, status: u16, header: Option<(&str, &str)>, body: Value) {
        let response = Response::from(error.into());
        assert_eq!(serde_json::from_slice::<Value>(response.body()).unwrap(), body);
        assert_eq!(response.status().as_u16(), status, "{body}");
        if let Some((name, value)) = header {
            assert_eq!(response.header(name), Some(value), "{body}");
        }
    }

    #[test]
    fn every_domain_error_has_a_status_and_a_body() {
        check(
            DomainError::not_found(Kind::Project, "x"),
            404,
            None,
            json!({"error": "project not found", "code": "NOT_FOUND", "details": {"resource": "project"}}),
        );
        check(
            DomainError::AlreadyExists { kind: Kind::User, field: "email" },
            409,
            None,
            json!({"error": "a user with this email already exists", "code": "ALREADY_EXISTS",
                   "details": {"resource": "user", "field": "email"}}),
        );
        check(
            DomainError::invalid("source.type", "must be git"),
            400,
            None,
            json!({"error": "source.type must be git", "code": "INVALID_INPUT",
                   "details": {"field": "source.type", "reason": "must be git"}}),
        );
        check(
            DomainError::Invalid(vec![
                Violation::new("name", "is short"),
                Violation::new("email", "is odd"),
                Violation::new("name", "is bad"),
            ]),
            400,
            None,
            json!({"error": "name is short; email is odd; name is bad", "code": "INVALID_INPUT",
                   "details": {"fields": {"name": "is short", "email": "is odd"}}}),
        );
        check(
            DomainError::MissingVariables(vec!["IMAGE", "TAG"]),
            400,
            None,
            json!({"error": "the template needs values for IMAGE, TAG", "code": "INVALID_INPUT",
                   "details": {"missing_variables": ["IMAGE", "TAG"]}}),
        );
        for (cause, status, code, message) in [
            (
                Conflict::StaleRevision,
                409,
                "CONFLICT",
                "the project was changed by another request",
            ),
            (
                Conflict::PreconditionFailed,
                412,
                "PRECONDITION_FAILED",
                "the project does not have the expected revision",
            ),
            (Conflict::State("busy"), 409, "CONFLICT", "busy"),
            (Conflict::Elsewhere("they say no".to_owned()), 409, "CONFLICT", "they say no"),
        ] {
            check(
                DomainError::Conflict { kind: Kind::Project, cause },
                status,
                None,
                json!({"error": message, "code": code, "details": {"resource": "project"}}),
            );
        }
        check(
            DomainError::Unauthenticated("token expired".to_owned()),
            401,
            Some(("www-authenticate", "Bearer")),
            json!({"error": "token expired", "code": "UNAUTHENTICATED", "details": {}}),
        );
        check(
            DomainError::Forbidden("viewers only read"),
            403,
            None,
            json!({"error": "viewers only read", "code": "FORBIDDEN", "details": {}}),
        );
        check(
            DomainError::QuotaExceeded { reason: "too often".into(), retry_after_seconds: Some(7) },
            429,
            Some(("retry-after", "7")),
            json!({"error": "too often", "code": "RATE_LIMIT_EXCEEDED",
                   "details": {"retry_after_seconds": 7}}),
        );
        check(
            DomainError::QuotaExceeded { reason: "full".into(), retry_after_seconds: None },
            429,
            None,
            json!({"error": "full", "code": "QUOTA_EXCEEDED", "details": {}}),
        );
        check(
            DomainError::unavailable("disk gone"),
            503,
            Some(("retry-after", "1")),
            json!({"error": "the service is unavailable", "code": "DEPENDENCY_UNAVAILABLE", "details": {}}),
        );
        check(
            DomainError::NotAvailable("GitLab cannot be reached".into()),
            503,
            None,
            json!({"error": "GitLab cannot be reached", "code": "DEPENDENCY_UNAVAILABLE", "details": {}}),
        );
        check(
            DomainError::internal_fault("row 7"),
            500,
            None,
            json!({"error": "internal error", "code": "INTERNAL_ERROR", "details": {}}),
        );
    }

    #[test]
    fn every_refusal_has_a_status_and_a_body() {
        check(
            Refusal::UnknownPath,
            404,
            None,
            json!({"error": "no such path", "code": "NOT_FOUND", "details": {}}),
        );
        check(
            Refusal::MethodNotAllowed { allow: "GET, OPTIONS".to_owned() },
            405,
            None,
            json!({"error": "the method is not one of GET, OPTIONS", "code": "METHOD_NOT_ALLOWED",
                   "details": {}}),
        );
        check(
            Refusal::UnsupportedMediaType,
            415,
            None,
            json!({"error": "the body must be declared as application/json",
                   "code": "UNSUPPORTED_MEDIA_TYPE", "details": {}}),
        );
        check(
            Refusal::BodyTooLarge,
            413,
            None,
            json!({"error": "the body is too large", "code": "PAYLOAD_TOO_LARGE", "details": {}}),
        );
        check(
            Refusal::field("page", "must be an integer"),
            400,
            None,
            json!({"error": "invalid page: must be an integer", "code": "INVALID_INPUT",
                   "details": {"field": "page", "reason": "must be an integer"}}),
        );
    }
}
