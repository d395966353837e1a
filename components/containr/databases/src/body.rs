//! The bodies that clients send, and their way into the domain's types. Words of enumerations are
//! read here, because they are this surface's; whether texts are well-formed is the domain's.

use std::collections::BTreeMap;

use serde::Deserialize;
use windlass_domain::databases::{DatabaseChange, Demand, Engine, NewDatabase, Plan};
use windlass_sdk::Refusal;
use windlass_sdk::json::present;

/// `CreateDatabaseRequest`.
#[derive(Deserialize)]
pub(crate) struct CreateDatabaseRequest {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    plan: String,
    region: String,
}

/// `UpdateDatabaseRequest`.
#[derive(Deserialize)]
pub(crate) struct UpdateDatabaseRequest {
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    plan: Option<String>,
}

/// `DatabaseActionRequest`.
#[derive(Deserialize)]
pub(crate) struct DatabaseActionRequest {
    action: String,
}

/// `DatabaseRestoreRequest`.
#[derive(Deserialize)]
pub(crate) struct DatabaseRestoreRequest {
    pub(crate) backup_id: String,
}

impl TryFrom<CreateDatabaseRequest> for NewDatabase {
    type Error = Refusal;

    fn try_from(body: CreateDatabaseRequest) -> Result<Self, Refusal> {
        let engine = Engine::parse(&body.kind).ok_or_else(|| {
            Refusal::field(
                "type",
                "must be postgresql, redis, mysql, mariadb, mongodb, clickhouse or dragonfly",
            )
        })?;
        Ok(Self {
            name: body.name,
            engine,
            plan: plan(&body.plan)?,
            region: body.region,
            variables: BTreeMap::new(),
        })
    }
}

impl TryFrom<UpdateDatabaseRequest> for DatabaseChange {
    type Error = Refusal;

    fn try_from(body: UpdateDatabaseRequest) -> Result<Self, Refusal> {
        let plan = body.plan.as_deref().map(plan).transpose()?;
        Ok(Self { name: body.name, plan })
    }
}

impl TryFrom<DatabaseActionRequest> for Demand {
    type Error = Refusal;

    fn try_from(body: DatabaseActionRequest) -> Result<Self, Refusal> {
        Self::parse(&body.action)
            .ok_or_else(|| Refusal::field("action", "must be start, stop or restart"))
    }
}

fn plan(word: &str) -> Result<Plan, Refusal> {
    Plan::parse(word)
        .ok_or_else(|| Refusal::field("plan", "must be hobby, starter, standard or business"))
}
