//! Images of containers: found on this machine, or fetched from their registry beside whoever asks.
//!
//! An image is kept by a name and a digest. The digest is the registry's where there is one, so that
//! it can be fetched again after somebody cleared the machine; an image that was made here has its
//! own id there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptions;
use futures::StreamExt;

use super::client::Client;
use super::reference::{Reference, Version};
use crate::driver::Error;
use crate::images::Image;

/// Images being fetched at one time.
const FETCHED_TOGETHER: usize = 16;
/// How long one image may take: gigabytes over a slow line.
const FETCH_TIME: Duration = Duration::from_secs(20 * 60);

/// What is being fetched, and what came of it.
#[derive(Default)]
pub(super) struct Fetches(Mutex<HashMap<String, Fetch>>);

enum Fetch {
    Running,
    Ended(Result<(), Error>),
}

/// Finds an image by its name; `None` while it is being fetched.
pub(super) async fn resolve(
    client: &Arc<Client>,
    fetches: &Arc<Fetches>,
    name: &str,
) -> Result<Option<Image>, Error> {
    let reference = Reference::parse(name)?;
    let local = find(client, &reference).await?;
    // What a tag means now only its registry can say. What was made here is in none.
    if let Some(local) = &local
        && (matches!(reference.version, Version::Digest(_)) || was_made_here(local, &reference))
    {
        return image(local, &reference).map(Some);
    }
    match fetches.ask(client, &reference)? {
        None => Ok(None),
        Some(fetched) => {
            fetched?;
            let fetched = find(client, &reference).await?.ok_or_else(|| missing(&reference))?;
            image(&fetched, &reference).map(Some)
        }
    }
}

/// Whether an image of this name was made here, so that no registry has it.
pub(super) async fn has_made(client: &Client, name: &str) -> Result<bool, Error> {
    let reference = Reference::parse(name)?;
    let found = find(client, &reference).await?;
    Ok(found.is_some_and(|found| was_made_here(&found, &reference)))
}

/// What is here of an image that a workload names by its digest. `Unavailable` while it is fetched
/// again, because somebody cleared the machine.
pub(super) async fn kept(
    client: &Arc<Client>,
    fetches: &Arc<Fetches>,
    digest: &str,
) -> Result<ImageInspect, Error> {
    let reference = Reference::parse(digest)?;
    if let Some(found) = inspect(client, &reference.full()).await? {
        return Ok(found);
    }
    if let Version::Digest(id) = &reference.version
        && let Some(found) = inspect(client, id).await?
    {
        return Ok(found);
    }
    match fetches.ask(client, &reference)? {
        Some(Ok(())) | None => {
            Err(Error::Unavailable(format!("the image {digest} is being fetched again")))
        }
        Some(Err(error)) => Err(error),
    }
}

async fn find(client: &Client, reference: &Reference) -> Result<Option<ImageInspect>, Error> {
    let found = inspect(client, &reference.full()).await?;
    // The engine also takes the beginning of an id for a name, which is nobody's to guess.
    let is_meant = |found: &ImageInspect| match &reference.version {
        Version::Tag(_) => found.repo_tags.iter().flatten().any(|tag| reference.is(tag)),
        Version::Digest(_) => true,
    };
    Ok(found.filter(is_meant))
}

async fn inspect(client: &Client, name: &str) -> Result<Option<ImageInspect>, Error> {
    client.find(async |docker| docker.inspect_image(name).await).await
}

fn was_made_here(found: &ImageInspect, reference: &Reference) -> bool {
    !found.repo_digests.iter().flatten().any(|digest| reference.has_digest(digest))
}

fn image(found: &ImageInspect, reference: &Reference) -> Result<Image, Error> {
    let in_registry = found
        .repo_digests
        .iter()
        .flatten()
        .filter(|digest| reference.has_digest(digest))
        .find_map(|digest| digest.split_once('@').map(|(_, digest)| digest.to_owned()));
    let digest = match &reference.version {
        Version::Digest(digest) => Some(digest.clone()),
        Version::Tag(_) => in_registry.or_else(|| found.id.clone()),
    };
    let digest = digest.ok_or_else(|| missing(reference))?;
    let size_bytes = u64::try_from(found.size.unwrap_or_default()).unwrap_or_default();
    Ok(Image { digest: format!("{}@{digest}", reference.name), size_bytes })
}

fn missing(reference: &Reference) -> Error {
    Error::NotFound(format!("there is no image {}", reference.full()))
}

impl Fetches {
    /// What came of fetching this; `None` while it goes on. Begins where nobody did.
    fn ask(
        self: &Arc<Self>,
        client: &Arc<Client>,
        reference: &Reference,
    ) -> Result<Option<Result<(), Error>>, Error> {
        let name = reference.full();
        let mut running = self.lock();
        match running.remove(&name) {
            Some(Fetch::Ended(ended)) => return Ok(Some(ended)),
            Some(Fetch::Running) => {
                running.insert(name, Fetch::Running);
                return Ok(None);
            }
            None => {}
        }
        if running.len() >= FETCHED_TOGETHER {
            // What ended and was never asked for again gives way.
            running.retain(|_, fetch| matches!(fetch, Fetch::Running));
        }
        if running.len() >= FETCHED_TOGETHER {
            return Err(Error::Unavailable("too many images are being fetched at once".to_owned()));
        }
        running.insert(name.clone(), Fetch::Running);
        drop(running);
        let (fetches, client, reference) =
            (Arc::clone(self), Arc::clone(client), reference.clone());
        tokio::spawn(async move {
            let ended = match tokio::time::timeout(FETCH_TIME, fetch(&client, &reference)).await {
                Ok(ended) => ended,
                Err(_) => {
                    let minutes = FETCH_TIME.as_secs() / 60;
                    Err(Error::Unavailable(format!("{name} was not here after {minutes} minutes")))
                }
            };
            fetches.lock().insert(name, Fetch::Ended(ended));
        });
        Ok(None)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Fetch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetch(client: &Client, reference: &Reference) -> Result<(), Error> {
    let docker = client.docker().await?;
    let options = match &reference.version {
        Version::Tag(tag) => CreateImageOptions {
            from_image: Some(reference.name.clone()),
            tag: Some(tag.clone()),
            ..CreateImageOptions::default()
        },
        Version::Digest(_) => CreateImageOptions {
            from_image: Some(reference.full()),
            ..CreateImageOptions::default()
        },
    };
    let mut progress = docker.create_image(Some(options), None, None);
    while let Some(step) = progress.next().await {
        let said = match step {
            Ok(step) => step.error_detail.and_then(|error| error.message),
            Err(bollard::errors::Error::DockerResponseServerError { message, .. }) => Some(message),
            Err(bollard::errors::Error::DockerStreamError { error }) => Some(error),
            Err(error) => return Err(client.words(error)),
        };
        if let Some(said) = said {
            return Err(refused(reference, &said));
        }
    }
    Ok(())
}

/// What a registry says, for the tenant. Registries answer one who may not read an image as if there
/// were none, so that the two are one here too.
fn refused(reference: &Reference, said: &str) -> Error {
    let (name, registry) = (reference.full(), reference.registry());
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["not found", "manifest unknown", "does not exist", "name unknown"]) {
        Error::NotFound(format!("there is no image {name}"))
    } else if says(&["denied", "unauthorized", "authentication required", "forbidden"]) {
        Error::Invalid(format!(
            "{registry} does not give out {name}: it is not public, or does not exist"
        ))
    } else if says(&["no matching manifest"]) {
        Error::Invalid(format!("{name} was not made for the processor of this host"))
    } else if says(&["no space left"]) {
        Error::Quota("the disk of this host is full".to_owned())
    } else {
        // Addresses and certificates of the operator's network are for the log.
        tracing::warn!(image = name, "not fetched: {said}");
        Error::Unavailable(format!("{registry} cannot be reached for {name}"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn found(tags: &[&str], digests: &[&str]) -> ImageInspect {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        ImageInspect {
            id: Some("sha256:1d".to_owned()),
            repo_tags: Some(owned(tags)),
            repo_digests: Some(owned(digests)),
            size: Some(1_000),
            ..ImageInspect::default()
        }
    }

    #[test]
    fn an_image_is_kept_by_what_finds_it_again() {
        let check = |digests: &[&str], expected: &str| {
            let reference = Reference::parse("r.test/shop:1").unwrap();
            let kept = image(&found(&["r.test/shop:1"], digests), &reference).unwrap();
            assert_eq!(kept, Image { digest: expected.to_owned(), size_bytes: 1_000 });
        };
        check(&[], "r.test/shop@sha256:1d");
        check(&["other/shop@sha256:aa"], "r.test/shop@sha256:1d");
        check(&["other/shop@sha256:aa", "r.test/shop@sha256:bb"], "r.test/shop@sha256:bb");
    }

    #[test]
    fn what_registries_say_is_said_in_words_for_the_tenant() {
        let reference = Reference::parse("r.test:5000/shop:1").unwrap();
        let check = |said: &str, expected: &str| {
            let refused = format!("{:?}", refused(&reference, said));
            assert!(refused.contains(expected), "{said}: {refused}");
        };
        check("manifest for r.test/shop:1 not found: manifest unknown", "NotFound");
        check("pull access denied for shop, repository does not exist", "NotFound");
        check("unauthorized: authentication required", "is not public");
        check("no matching manifest for linux/arm64", "processor");
        check("dial tcp 10.0.0.1:5000: connect: connection refused", "cannot be reached");
    }
}
