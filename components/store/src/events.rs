//! The audit trail: reads and appends to `event`, reads and writes `event_chain`.

use windlass_domain::events::{Action, ChainHead, Change, Digest, Event, EventQuery, Resource};
use windlass_domain::future::PortFuture;
use windlass_domain::ids::{EventId, OrganizationId, UserId};
use windlass_domain::store::{EventReads, EventWrites};
use windlass_domain::{Error, Kind, Result};

use crate::errors::unexpected;
use crate::executor::Value;
use crate::rows::{self, Row};
use crate::{SqlStore, SqlTransaction};

/// The events of an actor. Empty words fit every event.
pub(crate) const LIST: &str = "\
    SELECT id, organization_id, sequence, actor_id, actor_email, resource, resource_id, action, \
    changes, request_id, client_address, user_agent, created_at, previous_hash, hash \
    FROM event WHERE actor_id = $1 \
    AND (CAST($2 AS TEXT) = '' OR resource = $2) AND (CAST($3 AS TEXT) = '' OR action = $3) \
    ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5";

/// The events of an actor on one thing.
pub(crate) const LIST_FOR_RESOURCE: &str = "\
    SELECT id, organization_id, sequence, actor_id, actor_email, resource, resource_id, action, \
    changes, request_id, client_address, user_agent, created_at, previous_hash, hash \
    FROM event WHERE actor_id = $1 AND resource_id = $2 \
    AND (CAST($3 AS TEXT) = '' OR resource = $3) AND (CAST($4 AS TEXT) = '' OR action = $4) \
    ORDER BY created_at DESC, id DESC LIMIT $5 OFFSET $6";

/// A piece of an organization's chain.
pub(crate) const CHAIN: &str = "\
    SELECT id, organization_id, sequence, actor_id, actor_email, resource, resource_id, action, \
    changes, request_id, client_address, user_agent, created_at, previous_hash, hash \
    FROM event WHERE organization_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";

/// Takes the next place of a chain. PostgreSQL keeps other writers from the row until the end of
/// the transaction; SQLite has one writer at a time anyway.
const LOCK: &str = "\
    UPDATE event_chain SET sequence = sequence + 1 WHERE organization_id = $1 \
    RETURNING sequence, hash";

const INSERT: &str = "\
    INSERT INTO event (id, organization_id, sequence, actor_id, actor_email, resource, \
    resource_id, action, changes, request_id, client_address, user_agent, created_at, \
    previous_hash, hash) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

const ADVANCE: &str =
    "UPDATE event_chain SET hash = $1 WHERE organization_id = $2 AND sequence = $3";

impl EventReads for SqlStore<'_> {
    fn list_events<'a>(
        &'a self,
        query: &'a EventQuery,
        offset: i64,
        limit: i64,
    ) -> PortFuture<'a, Result<Vec<Event>>> {
        Box::pin(async move {
            let mut parameters = vec![Value::from(query.actor.to_string())];
            parameters.extend(query.resource_id.as_deref().map(Value::from));
            parameters.extend([
                query.resource.map(Resource::as_str).unwrap_or_default().into(),
                query.action.map(Action::as_str).unwrap_or_default().into(),
                limit.into(),
                offset.into(),
            ]);
            let statement = if query.resource_id.is_some() { LIST_FOR_RESOURCE } else { LIST };
            let answer = self.executor.query(statement, parameters).await;
            rows::all("event", answer.map_err(unexpected(Kind::Event))?, event)
        })
    }

    fn event_chain(
        &self,
        organization: OrganizationId,
        after: i64,
        limit: i64,
    ) -> PortFuture<'_, Result<Vec<Event>>> {
        Box::pin(async move {
            let parameters = vec![organization.to_string().into(), after.into(), limit.into()];
            let answer = self.executor.query(CHAIN, parameters).await;
            rows::all("event", answer.map_err(unexpected(Kind::Event))?, event)
        })
    }
}

impl EventWrites for SqlTransaction<'_> {
    fn lock_event_chain(&self, organization: OrganizationId) -> PortFuture<'_, Result<ChainHead>> {
        Box::pin(async move {
            let answer = self.work.query(LOCK, vec![organization.to_string().into()]).await;
            let answer = answer.map_err(unexpected(Kind::Organization))?;
            let head = rows::first("chain", answer, |row| {
                // The row counts the link that is about to be added already.
                Ok(ChainHead { sequence: row.integer()? - 1, hash: row.parsed(Digest::parse)? })
            })?;
            head.ok_or_else(|| Error::not_found(Kind::Organization, organization))
        })
    }

    fn append_event<'a>(&'a self, event: &'a Event) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let inserted = self.work.execute(INSERT, parameters(event)?).await;
            inserted.map_err(unexpected(Kind::Event))?;
            let advance = vec![
                event.hash.to_string().into(),
                event.organization_id.to_string().into(),
                event.sequence.into(),
            ];
            let advanced = self.work.execute(ADVANCE, advance).await;
            match advanced.map_err(unexpected(Kind::Event))? {
                1 => Ok(()),
                _ => Err(Error::internal_fault("an event was appended to a chain not locked")),
            }
        })
    }
}

fn parameters(event: &Event) -> Result<Vec<Value>> {
    let changes: Vec<_> =
        event.changes.iter().map(|change| (&change.field, &change.before, &change.after)).collect();
    let changes = serde_json::to_string(&changes)
        .map_err(|error| Error::internal_fault(format!("changes do not become JSON: {error}")))?;
    Ok(vec![
        event.id.to_string().into(),
        event.organization_id.to_string().into(),
        event.sequence.into(),
        event.actor_id.to_string().into(),
        event.actor_email.as_str().into(),
        event.resource.as_str().into(),
        event.resource_id.as_str().into(),
        event.action.as_str().into(),
        changes.into(),
        event.request_id.as_str().into(),
        event.client_address.as_str().into(),
        event.user_agent.as_str().into(),
        event.created_at.microseconds().into(),
        event.previous_hash.to_string().into(),
        event.hash.to_string().into(),
    ])
}

fn event(row: &mut Row) -> Result<Event> {
    Ok(Event {
        id: row.parsed(EventId::parse)?,
        organization_id: row.parsed(OrganizationId::parse)?,
        sequence: row.integer()?,
        actor_id: row.parsed(UserId::parse)?,
        actor_email: row.text()?,
        resource: row.parsed(Resource::parse)?,
        resource_id: row.text()?,
        action: row.parsed(Action::parse)?,
        changes: row.parsed(changes)?,
        request_id: row.text()?,
        client_address: row.text()?,
        user_agent: row.text()?,
        created_at: row.timestamp()?,
        previous_hash: row.parsed(Digest::parse)?,
        hash: row.parsed(Digest::parse)?,
    })
}

fn changes(text: &str) -> Option<Vec<Change>> {
    let changes: Vec<(String, Option<String>, Option<String>)> = serde_json::from_str(text).ok()?;
    let change = |(field, before, after)| Change { field, before, after };
    Some(changes.into_iter().map(change).collect())
}
