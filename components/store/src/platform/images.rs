//! Images of workloads: names, and content by its digest.

use super::{blob, each, execute, integer, text};
use crate::executor::{Answer, Executor, Value};

const KEEP: &str = "INSERT INTO host_image (digest, size_bytes, content, kept_at_us) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (digest) DO UPDATE SET kept_at_us = excluded.kept_at_us";
const NAME: &str = "INSERT INTO host_image_name (name, digest, pushed_at_us) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, \
     pushed_at_us = excluded.pushed_at_us";
const FIND: &str = "SELECT host_image.digest, host_image.size_bytes FROM host_image_name \
     JOIN host_image ON host_image.digest = host_image_name.digest \
     WHERE host_image_name.name = $1";
const CONTENT: &str = "SELECT content FROM host_image WHERE digest = $1";
const LIST: &str = "SELECT host_image_name.name, host_image.digest, host_image.size_bytes, \
     host_image_name.pushed_at_us FROM host_image_name \
     JOIN host_image ON host_image.digest = host_image_name.digest ORDER BY host_image_name.name";
/// What no name means, no deployment can return to and no build made last. Content that was kept a moment ago may be
/// on its way into a deployment.
const FORGET: &str = "DELETE FROM host_image WHERE kept_at_us < $1 \
     AND digest NOT IN (SELECT digest FROM host_image_name) \
     AND digest NOT IN (SELECT image_digest FROM deployment) \
     AND digest NOT IN (SELECT build.digest FROM build WHERE build.status = 'success' \
     AND NOT EXISTS (SELECT 1 FROM build AS newer \
     WHERE newer.organization_id = build.organization_id \
     AND newer.image_name = build.image_name AND newer.image_tag = build.image_tag \
     AND newer.status = 'success' AND newer.completed_at > build.completed_at))";

/// An image by its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// The digest of its content.
    pub digest: String,
    /// Its size, in bytes.
    pub size_bytes: i64,
}

/// A name and what it means now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedImage {
    /// The name.
    pub name: String,
    /// What it means.
    pub image: ImageRecord,
    /// Since when, in microseconds since the Unix epoch.
    pub pushed_at_us: i64,
}

/// Keeps content, and makes a name mean it.
///
/// # Errors
/// Whatever the database says; nothing is kept then.
pub async fn save(
    executor: &dyn Executor,
    name: Option<&str>,
    image: &ImageRecord,
    content: Vec<u8>,
    now_us: i64,
) -> Answer<()> {
    let work = executor.begin().await?;
    let kept = vec![
        image.digest.as_str().into(),
        image.size_bytes.into(),
        Value::Blob(content),
        now_us.into(),
    ];
    work.execute(KEEP, kept).await?;
    if let Some(name) = name {
        let named = vec![name.into(), image.digest.as_str().into(), now_us.into()];
        work.execute(NAME, named).await?;
    }
    work.commit().await
}

/// What a name means now.
///
/// # Errors
/// Whatever the database says.
pub async fn find(executor: &dyn Executor, name: &str) -> Answer<Option<ImageRecord>> {
    let found = each(executor.query(FIND, vec![name.into()]).await?, |row| {
        let [digest, size] = row else { return None };
        Some(ImageRecord { digest: text(digest)?, size_bytes: integer(size)? })
    })?;
    Ok(found.into_iter().next())
}

/// The content with a digest.
///
/// # Errors
/// Whatever the database says.
pub async fn content(executor: &dyn Executor, digest: &str) -> Answer<Option<Vec<u8>>> {
    let found = each(executor.query(CONTENT, vec![digest.into()]).await?, |row| {
        row.first().and_then(blob)
    })?;
    Ok(found.into_iter().next())
}

/// Every name.
///
/// # Errors
/// Whatever the database says.
pub async fn list(executor: &dyn Executor) -> Answer<Vec<NamedImage>> {
    each(executor.query(LIST, Vec::new()).await?, |row| {
        let [name, digest, size, pushed_at] = row else { return None };
        let image = ImageRecord { digest: text(digest)?, size_bytes: integer(size)? };
        Some(NamedImage { name: text(name)?, image, pushed_at_us: integer(pushed_at)? })
    })
}

/// Lets go of content that nothing refers to and that was kept before a moment.
///
/// # Errors
/// Whatever the database says.
pub async fn forget(executor: &dyn Executor, kept_before_us: i64) -> Answer<u64> {
    execute(executor, FORGET, vec![kept_before_us.into()]).await
}
