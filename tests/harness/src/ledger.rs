//! What the tests of this process asked for and what status they got, for the coverage test.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// One thing that was exercised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The method, in capitals.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

static LEDGER: Mutex<BTreeSet<Entry>> = Mutex::new(BTreeSet::new());

/// Writes down one exchange.
pub fn record(method: &str, path_and_query: &str, status: u16) {
    let path = path_and_query.split('?').next().unwrap_or_default().to_owned();
    let entry = Entry { method: method.to_owned(), path, status };
    LEDGER.lock().unwrap_or_else(PoisonError::into_inner).insert(entry);
}

/// Everything written down so far.
pub fn entries() -> Vec<Entry> {
    LEDGER.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
}

/// Whether a path is an instance of a template such as `/api/v1/projects/{id}`.
pub fn fits(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template.zip(path).all(|(expected, found)| {
            expected == found || (expected.starts_with('{') && !found.is_empty())
        })
}
