//! Reads rows into the domain's types, column by column in the order of the statement.
//!
//! A row that does not have the shape its statement promises is a fault of ours, or of whoever
//! wrote into the database by hand: an internal error that names the column, never a panic.

use std::vec::IntoIter;

use windlass_domain::{Error, Result, Revision, Timestamp};

use crate::executor::{Rows, Value};

/// One row on its way to becoming something.
pub(crate) struct Row {
    values: IntoIter<Value>,
    /// What the row should become, for messages.
    what: &'static str,
    column: usize,
}

impl Row {
    pub(crate) fn new(what: &'static str, values: Vec<Value>) -> Self {
        Self { values: values.into_iter(), what, column: 0 }
    }

    pub(crate) fn text(&mut self) -> Result<String> {
        match self.next()? {
            Value::Text(text) => Ok(text),
            _ => Err(self.fault("is no text")),
        }
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>> {
        match self.next()? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(self.fault("is neither text nor null")),
        }
    }

    pub(crate) fn integer(&mut self) -> Result<i64> {
        match self.next()? {
            Value::Integer(integer) => Ok(integer),
            _ => Err(self.fault("is no integer")),
        }
    }

    pub(crate) fn revision(&mut self) -> Result<Revision> {
        self.integer().map(Revision::new)
    }

    pub(crate) fn timestamp(&mut self) -> Result<Timestamp> {
        self.integer().map(Timestamp::from_microseconds)
    }

    pub(crate) fn optional_timestamp(&mut self) -> Result<Option<Timestamp>> {
        match self.next()? {
            Value::Integer(integer) => Ok(Some(Timestamp::from_microseconds(integer))),
            Value::Null => Ok(None),
            _ => Err(self.fault("is neither integer nor null")),
        }
    }

    /// A text that must be one of the domain's words or ids.
    pub(crate) fn parsed<T>(&mut self, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let text = self.text()?;
        parse(&text).ok_or_else(|| self.fault("has an unknown value"))
    }

    /// The same, where the empty text stands for nothing.
    pub(crate) fn optional<T>(
        &mut self,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let text = self.text()?;
        if text.is_empty() {
            return Ok(None);
        }
        parse(&text).map(Some).ok_or_else(|| self.fault("has an unknown value"))
    }

    /// What is wrong with the column that was read last.
    pub(crate) fn fault(&self, problem: &str) -> Error {
        Error::internal_fault(format!("column {} of a {} {problem}", self.column, self.what))
    }

    fn next(&mut self) -> Result<Value> {
        self.column += 1;
        self.values.next().ok_or_else(|| self.fault("is missing"))
    }
}

/// Every row of an answer.
pub(crate) fn all<T>(
    what: &'static str,
    answer: Rows,
    read: impl Fn(&mut Row) -> Result<T>,
) -> Result<Vec<T>> {
    answer.rows.into_iter().map(|values| read(&mut Row::new(what, values))).collect()
}

/// The first row of an answer, if it has one.
pub(crate) fn first<T>(
    what: &'static str,
    answer: Rows,
    read: impl Fn(&mut Row) -> Result<T>,
) -> Result<Option<T>> {
    answer.rows.into_iter().next().map(|values| read(&mut Row::new(what, values))).transpose()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use windlass_domain::ids::ProjectId;

    #[test]
    fn malformed_rows_name_the_column() {
        let check = |values: Vec<Value>, expected: &str| {
            let mut row = Row::new("project", values);
            let read = row.parsed(ProjectId::parse).and_then(|_| row.integer());
            assert_eq!(read.unwrap_err().internal(), Some(expected));
        };
        let id = || Value::from("0190b5a4-7c3e-7d2f-8a1b-00ff12345678");
        check(vec![], "column 1 of a project is missing");
        check(vec![Value::Null], "column 1 of a project is no text");
        check(vec![Value::from("x")], "column 1 of a project has an unknown value");
        check(vec![id()], "column 2 of a project is missing");
        check(vec![id(), Value::from("1")], "column 2 of a project is no integer");
    }
}
