//! `ETag`, `If-Match` and `If-None-Match` over the revision that every resource carries.

use std::borrow::Cow;
use std::fmt;

use windlass_domain::Revision;

use crate::error::Refusal;

/// Revisions start at 1 and only grow.
const NEVER: Revision = Revision::new(0);

/// The version of a representation: the revision of its resource, and what else the
/// representation shows that can change without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag {
    revision: Revision,
    detail: Option<i64>,
}

impl EntityTag {
    /// The tag `"<revision>"`.
    pub fn new(revision: Revision) -> Self {
        Self { revision, detail: None }
    }

    /// The tag `"<revision>-<detail>"`, for a representation that also shows a number of its own,
    /// such as a count. `If-Match` compares the revision alone: the count is not what an update
    /// would overwrite.
    pub fn with_detail(revision: Revision, detail: i64) -> Self {
        Self { revision, detail: Some(detail) }
    }

    /// Weak comparison with a value of `If-None-Match`, which may be a list or `*`.
    pub(crate) fn is_listed_in(&self, value: &str) -> bool {
        let own = self.to_string();
        value.split(',').map(str::trim).any(|candidate| {
            candidate == "*" || candidate.strip_prefix("W/").unwrap_or(candidate) == own
        })
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail {
            None => write!(formatter, "\"{}\"", self.revision.number()),
            Some(detail) => write!(formatter, "\"{}-{detail}\"", self.revision.number()),
        }
    }
}

/// Reads the values of `If-Match`. One tag at a time: a list of versions that would all do is
/// nothing a client of ours can mean. A tag that this server never gives out becomes a revision
/// that no row has, so that the domain reports a missing resource first and a mismatch then.
pub(crate) fn expected_revision(values: &[Cow<'_, str>]) -> Result<Option<Revision>, Refusal> {
    let value = match values {
        [] => return Ok(None),
        [value] => value.trim(),
        _ => return Err(malformed("is given more than once")),
    };
    if value == "*" {
        return Ok(None);
    }
    let (weak, opaque) = match value.strip_prefix("W/") {
        Some(opaque) => (true, opaque),
        None => (false, value),
    };
    let text = opaque
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|text| text.bytes().all(|byte| byte > b' ' && byte < 0x7f && byte != b'"'))
        .ok_or_else(|| malformed("must be * or one quoted entity tag"))?;
    // A weak tag never fits `If-Match` (RFC 9110, 13.1.1).
    if weak {
        return Ok(Some(NEVER));
    }
    let revision = text.split('-').next().unwrap_or_default();
    let canonical = revision.bytes().all(|byte| byte.is_ascii_digit());
    match revision.parse() {
        Ok(revision) if canonical && revision > 0 => Ok(Some(Revision::new(revision))),
        _ => Ok(Some(NEVER)),
    }
}

fn malformed(reason: &str) -> Refusal {
    Refusal::InvalidHeader { name: "If-Match", reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<Option<Revision>, Refusal> {
        let values: Vec<_> = values.iter().map(|value| Cow::Borrowed(*value)).collect();
        expected_revision(&values)
    }

    #[test]
    fn if_match_is_read() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(None));
        assert_eq!(read(&["\"7\""]), Ok(Some(Revision::new(7))));
        assert_eq!(read(&["\"7-3\""]), Ok(Some(Revision::new(7))));
        for unknown in ["W/\"7\"", "\"abc\"", "\"\"", "\"-7\"", "\"+7\"", "\"9999999999999999999\""]
        {
            assert_eq!(read(&[unknown]), Ok(Some(NEVER)), "{unknown}");
        }
        for bad in ["7", "\"7", "", "\"1\", \"2\"", "\"a\"b\"", "w/\"7\""] {
            assert!(read(&[bad]).is_err(), "{bad}");
        }
        assert!(read(&["\"1\"", "\"2\""]).is_err());
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let tag = EntityTag::with_detail(Revision::new(7), 3);
        for listed in ["\"7-3\"", "W/\"7-3\"", "*", "\"1\", \"7-3\""] {
            assert!(tag.is_listed_in(listed), "{listed}");
        }
        for other in ["\"7\"", "\"7-4\"", "7-3", ""] {
            assert!(!tag.is_listed_in(other), "{other}");
        }
    }
}
