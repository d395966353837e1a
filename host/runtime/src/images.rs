//! From the name of an image to its content.
//!
//! Images pushed to this host are named `local/<name>:<tag>`. Every other name is one of a
//! registry. Content is kept by its digest, so that a release can be returned to after its tag has
//! moved, and is fetched once however often it is asked for.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::driver::Error;

/// What names of images pushed to this host begin with.
pub const LOCAL: &str = "local/";
/// Names being fetched at one time.
const FETCHED_TOGETHER: usize = 64;

/// An image whose content is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `sha256:` and 64 hexadecimal digits; of a container's image, after its name and `@`.
    pub digest: String,
    /// Its size, in bytes.
    pub size_bytes: u64,
}

/// What is answered later. The error is a sentence for the operator.
pub type ImageFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Where the content of images is kept.
pub trait ImageStore: Send + Sync {
    /// The image that this local name means now.
    fn find<'a>(&'a self, name: &'a str) -> ImageFuture<'a, Option<Image>>;
    /// The content with this digest.
    fn read<'a>(&'a self, digest: &'a str) -> ImageFuture<'a, Option<Bytes>>;
    /// Keeps content, and makes a local name mean it.
    fn save<'a>(
        &'a self,
        name: Option<&'a str>,
        image: &'a Image,
        content: Bytes,
    ) -> ImageFuture<'a, ()>;
}

/// Fetches images from where their names say.
pub trait Registry: Send + Sync {
    /// The content that this name means now.
    fn fetch<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send + 'a>>;
}

/// Finds images.
pub struct Images {
    store: Arc<dyn ImageStore>,
    registry: Option<Arc<dyn Registry>>,
    fetches: Mutex<HashMap<String, Fetch>>,
}

enum Fetch {
    Running,
    Ended(Result<Image, Error>),
}

impl Images {
    /// Images kept in `store`, and fetched from a registry where there is one.
    pub fn new(store: Arc<dyn ImageStore>, registry: Option<Arc<dyn Registry>>) -> Arc<Self> {
        Arc::new(Self { store, registry, fetches: Mutex::default() })
    }

    /// Finds the content of an image by its name; `None` while it is being fetched.
    ///
    /// # Errors
    /// `NotFound`, `Invalid`; `Unavailable` when the store or the registry does not answer.
    pub async fn resolve(self: &Arc<Self>, name: &str) -> Result<Option<Image>, Error> {
        if let Some(local) = name.strip_prefix(LOCAL) {
            let found = self.store.find(local).await.map_err(Error::Unavailable)?;
            let missing = || {
                Error::NotFound(format!(
                    "there is no image {name} on this host; push one with `windlass images push`"
                ))
            };
            return found.map(Some).ok_or_else(missing);
        }
        let Some(registry) = &self.registry else {
            return Err(Error::Invalid(format!(
                "{name} is an image of a registry, and this host reaches none; push a component \
                 with `windlass images push` and name it {LOCAL}<name>:<tag>"
            )));
        };
        let mut fetches = self.fetches();
        match fetches.remove(name) {
            Some(Fetch::Ended(ended)) => return ended.map(Some),
            Some(Fetch::Running) => {
                fetches.insert(name.to_owned(), Fetch::Running);
                return Ok(None);
            }
            None if is_full(&mut fetches) => {
                return Err(Error::Quota("too many images are being fetched at once".to_owned()));
            }
            None => fetches.insert(name.to_owned(), Fetch::Running),
        };
        drop(fetches);
        let (images, registry, name) = (Arc::clone(self), Arc::clone(registry), name.to_owned());
        tokio::spawn(async move {
            let ended = images.fetch(&*registry, &name).await;
            images.fetches().insert(name, Fetch::Ended(ended));
        });
        Ok(None)
    }

    /// The content of an image.
    ///
    /// # Errors
    /// `NotFound` when it is not kept; `Unavailable` when the store does not answer.
    pub async fn content(&self, digest: &str) -> Result<Bytes, Error> {
        let found = self.store.read(digest).await.map_err(Error::Unavailable)?;
        found.ok_or_else(|| Error::NotFound(format!("the content {digest} is not kept any more")))
    }

    /// Keeps a component under a local name.
    ///
    /// # Errors
    /// `Invalid` for a name or content that cannot be one; `Unavailable` when it cannot be kept.
    pub async fn push(&self, name: &str, content: Bytes) -> Result<Image, Error> {
        let name = name.strip_prefix(LOCAL).unwrap_or(name);
        if !is_name(name) {
            return Err(Error::Invalid(format!(
                "{name:?} is no name of an image: use <name>:<tag> of letters, digits and ._-/"
            )));
        }
        check_component(&content)?;
        let image = image(&content);
        let saved = self.store.save(Some(name), &image, content).await;
        saved.map_err(Error::Unavailable)?;
        Ok(image)
    }

    /// Keeps a component that is known by its content alone.
    ///
    /// # Errors
    /// `Invalid` for what is none; `Unavailable` when it cannot be kept.
    pub(crate) async fn keep(&self, content: Bytes) -> Result<Image, Error> {
        check_component(&content)?;
        let image = image(&content);
        let saved = self.store.save(None, &image, content).await;
        saved.map_err(Error::Unavailable)?;
        Ok(image)
    }

    async fn fetch(&self, registry: &dyn Registry, name: &str) -> Result<Image, Error> {
        self.keep(registry.fetch(name).await?).await
    }

    fn fetches(&self) -> std::sync::MutexGuard<'_, HashMap<String, Fetch>> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is no place for another fetch. What ended and was never asked for gives way.
fn is_full(fetches: &mut HashMap<String, Fetch>) -> bool {
    if fetches.len() >= FETCHED_TOGETHER {
        fetches.retain(|_, fetch| matches!(fetch, Fetch::Running));
    }
    fetches.len() >= FETCHED_TOGETHER
}

fn image(content: &[u8]) -> Image {
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(content)));
    Image { digest, size_bytes: content.len() as u64 }
}

/// What can be said before anything is compiled.
fn check_component(content: &[u8]) -> Result<(), Error> {
    if content.starts_with(b"\0asm\x0d\0\x01\0") {
        return Ok(());
    }
    let reason = if content.starts_with(b"\0asm") {
        "it is a core module and no component; build it for wasm32-wasip2"
    } else {
        "it is no WebAssembly component"
    };
    Err(Error::Invalid(reason.to_owned()))
}

/// `^[A-Za-z0-9][A-Za-z0-9._/-]*:[A-Za-z0-9._-]+$` of at most 200 characters.
fn is_name(name: &str) -> bool {
    let is_word = |text: &str, more: &[u8]| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    name.len() <= 200
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .split_once(':')
            .is_some_and(|(name, tag)| is_word(name, b"._/-") && is_word(tag, b"._-"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0content";

    /// Names and content, in memory.
    #[derive(Default)]
    struct Memory(Mutex<(HashMap<String, Image>, HashMap<String, Bytes>)>);

    impl ImageStore for Memory {
        fn find<'a>(&'a self, name: &'a str) -> ImageFuture<'a, Option<Image>> {
            Box::pin(async move { Ok(self.0.lock().unwrap().0.get(name).cloned()) })
        }

        fn read<'a>(&'a self, digest: &'a str) -> ImageFuture<'a, Option<Bytes>> {
            Box::pin(async move { Ok(self.0.lock().unwrap().1.get(digest).cloned()) })
        }

        fn save<'a>(
            &'a self,
            name: Option<&'a str>,
            image: &'a Image,
            content: Bytes,
        ) -> ImageFuture<'a, ()> {
            let mut kept = self.0.lock().unwrap();
            kept.1.insert(image.digest.clone(), content);
            if let Some(name) = name {
                kept.0.insert(name.to_owned(), image.clone());
            }
            Box::pin(async { Ok(()) })
        }
    }

    /// Has one image.
    struct OneImage;

    impl Registry for OneImage {
        fn fetch<'a>(
            &'a self,
            name: &'a str,
        ) -> Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send + 'a>> {
            Box::pin(async move {
                match name {
                    "registry.test/shop:1" => Ok(Bytes::from_static(COMPONENT)),
                    _ => Err(Error::NotFound(format!("there is no image {name}"))),
                }
            })
        }
    }

    #[tokio::test]
    async fn a_pushed_image_is_found_by_its_name_and_read_by_its_digest() {
        let images = Images::new(Arc::new(Memory::default()), None);
        let pushed = images.push("shop:1", Bytes::from_static(COMPONENT)).await.unwrap();
        assert_eq!(images.resolve("local/shop:1").await, Ok(Some(pushed.clone())));
        assert_eq!(images.content(&pushed.digest).await.unwrap(), COMPONENT);
        let missing = images.resolve("local/shop:2").await;
        assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
        let elsewhere = images.resolve("registry.test/shop:1").await;
        assert!(matches!(elsewhere, Err(Error::Invalid(_))), "{elsewhere:?}");
    }

    #[tokio::test]
    async fn what_is_no_component_is_not_kept() {
        let images = Images::new(Arc::new(Memory::default()), None);
        for (name, content) in [
            ("shop:1", &b"#!/bin/sh"[..]),
            ("shop:1", b"\0asm\x01\0\0\0"),
            ("shop:1", b""),
            ("shop", COMPONENT),
            ("../shop:1", COMPONENT),
            ("shop:a b", COMPONENT),
            (":1", COMPONENT),
        ] {
            let refused = images.push(name, Bytes::from_static(content)).await;
            assert!(matches!(refused, Err(Error::Invalid(_))), "{name}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn an_image_of_a_registry_is_fetched_beside_the_one_who_asks() {
        let images = Images::new(Arc::new(Memory::default()), Some(Arc::new(OneImage)));
        let settled = async |name: &str| {
            loop {
                match images.resolve(name).await {
                    Ok(None) => tokio::task::yield_now().await,
                    other => return other,
                }
            }
        };
        assert_eq!(images.resolve("registry.test/shop:1").await, Ok(None));
        let found = settled("registry.test/shop:1").await.unwrap().unwrap();
        assert_eq!(images.content(&found.digest).await.unwrap(), COMPONENT);
        let missing = settled("registry.test/shop:2").await;
        assert!(matches!(missing, Err(Error::NotFound(_))), "{missing:?}");
    }
}
