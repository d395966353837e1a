//! Assertions that several nouns share.

use std::panic::Location;
use std::time::{Duration, Instant};

use serde_json::Value;
use windlass_harness::Answer;

/// An id of the right form that names nothing.
pub(crate) const MISSING_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Asserts that a JSON object has exactly these keys.
#[track_caller]
pub(crate) fn has_exactly(value: &Value, keys: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut found: Vec<&str> = object.keys().map(String::as_str).collect();
    let mut expected = keys.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "keys of {value}");
}

/// Asserts an RFC 3339 time in UTC, and answers it; such texts order like the times they are.
#[track_caller]
pub(crate) fn time(value: &Value) -> String {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let bytes = text.as_bytes();
    let fits = bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && text.ends_with('Z');
    assert!(fits, "no RFC 3339 time in UTC: {text}");
    text.to_owned()
}

/// The text of a field that must be a text.
#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {value}"))
}

/// Asserts that two answers cannot be told apart but by their request ids.
#[track_caller]
pub(crate) fn same_refusal(one: Answer, other: Answer) {
    let status = one.status;
    let (one, other) = (one.expect_error(status), other.expect_error(status));
    for field in ["error", "code"] {
        assert_eq!(one[field], other[field]);
    }
    assert_eq!(
        one["details"].as_object().map(without_request_id),
        other["details"].as_object().map(without_request_id)
    );
}

fn without_request_id(details: &serde_json::Map<String, Value>) -> serde_json::Map<String, Value> {
    let mut details = details.clone();
    details.remove("request_id");
    details
}

/// Waits until a condition holds, and says which one when it does not come about.
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    let (patience, place) = (Duration::from_secs(20), Location::caller());
    async move {
        let deadline = Instant::now() + patience;
        while !holds().await {
            assert!(Instant::now() < deadline, "{place}: {what} did not come about");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
