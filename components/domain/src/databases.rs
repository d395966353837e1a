//! Managed databases: what a user asks for and what is kept of it. They are carried out by
//! [`crate::reconcile`].
//!
//! A database belongs to the personal organization of whoever made it. Asking for something writes
//! what should be (`desired`, `plan`, `restoring`) and an operation; what is (`status`, `address`)
//! is written by the reconciler alone, so that it is true. The password is made by the host, sealed
//! before it is stored, and opened where it is used: in the container, and in the connection URL
//! that those who may change the database are answered.

pub mod backups;
pub mod engine;
mod identity;
mod model;
pub mod plan;

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::{Conflict, Error, Kind, Result};
use crate::events::{self, Action, Change, Entry, Resource};
use crate::ids::{DatabaseId, OperationId, Revision};
use crate::measurements::{Measurements, Usage};
use crate::operations::{MAXIMUM_UNFINISHED, Operation, Step, Subject};
use crate::projects;
use crate::secrets::{Connections, Sealed};
use crate::services::build::check_variables;
use crate::store::Transaction;
use crate::text::Violations;

pub use backups::{Backup, BackupStatus};
pub use engine::Engine;
pub use model::{
    Asker, Database, DatabaseAccess, DatabaseChange, DatabaseDetail, DatabaseStatus, Demand,
    Desired, NewDatabase,
};
pub use plan::Plan;

/// The longest name.
pub const MAXIMUM_NAME: usize = 100;
/// The longest region.
pub const MAXIMUM_REGION: usize = 64;
/// The most databases of one organization: a list has no pages.
pub const MAXIMUM_DATABASES: i64 = 100;

/// The databases of every organization in which the caller is a member, oldest first.
///
/// # Errors
/// `Unauthenticated`.
pub async fn list(ctx: &Context<'_>, connections: &dyn Connections) -> Result<Vec<DatabaseDetail>> {
    let member = ctx.user()?;
    let found = ctx.store.list_databases(member, MAXIMUM_DATABASES).await?;
    let mut listed = Vec::with_capacity(found.len());
    for access in found {
        let backups = ctx.store.list_backups(access.database.id, backups::LISTED).await?;
        listed.push(detail(access, backups, connections)?);
    }
    Ok(listed)
}

/// The database with this id.
///
/// # Errors
/// `Unauthenticated`; `NotFound`.
pub async fn view(
    ctx: &Context<'_>,
    connections: &dyn Connections,
    id: &str,
) -> Result<DatabaseDetail> {
    let access = access(ctx, id).await?;
    let backups = ctx.store.list_backups(access.database.id, backups::LISTED).await?;
    detail(access, backups, connections)
}

/// What a database that runs takes of the machine; `None` where nobody counts.
///
/// # Errors
/// As the port's, but that what cannot be counted now is not known; the caller has viewed the
/// database.
pub async fn usage(
    ctx: &Context<'_>,
    measurements: &dyn Measurements,
    detail: &DatabaseDetail,
) -> Result<Option<Usage>> {
    ctx.user()?;
    if detail.database.status != DatabaseStatus::Running {
        return Ok(None);
    }
    match measurements.usage(detail.database.id.into()).await {
        Err(Error::Unavailable { .. }) => Ok(None),
        other => other,
    }
}

/// Makes a database. It is answered at once and carried out after that.
///
/// # Errors
/// `Unauthenticated`; `Invalid`; `AlreadyExists` when the name is taken; `QuotaExceeded` over
/// [`MAXIMUM_DATABASES`].
pub async fn create(ctx: &Context<'_>, new_database: NewDatabase) -> Result<Database> {
    let caller = ctx.user()?;
    let mut violations = Violations::default();
    let name = violations.name("name", &new_database.name, 1, MAXIMUM_NAME);
    violations.line("region", &new_database.region, MAXIMUM_REGION);
    check_variables("variables", &new_database.variables, &mut violations);
    let identity = identity::identity(&name, &new_database, &mut violations);
    violations.finish()?;
    let account = ctx.store.account(caller).await?;
    let account = account.ok_or_else(|| Error::not_found(Kind::User, caller))?;
    let now = ctx.clock.now();
    let id = DatabaseId::from_u128(ctx.ids.fresh());
    let specification = new_database.engine.specification();
    let password = match identity.password {
        Some(password) => ctx.secrets.seal(&password_context(id), &password).await?,
        None => ctx.secrets.generate(&password_context(id)).await?,
    };
    let mut variables = BTreeMap::new();
    for (name, value) in identity.others {
        let envelope = ctx.secrets.seal(&variable_context(id, &name), &value).await?;
        variables.insert(name, envelope);
    }
    let database = Database {
        id,
        organization_id: account.organization_id,
        name,
        engine: new_database.engine,
        version: specification.version.to_owned(),
        plan: new_database.plan,
        region: new_database.region.trim().to_owned(),
        desired: Desired::Running,
        status: DatabaseStatus::Building,
        error: String::new(),
        image: specification.image.to_owned(),
        image_digest: String::new(),
        username: identity.user,
        password,
        database: identity.database,
        variables,
        address: String::new(),
        restoring: None,
        asker: Asker { id: caller, email: account.user.email },
        revision: Revision::FIRST,
        created_at: now,
        updated_at: now,
    };
    let transaction = ctx.store.begin().await?;
    if transaction.count_databases(account.organization_id).await? >= MAXIMUM_DATABASES {
        let reason = "an organization has at most 100 databases".into();
        return Err(Error::QuotaExceeded { reason, retry_after_seconds: None });
    }
    transaction.insert_database(&database).await?;
    let changes = events::differences(&[], &audited(&database));
    promise(ctx, transaction, &database, Step::Resolve, Action::Create, changes).await?;
    Ok(database)
}

/// Changes a database. A change that changes nothing writes nothing.
///
/// # Errors
/// `Unauthenticated`; `Invalid`; `NotFound`; `Forbidden` for a viewer; `AlreadyExists` when the name
/// is taken; `Conflict`; `QuotaExceeded` when too much is waiting.
pub async fn update(ctx: &Context<'_>, id: &str, change: DatabaseChange) -> Result<Database> {
    ctx.user()?;
    let mut violations = Violations::default();
    if change == DatabaseChange::default() {
        violations.add("body", "must contain at least one of name and plan");
    }
    let name = change.name.map(|name| violations.name("name", &name, 1, MAXIMUM_NAME));
    violations.finish()?;
    let access = access(ctx, id).await?;
    projects::require(access.role.may_write(), "a viewer may not change databases")?;
    let before = access.database;
    let mut database = before.clone();
    database.name = name.unwrap_or(database.name);
    database.plan = change.plan.unwrap_or(database.plan);
    if database == before {
        return Ok(database);
    }
    let must_restart = database.plan != before.plan && before.desired == Desired::Running;
    let changes = events::differences(&audited(&before), &audited(&database));
    let transaction = write(ctx, &before, &mut database, access.email, must_restart).await?;
    if must_restart {
        promise(ctx, transaction, &database, Step::Stop, Action::Update, changes).await?;
    } else {
        events::record(ctx, &*transaction, entry(&database, Action::Update, changes)).await?;
        transaction.commit().await?;
    }
    Ok(database)
}

/// Asks that a database is started, stopped, or both. It is answered as it is now.
///
/// # Errors
/// `Unauthenticated`; `NotFound`; `Forbidden` for a viewer; `Conflict`; `QuotaExceeded` when too
/// much is waiting.
pub async fn demand(ctx: &Context<'_>, id: &str, demand: Demand) -> Result<Database> {
    let access = access(ctx, id).await?;
    projects::require(access.role.may_write(), "a viewer may not start and stop databases")?;
    let before = access.database;
    let mut database = before.clone();
    let (desired, step, action) = match demand {
        Demand::Start => (Desired::Running, Step::Resolve, Action::Start),
        Demand::Stop => (Desired::Stopped, Step::Stop, Action::Stop),
        Demand::Restart => (Desired::Running, Step::Stop, Action::Restart),
    };
    database.desired = desired;
    let is_built = match demand {
        Demand::Start => before.status != DatabaseStatus::Running,
        Demand::Restart => true,
        Demand::Stop => false,
    };
    let change = Change {
        field: "desired".to_owned(),
        before: Some(before.desired.as_str().to_owned()),
        after: Some(desired.as_str().to_owned()),
    };
    let transaction = write(ctx, &before, &mut database, access.email, is_built).await?;
    promise(ctx, transaction, &database, step, action, vec![change]).await?;
    Ok(database)
}

/// Deletes a database with its data and its backups. From now on it is not found; it is taken away
/// after that.
///
/// # Errors
/// `Unauthenticated`; `NotFound`; `Forbidden` for a viewer; `Conflict`.
pub async fn delete(ctx: &Context<'_>, id: &str) -> Result<()> {
    let access = access(ctx, id).await?;
    projects::require(access.role.may_write(), "a viewer may not delete databases")?;
    let before = access.database;
    let mut database = before.clone();
    database.desired = Desired::Deleted;
    // The name is free at once.
    database.name = database.id.to_string();
    let changes = events::differences(&audited(&before), &[]);
    let transaction = write(ctx, &before, &mut database, access.email, false).await?;
    promise(ctx, transaction, &database, Step::Stop, Action::Delete, changes).await
}

pub(crate) async fn access(ctx: &Context<'_>, id: &str) -> Result<DatabaseAccess> {
    let member = ctx.user()?;
    let found = match DatabaseId::parse(id) {
        Some(id) => ctx.store.database(member, id).await?,
        None => None,
    };
    found.ok_or_else(|| Error::not_found(Kind::Database, id))
}

/// Writes a database over the row that was read, in a transaction that is not ended yet.
async fn write<'a>(
    ctx: &'a Context<'_>,
    before: &Database,
    database: &mut Database,
    email: String,
    is_built: bool,
) -> Result<Box<dyn Transaction + 'a>> {
    if is_built {
        database.status = DatabaseStatus::Building;
        database.error = String::new();
    }
    database.asker = Asker { id: ctx.user()?, email };
    database.revision = before.revision.next();
    database.updated_at = ctx.clock.now();
    let transaction = ctx.store.begin().await?;
    if transaction.update_database(database, before.revision).await? {
        return Ok(transaction);
    }
    Err(Error::stale(Kind::Database, None))
}

/// Writes the operation and the event, ends the transaction, and wakes who carries it out.
pub(crate) async fn promise(
    ctx: &Context<'_>,
    transaction: Box<dyn Transaction + '_>,
    database: &Database,
    step: Step,
    action: Action,
    changes: Vec<Change>,
) -> Result<()> {
    let subject = Subject::Database(database.id);
    let id = OperationId::from_u128(ctx.ids.fresh());
    let operation = Operation::new(id, database.organization_id, subject, step, ctx.clock.now());
    // Counted behind the database's row, which the transaction holds. A deletion is let in always.
    if action != Action::Delete
        && transaction.unfinished_operations(&subject.lane()).await? >= MAXIMUM_UNFINISHED
    {
        let reason = "too much that was asked of this database is waiting".into();
        return Err(Error::QuotaExceeded { reason, retry_after_seconds: Some(30) });
    }
    transaction.insert_operation(&operation).await?;
    events::record(ctx, &*transaction, entry(database, action, changes)).await?;
    transaction.commit().await?;
    ctx.signal.raise();
    Ok(())
}

fn detail(
    access: DatabaseAccess,
    backups: Vec<Backup>,
    connections: &dyn Connections,
) -> Result<DatabaseDetail> {
    let database = access.database;
    let is_shown = access.role.may_write() && !database.address.is_empty();
    let connection_url = match is_shown {
        true => connections.render(&url(&database), &password(&database))?,
        false => String::new(),
    };
    Ok(DatabaseDetail { database, backups, connection_url })
}

/// Where the password of a database may be used.
fn password_context(id: DatabaseId) -> String {
    format!("database:{id}:password")
}

fn variable_context(id: DatabaseId, name: &str) -> String {
    format!("database:{id}:variable:{name}")
}

/// What stands in the place of a further variable until the host opens it.
pub(crate) fn variable_placeholder(name: &str) -> String {
    format!("{{variable:{name}}}")
}

pub(crate) fn password(database: &Database) -> Sealed {
    Sealed {
        placeholder: "{password}".to_owned(),
        context: password_context(database.id),
        envelope: database.password.clone(),
    }
}

/// Everything of a database that is sealed.
pub(crate) fn sealed(database: &Database) -> Vec<Sealed> {
    let variable = |(name, envelope): (&String, &String)| Sealed {
        placeholder: variable_placeholder(name),
        context: variable_context(database.id, name),
        envelope: envelope.clone(),
    };
    let variables = database.variables.iter().map(variable);
    std::iter::once(password(database)).chain(variables).collect()
}

/// Fills in what is known of a database; the password is left to the host.
pub(crate) fn filled(text: &str, database: &Database) -> String {
    text.replace("{user}", &database.username)
        .replace("{database}", &database.database)
        .replace("{host}", HOST)
        .replace("{address}", &database.address)
        .replace("{connections}", &database.plan.max_connections().to_string())
}

/// Under which name a database is reached on its network, which is its own.
pub(crate) const HOST: &str = "database";

/// How a database is reached, with a place for the password.
pub fn url(database: &Database) -> String {
    filled(database.engine.specification().url, database)
}

pub(crate) fn entry(database: &Database, action: Action, changes: Vec<Change>) -> Entry {
    Entry {
        organization_id: database.organization_id,
        actor_id: database.asker.id,
        actor_email: database.asker.email.clone(),
        resource: Resource::Database,
        resource_id: database.id.to_string(),
        action,
        changes,
    }
}

fn audited(database: &Database) -> Vec<(&'static str, String)> {
    vec![
        ("name", database.name.clone()),
        ("type", database.engine.as_str().to_owned()),
        ("plan", database.plan.as_str().to_owned()),
        ("region", database.region.clone()),
    ]
}

/// The state of a database stands against a request.
pub(crate) fn conflict(reason: &'static str) -> Error {
    Error::Conflict { kind: Kind::Database, cause: Conflict::State(reason) }
}

#[cfg(test)]
mod tests;
