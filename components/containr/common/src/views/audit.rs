//! `AuditLog` and `AuditLogListResponse`.

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};
use windlass_domain::events::{Change, Event};
use windlass_domain::ids::{EventId, UserId};

use super::{Text, Time};

/// `AuditLog`.
#[derive(Serialize)]
pub struct AuditLogView<'a> {
    id: Text<EventId>,
    user_id: Text<UserId>,
    user_email: &'a str,
    resource: &'a str,
    resource_id: &'a str,
    action: &'a str,
    details: Details<'a>,
    ip_address: &'a str,
    user_agent: &'a str,
    created_at: Time,
}

impl<'a> From<&'a Event> for AuditLogView<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            id: Text(event.id),
            user_id: Text(event.actor_id),
            user_email: &event.actor_email,
            resource: event.resource.as_str(),
            resource_id: &event.resource_id,
            action: event.action.as_str(),
            details: Details(&event.changes),
            ip_address: &event.client_address,
            user_agent: &event.user_agent,
            created_at: Time(event.created_at),
        }
    }
}

/// `AuditLogListResponse`.
#[derive(Serialize)]
pub struct AuditLogListView<'a> {
    audit_logs: Vec<AuditLogView<'a>>,
}

impl<'a> From<&'a [Event]> for AuditLogListView<'a> {
    fn from(events: &'a [Event]) -> Self {
        Self { audit_logs: events.iter().map(AuditLogView::from).collect() }
    }
}

/// The changes as a JSON document inside of a text, which is what the schema asks for:
/// `{"name": {"before": "a", "after": "b"}}`, without `before` for what was made and without
/// `after` for what was deleted.
struct Details<'a>(&'a [Change]);

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(&Changes(self.0)).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }
}

struct Changes<'a>(&'a [Change]);

impl Serialize for Changes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for change in self.0 {
            map.serialize_entry(&change.field, &ChangeView::from(change))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct ChangeView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
}

impl<'a> From<&'a Change> for ChangeView<'a> {
    fn from(change: &'a Change) -> Self {
        Self { before: change.before.as_deref(), after: change.after.as_deref() }
    }
}
