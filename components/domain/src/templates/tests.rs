#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use super::*;
use crate::context::Caller;
use crate::events::{Action, Resource};
use crate::ids::UserId;
use crate::organizations::Role;
use crate::projects::{self, NewProject};
use crate::testing::{World, block_on};

fn project(world: &World, owner: UserId) -> String {
    let new_project = NewProject { name: "Shop".to_owned(), description: String::new() };
    let project = block_on(projects::create(&world.as_user(owner), new_project)).unwrap();
    project.project.id.to_string()
}

fn deployment(project_id: &str, variables: &[(&str, &str)]) -> TemplateDeployment {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    TemplateDeployment {
        project_id: project_id.to_owned(),
        name: "web".to_owned(),
        variables: variables.iter().map(owned).collect(),
        ..TemplateDeployment::default()
    }
}

fn made(world: &World, id: &str, variables: &[(&str, &str)]) -> Service {
    let ada = world.register("ada@example.com").id;
    let deployment = deployment(&project(world, ada), variables);
    match block_on(deploy(&world.as_user(ada), id, deployment)).unwrap() {
        Deployed::Service(service) => *service,
        Deployed::Database(database) => panic!("{database:?}"),
    }
}

fn variables(service: &Service) -> Vec<(&str, &str)> {
    service.build.variables.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

#[test]
fn every_template_can_be_deployed_as_it_is_described() {
    let ids: BTreeSet<&str> = CATALOGUE.iter().map(|template| template.id).collect();
    assert_eq!((ids.len(), CATALOGUE.len()), (14, 14), "an id names one template");
    for template in CATALOGUE {
        let world = World::default();
        let ada = world.register("ada@example.com").id;
        let required = template.variables.iter().filter(|one| one.required);
        let given: Vec<_> = required.map(|one| (one.key, "given")).collect();
        let deployment = deployment(&project(&world, ada), &given);
        let outcome = block_on(deploy(&world.as_user(ada), template.id, deployment));
        match template.config.kind {
            ServiceKind::Database => {
                let Ok(Deployed::Database(database)) = outcome else { panic!("{outcome:?}") };
                assert_eq!(database.engine.as_str(), template.config.runtime);
                assert_eq!((database.plan, &*database.region), (Plan::Hobby, "us-east"));
                assert_eq!(world.signal.count(), 1, "it is promised");
            }
            kind => {
                let Ok(Deployed::Service(service)) = outcome else { panic!("{outcome:?}") };
                assert_eq!(service.kind, kind, "{}", template.id);
            }
        }
        for text in [template.name, template.description, template.category] {
            assert!(!text.is_empty(), "{}", template.id);
        }
        for variable in template.variables {
            assert!(!variable.label.is_empty() && !variable.description.is_empty());
            assert!(!variable.required || variable.default.is_empty(), "{}", variable.key);
        }
    }
}

#[test]
fn values_go_over_defaults_and_blank_ones_are_none() {
    let world = World::default();
    let service = made(
        &world,
        "tpl-nodejs",
        &[("NODE_ENV", "  "), ("PORT", "8080"), ("EXTRA", "1"), ("EMPTY", "")],
    );
    assert_eq!(variables(&service), [("EXTRA", "1"), ("PORT", "8080")]);
    assert_eq!(service.build.start_command, "npm start");
    assert_eq!((service.resources.cpu.as_str(), service.name.as_str()), ("0.5", "web"));
    let world = World::default();
    let service = made(&world, "tpl-cron", &[]);
    assert_eq!(variables(&service), [("CRON_SCHEDULE", "0 * * * *")]);
}

#[test]
fn a_secret_is_sealed_for_its_service_and_is_in_no_event() {
    let world = World::default();
    let service = made(&world, "tpl-nodejs", &[("NPM_TOKEN", "npm_s3cret")]);
    assert!(!service.build.variables.contains_key("NPM_TOKEN"));
    let context = format!("service:{}:variable:NPM_TOKEN", service.id);
    let opened = world.secrets.open(&context, &service.build.sealed["NPM_TOKEN"]);
    assert_eq!(opened.as_deref(), Some("npm_s3cret"));
    let events = world.store.events();
    let event = events.last().unwrap();
    assert_eq!((event.resource, event.action), (Resource::Service, Action::Create));
    let said = format!("{events:?}{service:?}");
    assert!(!said.contains("s3cret"), "{said}");
    let told = |field: &str| {
        let change = event.changes.iter().find(|change| change.field == field);
        change.and_then(|change| change.after.clone()).unwrap_or_default()
    };
    assert_eq!(told("template"), "tpl-nodejs");
    assert_eq!(told("build_config.environment_variables"), "NODE_ENV, PORT, NPM_TOKEN");
}

#[test]
fn what_says_where_it_comes_from_is_the_source_and_no_variable() {
    let check = |id: &str, given: &[(&str, &str)], expected: Source| {
        let world = World::default();
        let service = made(&world, id, given);
        assert_eq!(service.source, expected, "{id} {given:?}");
        for key in [IMAGE, TAG, REPOSITORY, BRANCH] {
            assert!(!service.build.variables.contains_key(key), "{key}");
        }
    };
    let image = |image: &str| Source {
        kind: Some(SourceKind::Image),
        image: image.to_owned(),
        ..Source::default()
    };
    check("tpl-docker", &[("IMAGE", "acme/shop")], image("acme/shop:latest"));
    check("tpl-docker", &[("IMAGE", "acme/shop"), ("TAG", "7")], image("acme/shop:7"));
    check("tpl-docker", &[("IMAGE", "acme/shop:7")], image("acme/shop:7"));
    check("tpl-docker", &[("IMAGE", "h:5000/shop")], image("h:5000/shop:latest"));
    check("tpl-docker", &[("IMAGE", "shop@sha256:00")], image("shop@sha256:00"));
    check("tpl-go", &[], Source::default());
    let repository = "https://git.example.com/acme/shop.git";
    let source = Source {
        kind: Some(SourceKind::Git),
        repository: repository.to_owned(),
        branch: "main".to_owned(),
        ..Source::default()
    };
    check("tpl-go", &[("REPOSITORY", repository), ("BRANCH", "main")], source);
}

#[test]
fn what_is_missing_is_named_and_nothing_is_made() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let project = project(&world, ada);
    let ctx = world.as_user(ada);
    let check = |id: &str, given: &[(&str, &str)], expected: &[&'static str]| {
        let refused = block_on(deploy(&ctx, id, deployment(&project, given))).unwrap_err();
        assert_eq!(refused, Error::MissingVariables(expected.to_vec()), "{id}");
    };
    check("tpl-docker", &[], &["IMAGE"]);
    check("tpl-react", &[("VITE_API_URL", " \t")], &["VITE_API_URL"]);
    check("tpl-mysql", &[], &["MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD"]);
    assert!(world.store.services().is_empty());
    let taken = deployment(&project, &[]);
    block_on(deploy(&ctx, "tpl-go", taken.clone())).unwrap();
    let refused = block_on(deploy(&ctx, "tpl-go", taken)).unwrap_err();
    assert_eq!(refused, Error::AlreadyExists { kind: Kind::Service, field: "name" });
}

#[test]
fn wrong_requests_name_what_is_wrong() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let project = project(&world, ada);
    let check = |change: &dyn Fn(&mut TemplateDeployment), field: &str| {
        let mut wrong = deployment(&project, &[("IMAGE", "shop")]);
        change(&mut wrong);
        match block_on(deploy(&world.as_user(ada), "tpl-docker", wrong)).unwrap_err() {
            Error::Invalid(violations) => assert_eq!(violations[0].field, field),
            other => panic!("{field}: {other:?}"),
        }
    };
    check(&|wrong| wrong.name = " ".to_owned(), "name");
    check(&|wrong| wrong.project_id = String::new(), "project_id");
    check(&|wrong| wrong.region = "a\nb".to_owned(), "region");
    check(&|wrong| _ = wrong.variables.insert("1A".to_owned(), "x".to_owned()), "variables");
    check(&|wrong| _ = wrong.variables.insert("A".to_owned(), "\0".to_owned()), "variables.A");
    check(
        &|wrong| _ = wrong.variables.insert("IMAGE".to_owned(), "a b".to_owned()),
        "source.image",
    );
}

#[test]
fn roles_decide_and_strangers_find_nothing() {
    let check = |role: Option<Role>, expected: &str| {
        let world = World::default();
        let (ada, eve) = (world.register("ada@example.com"), world.register("eve@example.com"));
        let project = project(&world, ada.id);
        if let Some(role) = role {
            let organization = world.store.memberships()[0].organization_id;
            world.store.add_member(organization, eve.id, role);
        }
        let outcome = block_on(deploy(&world.as_user(eve.id), "tpl-go", deployment(&project, &[])));
        let found = match outcome {
            Ok(_) => "done",
            Err(Error::NotFound { kind: Kind::Project, .. }) => "not found",
            Err(Error::Forbidden(_)) => "forbidden",
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{role:?}");
    };
    check(Some(Role::Developer), "done");
    check(Some(Role::Viewer), "forbidden");
    check(None, "not found");
}

#[test]
fn the_catalogue_is_for_everybody_with_an_account() {
    let world = World::default();
    let ctx = world.as_user(world.register("ada@example.com").id);
    let count = |category: Option<&str>| block_on(list(&ctx, category)).unwrap().len();
    assert_eq!(count(None), 14);
    assert_eq!(count(Some("")), 14);
    assert_eq!(count(Some("database")), 7);
    assert_eq!(count(Some("Database")), 0);
    assert_eq!(count(Some("nothing")), 0);
    assert_eq!(block_on(view(&ctx, "tpl-go")).unwrap().name, "Go");
    let missing = block_on(view(&ctx, "tpl-cobol")).unwrap_err();
    assert_eq!(missing, Error::not_found(Kind::Template, "tpl-cobol"));
    let long = block_on(list(&ctx, Some(&"x".repeat(65)))).unwrap_err();
    assert!(matches!(long, Error::Invalid(_)), "{long:?}");
    let anonymous = world.context(Caller::Anonymous);
    for refused in [
        block_on(list(&anonymous, None)).map(drop),
        block_on(view(&anonymous, "tpl-go")).map(drop),
        block_on(deploy(&anonymous, "tpl-go", deployment("", &[]))).map(drop),
    ] {
        assert!(matches!(refused, Err(Error::Unauthenticated(_))), "{refused:?}");
    }
}
