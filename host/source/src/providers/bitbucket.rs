//! Bitbucket Cloud.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use url::Url;
use windlass_outbound::Answer;

use super::{Page, Provider, below};
use crate::error::Error;
use crate::hosting::Repository;

#[derive(Deserialize)]
struct Listing {
    values: Vec<Listed>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    uuid: String,
    name: String,
    full_name: String,
    description: Option<String>,
    #[serde(default)]
    is_private: bool,
    mainbranch: Option<Branch>,
    #[serde(default)]
    links: Links,
}

#[derive(Deserialize)]
struct Branch {
    name: String,
}

#[derive(Deserialize, Default)]
struct Links {
    #[serde(default)]
    clone: Vec<Link>,
    html: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
    name: Option<String>,
}

pub(super) fn first_page(base: &Url) -> Url {
    let query = [("role", "member"), ("pagelen", "100"), ("sort", "-updated_on")];
    below(base, &["2.0", "repositories"], &query)
}

/// A token stands by itself; an app password comes with the name of its user, as `user:password`.
pub(super) fn authorization(token: &str) -> String {
    match token.contains(':') {
        true => format!("Basic {}", STANDARD.encode(token)),
        false => format!("Bearer {token}"),
    }
}

pub(super) fn read(answer: &Answer) -> Result<Page, Error> {
    let listing: Listing = Provider::Bitbucket.parsed(answer)?;
    let repositories = listing.values.into_iter().map(|listed| {
        let is_https = |link: &Link| link.name.as_deref() == Some("https");
        let clone = listed.links.clone.into_iter().find(is_https);
        Repository {
            id: listed.uuid,
            name: listed.name,
            full_name: listed.full_name,
            description: listed.description.unwrap_or_default(),
            private: listed.is_private,
            default_branch: listed.mainbranch.map(|branch| branch.name).unwrap_or_default(),
            clone_url: clone.map(|link| link.href).unwrap_or_default(),
            web_url: listed.links.html.map(|link| link.href).unwrap_or_default(),
        }
    });
    Ok(Page { repositories: repositories.collect(), next: listing.next })
}
