//! Templates, and the secrets they leave behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use windlass_domain::deployments::{self, NewDeployment};
use windlass_domain::services;
use windlass_domain::templates::{self, Deployed, TemplateDeployment};
use windlass_store::SqlStore;

use crate::support::Fixture;

on_both_databases!(sealed_variables_come_back_and_a_template_needs_the_tables_of_a_service);

async fn sealed_variables_come_back_and_a_template_needs_the_tables_of_a_service(fixture: Fixture) {
    let all = SqlStore::new(fixture.executor());
    let ada = fixture.register(&all, "ada@example.com").await.id;
    let project_id = fixture.create_project(&all, ada, "shop").await.project.id.to_string();
    let grant = crate::grants::grant(
        &["user_account", "membership", "project", "environment"],
        &["service", "event_chain"],
        &["event"],
    );
    let executor = fixture.granted(&grant).await;
    let store = SqlStore::new(&executor);
    let ctx = fixture.as_user(&store, ada);
    assert_eq!(templates::list(&ctx, Some("web")).await.unwrap().len(), 3);
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let deployment = TemplateDeployment {
        project_id,
        name: "web".to_owned(),
        variables: [("IMAGE", "shop:1"), ("NPM_TOKEN", "s3cret")].map(owned).into(),
        ..TemplateDeployment::default()
    };
    let made = templates::deploy(&ctx, "tpl-nodejs", deployment).await.unwrap();
    let Deployed::Service(made) = made else { panic!("{made:?}") };
    let id = made.id.to_string();
    let found = services::view(&ctx, &id).await.unwrap();
    assert_eq!(found, *made);
    assert_eq!(found.build.sealed.len(), 1);

    let ctx = fixture.as_user(&all, ada);
    let overrides = [("NPM_TOKEN", "an0ther")].map(owned).into();
    let new_deployment = NewDeployment { overrides, ..NewDeployment::default() };
    let asked = deployments::create(&ctx, &id, new_deployment).await.unwrap();
    let found = deployments::view(&ctx, &asked.id.to_string()).await.unwrap();
    assert_eq!(found, asked);
    assert_eq!(found.release.build.sealed, made.build.sealed);
    assert_ne!(found.release.sealed_variables(), made.build.sealed);
}
