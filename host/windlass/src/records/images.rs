//! Images of workloads.

use bytes::Bytes;
use windlass_runtime::{Image, ImageFuture, ImageStore};
use windlass_storage::Database;
use windlass_store::platform::images::{self, ImageRecord, NamedImage};

use super::executor::Records;
use super::now;
use super::tokens::sentence;

/// How long content is kept that nothing refers to, in microseconds: a day.
const KEPT_US: i64 = 24 * 60 * 60 * 1_000_000;

/// The images in the database.
pub(crate) struct Images(Records);

impl Images {
    /// Over this database.
    pub(crate) fn new(database: &Database) -> Self {
        Self(Records::new(database))
    }

    /// Every name that was pushed.
    pub(crate) async fn list(&self) -> Result<Vec<NamedImage>, String> {
        images::list(&self.0).await.map_err(sentence)
    }

    /// Lets go of content that nothing refers to.
    pub(crate) async fn purge(&self) -> Result<u64, String> {
        images::forget(&self.0, now() - KEPT_US).await.map_err(sentence)
    }
}

impl ImageStore for Images {
    fn find<'a>(&'a self, name: &'a str) -> ImageFuture<'a, Option<Image>> {
        Box::pin(async move {
            let found = images::find(&self.0, name).await.map_err(sentence)?;
            Ok(found.map(|found| Image {
                digest: found.digest,
                size_bytes: u64::try_from(found.size_bytes).unwrap_or_default(),
            }))
        })
    }

    fn read<'a>(&'a self, digest: &'a str) -> ImageFuture<'a, Option<Bytes>> {
        Box::pin(async move {
            Ok(images::content(&self.0, digest).await.map_err(sentence)?.map(Bytes::from))
        })
    }

    fn save<'a>(
        &'a self,
        name: Option<&'a str>,
        image: &'a Image,
        content: Bytes,
    ) -> ImageFuture<'a, ()> {
        Box::pin(async move {
            let record = ImageRecord {
                digest: image.digest.clone(),
                size_bytes: i64::try_from(image.size_bytes).unwrap_or(i64::MAX),
            };
            images::save(&self.0, name, &record, content.into(), now()).await.map_err(sentence)
        })
    }
}
