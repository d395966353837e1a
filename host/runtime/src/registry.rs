//! Components from registries that speak the OCI distribution protocol.
//!
//! A component is an artifact of one layer, as the CNCF's layout for WebAssembly has it: a manifest
//! with the configuration `application/vnd.wasm.config.v0+json` and the layer `application/wasm`. The
//! names of layers that tools wrote before there was that layout are read too. What is no component is
//! told from it by its manifest, before any content is fetched.
//!
//! No credentials are sent. A registry that hands out tokens to everybody is asked for one.

mod manifest;
mod name;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use url::Url;
use windlass_outbound::{Answer, Bounds, Client};

use crate::driver::Error;
use crate::images::Registry;
use manifest::{Content, Descriptor};
use name::Name;

/// Bytes of a manifest: what the protocol says that registries take.
const MANIFEST_BYTES: usize = 4 * 1_048_576;
/// Bytes of a component: what can be pushed to a host directly is about as much.
const COMPONENT_BYTES: u64 = 192 * 1_048_576;
/// Bytes of an answer with a token.
const TOKEN_BYTES: usize = 64 * 1_024;
/// Time of everything but content.
const QUESTION_TIME: Duration = Duration::from_secs(30);
/// Time of content. A deployment has half an hour.
const CONTENT_TIME: Duration = Duration::from_secs(300);
/// Images fetched at the same time: each is whole in memory for a moment.
const FETCHED_TOGETHER: usize = 3;

/// Fetches components from registries.
pub struct OciRegistry {
    client: Client,
    places: Semaphore,
}

impl OciRegistry {
    /// By a way out.
    pub fn new(client: Client) -> Self {
        Self { client, places: Semaphore::new(FETCHED_TOGETHER) }
    }

    async fn component(&self, text: &str) -> Result<Bytes, Error> {
        let name = Name::parse(text).map_err(Error::Invalid)?;
        let _place = self.places.acquire().await.map_err(|_| {
            Error::Unavailable("the host is stopping; nothing is fetched any more".to_owned())
        })?;
        let mut session = Session { client: &self.client, name: &name, text, token: None };
        let layer = session.layer().await?;
        session.content(&layer).await
    }
}

impl Registry for OciRegistry {
    fn fetch<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send + 'a>> {
        Box::pin(self.component(name))
    }
}

/// One image being fetched.
struct Session<'a> {
    client: &'a Client,
    name: &'a Name,
    /// The name, as the tenant wrote it.
    text: &'a str,
    token: Option<HeaderValue>,
}

impl Session<'_> {
    /// The layer that is the component.
    async fn layer(&mut self) -> Result<Descriptor, Error> {
        let mut reference = self.name.reference.clone();
        // A list of manifests, and then the one of it that is for components.
        for _ in 0..2 {
            let body = self.manifest(&reference).await?;
            match manifest::read(&body) {
                Some(Content::Component(layer)) => return Ok(layer),
                Some(Content::Listed(digest)) => reference = digest,
                Some(Content::Container) => {
                    return Err(Error::Invalid(format!(
                        "{} is an image of a container and no WebAssembly component",
                        self.text
                    )));
                }
                None => break,
            }
        }
        Err(Error::Invalid(format!(
            "{} has a manifest that says nothing of a component",
            self.text
        )))
    }

    async fn manifest(&mut self, reference: &str) -> Result<Bytes, Error> {
        let url = self.name.url(&format!("manifests/{reference}")).map_err(Error::Invalid)?;
        let mut headers = HeaderMap::new();
        for kind in manifest::KINDS {
            headers.append(header::ACCEPT, HeaderValue::from_static(kind));
        }
        let bounds = Bounds { time: QUESTION_TIME, bytes: MANIFEST_BYTES };
        let answer = self.ask(&url, headers, bounds).await?;
        // A manifest that is named by its content must have it.
        if reference.starts_with("sha256:") && digest(&answer.body) != reference {
            return Err(self.mixed_up());
        }
        Ok(answer.body)
    }

    async fn content(&mut self, layer: &Descriptor) -> Result<Bytes, Error> {
        if layer.size > COMPONENT_BYTES {
            return Err(Error::Invalid(format!(
                "{} has {} bytes, and a component has {COMPONENT_BYTES} at the most",
                self.text, layer.size
            )));
        }
        let url = self.name.url(&format!("blobs/{}", layer.digest)).map_err(Error::Invalid)?;
        let bytes = usize::try_from(layer.size).unwrap_or(usize::MAX);
        let bounds = Bounds { time: CONTENT_TIME, bytes };
        let content = self.ask(&url, HeaderMap::new(), bounds).await?.body;
        if digest(&content) != layer.digest { Err(self.mixed_up()) } else { Ok(content) }
    }

    /// Asks for something, a second time with a token when the registry wants one.
    async fn ask(
        &mut self,
        url: &Url,
        headers: HeaderMap,
        bounds: Bounds,
    ) -> Result<Answer, Error> {
        for _ in 0..2 {
            let mut headers = headers.clone();
            if let Some(token) = &self.token {
                headers.insert(header::AUTHORIZATION, token.clone());
            }
            let answer = self
                .client
                .get(url, headers, bounds)
                .await
                .map_err(|error| self.unreached(&error))?;
            if answer.status != StatusCode::UNAUTHORIZED || self.token.is_some() {
                return self.judged(answer);
            }
            self.token = Some(self.token(&answer).await?);
        }
        Err(self.wants_credentials())
    }

    fn judged(&self, answer: Answer) -> Result<Answer, Error> {
        let registry = &self.name.registry;
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_FOUND => Err(Error::NotFound(format!(
                "there is no image {} at {registry}; push it there, or name another",
                self.text
            ))),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.wants_credentials()),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(Error::Unavailable(format!("{registry} was asked too often")))
            }
            status => Err(Error::Unavailable(format!("{registry} answered {}", status.as_u16()))),
        }
    }

    /// A token for everybody, from where the registry says.
    async fn token(&self, refusal: &Answer) -> Result<HeaderValue, Error> {
        let challenge = refusal.headers.get(header::WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let url = realm(challenge).ok_or_else(|| self.wants_credentials())?;
        let bounds = Bounds { time: QUESTION_TIME, bytes: TOKEN_BYTES };
        let answer = self
            .client
            .get(&url, HeaderMap::new(), bounds)
            .await
            .map_err(|error| self.unreached(&error))?;
        if answer.status != StatusCode::OK {
            return Err(self.wants_credentials());
        }
        let token: Option<Token> = serde_json::from_slice(&answer.body).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        let value = token.and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok());
        let mut value = value.ok_or_else(|| self.wants_credentials())?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn wants_credentials(&self) -> Error {
        Error::Invalid(format!(
            "{} gives {} to nobody without credentials, and this host has none; make it public",
            self.name.registry, self.text
        ))
    }

    fn unreached(&self, error: &windlass_outbound::Error) -> Error {
        let text = format!("{} cannot be fetched: {error}", self.text);
        if error.is_passing() { Error::Unavailable(text) } else { Error::Invalid(text) }
    }

    fn mixed_up(&self) -> Error {
        let registry = &self.name.registry;
        Error::Unavailable(format!(
            "{registry} answered other content for {} than it named",
            self.text
        ))
    }
}

#[derive(serde::Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Where a challenge sends us: `Bearer realm="...",service="...",scope="..."`.
fn realm(challenge: &str) -> Option<Url> {
    let parameters = challenge.strip_prefix("Bearer ").or(challenge.strip_prefix("bearer "))?;
    let value = |name: &str| {
        let (_, rest) = parameters.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let mut url: Url = value("realm")?.parse().ok()?;
    for name in ["service", "scope"] {
        if let Some(value) = value(name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Some(url)
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}
