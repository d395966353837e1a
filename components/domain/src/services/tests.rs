#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use super::*;
use crate::projects::NewProject;
use crate::testing::{World, block_on};

mod sealed;

fn new_service(name: &str) -> NewService {
    NewService {
        name: name.to_owned(),
        kind: ServiceKind::Web,
        source: Source::default(),
        build: BuildConfig::default(),
        resources: ResourcesInput::default(),
    }
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A user with a project.
fn shop(world: &World) -> (UserId, projects::ProjectSummary) {
    let user = world.register("ada@example.com").id;
    let new_project = NewProject { name: "shop".to_owned(), description: String::new() };
    (user, block_on(projects::create(&world.as_user(user), new_project)).unwrap())
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

fn outcome<T>(outcome: &Result<T>) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(Error::NotFound { .. }) => "not found",
        Err(Error::Forbidden(_)) => "forbidden",
        Err(Error::Unauthenticated(_)) => "unauthenticated",
        Err(Error::Unavailable { .. }) => "unavailable",
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn new_service_is_stopped_in_production_with_defaults() {
    let world = World::default();
    let (user, project) = shop(&world);
    let ctx = world.as_user(user);
    let id = project.project.id.to_string();
    let service = block_on(create(&ctx, &id, new_service(" web "))).unwrap();
    assert_eq!(service.name, "web");
    assert_eq!(service.status, ServiceStatus::Stopped);
    assert_eq!(service.resources.cpu.as_str(), "0.5");
    assert_eq!(service.resources.memory.as_str(), "512Mi");
    assert_eq!(service.resources.storage, None);
    assert_eq!(service.environment_id, world.store.environments()[0].id);
    assert_eq!(block_on(view(&ctx, &service.id.to_string())).unwrap(), service);
    assert_eq!(block_on(list(&ctx, &id)).unwrap(), [service]);
    assert_eq!(block_on(projects::view(&ctx, &id)).unwrap().services_count, 1);
}

#[test]
fn creation_names_every_field_that_breaks_a_rule() {
    let check = |what: &str, edit: &dyn Fn(&mut NewService), expected: &[&str]| {
        let world = World::default();
        let (user, project) = shop(&world);
        let mut service = new_service("web");
        edit(&mut service);
        let id = project.project.id.to_string();
        let found = fields(block_on(create(&world.as_user(user), &id, service)));
        assert_eq!(found, expected, "{what}");
        assert_eq!(world.store.services().len(), usize::from(expected.is_empty()), "{what}");
    };
    check("longest name", &|new| new.name = "é".repeat(255), &[]);
    check("no name", &|new| new.name = " ".to_owned(), &["name"]);
    check("long name", &|new| new.name = "x".repeat(256), &["name"]);
    check("control", &|new| new.name = "a\u{0}".to_owned(), &["name"]);
    check(
        "every part of a source",
        &|new| {
            new.source = Source {
                kind: None,
                repository: "x".to_owned(),
                branch: "-x".to_owned(),
                root_directory: "..".to_owned(),
                dockerfile: "/x".to_owned(),
                image: "-x".to_owned(),
            };
        },
        &[
            "source.repository",
            "source.branch",
            "source.root_directory",
            "source.dockerfile",
            "source.image",
        ],
    );
    check("longest command", &|new| new.build.build_command = "x".repeat(4096), &[]);
    check(
        "commands",
        &|new| {
            new.build.build_command = "x".repeat(4097);
            new.build.start_command = "a\nb".to_owned();
        },
        &["build_config.build_command", "build_config.start_command"],
    );
    check(
        "resources",
        &|new| {
            new.resources = ResourcesInput {
                cpu: Some("0".to_owned()),
                memory: Some(String::new()),
                storage: Some("1".to_owned()),
            };
        },
        &["resources.cpu", "resources.memory", "resources.storage"],
    );
    check("no storage", &|new| new.resources.storage = Some(String::new()), &[]);
}

#[test]
fn variables_are_bounded() {
    const FIELD: &str = "build_config.environment_variables";
    let check = |what: &str, variables: BTreeMap<String, String>, expected: &[&str]| {
        let world = World::default();
        let (user, project) = shop(&world);
        let mut service = new_service("web");
        service.build.variables = variables;
        let id = project.project.id.to_string();
        let found = fields(block_on(create(&world.as_user(user), &id, service)));
        assert_eq!(found, expected, "{what}");
    };
    let many =
        |number: usize| (0..number).map(|number| (format!("V{number}"), String::new())).collect();
    check("most", many(200), &[]);
    check("too many", many(201), &[FIELD]);
    check("fine", variables(&[("_a1", "x\ty\r\nz"), ("B", "")]), &[]);
    check("longest name", variables(&[(&"a".repeat(255), "")]), &[]);
    for name in ["", "1A", "A-B", "A B", "Ä", "A=B", "A\0", &"a".repeat(256)] {
        check(name, variables(&[(name, "")]), &[FIELD]);
    }
    check("longest value", variables(&[("A", &"x".repeat(32_768))]), &[]);
    let field = format!("{FIELD}.A");
    check("long value", variables(&[("A", &"x".repeat(32_769))]), &[&field]);
    check("nul", variables(&[("A", "\0")]), &[&field]);
    let value = "x".repeat(32_766);
    check("all together", variables(&[("A1", &value), ("B1", &value)]), &[]);
    check("too much together", variables(&[("A1", &value), ("B12", &value)]), &[FIELD]);
}

#[test]
fn update_changes_what_is_present_and_keeps_the_rest() {
    let world = World::default();
    let (user, project) = shop(&world);
    let ctx = world.as_user(user);
    let mut new = new_service("web");
    new.build = BuildConfig {
        builder: Some(Builder::Nixpacks),
        build_command: "make".to_owned(),
        start_command: "./run".to_owned(),
        variables: variables(&[("A", "1"), ("B", "2")]),
        ..BuildConfig::default()
    };
    new.resources.storage = Some("1Gi".to_owned());
    let created = block_on(create(&ctx, &project.project.id.to_string(), new)).unwrap();
    let id = created.id.to_string();
    let revised = |service: &Service| Service {
        revision: created.revision,
        updated_at: created.updated_at,
        ..service.clone()
    };
    let check = |what: &str, change: ServiceChange, expected: Service| {
        let updated = block_on(update(&ctx, &id, change, None)).unwrap();
        assert_eq!(revised(&updated), revised(&expected), "{what}");
        updated
    };
    let change = ServiceChange { name: Some(" api ".to_owned()), ..Default::default() };
    let now = check("name", change, Service { name: "api".to_owned(), ..created.clone() });
    assert_eq!(now.revision, created.revision.next());
    let change = ServiceChange {
        build: BuildConfigChange {
            build_command: Some(String::new()),
            variables: Some(variables(&[("C", "3")])),
            ..Default::default()
        },
        ..Default::default()
    };
    let mut expected = now;
    expected.build.build_command.clear();
    expected.build.variables = variables(&[("C", "3")]);
    let now = check("build", change, expected);
    let change = ServiceChange {
        resources: ResourcesInput {
            cpu: Some("2".to_owned()),
            memory: None,
            storage: Some(String::new()),
        },
        ..Default::default()
    };
    let mut expected = now;
    expected.resources = Resources::parse("2", "512Mi", "").unwrap();
    let now = check("resources", change.clone(), expected);
    let events = world.store.events().len();
    let same = check("the same again", change, now.clone());
    assert_eq!(same.revision, now.revision);
    assert_eq!(world.store.events().len(), events);
}

#[test]
fn update_names_every_field_that_breaks_a_rule_whoever_asks() {
    let world = World::default();
    let ctx = world.as_user(world.register("ada@example.com").id);
    let check = |change: ServiceChange, expected: &[&str]| {
        let found = fields(block_on(update(&ctx, "no id", change.clone(), None)));
        assert_eq!(found, expected, "{change:?}");
    };
    check(ServiceChange::default(), &["body"]);
    check(
        ServiceChange {
            name: Some(String::new()),
            build: BuildConfigChange {
                start_command: Some("\0".to_owned()),
                variables: Some(variables(&[("1", "")])),
                ..Default::default()
            },
            resources: ResourcesInput { cpu: Some("many".to_owned()), ..Default::default() },
        },
        &[
            "name",
            "build_config.start_command",
            "build_config.environment_variables",
            "resources.cpu",
        ],
    );
}

#[test]
fn values_of_variables_never_enter_the_trail() {
    let world = World::default();
    let (user, project) = shop(&world);
    let ctx = world.as_user(user);
    let mut new = new_service("web");
    new.build.variables = variables(&[("KEEP", "s3cret-1"), ("TURN", "s3cret-2")]);
    let created = block_on(create(&ctx, &project.project.id.to_string(), new)).unwrap();
    let change = ServiceChange {
        build: BuildConfigChange {
            variables: Some(variables(&[("KEEP", "s3cret-1"), ("TURN", "s3cret-3")])),
            ..Default::default()
        },
        ..Default::default()
    };
    let id = created.id.to_string();
    block_on(update(&ctx, &id, change, None)).unwrap();
    block_on(delete(&ctx, &id, None)).unwrap();
    let events = world.store.events();
    assert!(!format!("{events:?}").contains("s3cret"), "{events:?}");
    let updated = &events[events.len() - 2];
    assert_eq!(
        updated.changes,
        [Change {
            field: "build_config.environment_variables.changed".to_owned(),
            before: None,
            after: Some("TURN".to_owned()),
        }]
    );
    let names = |event: &events::Event| {
        let field = "build_config.environment_variables";
        let change = event.changes.iter().find(|change| change.field == field).unwrap();
        (change.before.clone(), change.after.clone())
    };
    let both = Some("KEEP, TURN".to_owned());
    assert_eq!(names(&events[2]), (None, both.clone()));
    assert_eq!(names(&events[4]), (both, None));
}

#[test]
fn roles_decide_and_strangers_find_nothing() {
    let check = |role: Option<Role>, expected: [&str; 5]| {
        let world = World::default();
        let (owner, project) = shop(&world);
        let member = world.register("eve@example.com").id;
        let project_id = project.project.id.to_string();
        let service = block_on(create(&world.as_user(owner), &project_id, new_service("web")));
        let id = service.unwrap().id.to_string();
        if let Some(role) = role {
            world.store.add_member(project.project.organization_id, member, role);
        }
        let ctx = world.as_user(member);
        let change = ServiceChange { name: Some("api".to_owned()), ..Default::default() };
        let found = [
            outcome(&block_on(list(&ctx, &project_id))),
            outcome(&block_on(create(&ctx, &project_id, new_service("cron")))),
            outcome(&block_on(view(&ctx, &id))),
            outcome(&block_on(update(&ctx, &id, change, None))),
            outcome(&block_on(delete(&ctx, &id, None))),
        ];
        assert_eq!(found, expected, "{role:?}");
    };
    check(Some(Role::Owner), ["done"; 5]);
    check(Some(Role::Admin), ["done"; 5]);
    check(Some(Role::Developer), ["done"; 5]);
    check(Some(Role::Viewer), ["done", "forbidden", "done", "forbidden", "forbidden"]);
    check(None, ["not found"; 5]);
}

#[test]
fn anonymous_callers_reach_nothing() {
    let world = World::default();
    let ctx = world.anonymous();
    let found = [
        outcome(&block_on(list(&ctx, "x"))),
        outcome(&block_on(create(&ctx, "x", new_service("")))),
        outcome(&block_on(view(&ctx, "x"))),
        outcome(&block_on(update(&ctx, "x", ServiceChange::default(), None))),
        outcome(&block_on(delete(&ctx, "x", None))),
    ];
    assert_eq!(found, ["unauthenticated"; 5]);
}

#[test]
fn names_are_unique_in_a_project() {
    let world = World::default();
    let (user, project) = shop(&world);
    let ctx = world.as_user(user);
    let id = project.project.id.to_string();
    let web = block_on(create(&ctx, &id, new_service("web"))).unwrap();
    let api = block_on(create(&ctx, &id, new_service("api"))).unwrap();
    let taken = Error::AlreadyExists { kind: Kind::Service, field: "name" };
    assert_eq!(block_on(create(&ctx, &id, new_service(" web "))).unwrap_err(), taken);
    let rename = |name: &str| ServiceChange { name: Some(name.to_owned()), ..Default::default() };
    let refused = block_on(update(&ctx, &api.id.to_string(), rename("web"), None));
    assert_eq!(refused.unwrap_err(), taken);
    block_on(delete(&ctx, &web.id.to_string(), None)).unwrap();
    block_on(update(&ctx, &api.id.to_string(), rename("web"), None)).unwrap();
}

#[test]
fn project_has_a_bounded_number_of_services_and_needs_production() {
    let world = World::default();
    let (user, project) = shop(&world);
    let ctx = world.as_user(user);
    let id = project.project.id.to_string();
    for number in 0..MAXIMUM_SERVICES {
        block_on(create(&ctx, &id, new_service(&format!("service {number}")))).unwrap();
    }
    let refused = block_on(create(&ctx, &id, new_service("one more")));
    assert!(matches!(refused, Err(Error::QuotaExceeded { retry_after_seconds: None, .. })));
    let other = NewProject { name: "blog".to_owned(), description: String::new() };
    let other = block_on(projects::create(&ctx, other)).unwrap().project.id;
    world.store.delete_environments(other);
    let refused = block_on(create(&ctx, &other.to_string(), new_service("web"))).unwrap_err();
    assert_eq!(refused.to_string(), "the project has no production environment");
}

#[test]
fn revisions_decide_between_concurrent_changes() {
    let world = World::default();
    let (user, project) = shop(&world);
    let ctx = world.as_user(user);
    let id = project.project.id.to_string();
    let service = block_on(create(&ctx, &id, new_service("web"))).unwrap();
    let id = service.id.to_string();
    let events = world.store.events().len();
    let check = |expected_revision: Option<Revision>, cause: Conflict| {
        let expected = Error::Conflict { kind: Kind::Service, cause };
        let change = ServiceChange { name: Some("api".to_owned()), ..Default::default() };
        let refused = block_on(update(&ctx, &id, change, expected_revision));
        assert_eq!(refused.unwrap_err(), expected);
        let refused = block_on(delete(&ctx, &id, expected_revision));
        assert_eq!(refused.unwrap_err(), expected);
    };
    check(Some(service.revision.next()), Conflict::PreconditionFailed);
    world.store.make_writes_stale();
    check(None, Conflict::StaleRevision);
    check(Some(service.revision), Conflict::PreconditionFailed);
    assert_eq!(world.store.events().len(), events);
    assert_eq!(world.store.services(), [service]);
}
