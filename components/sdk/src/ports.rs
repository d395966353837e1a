//! The domain's ports over the host's interfaces. What the host refuses becomes an error of the
//! domain here; its text goes to the log and never to the client.

mod hosting;
mod identity;
mod logs;
mod measurements;
mod operations;
mod secrets;
mod storage;

use std::time::{SystemTime, UNIX_EPOCH};

use windlass_domain::Timestamp;
use windlass_domain::context::{Caller, Clock, Ids, Origin};
use windlass_domain::git::Hosting;
use windlass_domain::identity::Identity;
use windlass_domain::ids::UserId;
use windlass_domain::logs::Logs;
use windlass_domain::measurements::Measurements;
use windlass_domain::operations::Signal;
use windlass_domain::secrets::{Connections, Secrets};

use crate::bindings::windlass::identity::caller::{self as wit_caller, Authentication};
use crate::request::Request;

pub(crate) use storage::WitExecutor;

/// The host behind every port. A port over it is linked, and its interface imported, only where a
/// component names it.
pub struct Host;

/// Stands in for what a component was not granted, and imports nothing.
struct Nothing;

/// What a component was granted beside storage.
#[derive(Clone, Copy)]
pub struct Granted {
    pub(crate) identity: &'static dyn Identity,
    pub(crate) logs: &'static dyn Logs,
    pub(crate) measurements: &'static dyn Measurements,
    pub(crate) connections: &'static dyn Connections,
    pub(crate) signal: &'static dyn Signal,
    pub(crate) secrets: &'static dyn Secrets,
    pub(crate) hosting: &'static dyn Hosting,
}

impl Granted {
    /// Nothing.
    pub const NOTHING: Self = Self {
        identity: &Nothing,
        logs: &Nothing,
        measurements: &Nothing,
        signal: &Nothing,
        secrets: &Nothing,
        connections: &Nothing,
        hosting: &Nothing,
    };

    /// With passwords, tokens and limits.
    #[must_use]
    pub const fn identity(self, identity: &'static dyn Identity) -> Self {
        Self { identity, ..self }
    }

    /// With what workloads wrote.
    #[must_use]
    pub const fn logs(self, logs: &'static dyn Logs) -> Self {
        Self { logs, ..self }
    }

    /// With what workloads take of the machine.
    #[must_use]
    pub const fn measurements(self, measurements: &'static dyn Measurements) -> Self {
        Self { measurements, ..self }
    }

    /// With the URLs of databases.
    #[must_use]
    pub const fn connections(self, connections: &'static dyn Connections) -> Self {
        Self { connections, ..self }
    }

    /// With the reconciler's bell.
    #[must_use]
    pub const fn operations(self, signal: &'static dyn Signal) -> Self {
        Self { signal, ..self }
    }

    /// With sealed secrets.
    #[must_use]
    pub const fn secrets(self, secrets: &'static dyn Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// With git providers.
    #[must_use]
    pub const fn source(self, hosting: &'static dyn Hosting) -> Self {
        Self { hosting, ..self }
    }
}

/// Who is calling, as the host verified it.
pub(crate) fn caller() -> Caller {
    match wit_caller::current() {
        Authentication::Anonymous => Caller::Anonymous,
        Authentication::Rejected(reason) => Caller::Rejected(reason),
        Authentication::Authenticated(principal) => match UserId::parse(&principal.subject) {
            Some(id) => Caller::User { id, token_id: principal.token_id },
            None => Caller::Rejected("the token is not for a user".to_owned()),
        },
    }
}

/// Where the request came from.
pub(crate) fn origin(request: &Request) -> Origin {
    Origin {
        request_id: wit_caller::request_id(),
        client_address: wit_caller::client_address(),
        user_agent: request.header("user-agent").unwrap_or_default().to_owned(),
    }
}

/// The clock of the host.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // Before 1970 only if the machine's clock is broken; then everything is at the epoch.
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_microseconds(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
    }
}

/// UUIDs of version 7, which databases index well.
pub(crate) struct RandomIds;

impl Ids for RandomIds {
    fn fresh(&self) -> u128 {
        uuid::Uuid::now_v7().as_u128()
    }
}
