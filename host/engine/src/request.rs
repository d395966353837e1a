//! What the host knows of the request an instance is working on.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

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
}
