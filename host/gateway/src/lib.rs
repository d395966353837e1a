//! What wakes a component: HTTP requests, and signals that work was written down.
//!
//! The gateway owns connections, request ids, limits on what clients may send, idempotency keys
//! and the answers the host gives by itself. It knows routes only from the routing table, and
//! leaves every meaning of a request to the component behind the route.

mod anonymous;
mod body;
mod exchange;
mod idempotency;
mod ingress;
mod listen;
mod operations;
mod pace;
mod patience;
mod problem;
mod reconciling;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::Semaphore;
use windlass_engine::{Authentication, Fleet};

use crate::anonymous::AnonymousKeys;

pub use idempotency::{Claim, IdempotencyRecords, RecordFuture, StoredAnswer};
pub use ingress::{Deployed, Ingress};
pub use operations::{Operations, OperationsCapability};
pub use reconciling::reconcile;

/// What the gateway may be asked to bear. Defaults are for one machine at the edge.
#[derive(Clone, Debug)]
pub struct GatewayLimits {
    /// Bytes of one request body.
    pub body_bytes: usize,
    /// Bytes of all request bodies that are being received or worked on.
    pub bodies_bytes: usize,
    /// Time to receive the head of a request, and again for its body.
    pub receive_time: Duration,
    /// Time a client may take to read nothing before it is cut off.
    pub stall_time: Duration,
    /// Time a connection may stay open without a request.
    pub idle_time: Duration,
    /// Connections at one time; more wait in the listen queue of the system.
    pub connections: usize,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            body_bytes: 1_048_576,
            bodies_bytes: 256 * 1_048_576,
            receive_time: Duration::from_secs(10),
            stall_time: Duration::from_secs(30),
            // Long enough for a client that asks every half a minute to keep its connection.
            idle_time: Duration::from_secs(60),
            connections: 10_000,
        }
    }
}

/// Finds out who is calling.
pub trait Authenticator: Send + Sync {
    /// Verifies the credentials in the headers. Called for each request; must be quick.
    fn authenticate(&self, headers: &HeaderMap) -> Authentication;
}

/// Puts the span of a request into the trace its headers name. Called only when spans are taken.
pub type JoinTrace = fn(&tracing::Span, &HeaderMap);

/// A document the host serves by itself.
#[derive(Clone)]
pub struct Page {
    /// Its media type.
    pub content_type: &'static str,
    /// The document. It is given to every client that asks, so cloning it must not copy it.
    pub bytes: Bytes,
}

/// Documents the host serves by itself, such as the API reference. Routes of components win.
pub trait Pages: Send + Sync {
    /// The document at a path.
    fn page(&self, path: &str) -> Option<Page>;
}

/// Which origins browsers may call from.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    /// Origins such as `https://console.example`, or a single `*`. Empty: none.
    pub origins: Vec<String>,
}

/// The gateway: everything one listener needs.
pub struct Gateway {
    fleet: Arc<Fleet>,
    authenticator: Arc<dyn Authenticator>,
    records: Arc<dyn IdempotencyRecords>,
    pages: Arc<dyn Pages>,
    limits: GatewayLimits,
    cors: Cors,
    trusted_proxies: Vec<IpAddr>,
    join_trace: Option<JoinTrace>,
    bodies: Semaphore,
    anonymous_keys: AnonymousKeys,
    ingress: Option<Arc<dyn Ingress>>,
}

/// Bodies are accounted for in units of this many bytes.
const BODY_UNIT: usize = 4_096;

impl Gateway {
    /// Puts a gateway together.
    pub fn new(
        fleet: Arc<Fleet>,
        authenticator: Arc<dyn Authenticator>,
        records: Arc<dyn IdempotencyRecords>,
        pages: Arc<dyn Pages>,
        limits: GatewayLimits,
    ) -> Self {
        let bodies = Semaphore::new(limits.bodies_bytes / BODY_UNIT);
        Self {
            fleet,
            authenticator,
            records,
            pages,
            limits,
            cors: Cors::default(),
            trusted_proxies: Vec::new(),
            join_trace: None,
            bodies,
            anonymous_keys: AnonymousKeys::new(),
            ingress: None,
        }
    }

    /// Leads requests for what tenants deployed to it.
    #[must_use]
    pub fn with_ingress(mut self, ingress: Arc<dyn Ingress>) -> Self {
        self.ingress = Some(ingress);
        self
    }

    /// Lets browsers call from these origins.
    #[must_use]
    pub fn with_cors(mut self, cors: Cors) -> Self {
        self.cors = cors;
        self
    }

    /// Believes these proxies what they say in `X-Forwarded-For`.
    #[must_use]
    pub fn with_trusted_proxies(mut self, proxies: Vec<IpAddr>) -> Self {
        self.trusted_proxies = proxies;
        self
    }

    /// Continues the traces of callers.
    #[must_use]
    pub fn with_joined_traces(mut self, join: JoinTrace) -> Self {
        self.join_trace = Some(join);
        self
    }
}
