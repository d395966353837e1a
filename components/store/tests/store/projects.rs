//! Projects.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use windlass_domain::ids::UserId;
use windlass_domain::organizations::Role;
use windlass_domain::projects::{self, NewProject, ProjectChange, ProjectFilter};
use windlass_domain::store::Store;
use windlass_domain::{Error, Kind, PageRequest, services};
use windlass_store::SqlStore;

use crate::support::{Fixture, new_service};

on_both_databases!(
    pages_are_newest_first_with_the_whole_total,
    search_finds_exactly_the_text_in_any_case,
    stranger_sees_nothing_and_member_sees_all,
    project_is_updated_over_the_revision_that_was_read,
    deleted_project_takes_its_environments_and_services_along,
    dropped_transaction_leaves_nothing,
);

async fn names(
    fixture: &Fixture,
    user: UserId,
    search: Option<&str>,
    page: PageRequest,
) -> (Vec<String>, i64) {
    let store = SqlStore::new(fixture.executor());
    let filter = ProjectFilter { search: search.map(str::to_owned) };
    let page = projects::list(&fixture.as_user(&store, user), &filter, page).await.unwrap();
    (page.items.into_iter().map(|item| item.project.name).collect(), page.total)
}

fn page(number: i64, limit: i64) -> PageRequest {
    PageRequest::new(number, limit).unwrap()
}

async fn pages_are_newest_first_with_the_whole_total(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let first = fixture.create_project(&store, ada, "first").await;
    fixture.create_project(&store, ada, "same time").await;
    fixture.world.clock.advance_seconds(1);
    fixture.create_project(&store, ada, "third").await;
    let check = async |number: i64, limit: i64, expected: &[&str], total: i64| {
        let found = names(&fixture, ada, None, page(number, limit)).await;
        let expected = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(found, (expected, total), "page {number} of {limit}");
    };
    check(1, 10, &["third", "same time", "first"], 3).await;
    check(1, 2, &["third", "same time"], 3).await;
    check(2, 2, &["first"], 3).await;
    check(3, 2, &[], 3).await;
    check(windlass_domain::page::MAXIMUM_PAGE, 100, &[], 3).await;
    // A change brings a project to the front.
    fixture.world.clock.advance_seconds(1);
    let ctx = fixture.as_user(&store, ada);
    let change = ProjectChange { description: Some("new".to_owned()), ..Default::default() };
    let id = first.project.id.to_string();
    projects::update(&ctx, &id, change, None).await.unwrap();
    check(1, 1, &["first"], 3).await;
}

async fn search_finds_exactly_the_text_in_any_case(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    for (name, description) in [
        ("Shop", "sells 100% wool"),
        ("ÉCOLE", "a_b"),
        ("Plain!", "line one\nline two"),
        ("back\\slash", "it's \"quoted\""),
    ] {
        let new_project = NewProject { name: name.to_owned(), description: description.to_owned() };
        projects::create(&fixture.as_user(&store, ada), new_project).await.unwrap();
    }
    let check = async |search: &str, expected: &[&str]| {
        let (mut found, total) = names(&fixture, ada, Some(search), page(1, 10)).await;
        found.sort();
        assert_eq!(found, expected, "{search}");
        assert_eq!(usize::try_from(total).unwrap(), expected.len(), "{search}");
        let past_the_end = names(&fixture, ada, Some(search), page(2, 10)).await;
        assert_eq!(past_the_end, (Vec::new(), total), "{search}");
    };
    check("", &["Plain!", "Shop", "back\\slash", "ÉCOLE"]).await;
    check("sHOP", &["Shop"]).await;
    check("WOOL", &["Shop"]).await;
    check("école", &["ÉCOLE"]).await;
    check("%", &["Shop"]).await;
    check("_", &["ÉCOLE"]).await;
    check("a_b", &["ÉCOLE"]).await;
    check("a%b", &[]).await;
    check("!", &["Plain!"]).await;
    check("\\", &["back\\slash"]).await;
    check("'s \"q", &["back\\slash"]).await;
    check("missing", &[]).await;
}

async fn stranger_sees_nothing_and_member_sees_all(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let eve = fixture.register(&store, "eve@example.com").await.id;
    let project = fixture.create_project(&store, ada, "secret").await.project;
    let id = project.id.to_string();
    let as_eve = fixture.as_user(&store, eve);
    assert_eq!(names(&fixture, eve, None, page(1, 10)).await, (Vec::new(), 0));
    let refused = projects::view(&as_eve, &id).await;
    assert_eq!(refused.unwrap_err(), Error::not_found(Kind::Project, &id));
    fixture
        .executor()
        .execute(
            "INSERT INTO membership (user_id, organization_id, role, created_at) \
             SELECT user_account.id, project.organization_id, 'viewer', 0 \
             FROM user_account JOIN project ON user_account.email = 'eve@example.com'",
        )
        .await;
    assert_eq!(names(&fixture, eve, None, page(1, 10)).await, (vec!["secret".to_owned()], 1));
    use windlass_domain::store::ProjectReads;
    let access = store.project(eve, project.id).await.unwrap().unwrap();
    assert_eq!(access.summary.project, project);
    assert_eq!((access.role, access.email.as_str()), (Role::Viewer, "eve@example.com"));
    let refused = projects::delete(&as_eve, &id, None).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
}

async fn project_is_updated_over_the_revision_that_was_read(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let before = fixture.create_project(&store, ada, "shop").await.project;
    let ctx = fixture.as_user(&store, ada);
    fixture.world.clock.advance_seconds(5);
    let change =
        ProjectChange { name: Some("store".to_owned()), description: Some("sells".to_owned()) };
    let id = before.id.to_string();
    let updated = projects::update(&ctx, &id, change, Some(before.revision)).await.unwrap();
    assert_eq!(updated, projects::view(&ctx, &id).await.unwrap());
    assert_eq!(updated.project.name, "store");
    assert_eq!(updated.project.revision, before.revision.next());
    let transaction = store.begin().await.unwrap();
    assert!(!transaction.update_project(&updated.project, before.revision).await.unwrap());
    assert!(!transaction.delete_project(before.id, before.revision).await.unwrap());
}

async fn deleted_project_takes_its_environments_and_services_along(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let gone = fixture.create_project(&store, ada, "gone").await.project.id.to_string();
    let kept = fixture.create_project(&store, ada, "kept").await.project.id.to_string();
    for project in [&gone, &kept] {
        services::create(&ctx, project, new_service("web")).await.unwrap();
    }
    assert_eq!(projects::view(&ctx, &gone).await.unwrap().services_count, 1);
    projects::delete(&ctx, &gone, None).await.unwrap();
    let refused = projects::view(&ctx, &gone).await;
    assert_eq!(refused.unwrap_err(), Error::not_found(Kind::Project, &gone));
    for (statement, expected) in [
        ("SELECT COUNT(*) FROM project", 1),
        ("SELECT COUNT(*) FROM environment", 3),
        ("SELECT COUNT(*) FROM service", 1),
        ("SELECT COUNT(*) FROM event WHERE resource = 'project' AND action = 'delete'", 1),
    ] {
        assert_eq!(fixture.executor().number(statement).await, expected, "{statement}");
    }
}

async fn dropped_transaction_leaves_nothing(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let project = fixture.create_project(&store, ada, "shop").await.project;
    let transaction = store.begin().await.unwrap();
    assert!(transaction.delete_project(project.id, project.revision).await.unwrap());
    drop(transaction);
    let ctx = fixture.as_user(&store, ada);
    let found = projects::view(&ctx, &project.id.to_string()).await.unwrap();
    assert_eq!(found.project, project);
}
