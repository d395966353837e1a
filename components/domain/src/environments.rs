//! Environments: the places of a project's services.
//!
//! A project is born with three of them. Services go to `production` unless a surface says
//! otherwise; surfaces that show environments come later.

use crate::context::Ids;
use crate::ids::{EnvironmentId, ProjectId, Revision};
use crate::time::Timestamp;

/// The environment that services belong to where a surface knows no environments.
pub const PRODUCTION: &str = "production";

/// What every new project has, in this order.
pub const INITIAL: [(&str, Mode); 3] = [
    (PRODUCTION, Mode::Production),
    ("preview", Mode::Preview),
    ("development", Mode::Development),
];

/// What an environment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Serves users.
    Production,
    /// Shows a change before it is taken.
    Preview,
    /// Is worked in.
    Development,
}

impl Mode {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Preview => "preview",
            Self::Development => "development",
        }
    }
}

/// A place of a project's services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Unique in the project.
    pub name: String,
    /// What it is for.
    pub mode: Mode,
    /// How often it was written.
    pub revision: Revision,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The environments a new project starts with.
pub(crate) fn initial(ids: &dyn Ids, project_id: ProjectId, now: Timestamp) -> [Environment; 3] {
    INITIAL.map(|(name, mode)| Environment {
        id: EnvironmentId::from_u128(ids.fresh()),
        project_id,
        name: name.to_owned(),
        mode,
        revision: Revision::FIRST,
        created_at: now,
        updated_at: now,
    })
}
