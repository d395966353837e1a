//! Variables that nobody sees again.

use super::*;

/// A service with the variables `A` in the clear and `TOKEN` sealed.
fn service_with_a_secret(world: &World) -> Service {
    let ada = world.register("ada@example.com").id;
    let ctx = world.as_user(ada);
    let new_project = NewProject { name: "shop".to_owned(), description: String::new() };
    let project = block_on(projects::create(&ctx, new_project)).unwrap().project.id.to_string();
    let mut new = new_service("web");
    new.build.variables = [("A".to_owned(), "1".to_owned())].into();
    let secrets = [("TOKEN".to_owned(), "s3cret".to_owned())].into();
    block_on(create_with(&ctx, &project, new, secrets, Vec::new())).unwrap()
}

#[test]
fn a_sealed_variable_stays_sealed_whatever_is_written_over_it() {
    let world = World::default();
    let service = service_with_a_secret(&world);
    let ctx = world.as_user(world.store.memberships()[0].user_id);
    let context = format!("service:{}:variable:TOKEN", service.id);
    let set = |pairs: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables = Some(pairs.iter().map(owned).collect());
        let build = BuildConfigChange { variables, ..BuildConfigChange::default() };
        let change = ServiceChange { build, ..ServiceChange::default() };
        block_on(update(&ctx, &service.id.to_string(), change, None)).unwrap()
    };
    let kept = set(&[("A", "2"), ("TOKEN", build::SEALED)]);
    assert_eq!(kept.build.sealed, service.build.sealed, "the mask means what is there");
    assert_eq!(kept.build.variables["A"], "2");
    let renewed = set(&[("TOKEN", "n3w")]);
    assert!(renewed.build.variables.is_empty());
    let opened = world.secrets.open(&context, &renewed.build.sealed["TOKEN"]);
    assert_eq!(opened.as_deref(), Some("n3w"));
    let events = world.store.events();
    let changes = &events.last().unwrap().changes;
    let field = "build_config.environment_variables.changed";
    let told = changes.iter().find(|change| change.field == field).unwrap();
    assert_eq!(told.after.as_deref(), Some("TOKEN"));
    let said = format!("{events:?}{renewed:?}");
    assert!(!said.contains("s3cret") && !said.contains("n3w"), "{said}");
    let gone = set(&[("A", "3")]);
    assert!(gone.build.sealed.is_empty());
    let plain = set(&[("TOKEN", "told")]);
    assert_eq!(plain.build.variables["TOKEN"], "told", "it is a new one");
}

#[test]
fn sealed_variables_count_like_others() {
    let world = World::default();
    let service = service_with_a_secret(&world);
    let ctx = world.as_user(world.store.memberships()[0].user_id);
    let check = |variables: BTreeMap<String, String>, expected: bool| {
        let build =
            BuildConfigChange { variables: Some(variables), ..BuildConfigChange::default() };
        let change = ServiceChange { build, ..ServiceChange::default() };
        let updated = block_on(update(&ctx, &service.id.to_string(), change, None));
        assert_eq!(updated.is_ok(), expected, "{updated:?}");
    };
    let many = |count: usize| (0..count).map(|number| (format!("V{number}"), "x".to_owned()));
    let token = || ("TOKEN".to_owned(), build::SEALED.to_owned());
    check(many(199).chain([token()]).collect(), true);
    check(many(200).chain([token()]).collect(), false);
    let large = |bytes: usize| ["A", "B"].map(|name| (name.to_owned(), "x".repeat(bytes)));
    check(large(32 * 1024 - 200).into_iter().chain([token()]).collect(), true);
    check(large(32 * 1024 - 10).into_iter().chain([token()]).collect(), false);
}
