//! `Project`, `ProjectsResponse` and `Pagination`.

use serde::Serialize;
use windlass_domain::Page;
use windlass_domain::ids::{ProjectId, UserId};
use windlass_domain::projects::ProjectSummary;

use super::{Text, Time};

/// `Project`.
#[derive(Serialize)]
pub struct ProjectView<'a> {
    id: Text<ProjectId>,
    name: &'a str,
    description: &'a str,
    owner_id: Text<UserId>,
    created_at: Time,
    updated_at: Time,
    services_count: i64,
}

impl<'a> From<&'a ProjectSummary> for ProjectView<'a> {
    fn from(summary: &'a ProjectSummary) -> Self {
        let project = &summary.project;
        Self {
            id: Text(project.id),
            name: &project.name,
            description: &project.description,
            owner_id: Text(project.owner_id),
            created_at: Time(project.created_at),
            updated_at: Time(project.updated_at),
            services_count: summary.services_count,
        }
    }
}

/// `Pagination`.
#[derive(Serialize)]
pub struct PaginationView {
    page: i64,
    limit: i64,
    total: i64,
    total_pages: i64,
}

/// `ProjectsResponse`.
#[derive(Serialize)]
pub struct ProjectsView<'a> {
    projects: Vec<ProjectView<'a>>,
    pagination: PaginationView,
}

impl<'a> From<&'a Page<ProjectSummary>> for ProjectsView<'a> {
    fn from(page: &'a Page<ProjectSummary>) -> Self {
        Self {
            projects: page.items.iter().map(ProjectView::from).collect(),
            pagination: PaginationView {
                page: page.page,
                limit: page.limit,
                total: page.total,
                total_pages: page.total_pages(),
            },
        }
    }
}
