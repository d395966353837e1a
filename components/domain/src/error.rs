//! The closed list of what can go wrong, free of any transport.
//!
//! `Display` is the external message, fit for a tenant. What only the operator may read stands in
//! [`Error::internal`] and belongs in the log. Each surface maps the variants to its own statuses
//! with one exhaustive `match`.

use std::borrow::Cow;
use std::fmt;

use crate::ids::Revision;

/// The outcome of every function of the domain.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What something is, for messages and error bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A person with an account.
    User,
    /// What owns projects and has members.
    Organization,
    /// A group of services.
    Project,
    /// A place of a project's services, as `production`.
    Environment,
    /// Something that runs.
    Service,
    /// A release of a service.
    Deployment,
    /// A user's access to a git provider.
    GitAccount,
    /// What is deployed often.
    Template,
    /// An image being made.
    Build,
    /// A managed database.
    Database,
    /// A backup of a database.
    Backup,
    /// A row of the audit trail.
    Event,
}

impl Kind {
    /// The lower-case word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Environment => "environment",
            Self::Service => "service",
            Self::Deployment => "deployment",
            Self::GitAccount => "git account",
            Self::Template => "template",
            Self::Build => "build",
            Self::Database => "database",
            Self::Backup => "backup",
            Self::Event => "event",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the domain's words, as `name` or `resources.cpu`.
    pub field: Cow<'static, str>,
    /// What is wrong, to be read after the field: `must have at least 2 characters`.
    pub reason: Cow<'static, str>,
}

impl Violation {
    /// A violation of one field.
    pub fn new(field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// Which conflict it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// The row was changed by someone else between our read and our write. Asking again helps.
    StaleRevision,
    /// The caller named the revision it expects, and the row has another.
    PreconditionFailed,
    /// The state of the thing stands against the request.
    State(&'static str),
    /// What somebody else says of the thing stands against the request. The text is fit for the
    /// client.
    Elsewhere(String),
}

/// Why an operation was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No such thing, or not one this caller may know of: the two are never told apart.
    #[error("{kind} not found")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// The id as the caller wrote it.
        id: String,
    },
    /// A name or an address that must be unique is taken.
    #[error("a {kind} with this {field} already exists")]
    AlreadyExists {
        /// What exists.
        kind: Kind,
        /// The field that must be unique.
        field: &'static str,
    },
    /// The input breaks a rule. Never empty.
    #[error("{}", summary(.0))]
    Invalid(Vec<Violation>),
    /// Variables of a template that must have a value have none. Never empty.
    #[error("the template needs values for {}", .0.join(", "))]
    MissingVariables(Vec<&'static str>),
    /// The request contradicts the state of the thing.
    #[error("{}", conflict_message(*.kind, .cause))]
    Conflict {
        /// What stands against it.
        kind: Kind,
        /// How.
        cause: Conflict,
    },
    /// Who is asking is not known. The text is fit for the client.
    #[error("{0}")]
    Unauthenticated(String),
    /// The caller may know of the thing but may not do this with it.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Too much or too often.
    #[error("{reason}")]
    QuotaExceeded {
        /// Of what.
        reason: Cow<'static, str>,
        /// When to come back, in seconds, where waiting helps.
        retry_after_seconds: Option<u32>,
    },
    /// Something the operation needs cannot be reached. Trying again later may help.
    #[error("the service is unavailable")]
    Unavailable {
        /// For the log only.
        internal: String,
    },
    /// Something the operation needs is not to be had here, or not now, and the client should know
    /// what. The text is fit for the client.
    #[error("{0}")]
    NotAvailable(Cow<'static, str>),
    /// A fault of ours.
    #[error("internal error")]
    Internal {
        /// For the log only.
        internal: String,
    },
}

impl Error {
    /// No such thing, or not for this caller.
    pub fn not_found(kind: Kind, id: impl fmt::Display) -> Self {
        Self::NotFound { kind, id: id.to_string() }
    }

    /// One field breaks a rule.
    pub fn invalid(
        field: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Invalid(vec![Violation::new(field, reason)])
    }

    /// Something needed cannot be reached; the text is for the log.
    pub fn unavailable(internal: impl Into<String>) -> Self {
        Self::Unavailable { internal: internal.into() }
    }

    /// A fault of ours; the text is for the log.
    pub fn internal_fault(internal: impl Into<String>) -> Self {
        Self::Internal { internal: internal.into() }
    }

    /// A write that found no row with the revision it read.
    pub(crate) fn stale(kind: Kind, expected_revision: Option<Revision>) -> Self {
        let cause = match expected_revision {
            // The caller named the revision that was there when we read, and it is gone now.
            Some(_) => Conflict::PreconditionFailed,
            None => Conflict::StaleRevision,
        };
        Self::Conflict { kind, cause }
    }

    /// What the operator should read, where it says more than the external message.
    pub fn internal(&self) -> Option<&str> {
        match self {
            Self::Unavailable { internal } | Self::Internal { internal } => Some(internal),
            Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::Invalid(_)
            | Self::MissingVariables(_)
            | Self::Conflict { .. }
            | Self::Unauthenticated(_)
            | Self::Forbidden(_)
            | Self::QuotaExceeded { .. }
            | Self::NotAvailable(_) => None,
        }
    }
}

fn summary(violations: &[Violation]) -> String {
    let mut text = String::new();
    for violation in violations {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&violation.field);
        text.push(' ');
        text.push_str(&violation.reason);
    }
    text
}

fn conflict_message(kind: Kind, cause: &Conflict) -> String {
    match cause {
        Conflict::StaleRevision => format!("the {kind} was changed by another request"),
        Conflict::PreconditionFailed => {
            format!("the {kind} does not have the expected revision")
        }
        Conflict::State(reason) => (*reason).to_owned(),
        Conflict::Elsewhere(reason) => reason.clone(),
    }
}
