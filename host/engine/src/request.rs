//! What the host knows of the request an instance is working on.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a component has left to answer with when a call into the host ran out of time.
const TIME_TO_ANSWER: Duration = Duration::from_millis(200);

/// What the credentials of a request amount to, verified before a component is woken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// The request carried none.
    Anonymous,
    /// The request carried some that do not hold; the text says why and is fit for the client.
    Rejected(String),
    /// The request carried some that hold.
    Authenticated {
        /// The subject of the token: the id of a user.
        subject: Arc<str>,
        /// The id of the token itself.
        token_id: Arc<str>,
    },
}

/// The request an instance is working on: set by the gateway, read by capabilities, and never
/// settable by a component.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The id answered in `X-Request-Id` and written in the log.
    pub id: Arc<str>,
    /// The address of the client, after trusted proxies.
    pub client_address: IpAddr,
    /// Who is calling.
    pub authentication: Authentication,
    /// When the request must have been answered.
    pub deadline: Instant,
    /// The id of the idempotency record of this request, if its client sent a key: storage marks
    /// it in the same transaction as the first commit, so that a retry after a crash can be told
    /// from a first try.
    pub commit_mark: Option<Arc<str>>,
}

impl RequestContext {
    /// A context for work that no client asked for, such as a canary: anonymous, from loopback.
    pub fn internal(id: &str, time_limit: Duration) -> Self {
        Self {
            id: id.into(),
            client_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            authentication: Authentication::Anonymous,
            deadline: Instant::now() + time_limit,
            commit_mark: None,
        }
    }

    /// The time that is left until the deadline; zero when it has passed.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// When a call into the host that starts now must have ended: early enough for the component
    /// to say that it did not come to an end.
    pub fn call_deadline(&self) -> Instant {
        Instant::now() + time_for_calls(self.time_left())
    }
}

/// What of the time that is left a call may take. Of a short time it is half.
fn time_for_calls(time_left: Duration) -> Duration {
    time_left.saturating_sub(TIME_TO_ANSWER).max(time_left / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_leaves_time_to_answer() {
        for (left, expected) in [(5_000, 4_800), (400, 200), (300, 150), (100, 50), (0, 0)] {
            let time = time_for_calls(Duration::from_millis(left));
            assert_eq!(time, Duration::from_millis(expected), "{left}");
        }
    }
}
