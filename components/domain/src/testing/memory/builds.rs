//! Builds in memory.

use super::transaction::MemoryTransaction;
use super::{MemoryStore, State, window};
use crate::builds::{Build, BuildAccess, BuildQuery, BuildStatus, BuiltImage};
use crate::error::Result;
use crate::future::PortFuture;
use crate::ids::{BuildId, OrganizationId, Revision, UserId};
use crate::page::{Page, PageRequest};
use crate::store::{BuildReads, BuildWrites};

impl State {
    fn list_builds(&self, query: &BuildQuery, page: PageRequest) -> Page<Build> {
        let mut found: Vec<&Build> = self
            .builds
            .iter()
            .filter(|row| self.role(row.organization_id, query.member).is_some())
            .filter(|row| query.project_id.is_none_or(|id| row.project_id == Some(id)))
            .filter(|row| query.service_id.is_none_or(|id| row.service_id == Some(id)))
            .filter(|row| query.status.is_none_or(|status| row.status == status))
            .collect();
        found.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
        Page {
            total: i64::try_from(found.len()).unwrap_or(i64::MAX),
            items: window(found, page.offset(), page.limit()).cloned().collect(),
            page: page.page(),
            limit: page.limit(),
        }
    }
}

impl BuildReads for MemoryStore {
    fn list_builds<'a>(
        &'a self,
        query: &'a BuildQuery,
        page: PageRequest,
    ) -> PortFuture<'a, Result<Page<Build>>> {
        self.read(|state| state.list_builds(query, page))
    }

    fn build(&self, member: UserId, id: BuildId) -> PortFuture<'_, Result<Option<BuildAccess>>> {
        self.read(|state| {
            let build = state.builds.iter().find(|row| row.id == id)?;
            Some(BuildAccess {
                build: build.clone(),
                role: state.role(build.organization_id, member)?,
                email: state.email(member)?,
            })
        })
    }

    fn build_to_carry_out(&self, id: BuildId) -> PortFuture<'_, Result<Option<Build>>> {
        self.read(|state| state.builds.iter().find(|row| row.id == id).cloned())
    }

    fn built_image<'a>(
        &'a self,
        organization: OrganizationId,
        name: &'a str,
        tag: &'a str,
    ) -> PortFuture<'a, Result<Option<BuiltImage>>> {
        self.read(|state| {
            let made = state.builds.iter().filter(|row| {
                row.organization_id == organization
                    && row.image_name == name
                    && row.image_tag == tag
                    && row.status == BuildStatus::Success
            });
            let newest = made.max_by_key(|row| (row.completed_at, row.id))?;
            Some(BuiltImage { digest: newest.digest.clone(), size_bytes: newest.size_bytes })
        })
    }
}

impl BuildWrites for MemoryTransaction<'_> {
    fn insert_build<'a>(&'a self, build: &'a Build) -> PortFuture<'a, Result<()>> {
        self.write(|state| {
            state.builds.push(build.clone());
            Ok(())
        })
    }

    fn update_build<'a>(
        &'a self,
        build: &'a Build,
        read: Revision,
    ) -> PortFuture<'a, Result<bool>> {
        self.write_row(|state| {
            let mut rows = state.builds.iter_mut();
            let row = rows.find(|row| row.id == build.id && row.revision == read);
            Ok(row.map(|row| *row = build.clone()).is_some())
        })
    }

    fn unfinished_builds(&self, organization: OrganizationId) -> PortFuture<'_, Result<i64>> {
        self.write(|state| {
            let open = state
                .builds
                .iter()
                .filter(|row| row.organization_id == organization && !row.status.is_final());
            Ok(i64::try_from(open.count()).unwrap_or(i64::MAX))
        })
    }
}
