//! Who may deploy, and what others see of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::projects::NewProject;
use crate::services::build::SEALED;
use crate::templates::{self, TemplateDeployment};
use crate::testing::{FakeRuntime, World, block_on};

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A user with a service of an image.
fn service(world: &World, email: &str) -> (UserId, Service) {
    let user = world.register(email).id;
    (user, world.image_service(user, "shop:1"))
}

#[test]
fn a_stranger_finds_neither_the_service_nor_its_deployments() {
    let world = World::default();
    let (owner, service) = service(&world, "ada@example.com");
    let stranger = world.register("eve@example.com").id;
    let id = service.id.to_string();
    let ctx = world.as_user(owner);
    let deployment = block_on(create(&ctx, &id, NewDeployment::default())).unwrap();
    assert_eq!((deployment.trigger.as_str(), deployment.branch.as_str()), ("manual", "main"));
    assert_eq!(block_on(list(&ctx, &id)).unwrap(), std::slice::from_ref(&deployment));
    let ctx = world.as_user(stranger);
    let deployment = deployment.id.to_string();
    let not_found = |error: Error| assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    not_found(block_on(create(&ctx, &id, NewDeployment::default())).unwrap_err());
    not_found(block_on(list(&ctx, &id)).unwrap_err());
    not_found(block_on(view(&ctx, &deployment)).unwrap_err());
    not_found(block_on(roll_back(&ctx, &deployment)).unwrap_err());
    let anonymous = block_on(view(&world.anonymous(), &deployment)).unwrap_err();
    assert!(matches!(anonymous, Error::Unauthenticated(_)));
}

#[test]
fn a_viewer_sees_deployments_and_makes_none() {
    let world = World::default();
    let (owner, service) = service(&world, "ada@example.com");
    let viewer = world.register("bob@example.com").id;
    let id = service.id.to_string();
    let ctx = world.as_user(owner);
    let deployment = block_on(create(&ctx, &id, NewDeployment::default())).unwrap();
    let organization = block_on(access(&ctx, &deployment.id.to_string())).unwrap().organization_id;
    world.store.add_member(organization, viewer, Role::Viewer);
    let ctx = world.as_user(viewer);
    assert_eq!(block_on(list(&ctx, &id)).unwrap(), [deployment]);
    let refused = block_on(create(&ctx, &id, NewDeployment::default())).unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused:?}");
}

#[test]
fn namesakes_of_two_tenants_get_host_names_of_their_own() {
    let world = World::default();
    for email in ["ada@example.com", "eve@example.com"] {
        let (user, service) = service(&world, email);
        let ctx = world.as_user(user);
        let id = service.id.to_string();
        block_on(create(&ctx, &id, NewDeployment::default())).unwrap();
        // Asking again gives no second name.
        block_on(create(&ctx, &id, NewDeployment::default())).unwrap();
    }
    let names = world.store.hostnames();
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], "web-harbour");
    assert!(names[1].starts_with("web-harbour-"), "{}", names[1]);
}

#[test]
fn sealed_variables_reach_the_runtime_sealed_and_come_back_with_a_rollback() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let ctx = world.as_user(ada);
    let project = NewProject { name: "Harbour".to_owned(), description: String::new() };
    let project_id = block_on(projects::create(&ctx, project)).unwrap().project.id.to_string();
    let deployment = TemplateDeployment {
        project_id,
        name: "web".to_owned(),
        variables: variables(&[("IMAGE", "shop:1"), ("NPM_TOKEN", "first")]),
        ..TemplateDeployment::default()
    };
    let made = block_on(templates::deploy(&ctx, "tpl-nodejs", deployment)).unwrap();
    let templates::Deployed::Service(service) = made else { panic!("{made:?}") };
    let id = service.id.to_string();
    let runtime = FakeRuntime::default();
    runtime.add_image("shop:1", "sha256:1");
    let deploy = |overrides: &[(&str, &str)]| {
        let overrides = variables(overrides);
        let new_deployment = NewDeployment { overrides, ..NewDeployment::default() };
        let deployment = block_on(create(&ctx, &id, new_deployment)).unwrap();
        world.settle(&runtime);
        deployment.id.to_string()
    };
    let context = format!("service:{id}:variable:NPM_TOKEN");
    let runs_with = |expected: &str| {
        let workload = runtime.workloads().pop().unwrap();
        assert!(!workload.variables.iter().any(|(name, _)| name == "NPM_TOKEN"));
        let [(name, envelope)] = workload.sealed_variables.as_slice() else { panic!() };
        let opened = world.secrets.open(&context, envelope);
        assert_eq!((name.as_str(), opened.as_deref()), ("NPM_TOKEN", Some(expected)));
    };
    let first = deploy(&[]);
    runs_with("first");
    deploy(&[("NPM_TOKEN", "s3cond"), ("PLAIN", "1")]);
    runs_with("s3cond");
    deploy(&[("NPM_TOKEN", SEALED)]);
    runs_with("first");
    deploy(&[("NPM_TOKEN", "s3cond")]);
    block_on(roll_back(&ctx, &first)).unwrap();
    world.settle(&runtime);
    runs_with("first");
    let said = format!("{:?}{:?}", world.store.events(), block_on(list(&ctx, &id)).unwrap());
    assert!(!said.contains("s3cond"), "an override is shown: {said}");
}
