//! Bodies from JSON: strict about shape, precise about what is wrong. Rules about values are
//! left to the domain.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};

use serde::Serialize;

use crate::error::Refusal;

/// Parses a body. It must be one JSON object; the refusal names the property at fault.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed: Result<Object<T>, _> = serde_path_to_error::deserialize(&mut deserializer);
    let object = parsed.map_err(|error| {
        let path = error.path().to_string();
        refusal(&path, error.inner())
    })?;
    deserializer.end().map_err(|error| refusal(".", &error))?;
    Ok(object.0)
}

/// Appends a value as JSON, on one line. Values whose serialisation fails (a map with keys that are
/// no strings) are a programming error and append nothing.
pub fn append<T: Serialize + ?Sized>(buffer: &mut Vec<u8>, value: &T) {
    let length = buffer.len();
    if serde_json::to_writer(&mut *buffer, value).is_err() {
        buffer.truncate(length);
    }
}

/// For properties that may be absent but not `null`: `#[serde(default, deserialize_with =
/// "windlass_sdk::json::present")]`. Plain `Option` takes `null` for absence, which the
/// published schemas do not allow.
pub fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// The same for properties that are objects. A derived structure would also be read from an
/// array of its values.
pub fn present_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Object::deserialize(deserializer).map(|object| Some(object.0))
}

/// A value that was written as a JSON object.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Turns the parser's error into a refusal. Syntax errors concern the body as a whole; what is
/// missing is named in the message rather than in the path, so it is taken from there.
fn refusal(path: &str, error: &serde_json::Error) -> Refusal {
    let message = error.to_string();
    let reason = message.split(" at line ").next().unwrap_or(&message).to_owned();
    if !error.is_data() {
        return Refusal::MalformedBody { reason: message };
    }
    let parent = if path == "." || path == "?" { "" } else { path };
    let named = reason
        .strip_prefix("missing field `")
        .or_else(|| reason.strip_prefix("duplicate field `"))
        .and_then(|rest| rest.strip_suffix('`'));
    match (parent, named) {
        ("", None) => Refusal::field("body", reason),
        ("", Some(name)) => Refusal::field(name, reason.clone()),
        (parent, None) => Refusal::field(parent, reason),
        (parent, Some(name)) if parent == name || parent.ends_with(&format!(".{name}")) => {
            Refusal::field(parent, reason.clone())
        }
        (parent, Some(name)) => Refusal::field(format!("{parent}.{name}"), reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer {
        name: String,
        #[serde(default, deserialize_with = "present")]
        note: Option<String>,
        #[serde(default, deserialize_with = "present_object")]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        kind: String,
        #[serde(default, deserialize_with = "present")]
        variables: Option<BTreeMap<String, String>>,
    }

    fn check(body: &str, field: &str, reason_part: &str) {
        let refusal = parse::<Outer>(body.as_bytes()).unwrap_err();
        let (named, reason) = refusal.culprit().unwrap();
        assert_eq!(named, field, "{body}: {reason}");
        assert!(reason.contains(reason_part), "{body}: {reason}");
    }

    #[test]
    fn errors_name_the_property() {
        check("", "body", "EOF");
        check("{", "body", "EOF");
        check("{\"name\": \"a\"} x", "body", "trailing");
        check("{\"name\": \"\\ud800\"}", "body", "hex escape");
        check("[]", "body", "expected an object");
        check("[\"a\"]", "body", "expected an object");
        check("null", "body", "expected an object");
        check("{}", "name", "missing");
        check("{\"name\": 5}", "name", "expected a string");
        check("{\"name\": null}", "name", "expected a string");
        check("{\"name\": \"a\", \"name\": \"b\"}", "name", "duplicate");
        check("{\"name\": \"a\", \"note\": null}", "note", "expected a string");
        check("{\"name\": \"a\", \"inner\": [\"git\"]}", "inner", "expected an object");
        check("{\"name\": \"a\", \"inner\": {}}", "inner.kind", "missing");
        check("{\"name\": \"a\", \"inner\": {\"kind\": 1}}", "inner.kind", "expected a string");
        check(
            "{\"name\": \"a\", \"inner\": {\"kind\": \"k\", \"variables\": {\"A\": 1}}}",
            "inner.variables.A",
            "expected a string",
        );
    }

    #[test]
    fn unknown_properties_are_ignored_and_absent_ones_are_none() {
        let outer: Outer =
            parse(br#"{"name": "a", "more": [1], "inner": {"kind": "k", "x": null}}"#).unwrap();
        assert_eq!(outer.name, "a");
        assert_eq!(outer.note, None);
        let inner = outer.inner.unwrap();
        assert_eq!((inner.kind.as_str(), inner.variables), ("k", None));
    }
}
