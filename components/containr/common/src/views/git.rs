//! `GitProvider` and `GitRepository`.

use serde::Serialize;
use windlass_domain::git::{GitAccount, Repository};
use windlass_domain::ids::GitAccountId;

use super::{Text, Time};

/// What stands where the token would: that there is one, and nothing of it.
const MASK: &str = "********";

/// `GitProvider`.
#[derive(Serialize)]
pub struct GitProviderView<'a> {
    id: Text<GitAccountId>,
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    access_token: &'static str,
    created_at: Time,
}

impl<'a> From<&'a GitAccount> for GitProviderView<'a> {
    fn from(account: &'a GitAccount) -> Self {
        Self {
            id: Text(account.id),
            kind: account.provider.as_str(),
            name: &account.name,
            access_token: MASK,
            created_at: Time(account.created_at),
        }
    }
}

/// `GitRepository`.
#[derive(Serialize)]
pub struct GitRepositoryView<'a> {
    id: &'a str,
    name: &'a str,
    full_name: &'a str,
    description: &'a str,
    private: bool,
    default_branch: &'a str,
    clone_url: &'a str,
    web_url: &'a str,
}

impl<'a> From<&'a Repository> for GitRepositoryView<'a> {
    fn from(repository: &'a Repository) -> Self {
        Self {
            id: &repository.id,
            name: &repository.name,
            full_name: &repository.full_name,
            description: &repository.description,
            private: repository.private,
            default_branch: &repository.default_branch,
            clone_url: &repository.clone_url,
            web_url: &repository.web_url,
        }
    }
}
