//! Rules for texts that several nouns share, and the collector of violations, so that a caller
//! learns everything that is wrong at once.
//!
//! Every text is bounded and free of control characters: databases refuse NUL, and the rest only
//! serves to deceive whoever reads a log.

use std::borrow::Cow;

use crate::error::{Error, Result, Violation};

/// Collects what is wrong with an input.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<Violation>);

impl Violations {
    /// Notes a violation.
    pub(crate) fn add(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) {
        self.0.push(Violation::new(field, reason));
    }

    /// Notes a violation unless the condition holds.
    pub(crate) fn require(&mut self, holds: bool, field: &'static str, reason: &'static str) {
        if !holds {
            self.add(field, reason);
        }
    }

    /// Trims a name and checks its length and characters. Blanks around it count towards the
    /// maximum, so that the bound holds for what was sent.
    pub(crate) fn name(
        &mut self,
        field: &'static str,
        value: &str,
        minimum: usize,
        maximum: usize,
    ) -> String {
        let trimmed = value.trim();
        if trimmed.chars().count() < minimum || value.chars().count() > maximum {
            self.add(field, format!("must have between {minimum} and {maximum} characters"));
        } else {
            self.line(field, trimmed, maximum);
        }
        trimmed.to_owned()
    }

    /// Checks a text of one line.
    pub(crate) fn line(&mut self, field: &'static str, value: &str, maximum: usize) {
        if value.chars().count() > maximum {
            self.add(field, format!("must have at most {maximum} characters"));
        } else if value.chars().any(char::is_control) {
            self.add(field, "must not contain control characters");
        }
    }

    /// Checks a text of any number of lines.
    pub(crate) fn lines(&mut self, field: &'static str, value: &str, maximum: usize) {
        if value.chars().count() > maximum {
            self.add(field, format!("must have at most {maximum} characters"));
        } else if !is_lines(value) {
            self.add(field, "must not contain control characters other than tab and line ends");
        }
    }

    /// Everything that is wrong, or nothing.
    pub(crate) fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}

/// Whether the only control characters are tabs and line ends.
pub(crate) fn is_lines(value: &str) -> bool {
    !value
        .chars()
        .any(|character| character.is_control() && !matches!(character, '\t' | '\n' | '\r'))
}

/// The form in which texts are compared when case does not matter.
pub(crate) fn fold(value: &str) -> String {
    value.to_lowercase()
}

/// The first `maximum` characters without control characters, for texts that are kept as they
/// come and refused never.
pub(crate) fn clip(value: &str, maximum: usize) -> String {
    value.chars().filter(|character| !character.is_control()).take(maximum).collect()
}

/// The text, or its beginning with a mark that says how long it was.
pub(crate) fn abridge(value: String, maximum: usize) -> String {
    let length = value.chars().count();
    if length <= maximum {
        return value;
    }
    let beginning: String = value.chars().take(maximum).collect();
    format!("{beginning}… ({length} characters in all)")
}

/// Whether every character is printable ASCII without the space.
pub(crate) fn is_printable_ascii(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abridged_text_says_how_long_it_was() {
        let check = |value: &str, expected: &str| {
            assert_eq!(abridge(value.to_owned(), 3), expected, "{value}");
        };
        check("", "");
        check("abc", "abc");
        check("abcd", "abc… (4 characters in all)");
        check("äöüß", "äöü… (4 characters in all)");
    }
}
