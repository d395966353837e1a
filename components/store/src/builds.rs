//! Builds: reads `membership` and `user_account`; reads and writes `build`.

mod recipe;

use windlass_domain::builds::{Build, BuildAccess, BuildQuery, BuildStatus, BuiltImage};
use windlass_domain::future::PortFuture;
use windlass_domain::ids::{BuildId, OrganizationId, ProjectId, ServiceId, UserId};
use windlass_domain::organizations::Role;
use windlass_domain::store::{BuildReads, BuildWrites};
use windlass_domain::{Kind, Page, PageRequest, Result, Revision, Timestamp};

use crate::errors::unexpected;
use crate::executor::{ExecutorError, Value};
use crate::rows::{self, Row};
use crate::{SqlStore, SqlTransaction};

/// The columns of a build, in the order in which `build` reads them.
macro_rules! columns {
    () => {
        "build.id, build.organization_id, build.project_id, build.service_id, build.status, \
         build.recipe, build.settings, build.image_name, build.image_tag, build.progress, \
         build.builder, build.commit_hash, build.digest, build.size_bytes, build.error, \
         build.actor_id, build.actor_email, build.started_at, build.completed_at, \
         build.revision, build.created_at, build.updated_at"
    };
}

/// A page of the builds of a member's organizations. Empty words fit every build. A row has no
/// settings, which may be as large as all the rest of a page.
pub(crate) const LIST: &str = "\
    SELECT build.id, build.organization_id, build.project_id, build.service_id, build.status, \
    build.recipe, '', build.image_name, build.image_tag, build.progress, build.builder, \
    build.commit_hash, build.digest, build.size_bytes, build.error, build.actor_id, \
    build.actor_email, build.started_at, build.completed_at, build.revision, build.created_at, \
    build.updated_at, COUNT(*) OVER () \
    FROM membership JOIN build ON build.organization_id = membership.organization_id \
    WHERE membership.user_id = $1 \
    AND (CAST($2 AS TEXT) = '' OR build.project_id = $2) \
    AND (CAST($3 AS TEXT) = '' OR build.service_id = $3) \
    AND (CAST($4 AS TEXT) = '' OR build.status = $4) \
    ORDER BY build.created_at DESC, build.id DESC LIMIT $5 OFFSET $6";

/// How many there are: asked only past the end, where no row can tell.
pub(crate) const COUNT: &str = "\
    SELECT COUNT(*) \
    FROM membership JOIN build ON build.organization_id = membership.organization_id \
    WHERE membership.user_id = $1 \
    AND (CAST($2 AS TEXT) = '' OR build.project_id = $2) \
    AND (CAST($3 AS TEXT) = '' OR build.service_id = $3) \
    AND (CAST($4 AS TEXT) = '' OR build.status = $4)";

/// One build and what a member may do with it.
pub(crate) const VIEW: &str = concat!(
    "SELECT ",
    columns!(),
    ", membership.role, user_account.email \
     FROM build \
     JOIN membership ON membership.organization_id = build.organization_id \
     JOIN user_account ON user_account.id = membership.user_id \
     WHERE membership.user_id = $1 AND build.id = $2"
);

/// One build, for nobody in particular.
pub(crate) const CARRY_OUT: &str =
    concat!("SELECT ", columns!(), " FROM build WHERE build.id = $1");

/// The newest image of a name.
pub(crate) const IMAGE: &str = "\
    SELECT build.digest, build.size_bytes FROM build \
    WHERE build.organization_id = $1 AND build.image_name = $2 AND build.image_tag = $3 \
    AND build.status = 'success' ORDER BY build.completed_at DESC, build.id DESC LIMIT 1";

/// How many have not ended.
pub(crate) const UNFINISHED: &str = "\
    SELECT COUNT(*) FROM build WHERE build.organization_id = $1 AND build.completed_at IS NULL";

const INSERT: &str = "\
    INSERT INTO build (id, organization_id, project_id, service_id, status, recipe, settings, \
    image_name, image_tag, progress, builder, commit_hash, digest, size_bytes, error, actor_id, \
    actor_email, revision, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
    $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";

const UPDATE: &str = "\
    UPDATE build SET status = $1, progress = $2, builder = $3, commit_hash = $4, digest = $5, \
    size_bytes = $6, error = $7, started_at = $8, completed_at = $9, revision = $10, \
    updated_at = $11 WHERE id = $12 AND revision = $13";

impl BuildReads for SqlStore<'_> {
    fn list_builds<'a>(
        &'a self,
        query: &'a BuildQuery,
        page: PageRequest,
    ) -> PortFuture<'a, Result<Page<Build>>> {
        Box::pin(async move {
            let mut parameters = vec![
                Value::from(query.member.to_string()),
                text(query.project_id).into(),
                text(query.service_id).into(),
                query.status.map(BuildStatus::as_str).unwrap_or_default().into(),
            ];
            let counted = parameters.clone();
            parameters.extend([page.limit().into(), page.offset().into()]);
            let answer = self.executor.query(LIST, parameters).await.map_err(failed)?;
            let read = |row: &mut Row| Ok((build(row)?, row.integer()?));
            let listed = rows::all("build", answer, read)?;
            let total = match listed.first() {
                Some((_, total)) => *total,
                None if page.offset() == 0 => 0,
                None => {
                    let answer = self.executor.query(COUNT, counted).await.map_err(failed)?;
                    rows::first("count", answer, Row::integer)?.unwrap_or_default()
                }
            };
            let items = listed.into_iter().map(|(build, _)| build).collect();
            Ok(Page { items, total, page: page.page(), limit: page.limit() })
        })
    }

    fn build(&self, member: UserId, id: BuildId) -> PortFuture<'_, Result<Option<BuildAccess>>> {
        Box::pin(async move {
            let parameters = vec![member.to_string().into(), id.to_string().into()];
            let answer = self.executor.query(VIEW, parameters).await.map_err(failed)?;
            rows::first("build", answer, access)
        })
    }

    fn build_to_carry_out(&self, id: BuildId) -> PortFuture<'_, Result<Option<Build>>> {
        Box::pin(async move {
            let parameters = vec![id.to_string().into()];
            let answer = self.executor.query(CARRY_OUT, parameters).await.map_err(failed)?;
            rows::first("build", answer, build)
        })
    }

    fn built_image<'a>(
        &'a self,
        organization: OrganizationId,
        name: &'a str,
        tag: &'a str,
    ) -> PortFuture<'a, Result<Option<BuiltImage>>> {
        Box::pin(async move {
            let parameters = vec![organization.to_string().into(), name.into(), tag.into()];
            let answer = self.executor.query(IMAGE, parameters).await.map_err(failed)?;
            let read =
                |row: &mut Row| Ok(BuiltImage { digest: row.text()?, size_bytes: row.integer()? });
            rows::first("built image", answer, read)
        })
    }
}

impl BuildWrites for SqlTransaction<'_> {
    fn insert_build<'a>(&'a self, build: &'a Build) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let (recipe, settings) = recipe::to_texts(&build.recipe)?;
            let parameters = vec![
                build.id.to_string().into(),
                build.organization_id.to_string().into(),
                text(build.project_id).into(),
                text(build.service_id).into(),
                build.status.as_str().into(),
                recipe.into(),
                settings.into(),
                build.image_name.as_str().into(),
                build.image_tag.as_str().into(),
                build.progress.into(),
                build.builder.as_str().into(),
                build.commit.as_str().into(),
                build.digest.as_str().into(),
                build.size_bytes.into(),
                build.error.as_str().into(),
                build.actor_id.to_string().into(),
                build.actor_email.as_str().into(),
                build.revision.number().into(),
                build.created_at.microseconds().into(),
                build.updated_at.microseconds().into(),
            ];
            self.work.execute(INSERT, parameters).await.map(drop).map_err(failed)
        })
    }

    fn update_build<'a>(
        &'a self,
        build: &'a Build,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        Box::pin(async move {
            let parameters = vec![
                build.status.as_str().into(),
                build.progress.into(),
                build.builder.as_str().into(),
                build.commit.as_str().into(),
                build.digest.as_str().into(),
                build.size_bytes.into(),
                build.error.as_str().into(),
                build.started_at.map(Timestamp::microseconds).into(),
                build.completed_at.map(Timestamp::microseconds).into(),
                build.revision.number().into(),
                build.updated_at.microseconds().into(),
                build.id.to_string().into(),
                read.number().into(),
            ];
            Ok(self.work.execute(UPDATE, parameters).await.map_err(failed)? > 0)
        })
    }

    fn unfinished_builds(&self, organization: OrganizationId) -> PortFuture<'_, Result<i64>> {
        Box::pin(async move {
            let parameters = vec![organization.to_string().into()];
            let answer = self.work.query(UNFINISHED, parameters).await.map_err(failed)?;
            Ok(rows::first("count", answer, Row::integer)?.unwrap_or_default())
        })
    }
}

fn failed(error: ExecutorError) -> windlass_domain::Error {
    unexpected(Kind::Build)(error)
}

fn text(id: Option<impl std::fmt::Display>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn access(row: &mut Row) -> Result<BuildAccess> {
    Ok(BuildAccess { build: build(row)?, role: row.parsed(Role::parse)?, email: row.text()? })
}

fn build(row: &mut Row) -> Result<Build> {
    Ok(Build {
        id: row.parsed(BuildId::parse)?,
        organization_id: row.parsed(OrganizationId::parse)?,
        project_id: row.optional(ProjectId::parse)?,
        service_id: row.optional(ServiceId::parse)?,
        status: row.parsed(BuildStatus::parse)?,
        recipe: {
            let (recipe, settings) = (row.text()?, row.text()?);
            recipe::from_texts(&recipe, &settings)
                .ok_or_else(|| row.fault("and the one before it are no recipe"))?
        },
        image_name: row.text()?,
        image_tag: row.text()?,
        progress: row.integer()?,
        builder: row.text()?,
        commit: row.text()?,
        digest: row.text()?,
        size_bytes: row.integer()?,
        error: row.text()?,
        actor_id: row.parsed(UserId::parse)?,
        actor_email: row.text()?,
        started_at: row.optional_timestamp()?,
        completed_at: row.optional_timestamp()?,
        revision: row.revision()?,
        created_at: row.timestamp()?,
        updated_at: row.timestamp()?,
    })
}
