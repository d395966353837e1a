//! Git providers, as this surface calls a user's accounts at them.

use containr_common::Result;
use containr_common::views::{GitProviderView, GitRepositoryView};
use serde::Deserialize;
use windlass_domain::git::{self, GitProvider, NewGitAccount};
use windlass_sdk::json::present;
use windlass_sdk::{Call, Refusal, Response, StatusCode};

/// `GET /api/v1/git/providers`.
pub(crate) async fn list(call: Call<'_>) -> Result<Response> {
    let accounts = git::list(call.context).await?;
    let views: Vec<_> = accounts.iter().map(GitProviderView::from).collect();
    Ok(Response::json(StatusCode::OK, &views))
}

/// `CreateGitProviderRequest`.
#[derive(Deserialize)]
struct CreateGitProviderRequest {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "present")]
    name: Option<String>,
    access_token: String,
}

/// `POST /api/v1/git/providers`.
pub(crate) async fn create(call: Call<'_>) -> Result<Response> {
    let body: CreateGitProviderRequest = call.request.json()?;
    let provider = GitProvider::parse(&body.kind)
        .ok_or_else(|| Refusal::field("type", "must be github, gitlab or bitbucket"))?;
    let name = body.name.unwrap_or_default();
    let new_account = NewGitAccount { provider, name, token: body.access_token };
    let account = git::create(call.context, new_account).await?;
    Ok(Response::json(StatusCode::CREATED, &GitProviderView::from(&account)))
}

/// `GET /api/v1/git/providers/{providerId}/repositories`.
pub(crate) async fn repositories(call: Call<'_>) -> Result<Response> {
    let id = call.parameter("providerId");
    let found = git::repositories(call.context, call.ports.hosting, id).await?;
    let views: Vec<_> = found.iter().map(GitRepositoryView::from).collect();
    Ok(Response::json(StatusCode::OK, &views))
}
