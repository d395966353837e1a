//! `Idempotency-Key`: a POST that is repeated with the same key has one effect, and gets the
//! first answer again for 24 hours.
//!
//! The record of a key is marked in the same database transaction as the first effect of its
//! request (see [`windlass_engine::RequestContext::commit_mark`]), so that a retry after a crash
//! is never taken for a first try.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::Full;
use sha2::{Digest, Sha256};
use windlass_engine::{Answer, AnswerBody, Authentication};

use crate::problem::Problem;

/// What a record answers, later. The error is for the log.
pub type RecordFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Where idempotency keys are recorded.
pub trait IdempotencyRecords: Send + Sync {
    /// Claims a key for a request with this fingerprint, which ends within `time_limit`.
    fn claim<'a>(
        &'a self,
        id: &'a str,
        fingerprint: &'a str,
        time_limit: Duration,
    ) -> RecordFuture<'a, Claim>;
    /// Keeps the answer.
    fn complete<'a>(&'a self, id: &'a str, answer: &'a StoredAnswer) -> RecordFuture<'a, ()>;
    /// Gives the key back after a request without effect, so that it can be tried again. A key
    /// whose request did have an effect stays.
    fn release<'a>(&'a self, id: &'a str) -> RecordFuture<'a, ()>;
}

/// What claiming a key came to.
#[derive(Debug)]
pub enum Claim {
    /// It is ours: carry the request out.
    New,
    /// Another request with this key is being worked on.
    InProgress,
    /// The key was used with another request.
    Mismatch,
    /// The request was carried out, and this was its answer.
    Replay(StoredAnswer),
    /// The request was carried out, and its answer was lost.
    CommittedWithoutAnswer,
}

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The status.
    pub status: u16,
    /// Names and values of the headers the component set.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// The header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is a replay.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The key of a request, if it has one that counts.
pub(crate) fn key<'a>(method: &Method, headers: &'a HeaderMap) -> Result<Option<&'a str>, Problem> {
    if method != Method::POST {
        return Ok(None);
    }
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::BadIdempotencyKey)?;
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if values.next().is_some() || !printable || !(1..=255).contains(&text.len()) {
        return Err(Problem::BadIdempotencyKey);
    }
    Ok(Some(text))
}

/// The id of the record: a key belongs to its caller.
pub(crate) fn record_id(caller: &Authentication, key: &str) -> Arc<str> {
    let caller = match caller {
        Authentication::Authenticated { subject, .. } => subject.as_ref(),
        Authentication::Anonymous | Authentication::Rejected(_) => "",
    };
    hash(&[caller.as_bytes(), key.as_bytes()]).into()
}

/// What makes two requests the same.
pub(crate) fn fingerprint(method: &Method, uri: &Uri, body: &[u8]) -> String {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    hash(&[method.as_str().as_bytes(), path.as_bytes(), body])
}

fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// Claims a record, and waits for it no longer than its request may take.
pub(crate) async fn claim(
    records: &dyn IdempotencyRecords,
    id: &str,
    fingerprint: &str,
    time_left: Duration,
) -> Result<Claim, String> {
    let claiming = records.claim(id, fingerprint, time_left);
    let claimed = tokio::time::timeout(time_left, claiming).await;
    claimed.unwrap_or_else(|_| Err("not claimed before the deadline of its request".to_owned()))
}

/// Whether an answer says what the request came to, rather than that it should be tried again.
/// Of anonymous callers, who can send what they like without end, refusals are not worth keeping.
pub(crate) fn is_kept(status: StatusCode, anonymous: bool) -> bool {
    let refused = status.is_client_error() || status.is_server_error();
    if anonymous && refused {
        return false;
    }
    !status.is_server_error()
        && !matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

/// Takes an answer apart for keeping. Streamed answers are not kept.
pub(crate) fn stored(answer: &Answer, body: &Bytes) -> StoredAnswer {
    let headers = answer.headers().iter().filter_map(|(name, value)| {
        value.to_str().ok().map(|value| (name.as_str().to_owned(), value.to_owned()))
    });
    StoredAnswer {
        status: answer.status().as_u16(),
        headers: headers.collect(),
        body: body.clone(),
    }
}

/// Puts a kept answer together again.
pub(crate) fn replay(stored: StoredAnswer) -> Answer {
    let mut answer = Response::new(AnswerBody::Whole(Full::new(stored.body)));
    *answer.status_mut() = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    for (name, value) in stored.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            answer.headers_mut().append(name, value);
        }
    }
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let values = values.iter().filter_map(|value| HeaderValue::from_str(value).ok());
        values.map(|value| (KEY, value)).collect()
    }

    #[test]
    fn keys_count_for_post_alone() {
        assert!(matches!(key(&Method::POST, &headers(&["k"])), Ok(Some("k"))));
        assert!(matches!(key(&Method::PUT, &headers(&["k"])), Ok(None)));
        assert!(matches!(key(&Method::POST, &headers(&[])), Ok(None)));
    }

    #[test]
    fn malformed_keys_are_refused() {
        for bad in [&[""][..], &["a", "b"], &["\t"], &[&"x".repeat(256)]] {
            assert!(key(&Method::POST, &headers(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_belongs_to_its_caller() {
        let caller = |subject: &str| Authentication::Authenticated {
            subject: subject.into(),
            token_id: "t".into(),
        };
        assert_ne!(record_id(&caller("a"), "k"), record_id(&caller("b"), "k"));
        assert_ne!(record_id(&caller("a"), "bk"), record_id(&caller("ab"), "k"));
        assert_eq!(record_id(&caller("a"), "k"), record_id(&caller("a"), "k"));
    }

    #[test]
    fn answers_that_say_try_again_are_not_kept_nor_refusals_of_anonymous_callers() {
        for (status, known, anonymous) in [
            (StatusCode::CREATED, true, true),
            (StatusCode::SEE_OTHER, true, true),
            (StatusCode::BAD_REQUEST, true, false),
            (StatusCode::CONFLICT, true, false),
            (StatusCode::UNAUTHORIZED, false, false),
            (StatusCode::REQUEST_TIMEOUT, false, false),
            (StatusCode::TOO_MANY_REQUESTS, false, false),
            (StatusCode::INTERNAL_SERVER_ERROR, false, false),
        ] {
            assert_eq!(is_kept(status, false), known, "{status}");
            assert_eq!(is_kept(status, true), anonymous, "{status} to anybody");
        }
    }

    /// A database that does not answer.
    struct Stuck;

    impl IdempotencyRecords for Stuck {
        fn claim<'a>(&'a self, _: &'a str, _: &'a str, _: Duration) -> RecordFuture<'a, Claim> {
            Box::pin(std::future::pending())
        }

        fn complete<'a>(&'a self, _: &'a str, _: &'a StoredAnswer) -> RecordFuture<'a, ()> {
            Box::pin(std::future::pending())
        }

        fn release<'a>(&'a self, _: &'a str) -> RecordFuture<'a, ()> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn a_record_is_waited_for_until_the_deadline_and_no_longer() {
        let claimed = claim(&Stuck, "id", "fingerprint", Duration::from_millis(10));
        let claimed = tokio::time::timeout(Duration::from_secs(10), claimed).await;
        let error = claimed.expect("it ends").expect_err("it is not claimed");
        assert!(error.contains("deadline"), "{error}");
    }

    #[test]
    fn a_replay_is_the_answer_and_says_so() {
        let mut answer = Response::new(AnswerBody::Whole(Full::default()));
        *answer.status_mut() = StatusCode::CREATED;
        answer.headers_mut().insert("etag", HeaderValue::from_static("\"1\""));
        let kept = stored(&answer, &Bytes::from_static(b"{}"));
        let again = replay(kept.clone());
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.headers().get("etag"), answer.headers().get("etag"));
        assert_eq!(again.headers().get(REPLAYED), Some(&HeaderValue::from_static("true")));
        assert_eq!(kept.body, "{}");
    }
}
