//! Links between pages (RFC 8288). Which page is asked for and what is on it is the domain's.

use crate::query::decode;
use crate::request::Request;

/// Where a page stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    page: i64,
    last: Option<i64>,
    has_next: bool,
}

impl Paging {
    /// A page of a list with this many pages.
    pub fn counted(page: i64, total_pages: i64) -> Self {
        let last = total_pages.max(1);
        Self { page, last: Some(last), has_next: page < last }
    }

    /// A page of a list that nobody counts.
    pub fn uncounted(page: i64, has_more: bool) -> Self {
        Self { page, last: None, has_next: has_more }
    }

    /// The value of `Link`: `first`, `prev`, `next` and `last`, as far as they exist. The other
    /// parameters of the request are kept as they were sent.
    pub(crate) fn links(&self, request: &Request) -> String {
        let mut links = Links {
            path: request.path(),
            kept: kept_query(request.raw_query()),
            text: String::new(),
        };
        links.add("first", 1);
        if self.page > 1 {
            let before = self.page - 1;
            links.add("prev", self.last.map_or(before, |last| before.min(last)));
        }
        if self.has_next {
            links.add("next", self.page + 1);
        }
        if let Some(last) = self.last {
            links.add("last", last);
        }
        links.text
    }
}

struct Links<'a> {
    path: &'a str,
    kept: String,
    text: String,
}

impl Links<'_> {
    fn add(&mut self, relation: &str, page: i64) {
        if !self.text.is_empty() {
            self.text.push_str(", ");
        }
        let page = page.to_string();
        for piece in ["<", self.path, "?", &self.kept, "page=", &page, ">; rel=\"", relation, "\""]
        {
            self.text.push_str(piece);
        }
    }
}

/// The query without `page`, ending in `&` unless empty. Only what may stand in a URL is kept
/// unencoded, so that nothing can break out of the angle brackets.
fn kept_query(raw: &str) -> String {
    let mut kept = String::with_capacity(raw.len());
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let name = pair.split('=').next().unwrap_or_default();
        if decode(name, true).as_deref() == Some("page") {
            continue;
        }
        for byte in pair.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~%+=:@!$'()*,;/?".contains(&byte) {
                kept.push(char::from(byte));
            } else {
                kept.push_str(&format!("%{byte:02X}"));
            }
        }
        kept.push('&');
    }
    kept
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn check(target: &str, paging: Paging, expected: &str) {
        assert_eq!(paging.links(&Request::new(Method::GET, target)), expected, "{target}");
    }

    #[test]
    fn links_name_the_pages_that_exist() {
        check("/p", Paging::counted(1, 0), r#"</p?page=1>; rel="first", </p?page=1>; rel="last""#);
        check(
            "/p?limit=10&page=2&search=a%20b",
            Paging::counted(2, 3),
            concat!(
                r#"</p?limit=10&search=a%20b&page=1>; rel="first", "#,
                r#"</p?limit=10&search=a%20b&page=1>; rel="prev", "#,
                r#"</p?limit=10&search=a%20b&page=3>; rel="next", "#,
                r#"</p?limit=10&search=a%20b&page=3>; rel="last""#
            ),
        );
        check(
            "/p?%70age=9&search=<>\"",
            Paging::counted(9, 2),
            concat!(
                r#"</p?search=%3C%3E%22&page=1>; rel="first", "#,
                r#"</p?search=%3C%3E%22&page=2>; rel="prev", "#,
                r#"</p?search=%3C%3E%22&page=2>; rel="last""#
            ),
        );
        check("/p", Paging::uncounted(1, false), r#"</p?page=1>; rel="first""#);
        check(
            "/p",
            Paging::uncounted(2, true),
            r#"</p?page=1>; rel="first", </p?page=1>; rel="prev", </p?page=3>; rel="next""#,
        );
    }
}
