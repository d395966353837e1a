//! GitLab, anyone's.

use serde::Deserialize;
use url::Url;
use windlass_outbound::Answer;

use super::{Page, Provider, below, next_link};
use crate::error::Error;
use crate::hosting::Repository;

#[derive(Deserialize)]
struct Listed {
    id: u64,
    name: String,
    path_with_namespace: String,
    description: Option<String>,
    visibility: Option<String>,
    default_branch: Option<String>,
    http_url_to_repo: Option<String>,
    web_url: Option<String>,
}

pub(super) fn first_page(base: &Url) -> Url {
    let query = [("membership", "true"), ("per_page", "100"), ("order_by", "last_activity_at")];
    below(base, &["api", "v4", "projects"], &query)
}

pub(super) fn read(answer: &Answer) -> Result<Page, Error> {
    let listed: Vec<Listed> = Provider::GitLab.parsed(answer)?;
    let repositories = listed.into_iter().map(|listed| Repository {
        id: listed.id.to_string(),
        name: listed.name,
        full_name: listed.path_with_namespace,
        description: listed.description.unwrap_or_default(),
        // What does not say that everybody may see it is taken for private.
        private: listed.visibility.is_none_or(|visibility| visibility != "public"),
        default_branch: listed.default_branch.unwrap_or_default(),
        clone_url: listed.http_url_to_repo.unwrap_or_default(),
        web_url: listed.web_url.unwrap_or_default(),
    });
    Ok(Page { repositories: repositories.collect(), next: next_link(answer) })
}
