//! What a database's refusal means to the rules.

use windlass_domain::{Conflict, Error, Kind};

use crate::executor::ExecutorError;

/// The meaning of a refusal that a statement did not expect.
pub(crate) fn unexpected(kind: Kind) -> impl Fn(ExecutorError) -> Error {
    move |error| match error {
        // The row was taken by a concurrent transaction, or what it refers to is gone: asking
        // again shows which.
        ExecutorError::Conflict(_) => Error::Conflict { kind, cause: Conflict::StaleRevision },
        ExecutorError::Unavailable(_) | ExecutorError::Quota(_) | ExecutorError::Timeout(_) => {
            Error::unavailable(error.to_string())
        }
        ExecutorError::Denied(_)
        | ExecutorError::NotFound(_)
        | ExecutorError::Invalid(_)
        | ExecutorError::Other(_) => Error::internal_fault(error.to_string()),
    }
}

/// The meaning of a refusal that is about a transaction as a whole.
pub(crate) fn of_transaction(error: ExecutorError) -> Error {
    match error {
        ExecutorError::Conflict(_) => Error::Conflict {
            kind: Kind::Organization,
            cause: Conflict::State("another request changed the same things at the same time"),
        },
        other => unexpected(Kind::Organization)(other),
    }
}

/// The meaning of a refused statement that can only violate one unique constraint, whose columns
/// (as SQLite names it) and whose name (as PostgreSQL does) both contain `field`. Anything else
/// that stands against it is a concurrent transaction.
pub(crate) fn unique(kind: Kind, field: &'static str) -> impl Fn(ExecutorError) -> Error {
    move |error| match error {
        ExecutorError::Conflict(text) if text.contains(field) => {
            Error::AlreadyExists { kind, field }
        }
        other => unexpected(kind)(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_keep_their_meaning_and_their_text() {
        let text = || "text".to_owned();
        let check = |error: ExecutorError, expected: Error| {
            assert_eq!(unexpected(Kind::Service)(error), expected);
        };
        let internal = |what: &str| Error::Internal {
            internal: format!("the database answered {what}: text"),
        };
        let unavailable = |what: &str| Error::Unavailable {
            internal: format!("the database answered {what}: text"),
        };
        check(ExecutorError::Denied(text()), internal("denied"));
        check(ExecutorError::NotFound(text()), internal("not found"));
        check(ExecutorError::Invalid(text()), internal("invalid"));
        check(ExecutorError::Other(text()), internal("failed"));
        check(ExecutorError::Unavailable(text()), unavailable("unavailable"));
        check(ExecutorError::Quota(text()), unavailable("over quota"));
        check(ExecutorError::Timeout(text()), unavailable("timed out"));
        let stale = Error::Conflict { kind: Kind::Service, cause: Conflict::StaleRevision };
        check(ExecutorError::Conflict(text()), stale.clone());
        let name = unique(Kind::Service, "name");
        assert_eq!(name(ExecutorError::Conflict("deadlock detected".to_owned())), stale);
        for text in ["service.project_id, service.name", "service_name_key"] {
            assert_eq!(
                name(ExecutorError::Conflict(text.to_owned())),
                Error::AlreadyExists { kind: Kind::Service, field: "name" }
            );
        }
    }
}
