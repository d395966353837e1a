//! The audit trail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures::future::join_all;
use windlass_domain::events::{
    self, BrokenLink, ChainHead, Event, EventFilter, Resource, verify_chain,
};
use windlass_domain::projects::{self, NewProject, ProjectChange};
use windlass_domain::store::EventReads;
use windlass_domain::{PageRequest, Result, services};
use windlass_store::SqlStore;

use crate::support::{Fixture, new_service};

on_both_databases!(
    changed_row_breaks_the_chain,
    concurrent_writers_take_one_place_each,
    own_events_are_listed_newest_first,
);

/// An organization's chain and where the organization says that it ends.
async fn chain(fixture: &Fixture) -> Vec<Event> {
    let store = SqlStore::new(fixture.executor());
    let ada = "SELECT COUNT(*) FROM event_chain";
    assert_eq!(fixture.executor().number(ada).await, 1, "one organization in this test");
    let account = windlass_domain::store::UserReads::account_by_email(&store, "ada@example.com");
    let organization = account.await.unwrap().unwrap().organization_id;
    store.event_chain(organization, 0, 1000).await.unwrap()
}

async fn changed_row_breaks_the_chain(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let project = fixture.create_project(&store, ada, "shop").await.project.id.to_string();
    let service = services::create(&ctx, &project, new_service("web")).await.unwrap();
    services::delete(&ctx, &service.id.to_string(), None).await.unwrap();
    let change = ProjectChange { name: Some("store".to_owned()), ..ProjectChange::default() };
    projects::update(&ctx, &project, change, None).await.unwrap();
    projects::delete(&ctx, &project, None).await.unwrap();
    let whole = chain(&fixture).await;
    let head = verify_chain(ChainHead::EMPTY, &whole).unwrap();
    assert_eq!(head.sequence, 6);
    let kept = "SELECT sequence FROM event_chain";
    assert_eq!(fixture.executor().number(kept).await, head.sequence);
    fixture
        .executor()
        .execute("UPDATE event SET actor_email = 'eve@example.com' WHERE sequence = 3")
        .await;
    let broken = verify_chain(ChainHead::EMPTY, &chain(&fixture).await);
    assert_eq!(broken, Err(BrokenLink::Changed { sequence: 3 }));
    fixture.executor().execute("DELETE FROM event WHERE sequence = 3").await;
    let broken = verify_chain(ChainHead::EMPTY, &chain(&fixture).await);
    assert_eq!(broken, Err(BrokenLink::Misplaced { sequence: 4 }));
}

async fn concurrent_writers_take_one_place_each(fixture: Fixture) {
    const WRITERS: usize = 12;
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    let writes = (0..WRITERS).map(|number| {
        let new_project =
            NewProject { name: format!("project {number}"), description: String::new() };
        projects::create(&ctx, new_project)
    });
    let written: Result<Vec<_>> = join_all(writes).await.into_iter().collect();
    assert_eq!(written.unwrap().len(), WRITERS);
    let events = chain(&fixture).await;
    let head = verify_chain(ChainHead::EMPTY, &events).unwrap();
    assert_eq!(head.sequence, i64::try_from(WRITERS + 1).unwrap());
}

async fn own_events_are_listed_newest_first(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let ada = fixture.register(&store, "ada@example.com").await.id;
    let ctx = fixture.as_user(&store, ada);
    fixture.world.clock.advance_seconds(1);
    let project = fixture.create_project(&store, ada, "shop").await.project.id.to_string();
    fixture.world.clock.advance_seconds(1);
    let change = ProjectChange { name: Some("store".to_owned()), ..ProjectChange::default() };
    projects::update(&ctx, &project, change, None).await.unwrap();
    fixture.register(&store, "eve@example.com").await;
    let check = async |filter: (&str, &str), page: (i64, i64), expected: &[&str], more: bool| {
        let optional = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let filter = EventFilter { resource: optional(filter.0), action: optional(filter.1) };
        let page = PageRequest::new(page.0, page.1).unwrap();
        let found = events::list(&ctx, &filter, page).await.unwrap();
        let actions: Vec<_> = found.items.iter().map(|event| event.action.as_str()).collect();
        assert_eq!((actions.as_slice(), found.has_more), (expected, more), "{filter:?} {page:?}");
    };
    check(("", ""), (1, 10), &["update", "create", "register"], false).await;
    check(("", ""), (1, 2), &["update", "create"], true).await;
    check(("", ""), (2, 2), &["register"], false).await;
    check(("project", ""), (1, 10), &["update", "create"], false).await;
    check(("", "register"), (1, 10), &["register"], false).await;
    check(("project", "create"), (1, 10), &["create"], false).await;
    check(("service", ""), (1, 10), &[], false).await;
    check(("nonsense\0", ""), (1, 10), &[], false).await;
    let of_project = events::list_for_resource(&ctx, "project", &project).await.unwrap();
    assert_eq!(of_project.len(), 2);
    let newest = &of_project[0];
    assert_eq!(newest.resource, Resource::Project);
    assert_eq!(newest.actor_email, "ada@example.com");
    assert_eq!(newest.request_id, "request-1");
    assert_eq!(newest.client_address, "192.0.2.1");
    assert_eq!(newest.user_agent, "test/1");
    let change = &newest.changes[0];
    assert_eq!(change.field, "name");
    assert_eq!((change.before.as_deref(), change.after.as_deref()), (Some("shop"), Some("store")));
    assert!(events::list_for_resource(&ctx, "service", &project).await.unwrap().is_empty());
}
