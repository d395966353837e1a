//! Services.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use windlass_domain::events::{self, EventFilter};
use windlass_domain::page::{MAXIMUM_LIMIT, PageRequest};
use windlass_domain::services::build::{
    MAXIMUM_COMMAND, MAXIMUM_VARIABLE_NAME, MAXIMUM_VARIABLE_VALUE_BYTES,
};
use windlass_domain::services::source::{
    MAXIMUM_BRANCH, MAXIMUM_IMAGE, MAXIMUM_PATH, MAXIMUM_REPOSITORY,
};
use windlass_domain::services::{
    self, BuildConfig, BuildConfigChange, Builder, NewService, ResourcesInput, ServiceChange,
    ServiceKind, Source, SourceKind,
};
use windlass_domain::store::Store;
use windlass_domain::{Error, Kind, projects};
use windlass_store::SqlStore;

use crate::support::{Fixture, new_service};

on_both_databases!(
    every_field_comes_back_as_it_was_written,
    taken_name_is_refused_at_the_statement,
    service_of_a_project_that_is_gone_is_refused,
    services_are_listed_oldest_first,
    the_largest_services_and_their_events_are_listed,
);

fn full_service() -> NewService {
    NewService {
        name: "wéb \"1\"".to_owned(),
        kind: ServiceKind::Worker,
        source: Source {
            kind: Some(SourceKind::Git),
            repository: "https://example.com/shop.git".to_owned(),
            branch: "main".to_owned(),
            root_directory: "apps/web".to_owned(),
            dockerfile: "Dockerfile.web".to_owned(),
            image: "registry.example.com/shop:1".to_owned(),
        },
        build: BuildConfig {
            builder: Some(Builder::Nixpacks),
            build_command: "make build".to_owned(),
            start_command: "./run --port '80'".to_owned(),
            variables: BTreeMap::from([
                ("B".to_owned(), "two\nlines \\ \"quoted\" \u{1F600}".to_owned()),
                ("A".to_owned(), String::new()),
            ]),
            ..BuildConfig::default()
        },
        resources: ResourcesInput {
            cpu: Some("500m".to_owned()),
            memory: Some("1Gi".to_owned()),
            storage: Some("10G".to_owned()),
        },
    }
}

async fn every_field_comes_back_as_it_was_written(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let project = fixture.create_project(&store, ada, "shop").await.project.id.to_string();
    for new_service in [full_service(), new_service("plain")] {
        let created = services::create(&ctx, &project, new_service).await.unwrap();
        let id = created.id.to_string();
        assert_eq!(services::view(&ctx, &id).await.unwrap(), created);
    }
    let created = services::list(&ctx, &project).await.unwrap().remove(0);
    fixture.world.clock.advance_seconds(1);
    let change = ServiceChange {
        name: Some("api".to_owned()),
        build: BuildConfigChange {
            builder: Some(Builder::Dockerfile),
            build_command: Some(String::new()),
            start_command: None,
            variables: Some(BTreeMap::from([("C".to_owned(), "3".to_owned())])),
        },
        resources: ResourcesInput { storage: Some(String::new()), ..Default::default() },
    };
    let id = created.id.to_string();
    let updated = services::update(&ctx, &id, change, Some(created.revision)).await.unwrap();
    assert_eq!(services::view(&ctx, &id).await.unwrap(), updated);
    assert_eq!(updated.name, "api");
    assert_eq!(updated.build.start_command, "./run --port '80'");
    assert_eq!(updated.resources.storage, None);
    assert_eq!(updated.source, created.source);
    assert_eq!(updated.revision, created.revision.next());
    let transaction = store.begin().await.unwrap();
    assert!(!transaction.update_service(&updated, created.revision).await.unwrap());
    assert!(!transaction.delete_service(created.id, created.revision).await.unwrap());
    drop(transaction);
    services::delete(&ctx, &id, Some(updated.revision)).await.unwrap();
    let refused = services::view(&ctx, &id).await;
    assert_eq!(refused.unwrap_err(), Error::not_found(Kind::Service, &id));
}

async fn taken_name_is_refused_at_the_statement(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let shop = fixture.create_project(&store, ada, "shop").await.project.id.to_string();
    let blog = fixture.create_project(&store, ada, "blog").await.project.id.to_string();
    services::create(&ctx, &shop, new_service("web")).await.unwrap();
    services::create(&ctx, &blog, new_service("web")).await.unwrap();
    let taken = Error::AlreadyExists { kind: Kind::Service, field: "name" };
    let refused = services::create(&ctx, &shop, new_service(" web ")).await;
    assert_eq!(refused.unwrap_err(), taken);
    let api = services::create(&ctx, &shop, new_service("api")).await.unwrap();
    let change = ServiceChange { name: Some("web".to_owned()), ..ServiceChange::default() };
    let refused = services::update(&ctx, &api.id.to_string(), change, None).await;
    assert_eq!(refused.unwrap_err(), taken);
    assert_eq!(projects::view(&ctx, &shop).await.unwrap().services_count, 2);
}

async fn service_of_a_project_that_is_gone_is_refused(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let project = fixture.create_project(&store, ada, "shop").await.project;
    let id = project.id.to_string();
    let service = services::create(&ctx, &id, new_service("web")).await.unwrap();
    projects::delete(&ctx, &id, None).await.unwrap();
    // As if the project were deleted between the look and the leap.
    let transaction = store.begin().await.unwrap();
    let refused = transaction.insert_service(&service).await;
    assert_eq!(refused.unwrap_err(), Error::not_found(Kind::Project, id));
}

async fn services_are_listed_oldest_first(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let project = fixture.create_project(&store, ada, "shop").await.project.id.to_string();
    for name in ["web", "api", "cron"] {
        services::create(&ctx, &project, new_service(name)).await.unwrap();
        fixture.world.clock.advance_seconds(1);
    }
    let listed = services::list(&ctx, &project).await.unwrap();
    let names: Vec<_> = listed.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["web", "api", "cron"]);
}

/// As large as the rules let a service be, in every way at once.
fn largest_service(number: i64) -> NewService {
    let long = |length: usize| "\u{1F600}".repeat(length);
    let variables = (0..2).map(|index| {
        let name = format!("{}{index}", "V".repeat(MAXIMUM_VARIABLE_NAME - 1));
        (name, "\"".repeat(MAXIMUM_VARIABLE_VALUE_BYTES - MAXIMUM_VARIABLE_NAME))
    });
    NewService {
        name: format!("{number:03}{}", long(services::MAXIMUM_NAME - 3)),
        kind: ServiceKind::Web,
        source: Source {
            kind: Some(SourceKind::Git),
            repository: format!("https://example.com/{}", "r".repeat(MAXIMUM_REPOSITORY - 20)),
            branch: "b".repeat(MAXIMUM_BRANCH),
            root_directory: long(MAXIMUM_PATH),
            dockerfile: long(MAXIMUM_PATH),
            image: "i".repeat(MAXIMUM_IMAGE),
        },
        build: BuildConfig {
            builder: Some(Builder::Nixpacks),
            build_command: long(MAXIMUM_COMMAND),
            start_command: long(MAXIMUM_COMMAND),
            variables: variables.collect(),
            ..BuildConfig::default()
        },
        resources: ResourcesInput::default(),
    }
}

async fn the_largest_services_and_their_events_are_listed(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let project = fixture.create_project(&store, ada, "shop").await.project.id.to_string();
    let mut created = Vec::new();
    for number in 0..services::MAXIMUM_SERVICES {
        // Some are made at the same time, and stand in the order of their ids.
        fixture.world.clock.advance_seconds(number % 3 / 2);
        created.push(services::create(&ctx, &project, largest_service(number)).await.unwrap());
    }
    created.sort_by_key(|service| (service.created_at, service.id));
    assert!(services::list(&ctx, &project).await.unwrap() == created, "all of them, in order");
    let page = PageRequest::new(1, MAXIMUM_LIMIT).unwrap();
    let events = events::list(&ctx, &EventFilter::default(), page).await.unwrap();
    assert_eq!((events.items.len(), events.has_more), (100, true));
    let mut changes = events.items[0].changes.iter();
    let command = changes.find(|change| change.field == "build_config.build_command").unwrap();
    let kept = command.after.as_deref().unwrap();
    assert!(kept.ends_with("\u{1F600}… (4096 characters in all)"), "{kept}");
}
