#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::context::Caller;
use crate::testing::{World, block_on};

fn new_project(name: &str, description: &str) -> NewProject {
    NewProject { name: name.to_owned(), description: description.to_owned() }
}

fn rename(name: &str) -> ProjectChange {
    ProjectChange { name: Some(name.to_owned()), description: None }
}

fn fields<T: std::fmt::Debug>(outcome: Result<T>) -> Vec<String> {
    match outcome {
        Ok(_) => Vec::new(),
        Err(Error::Invalid(violations)) => {
            violations.into_iter().map(|violation| violation.field.into_owned()).collect()
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// What an outcome amounts to.
fn outcome<T>(outcome: &Result<T>) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(Error::NotFound { kind: Kind::Project, .. }) => "not found",
        Err(Error::Forbidden(_)) => "forbidden",
        Err(Error::Unauthenticated(_)) => "unauthenticated",
        Err(Error::Unavailable { .. }) => "unavailable",
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn texts_are_bounded_on_creation_and_on_change() {
    let world = World::default();
    let ctx = world.as_user(world.register("ada@example.com").id);
    let project = block_on(create(&ctx, new_project("shop", ""))).unwrap().project;
    let id = project.id.to_string();
    let check = |name: &str, description: &str, expected: &[&str]| {
        let created = fields(block_on(create(&ctx, new_project(name, description))));
        assert_eq!(created, expected, "create {name:?} {description:?}");
        let change = ProjectChange {
            name: Some(name.to_owned()),
            description: Some(description.to_owned()),
        };
        let updated = fields(block_on(update(&ctx, &id, change, None)));
        assert_eq!(updated, expected, "update {name:?} {description:?}");
    };
    check("ab", "", &[]);
    check(&"é".repeat(100), &"é".repeat(2000), &[]);
    check("shop", "tab\tand\r\nlines", &[]);
    check(" a ", "", &["name"]);
    check("", "", &["name"]);
    check(&"x".repeat(101), "", &["name"]);
    check("a\u{7f}b", "", &["name"]);
    check("a\tb", "", &["name"]);
    check("shop", &"x".repeat(2001), &["description"]);
    check("shop", "nul\u{0}", &["description"]);
    check("x", "\u{1b}[31m", &["name", "description"]);
    let empty = block_on(update(&ctx, &id, ProjectChange::default(), None));
    assert_eq!(fields(empty), ["body"]);
}

#[test]
fn project_is_born_with_its_environments_and_its_event() {
    let world = World::default();
    let user = world.register("ada@example.com");
    let created = block_on(create(&world.as_user(user.id), new_project("  shop ", "sells")));
    let created = created.unwrap();
    assert_eq!(created.services_count, 0);
    let project = created.project;
    assert_eq!((project.name.as_str(), project.description.as_str()), ("shop", "sells"));
    assert_eq!(project.owner_id, user.id);
    assert_eq!(project.organization_id, world.store.memberships()[0].organization_id);
    let environments = world.store.environments();
    let names: Vec<_> = environments.iter().map(|environment| environment.name.as_str()).collect();
    assert_eq!(names, ["production", "preview", "development"]);
    assert!(environments.iter().all(|environment| environment.project_id == project.id));
    let events = world.store.events();
    assert_eq!(events.len(), 2);
    assert_eq!((events[1].resource, events[1].action), (Resource::Project, Action::Create));
    assert_eq!(events[1].resource_id, project.id.to_string());
    assert_eq!(events[1].changes.len(), 2);
}

#[test]
fn roles_decide_and_strangers_find_nothing() {
    let check = |role: Option<Role>, expected: [&str; 4]| {
        let world = World::default();
        let owner = world.register("ada@example.com");
        let member = world.register("eve@example.com");
        let project =
            block_on(create(&world.as_user(owner.id), new_project("shop", ""))).unwrap().project;
        if let Some(role) = role {
            world.store.add_member(project.organization_id, member.id, role);
        }
        let ctx = world.as_user(member.id);
        let id = project.id.to_string();
        let page = PageRequest::new(1, 10).unwrap();
        let listed = block_on(list(&ctx, &ProjectFilter::default(), page)).unwrap();
        let found = [
            if listed.total == 1 { "done" } else { "not found" },
            outcome(&block_on(view(&ctx, &id))),
            outcome(&block_on(update(&ctx, &id, rename("store"), None))),
            outcome(&block_on(delete(&ctx, &id, None))),
        ];
        assert_eq!(found, expected, "{role:?}");
    };
    check(Some(Role::Owner), ["done", "done", "done", "done"]);
    check(Some(Role::Admin), ["done", "done", "done", "forbidden"]);
    check(Some(Role::Developer), ["done", "done", "done", "forbidden"]);
    check(Some(Role::Viewer), ["done", "done", "forbidden", "forbidden"]);
    check(None, ["not found"; 4]);
}

#[test]
fn foreign_missing_and_malformed_ids_are_one_answer() {
    let world = World::default();
    let owner = world.register("ada@example.com");
    let eve = world.register("eve@example.com");
    let foreign =
        block_on(create(&world.as_user(owner.id), new_project("shop", ""))).unwrap().project.id;
    let ctx = world.as_user(eve.id);
    for id in [foreign.to_string().as_str(), "00000000-0000-0000-0000-0000000000ff", "x", ""] {
        let expected = Error::not_found(Kind::Project, id);
        assert_eq!(block_on(view(&ctx, id)).unwrap_err(), expected);
        assert_eq!(block_on(update(&ctx, id, rename("store"), None)).unwrap_err(), expected);
        assert_eq!(block_on(delete(&ctx, id, None)).unwrap_err(), expected);
        assert_eq!(expected.to_string(), "project not found");
    }
}

#[test]
fn callers_without_credentials_reach_nothing() {
    let world = World::default();
    let user = world.register("ada@example.com");
    let id = block_on(create(&world.as_user(user.id), new_project("shop", ""))).unwrap();
    let id = id.project.id.to_string();
    for caller in [Caller::Anonymous, Caller::Rejected("the token expired".to_owned())] {
        let ctx = world.context(caller);
        let page = PageRequest::new(1, 10).unwrap();
        let found = [
            outcome(&block_on(list(&ctx, &ProjectFilter::default(), page))),
            outcome(&block_on(create(&ctx, new_project("", "")))),
            outcome(&block_on(view(&ctx, &id))),
            outcome(&block_on(update(&ctx, &id, ProjectChange::default(), None))),
            outcome(&block_on(delete(&ctx, &id, None))),
        ];
        assert_eq!(found, ["unauthenticated"; 5]);
    }
    world.store.delete_user(user.id);
    let gone = block_on(create(&world.as_user(user.id), new_project("shop", "")));
    assert_eq!(outcome(&gone), "unauthenticated");
}

#[test]
fn pages_and_searches_find_what_they_should() {
    let world = World::default();
    let ctx = world.as_user(world.register("ada@example.com").id);
    for (name, description) in [("Shop", "wool"), ("École", ""), ("100%", "a_b")] {
        block_on(create(&ctx, new_project(name, description))).unwrap();
        world.clock.advance_seconds(1);
    }
    let check = |search: Option<&str>, page: (i64, i64), expected: &[&str], total: i64| {
        let filter = ProjectFilter { search: search.map(str::to_owned) };
        let page = PageRequest::new(page.0, page.1).unwrap();
        let found = block_on(list(&ctx, &filter, page)).unwrap();
        let names: Vec<_> = found.items.iter().map(|item| item.project.name.as_str()).collect();
        assert_eq!((names.as_slice(), found.total), (expected, total), "{filter:?}");
    };
    check(None, (1, 10), &["100%", "École", "Shop"], 3);
    check(Some(""), (1, 2), &["100%", "École"], 3);
    check(None, (2, 2), &["Shop"], 3);
    check(None, (3, 2), &[], 3);
    check(Some("SHOP"), (1, 10), &["Shop"], 1);
    check(Some("WOOL"), (1, 10), &["Shop"], 1);
    check(Some("éCOLE"), (1, 10), &["École"], 1);
    check(Some("nothing"), (1, 10), &[], 0);
    for search in ["x".repeat(201), "nul\0".to_owned(), "a\nb".to_owned()] {
        let filter = ProjectFilter { search: Some(search) };
        let page = PageRequest::new(1, 10).unwrap();
        assert_eq!(fields(block_on(list(&ctx, &filter, page))), ["search"]);
    }
}

#[test]
fn change_is_written_with_its_event_or_not_at_all() {
    let world = World::default();
    let ctx = world.as_user(world.register("ada@example.com").id);
    let before = block_on(create(&ctx, new_project("shop", "old"))).unwrap().project;
    let id = before.id.to_string();
    world.clock.advance_seconds(1);
    let change = ProjectChange { name: None, description: Some(String::new()) };
    let updated = block_on(update(&ctx, &id, change.clone(), Some(before.revision))).unwrap();
    assert_eq!(updated.project.description, "");
    assert_eq!(updated.project.name, "shop");
    assert_eq!(updated.project.revision, before.revision.next());
    assert!(updated.project.updated_at > before.updated_at);
    let events = world.store.events();
    assert_eq!(
        events[2].changes,
        [Change { field: "description".to_owned(), before: Some("old".to_owned()), after: None }]
    );
    assert_eq!(block_on(update(&ctx, &id, change, None)).unwrap(), updated, "nothing to do");
    assert_eq!(world.store.events().len(), 3);
    let precondition = Error::Conflict { kind: Kind::Project, cause: Conflict::PreconditionFailed };
    let refused = block_on(update(&ctx, &id, rename("store"), Some(before.revision)));
    assert_eq!(refused.unwrap_err(), precondition);
    let refused = block_on(delete(&ctx, &id, Some(before.revision)));
    assert_eq!(refused.unwrap_err(), precondition);
    world.store.refuse_commits();
    for refused in [
        outcome(&block_on(create(&ctx, new_project("other", "")))),
        outcome(&block_on(update(&ctx, &id, rename("store"), None))),
        outcome(&block_on(delete(&ctx, &id, None))),
    ] {
        assert_eq!(refused, "unavailable");
    }
    assert_eq!(block_on(view(&ctx, &id)).unwrap(), updated);
    assert_eq!(world.store.events().len(), 3);
}

#[test]
fn concurrent_change_is_a_conflict() {
    let world = World::default();
    let ctx = world.as_user(world.register("ada@example.com").id);
    let project = block_on(create(&ctx, new_project("shop", ""))).unwrap().project;
    let id = project.id.to_string();
    world.store.make_writes_stale();
    let check = |expected_revision: Option<Revision>, cause: Conflict| {
        let expected = Error::Conflict { kind: Kind::Project, cause };
        let refused = block_on(update(&ctx, &id, rename("store"), expected_revision));
        assert_eq!(refused.unwrap_err(), expected);
        let refused = block_on(delete(&ctx, &id, expected_revision));
        assert_eq!(refused.unwrap_err(), expected);
    };
    check(None, Conflict::StaleRevision);
    check(Some(project.revision), Conflict::PreconditionFailed);
    assert_eq!(world.store.events().len(), 2);
}

#[test]
fn deletion_leaves_only_its_event() {
    let world = World::default();
    let ctx = world.as_user(world.register("ada@example.com").id);
    let project = block_on(create(&ctx, new_project("shop", ""))).unwrap().project;
    let id = project.id.to_string();
    block_on(delete(&ctx, &id, Some(project.revision))).unwrap();
    assert_eq!(outcome(&block_on(view(&ctx, &id))), "not found");
    assert_eq!(outcome(&block_on(delete(&ctx, &id, None))), "not found");
    assert!(world.store.environments().is_empty());
    let event = world.store.events().pop().unwrap();
    assert_eq!((event.action, event.resource_id), (Action::Delete, id));
    let fields: Vec<_> = event.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["name", "services_count"]);
}

#[test]
fn unreachable_storage_is_unavailable_and_keeps_its_reason() {
    let world = World::default();
    let ctx = world.as_user(world.register("ada@example.com").id);
    world.store.become_unreachable();
    let refused = block_on(create(&ctx, new_project("shop", ""))).unwrap_err();
    assert_eq!(refused.to_string(), "the service is unavailable");
    assert!(refused.internal().unwrap().contains("unreachable"));
}
