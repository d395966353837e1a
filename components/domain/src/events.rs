//! The audit trail: who did what to what, from where, and what it was before and after.
//!
//! An event is written inside the transaction of every change: no row, no change. The rows of an
//! organization form a chain (see [`chain`]). Secrets and the values of variables never enter
//! it, only names. An event outlives the thing it tells of.

pub mod chain;

use crate::context::Context;
use crate::error::Result;
use crate::ids::{EventId, OrganizationId, UserId};
use crate::page::{PageRequest, PartialPage};
use crate::store::Transaction;
use crate::text;
use crate::time::Timestamp;

pub use chain::{BrokenLink, ChainHead, Digest, verify_chain};

/// How many events [`list_for_resource`] answers at most.
pub const RESOURCE_EVENTS: i64 = 100;

/// Headers and ids of requests are kept up to this many characters.
const ORIGIN_CHARACTERS: usize = 512;

/// Values before and after are kept up to this many characters, and then marked as abridged. Events
/// are listed a hundred at a time, and the longest ones together must fit into what storage answers
/// at once.
pub const CHANGE_CHARACTERS: usize = 1_000;

/// What a thing in the trail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// An account.
    User,
    /// A project.
    Project,
    /// A service.
    Service,
    /// A release of a service.
    Deployment,
    /// A user's access to a git provider.
    GitAccount,
    /// An image being made.
    Build,
    /// A managed database.
    Database,
}

impl Resource {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Service => "service",
            Self::Deployment => "deployment",
            Self::GitAccount => "git_account",
            Self::Build => "build",
            Self::Database => "database",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "user" => Some(Self::User),
            "project" => Some(Self::Project),
            "service" => Some(Self::Service),
            "deployment" => Some(Self::Deployment),
            "git_account" => Some(Self::GitAccount),
            "build" => Some(Self::Build),
            "database" => Some(Self::Database),
            _ => None,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// An account was opened.
    Register,
    /// A token was issued for a password.
    Login,
    /// A thing was made.
    Create,
    /// A thing was changed.
    Update,
    /// A thing was deleted.
    Delete,
    /// A release was asked for.
    Deploy,
    /// An earlier release was asked for again.
    Rollback,
    /// A database was to be started.
    Start,
    /// A database was to be stopped.
    Stop,
    /// A database was to be stopped and started.
    Restart,
    /// A backup was asked for.
    Backup,
    /// A database was to be brought back from a backup.
    Restore,
    /// What was asked for came to an end, good or bad.
    Finish,
    /// What was asked for is not wanted any more.
    Cancel,
}

impl Action {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Login => "login",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Finish => "finish",
            Self::Cancel => "cancel",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "register" => Some(Self::Register),
            "login" => Some(Self::Login),
            "create" => Some(Self::Create),
            "update" => Some(Self::Update),
            "delete" => Some(Self::Delete),
            "deploy" => Some(Self::Deploy),
            "rollback" => Some(Self::Rollback),
            "start" => Some(Self::Start),
            "stop" => Some(Self::Stop),
            "restart" => Some(Self::Restart),
            "backup" => Some(Self::Backup),
            "restore" => Some(Self::Restore),
            "finish" => Some(Self::Finish),
            "cancel" => Some(Self::Cancel),
            _ => None,
        }
    }
}

/// One field before and after. A made thing has no before, a deleted one no after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path of the field, as `name` or `resources.cpu`.
    pub field: String,
    /// What it was.
    pub before: Option<String>,
    /// What it became.
    pub after: Option<String>,
}

/// A row of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// In whose chain it stands.
    pub organization_id: OrganizationId,
    /// Its place in the chain, from 1.
    pub sequence: i64,
    /// Who did it.
    pub actor_id: UserId,
    /// The actor's address at the time.
    pub actor_email: String,
    /// What kind of thing it was done to.
    pub resource: Resource,
    /// The id of that thing.
    pub resource_id: String,
    /// What was done.
    pub action: Action,
    /// The fields it changed, in their order; long values abridged.
    pub changes: Vec<Change>,
    /// The request that did it.
    pub request_id: String,
    /// The address it came from.
    pub client_address: String,
    /// What the client called itself.
    pub user_agent: String,
    /// When.
    pub created_at: Timestamp,
    /// The hash of the link before; [`Digest::GENESIS`] for the first.
    pub previous_hash: Digest,
    /// The hash of this link.
    pub hash: Digest,
}

/// What to list. A word that names nothing fits no event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only events of this resource.
    pub resource: Option<String>,
    /// Only events of this action.
    pub action: Option<String>,
}

/// What the store is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// Whose events.
    pub actor: UserId,
    /// Of which resource, or any.
    pub resource: Option<Resource>,
    /// Of which thing, or any.
    pub resource_id: Option<String>,
    /// Of which action, or any.
    pub action: Option<Action>,
}

/// The caller's own events, newest first.
///
/// # Errors
/// `Unauthenticated`.
pub async fn list(
    ctx: &Context<'_>,
    filter: &EventFilter,
    page: PageRequest,
) -> Result<PartialPage<Event>> {
    let actor = ctx.user()?;
    let mut answer =
        PartialPage { items: Vec::new(), has_more: false, page: page.page(), limit: page.limit() };
    let resource = match filter.resource.as_deref().map(Resource::parse) {
        Some(None) => return Ok(answer),
        other => other.flatten(),
    };
    let action = match filter.action.as_deref().map(Action::parse) {
        Some(None) => return Ok(answer),
        other => other.flatten(),
    };
    let query = EventQuery { actor, resource, resource_id: None, action };
    // One more than the page holds tells whether another page follows, without counting a trail
    // that only ever grows.
    answer.items = ctx.store.list_events(&query, page.offset(), page.limit() + 1).await?;
    if let Ok(limit) = usize::try_from(page.limit()) {
        answer.has_more = answer.items.len() > limit;
        answer.items.truncate(limit);
    }
    Ok(answer)
}

/// The caller's newest events on one thing, at most [`RESOURCE_EVENTS`]. A thing that does not
/// exist, or that others did everything to, has none.
///
/// # Errors
/// `Unauthenticated`.
pub async fn list_for_resource(
    ctx: &Context<'_>,
    resource: &str,
    resource_id: &str,
) -> Result<Vec<Event>> {
    let actor = ctx.user()?;
    // Every resource of the trail has a UUID; other texts need not reach the database.
    let (Some(resource), Some(id)) = (Resource::parse(resource), EventId::parse(resource_id))
    else {
        return Ok(Vec::new());
    };
    let query = EventQuery {
        actor,
        resource: Some(resource),
        resource_id: Some(id.to_string()),
        action: None,
    };
    ctx.store.list_events(&query, 0, RESOURCE_EVENTS).await
}

/// What an operation tells of itself.
pub(crate) struct Entry {
    pub(crate) organization_id: OrganizationId,
    pub(crate) actor_id: UserId,
    pub(crate) actor_email: String,
    pub(crate) resource: Resource,
    pub(crate) resource_id: String,
    pub(crate) action: Action,
    pub(crate) changes: Vec<Change>,
}

/// Writes the event of a change into the change's own transaction, as its last statement: the
/// lock on the organization's chain is then held as shortly as can be.
pub(crate) async fn record(
    ctx: &Context<'_>,
    transaction: &dyn Transaction,
    entry: Entry,
) -> Result<()> {
    let head = transaction.lock_event_chain(entry.organization_id).await?;
    let mut event = Event {
        id: EventId::from_u128(ctx.ids.fresh()),
        organization_id: entry.organization_id,
        sequence: head.sequence + 1,
        actor_id: entry.actor_id,
        actor_email: entry.actor_email,
        resource: entry.resource,
        resource_id: entry.resource_id,
        action: entry.action,
        changes: entry.changes.into_iter().map(abridged).collect(),
        request_id: text::clip(&ctx.origin.request_id, ORIGIN_CHARACTERS),
        client_address: text::clip(&ctx.origin.client_address, ORIGIN_CHARACTERS),
        user_agent: text::clip(&ctx.origin.user_agent, ORIGIN_CHARACTERS),
        created_at: ctx.clock.now(),
        previous_hash: head.hash,
        hash: Digest::GENESIS,
    };
    event.hash = chain::hash(&event);
    transaction.append_event(&event).await
}

fn abridged(change: Change) -> Change {
    let abridge = |value: Option<String>| value.map(|text| text::abridge(text, CHANGE_CHARACTERS));
    Change { field: change.field, before: abridge(change.before), after: abridge(change.after) }
}

/// The differences between two states of a thing. Empty texts count as absent.
pub(crate) fn differences(
    before: &[(&'static str, String)],
    after: &[(&'static str, String)],
) -> Vec<Change> {
    let filled = |value: &String| (!value.is_empty()).then(|| value.clone());
    let find = |fields: &[(&'static str, String)], name: &str| {
        fields.iter().find(|(field, _)| *field == name).and_then(|(_, value)| filled(value))
    };
    let names = if after.is_empty() { before } else { after };
    names
        .iter()
        .map(|(name, _)| Change {
            field: (*name).to_owned(),
            before: find(before, name),
            after: find(after, name),
        })
        .filter(|change| change.before != change.after)
        .collect()
}
