//! `BuildStatus`, `StartBuildResponse`, `BuildListResponse` and `BuildCancelResponse`.

use std::collections::BTreeMap;

use serde::Serialize;
use windlass_domain::Page;
use windlass_domain::builds::Build;
use windlass_domain::ids::BuildId;

use super::{Text, Time};

/// `BuildStatus`.
#[derive(Serialize)]
pub struct BuildStatusView<'a> {
    id: Text<BuildId>,
    project_id: String,
    service_id: String,
    status: &'static str,
    progress: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Time>,
    image_name: &'a str,
    image_tag: &'a str,
    size: i64,
    error: &'a str,
    log: &'a str,
    metadata: BTreeMap<&'static str, String>,
}

impl<'a> BuildStatusView<'a> {
    /// A build with what was written about it.
    pub fn new(build: &'a Build, log: &'a str) -> Self {
        let text = |id: Option<String>| id.unwrap_or_default();
        Self {
            id: Text(build.id),
            project_id: text(build.project_id.map(|id| id.to_string())),
            service_id: text(build.service_id.map(|id| id.to_string())),
            status: build.status.as_str(),
            progress: build.progress,
            started_at: build.started_at.map(Time),
            completed_at: build.completed_at.map(Time),
            image_name: &build.image_name,
            image_tag: &build.image_tag,
            size: build.size_bytes,
            error: &build.error,
            log,
            metadata: build.metadata(),
        }
    }
}

/// `BuildListResponse`. Lists carry no logs: a hundred of them would be what nobody asked for.
#[derive(Serialize)]
pub struct BuildListView<'a> {
    builds: Vec<BuildStatusView<'a>>,
    total: i64,
    page: i64,
    limit: i64,
}

impl<'a> From<&'a Page<Build>> for BuildListView<'a> {
    fn from(page: &'a Page<Build>) -> Self {
        Self {
            builds: page.items.iter().map(|build| BuildStatusView::new(build, "")).collect(),
            total: page.total,
            page: page.page,
            limit: page.limit,
        }
    }
}

/// `StartBuildResponse`.
#[derive(Serialize)]
pub struct StartBuildView<'a> {
    id: Text<BuildId>,
    status: &'static str,
    image_name: &'a str,
    image_tag: &'a str,
    size: i64,
    digest: &'a str,
    build_time: Time,
    success: bool,
    error: &'a str,
}

impl<'a> From<&'a Build> for StartBuildView<'a> {
    fn from(build: &'a Build) -> Self {
        Self {
            id: Text(build.id),
            status: build.status.as_str(),
            image_name: &build.image_name,
            image_tag: &build.image_tag,
            size: build.size_bytes,
            digest: &build.digest,
            build_time: Time(build.created_at),
            // It was taken; what becomes of it is another matter.
            success: true,
            error: &build.error,
        }
    }
}

/// `BuildCancelResponse`.
#[derive(Serialize)]
pub struct BuildCancelView {
    message: &'static str,
}

impl BuildCancelView {
    /// What is said to who cancelled a build.
    pub const CANCELLED: Self = Self { message: "Build cancelled" };
}
