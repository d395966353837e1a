//! What is kept of a database, and what is asked for.

use std::collections::BTreeMap;

use super::backups::Backup;
use super::engine::Engine;
use super::plan::Plan;
use crate::ids::{BackupId, DatabaseId, OrganizationId, Revision, UserId};
use crate::organizations::Role;
use crate::time::Timestamp;

/// How a database is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DatabaseStatus {
    /// It works.
    Running,
    /// It was told to stop and does not run.
    Stopped,
    /// It is being made, started, or brought back.
    Building,
    /// It does not work.
    Error,
}

impl DatabaseStatus {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Building => "building",
            Self::Error => "error",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "running" => Some(Self::Running),
            "stopped" => Some(Self::Stopped),
            "building" => Some(Self::Building),
            "error" => Some(Self::Error),
            _ => None,
        }
    }
}

/// What a database should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Desired {
    /// Running.
    Running,
    /// There, and not running.
    Stopped,
    /// Gone, with its data and backups. Nobody is shown it any more.
    Deleted,
}

impl Desired {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Deleted => "deleted",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "running" => Some(Self::Running),
            "stopped" => Some(Self::Stopped),
            "deleted" => Some(Self::Deleted),
            _ => None,
        }
    }
}

/// Who asked for something, in whose name its outcome stands in the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The user.
    pub id: UserId,
    /// The user's address at the time.
    pub email: String,
}

/// A managed database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its id, which is also its workload's.
    pub id: DatabaseId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// What people call it; unique in its organization.
    pub name: String,
    /// What kind it is.
    pub engine: Engine,
    /// The version of the engine.
    pub version: String,
    /// How much it may take.
    pub plan: Plan,
    /// Where it should be, in the words of whoever made it.
    pub region: String,
    /// What it should be.
    pub desired: Desired,
    /// How it is doing.
    pub status: DatabaseStatus,
    /// Why it does not work; empty while it does.
    pub error: String,
    /// The image, by its name.
    pub image: String,
    /// The content of the image; empty until it is known. It never changes then, so that data is
    /// always read by what wrote it.
    pub image_digest: String,
    /// Its user.
    pub username: String,
    /// The envelope of the password.
    pub password: String,
    /// The name of the logical database in it.
    pub database: String,
    /// Further variables of its environment: envelopes by name.
    pub variables: BTreeMap<String, String>,
    /// Where it is reached; empty while it does not run.
    pub address: String,
    /// The backup it is being brought back from.
    pub restoring: Option<BackupId>,
    /// Who asked for the last thing.
    pub asker: Asker,
    /// How often it was written.
    pub revision: Revision,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A database with what the rules need to judge a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseAccess {
    /// The database.
    pub database: Database,
    /// What the member may do.
    pub role: Role,
    /// The member's address.
    pub email: String,
}

/// What a member is shown of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseDetail {
    /// The database.
    pub database: Database,
    /// Its backups, newest first.
    pub backups: Vec<Backup>,
    /// How it is reached, password included; empty while it does not run, and for who may not
    /// change it.
    pub connection_url: String,
}

/// What a database is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDatabase {
    /// 1 to 100 characters after trimming.
    pub name: String,
    /// What kind it is.
    pub engine: Engine,
    /// How much it may take.
    pub plan: Plan,
    /// Where it should be; up to 64 characters.
    pub region: String,
    /// Variables of its environment. Those of the image's own that name the user, the password and
    /// the logical database decide them; without them they are made up.
    pub variables: BTreeMap<String, String>,
}

/// What to change in a database; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseChange {
    /// A new name.
    pub name: Option<String>,
    /// Another plan. One that runs is started again with it.
    pub plan: Option<Plan>,
}

/// What can be asked of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Demand {
    /// That it runs.
    Start,
    /// That it does not.
    Stop,
    /// That it is stopped and started.
    Restart,
}

impl Demand {
    /// The lower-case word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "start" => Some(Self::Start),
            "stop" => Some(Self::Stop),
            "restart" => Some(Self::Restart),
            _ => None,
        }
    }
}
