//! The git providers there are, each with its own words.

mod bitbucket;
mod github;
mod gitlab;

use http::HeaderMap;
use serde::de::DeserializeOwned;
use url::Url;
use windlass_outbound::Answer;

use crate::error::Error;
use crate::hosting::Repository;

/// A git provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// GitHub, or GitHub Enterprise.
    GitHub,
    /// GitLab, anyone's.
    GitLab,
    /// Bitbucket Cloud.
    Bitbucket,
}

/// Where the providers are.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The API of GitHub, such as `https://api.github.com` or `https://github.example.com/api/v3`.
    pub github: Url,
    /// GitLab itself, such as `https://gitlab.com`.
    pub gitlab: Url,
    /// The API of Bitbucket, such as `https://api.bitbucket.org`.
    pub bitbucket: Url,
}

/// A part of a list.
pub(crate) struct Page {
    pub(crate) repositories: Vec<Repository>,
    /// The address of the next part, as the provider wrote it.
    pub(crate) next: Option<String>,
}

impl Provider {
    /// Reads the word; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "github" => Some(Self::GitHub),
            "gitlab" => Some(Self::GitLab),
            "bitbucket" => Some(Self::Bitbucket),
            _ => None,
        }
    }

    /// The lower-case word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Bitbucket => "bitbucket",
        }
    }

    /// What it calls itself.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Bitbucket => "Bitbucket",
        }
    }

    /// Where a list of repositories begins.
    pub(crate) fn first_page(self, addresses: &Addresses) -> Url {
        match self {
            Self::GitHub => github::first_page(&addresses.github),
            Self::GitLab => gitlab::first_page(&addresses.gitlab),
            Self::Bitbucket => bitbucket::first_page(&addresses.bitbucket),
        }
    }

    /// What it wants beside the token.
    pub(crate) fn headers(self) -> HeaderMap {
        match self {
            Self::GitHub => github::headers(),
            Self::GitLab | Self::Bitbucket => HeaderMap::new(),
        }
    }

    /// How it takes a token.
    pub(crate) fn authorization(self, token: &str) -> String {
        match self {
            Self::GitHub | Self::GitLab => format!("Bearer {token}"),
            Self::Bitbucket => bitbucket::authorization(token),
        }
    }

    /// Reads a part of a list.
    pub(crate) fn read(self, answer: &Answer) -> Result<Page, Error> {
        match self {
            Self::GitHub => github::read(answer),
            Self::GitLab => gitlab::read(answer),
            Self::Bitbucket => bitbucket::read(answer),
        }
    }

    fn parsed<T: DeserializeOwned>(self, answer: &Answer) -> Result<T, Error> {
        serde_json::from_slice(&answer.body).map_err(|_| {
            let name = self.name();
            Error::Unavailable(format!("{name} answered something that is no list of repositories"))
        })
    }
}

/// An address below another, whether or not that ends with a slash.
fn below(base: &Url, path: &[&str], query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    let joined = format!("{}/{}", base.path().trim_end_matches('/'), path.join("/"));
    url.set_path(&joined);
    url.query_pairs_mut().clear().extend_pairs(query);
    url
}

/// The next page in the headers `Link` (RFC 8288).
fn next_link(answer: &Answer) -> Option<String> {
    let links = answer.headers.get_all(http::header::LINK).iter();
    let links = links.filter_map(|value| value.to_str().ok());
    links.flat_map(|value| value.split(',')).find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters
            .split(';')
            .any(|parameter| matches!(parameter.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| address.to_owned())
    })
}
