//! The grants that the crate's documentation names are enough, and those of others are not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use windlass_domain::builds::{BuildFilter, NewBuild};
use windlass_domain::deployments::NewDeployment;
use windlass_domain::events::EventFilter;
use windlass_domain::projects::{NewProject, ProjectChange, ProjectFilter};
use windlass_domain::services::ServiceChange;
use windlass_domain::testing::FakeRuntime;
use windlass_domain::users::{Credentials, ProfileChange};
use windlass_domain::{
    Error, PageRequest, builds, deployments, events, projects, reconcile, services, users,
};
use windlass_engine::StorageGrant;
use windlass_store::SqlStore;

use crate::support::{Fixture, image_service, new_service, new_user};

on_both_databases!(
    accounts_need_no_more_than_their_tables,
    projects_need_no_more_than_their_tables,
    services_need_no_more_than_their_tables,
    deployments_need_no_more_than_their_tables,
    builds_need_no_more_than_their_tables,
    audit_reads_the_trail_and_cannot_write_it,
);

pub(crate) fn grant(read: &[&str], write: &[&str], append: &[&str]) -> StorageGrant {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    StorageGrant { read: owned(read), write: owned(write), append: owned(append) }
}

async fn accounts_need_no_more_than_their_tables(fixture: Fixture) {
    let grant =
        grant(&[], &["user_account", "event_chain"], &["organization", "membership", "event"]);
    let executor = fixture.granted(&grant).await;
    let store = SqlStore::new(&executor);
    let anonymous = fixture.anonymous(&store);
    let identity = &fixture.world.identity;
    let new_user = new_user("ada@example.com");
    let user = users::register(&anonymous, identity, new_user).await.unwrap();
    let credentials =
        Credentials { email: user.email.clone(), password: "correct horse".to_owned() };
    users::login(&anonymous, identity, credentials).await.unwrap();
    let ctx = fixture.as_user(&store, user.id);
    users::view_profile(&ctx).await.unwrap();
    let change = ProfileChange { name: Some("Grace".to_owned()), ..ProfileChange::default() };
    users::update_profile(&ctx, change, None).await.unwrap();
    let page = PageRequest::new(1, 10).unwrap();
    let refused = projects::list(&ctx, &ProjectFilter::default(), page).await;
    assert!(matches!(refused, Err(Error::Internal { .. })), "{refused:?}");
}

async fn projects_need_no_more_than_their_tables(fixture: Fixture) {
    let all = SqlStore::new(fixture.executor());
    let user = fixture.register(&all, "ada@example.com").await;
    let grant = grant(
        &["user_account", "organization", "membership", "service"],
        &["project", "event_chain"],
        &["environment", "event"],
    );
    let executor = fixture.granted(&grant).await;
    let store = SqlStore::new(&executor);
    let ctx = fixture.as_user(&store, user.id);
    let new_project = NewProject { name: "shop".to_owned(), description: String::new() };
    let id = projects::create(&ctx, new_project).await.unwrap().project.id.to_string();
    services::create(&fixture.as_user(&all, user.id), &id, new_service("web")).await.unwrap();
    for search in [None, Some("shop".to_owned())] {
        for number in [1, 2] {
            let filter = ProjectFilter { search: search.clone() };
            let page = PageRequest::new(number, 10).unwrap();
            assert_eq!(projects::list(&ctx, &filter, page).await.unwrap().total, 1);
        }
    }
    let change = ProjectChange { name: Some("store".to_owned()), ..ProjectChange::default() };
    projects::update(&ctx, &id, change, None).await.unwrap();
    let refused = services::create(&ctx, &id, new_service("api")).await;
    assert!(matches!(refused, Err(Error::Internal { .. })), "{refused:?}");
    projects::delete(&ctx, &id, None).await.unwrap();
    assert_eq!(fixture.executor().number("SELECT COUNT(*) FROM service").await, 0);
}

async fn services_need_no_more_than_their_tables(fixture: Fixture) {
    let all = SqlStore::new(fixture.executor());
    let user = fixture.register(&all, "ada@example.com").await;
    let project = fixture.create_project(&all, user.id, "shop").await.project.id.to_string();
    let grant = grant(
        &["user_account", "membership", "project", "environment"],
        &["service", "event_chain"],
        &["event"],
    );
    let executor = fixture.granted(&grant).await;
    let store = SqlStore::new(&executor);
    let ctx = fixture.as_user(&store, user.id);
    let service = services::create(&ctx, &project, new_service("web")).await.unwrap();
    let id = service.id.to_string();
    assert_eq!(services::list(&ctx, &project).await.unwrap(), [service]);
    services::view(&ctx, &id).await.unwrap();
    let change = ServiceChange { name: Some("api".to_owned()), ..ServiceChange::default() };
    services::update(&ctx, &id, change, None).await.unwrap();
    services::delete(&ctx, &id, None).await.unwrap();
    let refused = projects::delete(&ctx, &project, None).await;
    assert!(matches!(refused, Err(Error::Internal { .. })), "{refused:?}");
}

async fn deployments_need_no_more_than_their_tables(fixture: Fixture) {
    let all = SqlStore::new(fixture.executor());
    let user = fixture.register(&all, "ada@example.com").await;
    let project = fixture.create_project(&all, user.id, "shop").await.project.id.to_string();
    let service = image_service("web", "shop:1");
    let service = services::create(&fixture.as_user(&all, user.id), &project, service).await;
    let service = service.unwrap().id.to_string();
    let asking = fixture
        .granted(&grant(
            &["user_account", "membership", "project"],
            &["service", "deployment", "event_chain"],
            &["deployment_log", "operation", "hostname", "event"],
        ))
        .await;
    let store = SqlStore::new(&asking);
    let ctx = fixture.as_user(&store, user.id);
    let deployment = deployments::create(&ctx, &service, NewDeployment::default()).await.unwrap();
    assert_eq!(deployments::list(&ctx, &service).await.unwrap().len(), 1);
    deployments::log(&ctx, &deployment).await.unwrap();
    let carrying = fixture
        .granted(&grant(
            &["hostname"],
            &[
                "service",
                "deployment",
                "build",
                "managed_database",
                "database_backup",
                "operation",
                "event_chain",
            ],
            &["deployment_log", "event"],
        ))
        .await;
    let (reconciling, runtime) = (SqlStore::new(&carrying), FakeRuntime::default());
    runtime.add_image("shop:1", "sha256:1");
    crate::deployments::settle(&fixture, &reconciling, &runtime).await;
    let id = deployment.id.to_string();
    assert!(deployments::view(&ctx, &id).await.unwrap().status.is_final());
    deployments::roll_back(&ctx, &id).await.unwrap();
    let refused = reconcile::step(&fixture.anonymous(&store), &runtime, "host-1").await;
    assert!(matches!(refused, Err(Error::Internal { .. })), "{refused:?}");
}

async fn builds_need_no_more_than_their_tables(fixture: Fixture) {
    let all = SqlStore::new(fixture.executor());
    let user = fixture.register(&all, "ada@example.com").await;
    let project = fixture.create_project(&all, user.id, "shop").await.project.id.to_string();
    let ctx = fixture.as_user(&all, user.id);
    let service = services::create(&ctx, &project, new_service("web")).await.unwrap();
    let asking = fixture
        .granted(&grant(
            &["user_account", "membership", "organization", "environment", "project", "service"],
            &["build", "event_chain"],
            &["operation", "event"],
        ))
        .await;
    let store = SqlStore::new(&asking);
    let ctx = fixture.as_user(&store, user.id);
    for (project_id, service_id) in [
        (String::new(), String::new()),
        (project, String::new()),
        (String::new(), service.id.to_string()),
    ] {
        let new_build = NewBuild { project_id, service_id, ..crate::builds::named("shop", "1") };
        let build = builds::create(&ctx, new_build).await.unwrap();
        let id = build.id.to_string();
        builds::view(&ctx, &id).await.unwrap();
        builds::cancel(&ctx, &id).await.unwrap();
    }
    let page = PageRequest::new(1, 10).unwrap();
    assert_eq!(builds::list(&ctx, &BuildFilter::default(), page).await.unwrap().total, 3);
    let refused = services::delete(&ctx, &service.id.to_string(), None).await;
    assert!(matches!(refused, Err(Error::Internal { .. })), "{refused:?}");
}

async fn audit_reads_the_trail_and_cannot_write_it(fixture: Fixture) {
    let all = SqlStore::new(fixture.executor());
    let user = fixture.register(&all, "ada@example.com").await;
    let executor = fixture.granted(&grant(&["event"], &[], &[])).await;
    let store = SqlStore::new(&executor);
    let ctx = fixture.as_user(&store, user.id);
    let page = PageRequest::new(1, 10).unwrap();
    let listed = events::list(&ctx, &EventFilter::default(), page).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    let id = user.id.to_string();
    assert_eq!(events::list_for_resource(&ctx, "user", &id).await.unwrap(), listed.items);
    let refused = users::register(&ctx, &fixture.world.identity, new_user("eve@example.com")).await;
    assert!(matches!(refused, Err(Error::Internal { .. })), "{refused:?}");
}
