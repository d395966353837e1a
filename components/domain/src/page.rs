//! Pages of lists: what is asked for and what is answered. Links are left to the surfaces.

use crate::error::{Error, Result, Violation};

/// The highest number a page may have, so that an offset never overflows.
pub const MAXIMUM_PAGE: i64 = 2_147_483_647;

/// The most items a page may have; it bounds the memory one request takes.
pub const MAXIMUM_LIMIT: i64 = 100;

/// Which page of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    page: i64,
    limit: i64,
}

impl PageRequest {
    /// The page with this number (from 1) of at most `limit` items (1 to 100).
    ///
    /// # Errors
    /// `Invalid`, naming `page` and `limit`, when out of bounds.
    pub fn new(page: i64, limit: i64) -> Result<Self> {
        let mut violations = Vec::new();
        if !(1..=MAXIMUM_PAGE).contains(&page) {
            violations.push(Violation::new("page", "must be between 1 and 2147483647"));
        }
        if !(1..=MAXIMUM_LIMIT).contains(&limit) {
            violations.push(Violation::new("limit", "must be between 1 and 100"));
        }
        if violations.is_empty() {
            Ok(Self { page, limit })
        } else {
            Err(Error::Invalid(violations))
        }
    }

    /// The number of the page, from 1.
    pub const fn page(self) -> i64 {
        self.page
    }

    /// The most items it may have.
    pub const fn limit(self) -> i64 {
        self.limit
    }

    /// How many items stand on the pages before it.
    pub const fn offset(self) -> i64 {
        (self.page - 1) * self.limit
    }
}

/// One page of a list whose length is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page; none when the page is past the end.
    pub items: Vec<T>,
    /// How many items the whole list has.
    pub total: i64,
    /// The number of this page, from 1.
    pub page: i64,
    /// The most items a page of this list has.
    pub limit: i64,
}

impl<T> Page<T> {
    /// How many pages the list has: 0 for an empty one.
    pub const fn total_pages(&self) -> i64 {
        (self.total + self.limit - 1) / self.limit
    }
}

/// One page of a list that is too long to be counted for every page of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialPage<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Whether another page follows.
    pub has_more: bool,
    /// The number of this page, from 1.
    pub page: i64,
    /// The most items a page of this list has.
    pub limit: i64,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn bounds_are_named() {
        let check = |page: i64, limit: i64, fields: &[&str]| {
            let named: Vec<String> = match PageRequest::new(page, limit) {
                Ok(_) => Vec::new(),
                Err(Error::Invalid(violations)) => {
                    violations.into_iter().map(|violation| violation.field.into_owned()).collect()
                }
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(named, fields, "page {page}, limit {limit}");
        };
        check(1, 1, &[]);
        check(MAXIMUM_PAGE, 100, &[]);
        check(0, 20, &["page"]);
        check(-1, 20, &["page"]);
        check(MAXIMUM_PAGE + 1, 20, &["page"]);
        check(1, 0, &["limit"]);
        check(1, 101, &["limit"]);
        check(i64::MIN, i64::MAX, &["page", "limit"]);
    }

    #[test]
    fn pages_are_counted_up() {
        let check = |total: i64, limit: i64, expected: i64| {
            let page = Page::<u8> { items: Vec::new(), total, page: 1, limit };
            assert_eq!(page.total_pages(), expected, "{total} of {limit}");
        };
        check(0, 20, 0);
        check(1, 20, 1);
        check(20, 20, 1);
        check(21, 20, 2);
        assert_eq!(PageRequest::new(3, 20).unwrap().offset(), 40);
    }
}
