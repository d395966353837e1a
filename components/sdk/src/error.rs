//! What a request can be refused for before any rule is asked: the transport's side of errors.
//! Which body a refusal gets is left to each surface, by `From<Refusal>` for its error type.

use std::fmt;

use http::StatusCode;

/// Why a request never reached the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No route has this path.
    UnknownPath,
    /// The path exists, the method does not. Carries the value of `Allow`.
    MethodNotAllowed {
        /// The methods of the path, separated by a comma and a space.
        allow: String,
    },
    /// The body is not declared as `application/json`.
    UnsupportedMediaType,
    /// The body is longer than [`crate::request::MAX_BODY_BYTES`] or than the host allows.
    BodyTooLarge,
    /// The body ended early or is no JSON at all.
    MalformedBody {
        /// What the parser found, fit for the client.
        reason: String,
    },
    /// A property of the body or a parameter of the query does not fit.
    InvalidField {
        /// The path of the property (`source.type`) or the name of the parameter.
        field: String,
        /// What is wrong with it, fit for the client.
        reason: String,
    },
    /// A header that this server reads is malformed.
    InvalidHeader {
        /// The name of the header.
        name: &'static str,
        /// What is wrong with it, fit for the client.
        reason: String,
    },
}

impl Refusal {
    /// A refusal of one property or parameter.
    pub fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::InvalidField { field: field.into(), reason: reason.into() }
    }

    /// The status that says so in HTTP.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MalformedBody { .. } | Self::InvalidField { .. } | Self::InvalidHeader { .. } => {
                StatusCode::BAD_REQUEST
            }
        }
    }

    /// What to name in the error body: the property, parameter or header at fault, and why.
    pub fn culprit(&self) -> Option<(&str, &str)> {
        match self {
            Self::MalformedBody { reason } => Some(("body", reason)),
            Self::InvalidField { field, reason } => Some((field, reason)),
            Self::InvalidHeader { name, reason } => Some((name, reason)),
            Self::UnknownPath
            | Self::MethodNotAllowed { .. }
            | Self::UnsupportedMediaType
            | Self::BodyTooLarge => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPath => formatter.write_str("no such path"),
            Self::MethodNotAllowed { allow } => {
                write!(formatter, "the method is not one of {allow}")
            }
            Self::UnsupportedMediaType => {
                formatter.write_str("the body must be declared as application/json")
            }
            Self::BodyTooLarge => formatter.write_str("the body is too large"),
            Self::MalformedBody { reason } => write!(formatter, "malformed body: {reason}"),
            Self::InvalidField { field, reason } => write!(formatter, "invalid {field}: {reason}"),
            Self::InvalidHeader { name, reason } => {
                write!(formatter, "invalid header {name}: {reason}")
            }
        }
    }
}

impl std::error::Error for Refusal {}
