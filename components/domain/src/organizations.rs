//! Organizations: what owns projects and who may do what in them.
//!
//! Every user has a personal one, made with the account. Creating further ones and inviting
//! members is not offered yet.

use crate::ids::{OrganizationId, Revision, UserId};
use crate::time::Timestamp;

/// What owns projects and has members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// The user whose personal organization this is.
    pub personal_of: Option<UserId>,
    /// How often it was written.
    pub revision: Revision,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything, deleting included.
    Owner,
    /// Everything but deleting projects.
    Admin,
    /// Changes projects and their services.
    Developer,
    /// Reads.
    Viewer,
}

impl Role {
    /// The lower-case word for it, as it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "owner" => Some(Self::Owner),
            "admin" => Some(Self::Admin),
            "developer" => Some(Self::Developer),
            "viewer" => Some(Self::Viewer),
            _ => None,
        }
    }

    /// Whether it may change projects and their services.
    pub const fn may_write(self) -> bool {
        match self {
            Self::Owner | Self::Admin | Self::Developer => true,
            Self::Viewer => false,
        }
    }

    /// Whether it may delete projects.
    pub const fn may_delete_projects(self) -> bool {
        match self {
            Self::Owner => true,
            Self::Admin | Self::Developer | Self::Viewer => false,
        }
    }
}

/// That a user belongs to an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Where.
    pub organization_id: OrganizationId,
    /// Who.
    pub user_id: UserId,
    /// As what.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
}
