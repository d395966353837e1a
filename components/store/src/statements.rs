//! The reading statements by name, for whoever checks how a database carries them out.

/// Every statement that reads outside of transactions: what it is for, and its text.
pub const READS: &[(&str, &str)] = &[
    ("users account", crate::users::ACCOUNT),
    ("users account by email", crate::users::ACCOUNT_BY_EMAIL),
    ("projects list", crate::projects::LIST),
    ("projects search", crate::projects::SEARCH),
    ("projects count", crate::projects::COUNT),
    ("projects count search", crate::projects::COUNT_SEARCH),
    ("projects view", crate::projects::VIEW),
    ("services list", crate::services::LIST),
    ("services list after", crate::services::LIST_AFTER),
    ("services view", crate::services::VIEW),
    ("deployments list", crate::deployments::LIST),
    ("deployments view", crate::deployments::VIEW),
    ("deployments to carry out", crate::deployments::CARRY_OUT),
    ("deployments log", crate::deployments::LOG),
    ("deployments host name", crate::deployments::HOSTNAME),
    ("operations claimable", crate::operations::CLAIMABLE),
    ("operations next due", crate::operations::NEXT_DUE),
    ("operations live services", crate::operations::LIVE_SERVICES),
    ("operations unfinished", crate::operations::OPEN),
    ("git accounts list", crate::git::LIST),
    ("git accounts view", crate::git::VIEW),
    ("events list", crate::events::LIST),
    ("events list for resource", crate::events::LIST_FOR_RESOURCE),
    ("events chain", crate::events::CHAIN),
];
