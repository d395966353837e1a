//! Projects: reads `membership`, `user_account`, `environment` and `service`; reads and writes
//! `project`. Deleting one cascades to `environment` and `service`.

use windlass_domain::future::PortFuture;
use windlass_domain::ids::{EnvironmentId, OrganizationId, ProjectId, UserId};
use windlass_domain::organizations::Role;
use windlass_domain::projects::{Project, ProjectAccess, ProjectSummary};
use windlass_domain::store::{ProjectReads, ProjectWrites};
use windlass_domain::{Kind, Page, PageRequest, Result, Revision};

use crate::errors::unexpected;
use crate::executor::Value;
use crate::rows::{self, Row};
use crate::{SqlStore, SqlTransaction};

/// A page of a member's projects. The page is cut inside, so that services are counted for its
/// projects and not for all of them.
pub(crate) const LIST: &str = "\
    SELECT page.id, page.organization_id, page.owner_id, page.name, page.description, \
    page.revision, page.created_at, page.updated_at, \
    (SELECT COUNT(*) FROM service WHERE service.project_id = page.id), page.listed \
    FROM (\
    SELECT project.id, project.organization_id, project.owner_id, project.name, \
    project.description, project.revision, project.created_at, project.updated_at, \
    COUNT(*) OVER () AS listed \
    FROM membership JOIN project ON project.organization_id = membership.organization_id \
    WHERE membership.user_id = $1 \
    ORDER BY project.updated_at DESC, project.id DESC LIMIT $2 OFFSET $3\
    ) AS page ORDER BY page.updated_at DESC, page.id DESC";

/// The same of those with a text in them.
pub(crate) const SEARCH: &str = "\
    SELECT page.id, page.organization_id, page.owner_id, page.name, page.description, \
    page.revision, page.created_at, page.updated_at, \
    (SELECT COUNT(*) FROM service WHERE service.project_id = page.id), page.listed \
    FROM (\
    SELECT project.id, project.organization_id, project.owner_id, project.name, \
    project.description, project.revision, project.created_at, project.updated_at, \
    COUNT(*) OVER () AS listed \
    FROM membership JOIN project ON project.organization_id = membership.organization_id \
    WHERE membership.user_id = $1 AND project.search_text LIKE $2 ESCAPE '!' \
    ORDER BY project.updated_at DESC, project.id DESC LIMIT $3 OFFSET $4\
    ) AS page ORDER BY page.updated_at DESC, page.id DESC";

/// How many a member has: asked only past the end, where no row can tell.
pub(crate) const COUNT: &str = "\
    SELECT COUNT(*) \
    FROM membership JOIN project ON project.organization_id = membership.organization_id \
    WHERE membership.user_id = $1";

/// The same of those with a text in them.
pub(crate) const COUNT_SEARCH: &str = "\
    SELECT COUNT(*) \
    FROM membership JOIN project ON project.organization_id = membership.organization_id \
    WHERE membership.user_id = $1 AND project.search_text LIKE $2 ESCAPE '!'";

/// One project and what a member may do with it.
pub(crate) const VIEW: &str = "\
    SELECT project.id, project.organization_id, project.owner_id, project.name, \
    project.description, project.revision, project.created_at, project.updated_at, \
    (SELECT COUNT(*) FROM service WHERE service.project_id = project.id), \
    environment.id, membership.role, user_account.email \
    FROM project \
    JOIN membership ON membership.organization_id = project.organization_id \
    JOIN user_account ON user_account.id = membership.user_id \
    LEFT JOIN environment \
    ON environment.project_id = project.id AND environment.name = 'production' \
    WHERE membership.user_id = $1 AND project.id = $2";

const INSERT: &str = "\
    INSERT INTO project (id, organization_id, owner_id, name, description, search_text, \
    revision, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const UPDATE: &str = "\
    UPDATE project \
    SET name = $1, description = $2, search_text = $3, revision = $4, updated_at = $5 \
    WHERE id = $6 AND revision = $7";

const DELETE: &str = "DELETE FROM project WHERE id = $1 AND revision = $2";

impl ProjectReads for SqlStore<'_> {
    fn list_projects<'a>(
        &'a self,
        member: UserId,
        search: Option<&'a str>,
        page: PageRequest,
    ) -> PortFuture<'a, Result<Page<ProjectSummary>>> {
        Box::pin(async move {
            let (list, count) =
                if search.is_some() { (SEARCH, COUNT_SEARCH) } else { (LIST, COUNT) };
            let mut parameters = vec![Value::from(member.to_string())];
            parameters.extend(search.map(|search| Value::from(pattern(search))));
            let counted = parameters.clone();
            parameters.extend([page.limit().into(), page.offset().into()]);
            let answer = self.executor.query(list, parameters).await;
            let read = |row: &mut Row| Ok((summary(row)?, row.integer()?));
            let listed = rows::all("project", answer.map_err(unexpected(Kind::Project))?, read)?;
            let total = match listed.first() {
                Some((_, total)) => *total,
                None if page.offset() == 0 => 0,
                None => {
                    let answer = self.executor.query(count, counted).await;
                    let answer = answer.map_err(unexpected(Kind::Project))?;
                    rows::first("count", answer, Row::integer)?.unwrap_or(0)
                }
            };
            Ok(Page {
                items: listed.into_iter().map(|(summary, _)| summary).collect(),
                total,
                page: page.page(),
                limit: page.limit(),
            })
        })
    }

    fn project(
        &self,
        member: UserId,
        id: ProjectId,
    ) -> PortFuture<'_, Result<Option<ProjectAccess>>> {
        Box::pin(async move {
            let parameters = vec![member.to_string().into(), id.to_string().into()];
            let answer = self.executor.query(VIEW, parameters).await;
            rows::first("project", answer.map_err(unexpected(Kind::Project))?, access)
        })
    }
}

impl ProjectWrites for SqlTransaction<'_> {
    fn insert_project<'a>(&'a self, project: &'a Project) -> PortFuture<'a, Result<()>> {
        Box::pin(async move {
            let parameters = vec![
                project.id.to_string().into(),
                project.organization_id.to_string().into(),
                project.owner_id.to_string().into(),
                project.name.as_str().into(),
                project.description.as_str().into(),
                project.search_text().into(),
                project.revision.number().into(),
                project.created_at.microseconds().into(),
                project.updated_at.microseconds().into(),
            ];
            let inserted = self.work.execute(INSERT, parameters).await;
            inserted.map_err(unexpected(Kind::Project))?;
            Ok(())
        })
    }

    fn update_project<'a>(
        &'a self,
        project: &'a Project,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        Box::pin(async move {
            let parameters = vec![
                project.name.as_str().into(),
                project.description.as_str().into(),
                project.search_text().into(),
                project.revision.number().into(),
                project.updated_at.microseconds().into(),
                project.id.to_string().into(),
                read.number().into(),
            ];
            let updated = self.work.execute(UPDATE, parameters).await;
            Ok(updated.map_err(unexpected(Kind::Project))? > 0)
        })
    }

    fn delete_project(&self, id: ProjectId, read: Revision) -> PortFuture<'_, Result<bool>> {
        Box::pin(async move {
            let parameters = vec![id.to_string().into(), read.number().into()];
            let deleted = self.work.execute(DELETE, parameters).await;
            Ok(deleted.map_err(unexpected(Kind::Project))? > 0)
        })
    }
}

/// A pattern that finds exactly this text.
fn pattern(search: &str) -> String {
    let mut pattern = String::with_capacity(search.len() + 2);
    pattern.push('%');
    for character in search.chars() {
        if matches!(character, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

fn summary(row: &mut Row) -> Result<ProjectSummary> {
    Ok(ProjectSummary {
        project: Project {
            id: row.parsed(ProjectId::parse)?,
            organization_id: row.parsed(OrganizationId::parse)?,
            owner_id: row.parsed(UserId::parse)?,
            name: row.text()?,
            description: row.text()?,
            revision: row.revision()?,
            created_at: row.timestamp()?,
            updated_at: row.timestamp()?,
        },
        services_count: row.integer()?,
    })
}

fn access(row: &mut Row) -> Result<ProjectAccess> {
    let summary = summary(row)?;
    let production_id = match row.optional_text()? {
        None => None,
        Some(id) => {
            let parsed = EnvironmentId::parse(&id);
            Some(parsed.ok_or_else(|| row.fault("has an unknown value"))?)
        }
    };
    Ok(ProjectAccess { summary, production_id, role: row.parsed(Role::parse)?, email: row.text()? })
}
