//! GitHub, and GitHub Enterprise.

use http::{HeaderMap, HeaderValue};
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
    full_name: String,
    description: Option<String>,
    #[serde(default)]
    private: bool,
    default_branch: Option<String>,
    clone_url: Option<String>,
    html_url: Option<String>,
}

pub(super) fn first_page(base: &Url) -> Url {
    below(base, &["user", "repos"], &[("per_page", "100"), ("sort", "updated")])
}

pub(super) fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let accept = HeaderValue::from_static("application/vnd.github+json");
    headers.insert(http::header::ACCEPT, accept);
    headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
    headers
}

pub(super) fn read(answer: &Answer) -> Result<Page, Error> {
    let listed: Vec<Listed> = Provider::GitHub.parsed(answer)?;
    let repositories = listed.into_iter().map(|listed| Repository {
        id: listed.id.to_string(),
        name: listed.name,
        full_name: listed.full_name,
        description: listed.description.unwrap_or_default(),
        private: listed.private,
        default_branch: listed.default_branch.unwrap_or_default(),
        clone_url: listed.clone_url.unwrap_or_default(),
        web_url: listed.html_url.unwrap_or_default(),
    });
    Ok(Page { repositories: repositories.collect(), next: next_link(answer) })
}
