//! Builds and their images.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use windlass_domain::builds::{self, Build, BuildFilter, BuildStatus, Method, NewBuild};
use windlass_domain::store::{BuildReads, Store};
use windlass_domain::testing::FakeRuntime;
use windlass_domain::{Error, Kind, PageRequest};
use windlass_store::SqlStore;

use crate::deployments::settle;
use crate::support::Fixture;

const REPOSITORY: &str = "https://git.example.com/acme/shop.git";

on_both_databases!(
    every_field_comes_back_as_it_was_written,
    builds_are_carried_out_and_their_images_found,
    pages_and_filters_find_what_is_the_members,
    a_cancelled_build_never_becomes_anything_else,
);

/// A build of the repository, under this name.
pub(crate) fn named(name: &str, tag: &str) -> NewBuild {
    NewBuild {
        source_path: REPOSITORY.to_owned(),
        image_name: name.to_owned(),
        image_tag: tag.to_owned(),
        ..NewBuild::default()
    }
}

async fn every_field_comes_back_as_it_was_written(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let texts = |text: &str| BTreeMap::from([("A".to_owned(), text.to_owned())]);
    let new_build = NewBuild {
        method: Some(Method::Dockerfile),
        branch: "feature/a".to_owned(),
        commit: "0123abc".to_owned(),
        registry_url: "registry.example.com:5000".to_owned(),
        build_command: "make".to_owned(),
        start_command: "serve \"quoted\"".to_owned(),
        variables: texts("lines\nof text \u{1F600}"),
        arguments: texts("1"),
        labels: texts("2"),
        ..named("acme/shop", "v1")
    };
    let created = builds::create(&ctx, new_build).await.unwrap();
    let id = created.id.to_string();
    assert_eq!(builds::view(&ctx, &id).await.unwrap(), created);
    assert_eq!(store.build_to_carry_out(created.id).await.unwrap().as_ref(), Some(&created));
    let changed = Build {
        status: BuildStatus::Success,
        progress: 100,
        builder: "dockerfile".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        digest: "sha256:1".to_owned(),
        size_bytes: 1_234,
        error: "none".to_owned(),
        started_at: Some(created.created_at),
        completed_at: Some(created.created_at.plus_seconds(1)),
        revision: created.revision.next(),
        ..created.clone()
    };
    let transaction = store.begin().await.unwrap();
    assert!(transaction.update_build(&changed, created.revision).await.unwrap());
    assert!(!transaction.update_build(&changed, created.revision).await.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(builds::view(&ctx, &id).await.unwrap(), changed);
    let stranger = fixture.register(&store, "eve@example.com").await.id;
    let refused = builds::view(&fixture.as_user(&store, stranger), &id).await;
    assert_eq!(refused.unwrap_err(), Error::not_found(Kind::Build, &id));
}

async fn builds_are_carried_out_and_their_images_found(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let runtime = FakeRuntime::default();
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let mut build = None;
    for version in ["sha256:1", "sha256:2"] {
        runtime.add_repository(REPOSITORY, "0123abc", version);
        fixture.world.clock.advance_seconds(1);
        let created = builds::create(&ctx, named("shop", "1")).await.unwrap();
        settle(&fixture, &store, &runtime).await;
        build = Some(builds::view(&ctx, &created.id.to_string()).await.unwrap());
    }
    let build = build.unwrap();
    assert_eq!((build.status, build.progress), (BuildStatus::Success, 100));
    let found = async |name: &str, tag: &str| {
        let found = store.built_image(build.organization_id, name, tag).await.unwrap();
        found.map(|image| image.digest)
    };
    assert_eq!(found("shop", "1").await.as_deref(), Some("sha256:2"));
    assert_eq!(found("shop", "2").await, None);
    assert_eq!(found("store", "1").await, None);
}

async fn pages_and_filters_find_what_is_the_members(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let eve = fixture.register(&store, "eve@example.com").await.id;
    let project = fixture.create_project(&store, ada, "Harbour").await.project.id.to_string();
    let ctx = fixture.as_user(&store, ada);
    for number in 0..3 {
        fixture.world.clock.advance_seconds(1);
        let project_id = if number == 0 { project.clone() } else { String::new() };
        let new_build = NewBuild { project_id, ..named("shop", &number.to_string()) };
        builds::create(&ctx, new_build).await.unwrap();
    }
    let list = async |filter: BuildFilter, page: i64, limit: i64| -> (Vec<String>, i64) {
        let page = PageRequest::new(page, limit).unwrap();
        let found = builds::list(&ctx, &filter, page).await.unwrap();
        (found.items.into_iter().map(|build| build.image_tag).collect(), found.total)
    };
    let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    assert_eq!(list(BuildFilter::default(), 1, 2).await, (tags(&["2", "1"]), 3));
    assert_eq!(list(BuildFilter::default(), 2, 2).await, (tags(&["0"]), 3));
    assert_eq!(list(BuildFilter::default(), 3, 2).await, (tags(&[]), 3));
    let filter = BuildFilter { project_id: Some(project), ..BuildFilter::default() };
    assert_eq!(list(filter, 1, 20).await, (tags(&["0"]), 1));
    let status = Some(BuildStatus::Running);
    assert_eq!(list(BuildFilter { status, ..BuildFilter::default() }, 1, 20).await.1, 0);
    let page = PageRequest::new(1, 20).unwrap();
    let others = builds::list(&fixture.as_user(&store, eve), &BuildFilter::default(), page).await;
    assert_eq!(others.unwrap().total, 0);
}

async fn a_cancelled_build_never_becomes_anything_else(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let runtime = FakeRuntime::default();
    runtime.add_repository(REPOSITORY, "0123abc", "sha256:1");
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let created = builds::create(&ctx, named("shop", "1")).await.unwrap();
    let cancelled = builds::cancel(&ctx, &created.id.to_string()).await.unwrap();
    settle(&fixture, &store, &runtime).await;
    assert_eq!(builds::view(&ctx, &created.id.to_string()).await.unwrap(), cancelled);
    assert!(runtime.builds().is_empty());
    let open = "SELECT COUNT(*) FROM operation WHERE finished_at IS NULL";
    assert_eq!(fixture.executor().number(open).await, 0);
}
