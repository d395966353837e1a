//! A type for each kind of id, so that a project's id cannot be passed for a service's.
//!
//! Ids are UUIDs. They are read in either case of letters and always written in lower case. A
//! text that is no UUID names nothing: callers answer it exactly like an id that does not exist.

use std::fmt;

/// Reads a hyphenated UUID; anything else is `None`.
fn parse_uuid(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut value: u128 = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
        } else {
            let digit = char::from(*byte).to_digit(16)?;
            value = (value << 4) | u128::from(digit);
        }
    }
    Some(value)
}

fn write_uuid(value: u128, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        formatter,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        value >> 96,
        (value >> 80) & 0xffff,
        (value >> 64) & 0xffff,
        (value >> 48) & 0xffff,
        value & 0xffff_ffff_ffff
    )
}

macro_rules! id {
    ($name:ident, $what:literal) => {
        #[doc = concat!("The id of ", $what, ".")]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The id with these 128 bits, big-endian, as the port for fresh ids gives them.
            pub const fn from_u128(value: u128) -> Self {
                Self(value)
            }

            /// Its 128 bits.
            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// Reads the hyphenated form; `None` when the text is no UUID.
            pub fn parse(text: &str) -> Option<Self> {
                parse_uuid(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_uuid(self.0, formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id!(UserId, "a user");
id!(OrganizationId, "an organization");
id!(ProjectId, "a project");
id!(EnvironmentId, "an environment");
id!(ServiceId, "a service");
id!(DeploymentId, "a deployment, and of the workload it makes");
id!(WorkloadId, "a workload: that of the deployment or the database that made it");
id!(JobId, "a job");
id!(BuildId, "a build");
id!(DatabaseId, "a managed database");
id!(BackupId, "a backup of a database, and of its archive");
id!(OperationId, "an operation");
id!(GitAccountId, "a user's account at a git provider");
id!(EventId, "an event of the audit trail");
id!(LogId, "what writes a log: a workload or a build");

impl BuildId {
    /// The id of the build that a deployment needs: the deployment's own with another version in
    /// it, so that the logs of the two are told apart and no table has to say what belongs together.
    pub const fn of_deployment(id: DeploymentId) -> Self {
        const VERSION: u128 = 0xf << 76;
        const CUSTOM: u128 = 0x8 << 76;
        Self((id.0 & !VERSION) | CUSTOM)
    }
}

impl From<DeploymentId> for LogId {
    fn from(id: DeploymentId) -> Self {
        Self(id.0)
    }
}

impl From<BuildId> for LogId {
    fn from(id: BuildId) -> Self {
        Self(id.0)
    }
}

impl From<DatabaseId> for WorkloadId {
    fn from(DatabaseId(id): DatabaseId) -> Self {
        Self(id)
    }
}

impl From<DeploymentId> for WorkloadId {
    fn from(DeploymentId(id): DeploymentId) -> Self {
        Self(id)
    }
}

/// How often a row was written. Every update and delete carries the revision it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(i64);

impl Revision {
    /// What a new row has.
    pub const FIRST: Self = Self(1);

    /// The revision with this number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number, as it stands in an `ETag`.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_of_a_deployment_has_an_id_of_its_own() {
        let deployment = DeploymentId::parse("0190b5a4-7c3e-7d2f-8a1b-00ff12345678");
        let build = deployment.map(|id| BuildId::of_deployment(id).to_string());
        assert_eq!(build.as_deref(), Some("0190b5a4-7c3e-8d2f-8a1b-00ff12345678"));
    }

    #[test]
    fn parse_reads_uuids_and_nothing_else() {
        let check = |text: &str, expected: Option<&str>| {
            let parsed = ProjectId::parse(text).map(|id| id.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        };
        let canonical = "0190b5a4-7c3e-7d2f-8a1b-00ff12345678";
        check(canonical, Some(canonical));
        check("0190B5A4-7C3E-7D2F-8A1B-00FF12345678", Some(canonical));
        check("00000000-0000-0000-0000-000000000000", Some("00000000-0000-0000-0000-000000000000"));
        check("", None);
        check("0190b5a47c3e7d2f8a1b00ff12345678", None);
        check("0190b5a4-7c3e-7d2f-8a1b-00ff1234567", None);
        check("0190b5a4-7c3e-7d2f-8a1b-00ff1234567g", None);
        check("0190b5a4+7c3e-7d2f-8a1b-00ff12345678", None);
        check("+190b5a4-7c3e-7d2f-8a1b-00ff12345678", None);
        check("{190b5a4-7c3e-7d2f-8a1b-00ff1234567}", None);
    }
}
