//! Operations: work that was promised and takes longer than a request.
//!
//! An operation is written in the transaction of the change that asks for it, and the reconciler
//! carries it out step by step. It has one holder at a time, by a lease that ends by itself when
//! its holder does; a deadline; and always an end. Operations of one lane are carried out one after
//! the other, in the order they were asked for: all of a service's, all of a database's, and a
//! build's own.

use crate::future::PortBound;
use crate::ids::{
    BuildId, DatabaseId, DeploymentId, OperationId, OrganizationId, Revision, ServiceId,
};
use crate::time::Timestamp;

/// How long a holder may be silent before another takes over, in seconds.
pub const LEASE_SECONDS: i64 = 30;
/// How long an operation may take in all, in seconds.
pub const DEADLINE_SECONDS: i64 = 30 * 60;
/// How often a step that failed for a passing reason is tried.
pub const MAXIMUM_ATTEMPTS: i64 = 8;
/// The most operations of one lane that have not ended.
pub const MAXIMUM_UNFINISHED: i64 = 20;

/// The port to whoever carries operations out.
pub trait Signal: PortBound {
    /// Says that something was promised, after it was committed. Best-effort: who is not woken
    /// looks by itself at regular times.
    fn raise(&self);
}

/// Where an operation stands: the step that is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Find the image's content, and fetch it.
    Resolve,
    /// Start the new release beside the old one.
    Start,
    /// Wait until the new release works.
    Await,
    /// Give the requests to the new release.
    Switch,
    /// Take the old release away.
    Drain,
    /// End what runs of a database.
    Stop,
    /// Write a backup of a database.
    Save,
    /// Bring a database back from a backup.
    Load,
    /// Take the data of a database away, and its backups.
    Erase,
}

impl Step {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Start => "start",
            Self::Await => "await",
            Self::Switch => "switch",
            Self::Drain => "drain",
            Self::Stop => "stop",
            Self::Save => "save",
            Self::Load => "load",
            Self::Erase => "erase",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "resolve" => Some(Self::Resolve),
            "start" => Some(Self::Start),
            "await" => Some(Self::Await),
            "switch" => Some(Self::Switch),
            "drain" => Some(Self::Drain),
            "stop" => Some(Self::Stop),
            "save" => Some(Self::Save),
            "load" => Some(Self::Load),
            "erase" => Some(Self::Erase),
            _ => None,
        }
    }
}

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A release of a service.
    Deployment {
        /// The service.
        service_id: ServiceId,
        /// The release.
        id: DeploymentId,
    },
    /// An image being made.
    Build(BuildId),
    /// A managed database.
    Database(DatabaseId),
}

impl Subject {
    /// What kind of thing it is, as it is stored.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Deployment { .. } => DEPLOYMENT,
            Self::Build(_) => BUILD,
            Self::Database(_) => DATABASE,
        }
    }

    /// The id of the thing.
    pub fn id(&self) -> String {
        match self {
            Self::Deployment { id, .. } => id.to_string(),
            Self::Build(id) => id.to_string(),
            Self::Database(id) => id.to_string(),
        }
    }

    /// The service it goes with, if with any.
    pub const fn service_id(&self) -> Option<ServiceId> {
        match self {
            Self::Deployment { service_id, .. } => Some(*service_id),
            Self::Build(_) | Self::Database(_) => None,
        }
    }

    /// What is carried out one after the other.
    pub fn lane(&self) -> String {
        match self {
            Self::Deployment { service_id, .. } => service_id.to_string(),
            Self::Build(_) | Self::Database(_) => self.id(),
        }
    }

    /// Reads what [`Subject::kind`], [`Subject::id`] and [`Subject::service_id`] wrote.
    pub fn parse(kind: &str, id: &str, service_id: Option<ServiceId>) -> Option<Self> {
        match kind {
            DEPLOYMENT => {
                Some(Self::Deployment { service_id: service_id?, id: DeploymentId::parse(id)? })
            }
            BUILD => BuildId::parse(id).map(Self::Build),
            DATABASE => DatabaseId::parse(id).map(Self::Database),
            _ => None,
        }
    }
}

const DEPLOYMENT: &str = "deployment";
const BUILD: &str = "build";
const DATABASE: &str = "database";

/// Something being carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// In whose trail its outcome stands.
    pub organization_id: OrganizationId,
    /// What it is about.
    pub subject: Subject,
    /// What is done next.
    pub step: Step,
    /// Since when that is what is done next.
    pub step_since: Timestamp,
    /// How often the step failed for a passing reason.
    pub attempts: i64,
    /// Not to be looked at before.
    pub due_at: Timestamp,
    /// When it must have ended.
    pub deadline_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// How often it was written.
    pub revision: Revision,
    /// When it was asked for.
    pub created_at: Timestamp,
}

impl Operation {
    /// What carries something out, from this step on.
    pub(crate) fn new(
        id: OperationId,
        organization_id: OrganizationId,
        subject: Subject,
        step: Step,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            organization_id,
            subject,
            step,
            step_since: now,
            attempts: 0,
            due_at: now,
            deadline_at: now.plus_seconds(DEADLINE_SECONDS),
            finished_at: None,
            revision: Revision::FIRST,
            created_at: now,
        }
    }

    /// The same with another step to be done at once.
    pub(crate) fn at(mut self, step: Step, now: Timestamp) -> Self {
        self.step = step;
        self.step_since = now;
        self.attempts = 0;
        self.due_at = now;
        self
    }

    /// The same, looked at again later.
    pub(crate) fn later(mut self, now: Timestamp, milliseconds: i64) -> Self {
        self.due_at = now.plus_milliseconds(milliseconds);
        self
    }

    /// The same, tried again after a pause that doubles from a second to half a minute.
    pub(crate) fn again(self, now: Timestamp) -> Self {
        let seconds = (1_i64 << self.attempts.clamp(0, 5)).min(30);
        let attempts = self.attempts + 1;
        Self { attempts, ..self.later(now, seconds * 1_000) }
    }

    /// The same, ended.
    pub(crate) fn finished(mut self, now: Timestamp) -> Self {
        self.finished_at = Some(now);
        self
    }
}
