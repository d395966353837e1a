//! Queries: percent-decoded, typed, with defaults. Bounds are left to the domain.

use std::str::FromStr;

use crate::error::Refusal;

/// The parameters of a query, decoded.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Decodes a query. What is not UTF-8 after decoding, and NUL, are refused.
    pub(crate) fn parse(raw: &str) -> Result<Self, Refusal> {
        let mut pairs = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, true)
                .ok_or_else(|| Refusal::field("query", "a name is not UTF-8 text"))?;
            let value = decode(value, true)
                .ok_or_else(|| Refusal::field(name.clone(), "is not UTF-8 text"))?;
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// The text of a parameter, `None` when it is absent. One that is repeated is refused,
    /// because nothing says which one counts.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let first = values.next();
        if values.next().is_some() {
            return Err(Refusal::field(name, "is given more than once"));
        }
        Ok(first.map(String::as_str))
    }

    /// An integer, or the default when the parameter is absent.
    pub fn integer<T: FromStr>(&self, name: &str, default: T) -> Result<T, Refusal> {
        match self.text(name)? {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Refusal::field(name, "must be an integer within its bounds")),
        }
    }
}

/// Decodes percent-encoding; in queries `+` is a blank. `None` for a broken escape, for what is
/// not UTF-8 and for NUL, which no database column takes.
pub(crate) fn decode(text: &str, plus_is_blank: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        match byte {
            b'%' => {
                let digits = text.get(position + 1..position + 3)?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                decoded.push(u8::from_str_radix(digits, 16).ok()?);
                position += 3;
            }
            b'+' if plus_is_blank => {
                decoded.push(b' ');
                position += 1;
            }
            other => {
                decoded.push(other);
                position += 1;
            }
        }
    }
    if decoded.contains(&0) {
        return None;
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn values_are_decoded() {
        let query = Query::parse("search=a%20b+c&%70age=2&empty=&flag").unwrap();
        assert_eq!(query.text("search").unwrap(), Some("a b c"));
        assert_eq!(query.integer("page", 1_u32).unwrap(), 2);
        assert_eq!(query.integer("limit", 20_u32).unwrap(), 20);
        assert_eq!(query.text("empty").unwrap(), Some(""));
        assert_eq!(query.text("flag").unwrap(), Some(""));
        assert_eq!(query.text("none").unwrap(), None);
    }

    #[test]
    fn what_cannot_be_read_names_the_parameter() {
        for (raw, field) in [
            ("page=x", "page"),
            ("page=", "page"),
            ("page=1.5", "page"),
            ("page=99999999999999999999", "page"),
            ("page=1&page=1", "page"),
            ("page=%ff", "page"),
            ("page=%00", "page"),
            ("page=%2", "page"),
            ("page=%+1", "page"),
            ("%ff=1", "query"),
        ] {
            let refusal =
                Query::parse(raw).and_then(|query| query.integer("page", 1_u32)).unwrap_err();
            assert_eq!(refusal.culprit().unwrap().0, field, "{raw}");
        }
    }
}
