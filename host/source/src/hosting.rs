//! Asking a git provider what an account may see, page by page and within bounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, StatusCode};
use url::Url;
use windlass_outbound::{Answer, Bounds, Client};

use crate::error::Error;
use crate::providers::{Addresses, Page, Provider};

/// How long a list may take in all: somebody waits for it.
const TIME: Duration = Duration::from_secs(10);
/// Pages of a list, of up to 100 repositories each.
const PAGES: usize = 10;
/// Bytes of one page. GitHub, who says the most of each repository, needs under one MiB.
const PAGE_BYTES: usize = 4 * 1_048_576;
/// Characters of each text of a repository: a thousand of the longest still fit into an instance.
const TEXT_CHARACTERS: usize = 512;

/// Opens what was sealed.
pub trait Secrets: Send + Sync {
    /// What is in an envelope that was sealed in this context. The error is for the log.
    ///
    /// # Errors
    /// When it was sealed in another one, was changed, or its key is not here.
    fn open(&self, context: &str, envelope: &str) -> Result<Vec<u8>, String>;
}

/// An account at a git provider.
#[derive(Clone, Debug)]
pub struct Account {
    /// The provider.
    pub provider: Provider,
    /// The id of the account here.
    pub id: String,
    /// Its token, sealed.
    pub token: String,
}

/// A repository, as its provider describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repository {
    /// The provider's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its name with its owner's.
    pub full_name: String,
    /// What it is for.
    pub description: String,
    /// Whether it is for members alone.
    pub private: bool,
    /// The branch that is taken when none is named.
    pub default_branch: String,
    /// Where it is cloned from.
    pub clone_url: String,
    /// Where people look at it.
    pub web_url: String,
}

/// Asks git providers.
pub struct Hosting {
    client: Client,
    secrets: Arc<dyn Secrets>,
    addresses: Addresses,
}

impl Hosting {
    /// Over a way out, a vault, and the addresses of the providers.
    pub fn new(client: Client, secrets: Arc<dyn Secrets>, addresses: Addresses) -> Self {
        Self { client, secrets, addresses }
    }

    /// The repositories an account may see, at most 1,000, until the deadline.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn repositories(
        &self,
        account: &Account,
        deadline: Instant,
    ) -> Result<Vec<Repository>, Error> {
        let provider = account.provider;
        let headers = headers(provider, &self.token(account)?)?;
        let deadline = deadline.min(Instant::now() + TIME);
        let mut url = provider.first_page(&self.addresses);
        let mut repositories = Vec::new();
        for _ in 0..PAGES {
            let time = deadline.saturating_duration_since(Instant::now());
            let bounds = Bounds { time, bytes: PAGE_BYTES };
            let answer = self.client.get(&url, headers.clone(), bounds).await?;
            check(provider, &answer)?;
            let Page { repositories: found, next } = provider.read(&answer)?;
            repositories.extend(found.into_iter().map(clipped));
            let Some(next) = next else { break };
            url = follow(provider, &url, &next)?;
        }
        Ok(repositories)
    }

    fn token(&self, account: &Account) -> Result<String, Error> {
        let context = format!("git:{}:{}", account.provider.as_str(), account.id);
        let opened = self.secrets.open(&context, &account.token).map_err(|_| {
            Error::Invalid(
                "the token of this account cannot be opened; add the account anew".into(),
            )
        })?;
        String::from_utf8(opened).map_err(|_| Error::Invalid("the token is no text".to_owned()))
    }
}

fn headers(provider: Provider, token: &str) -> Result<HeaderMap, Error> {
    let mut headers = provider.headers();
    let no_token = |_| Error::Invalid("the token has characters that no token has".to_owned());
    let mut value = HeaderValue::try_from(provider.authorization(token)).map_err(no_token)?;
    value.set_sensitive(true);
    headers.insert(http::header::AUTHORIZATION, value);
    headers.insert(http::header::USER_AGENT, HeaderValue::from_static("windlass"));
    Ok(headers)
}

/// What an answer that is no page says.
fn check(provider: Provider, answer: &Answer) -> Result<(), Error> {
    let name = provider.name();
    match answer.status {
        StatusCode::OK => Ok(()),
        StatusCode::UNAUTHORIZED => Err(Error::Denied(format!(
            "{name} refuses the access token; it may have expired or been revoked"
        ))),
        StatusCode::TOO_MANY_REQUESTS => Err(asked_too_often(name, answer)),
        StatusCode::FORBIDDEN if is_rate_limit(answer) => Err(asked_too_often(name, answer)),
        StatusCode::FORBIDDEN => Err(Error::Denied(format!(
            "{name} does not let this access token list repositories; give it the right to read them"
        ))),
        status => Err(Error::Unavailable(format!("{name} answered {}", status.as_u16()))),
    }
}

/// GitHub says 403 when it was asked too often, and more in the headers.
fn is_rate_limit(answer: &Answer) -> bool {
    let remaining = answer.headers.get("x-ratelimit-remaining");
    answer.headers.contains_key("retry-after") || remaining.is_some_and(|left| left == "0")
}

fn asked_too_often(name: &str, answer: &Answer) -> Error {
    let seconds = answer.headers.get("retry-after").and_then(|value| value.to_str().ok());
    let wait = match seconds.and_then(|text| text.parse::<u32>().ok()) {
        Some(seconds) => format!("in {seconds} seconds"),
        None => "in a while".to_owned(),
    };
    Error::Quota(format!("{name} was asked too often with this access token; try again {wait}"))
}

/// The next page, if it is where the last one was: the token goes nowhere else.
fn follow(provider: Provider, from: &Url, next: &str) -> Result<Url, Error> {
    let next = from.join(next).ok().filter(|next| next.origin() == from.origin());
    next.ok_or_else(|| {
        let name = provider.name();
        Error::Unavailable(format!("{name} names a next page that is not its own"))
    })
}

fn clipped(mut repository: Repository) -> Repository {
    for text in [
        &mut repository.id,
        &mut repository.name,
        &mut repository.full_name,
        &mut repository.description,
        &mut repository.default_branch,
        &mut repository.clone_url,
        &mut repository.web_url,
    ] {
        if let Some((end, _)) = text.char_indices().nth(TEXT_CHARACTERS) {
            text.truncate(end);
        }
    }
    repository
}
