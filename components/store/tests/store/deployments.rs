//! Deployments and what carries them out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use windlass_domain::deployments::{self, Deployment, DeploymentStatus, NewDeployment};
use windlass_domain::ids::{OperationId, UserId};
use windlass_domain::operations::{LEASE_SECONDS, Subject};
use windlass_domain::reconcile::{self, Outcome};
use windlass_domain::runtime::WorkloadState;
use windlass_domain::services::{self, ServiceStatus};
use windlass_domain::store::{OperationReads, Store};
use windlass_domain::testing::FakeRuntime;
use windlass_domain::{Error, Kind, projects};
use windlass_store::SqlStore;

use crate::support::{Fixture, image_service};

on_both_databases!(
    every_field_comes_back_as_it_was_written,
    a_story_of_releases_is_carried_out,
    an_operation_has_one_holder_at_a_time,
    what_belongs_to_a_service_goes_with_it,
    many_live_services_are_read_page_by_page,
);

/// Steps until nothing is due.
pub(crate) async fn settle(fixture: &Fixture, store: &dyn Store, runtime: &FakeRuntime) {
    for _ in 0..1_000 {
        match reconcile::step(&fixture.anonymous(store), runtime, "host-1").await.unwrap() {
            Outcome::Again => {}
            Outcome::Later(milliseconds) if milliseconds >= 5_000 => return,
            Outcome::Later(_) => fixture.world.clock.advance_seconds(1),
        }
    }
    panic!("it never settles");
}

async fn service(fixture: &Fixture, store: &dyn Store) -> (UserId, String) {
    let ada = fixture.register(store, "ada@example.com").await.id;
    let project = fixture.create_project(store, ada, "Harbour").await.project.id.to_string();
    let ctx = fixture.as_user(store, ada);
    let created = services::create(&ctx, &project, image_service("web", "shop:1")).await;
    (ada, created.unwrap().id.to_string())
}

async fn every_field_comes_back_as_it_was_written(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let (ada, service) = service(&fixture, &store).await;
    let ctx = fixture.as_user(&store, ada);
    let new_deployment = NewDeployment {
        commit_hash: "0123abc".to_owned(),
        branch: "feature/a".to_owned(),
        trigger: "webhook".to_owned(),
        overrides: BTreeMap::from([("A".to_owned(), "\"quoted\"\nlines \u{1F600}".to_owned())]),
    };
    let created = deployments::create(&ctx, &service, new_deployment).await.unwrap();
    let id = created.id.to_string();
    assert_eq!(deployments::view(&ctx, &id).await.unwrap(), created);
    assert_eq!(deployments::list(&ctx, &service).await.unwrap(), std::slice::from_ref(&created));
    let changed = Deployment {
        status: DeploymentStatus::Failed,
        error: "it crashed".to_owned(),
        started_at: Some(created.created_at),
        completed_at: Some(created.created_at.plus_seconds(1)),
        revision: created.revision.next(),
        ..created.clone()
    };
    let transaction = store.begin().await.unwrap();
    assert!(transaction.update_deployment(&changed, created.revision).await.unwrap());
    assert!(!transaction.update_deployment(&changed, created.revision).await.unwrap());
    for line in ["first", "second"] {
        let written = transaction.append_deployment_log(created.id, changed.created_at, line);
        written.await.unwrap();
    }
    transaction.commit().await.unwrap();
    assert_eq!(deployments::view(&ctx, &id).await.unwrap(), changed);
    let log = deployments::log(&ctx, &changed).await.unwrap();
    let lines: Vec<_> = log.into_iter().map(|line| line.message).collect();
    assert_eq!(lines, ["first", "second"]);
    let stranger = fixture.register(&store, "eve@example.com").await.id;
    let refused = deployments::view(&fixture.as_user(&store, stranger), &id).await;
    assert_eq!(refused.unwrap_err(), Error::not_found(Kind::Deployment, &id));
}

async fn a_story_of_releases_is_carried_out(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let runtime = FakeRuntime::default();
    runtime.add_image("shop:1", "sha256:1");
    let (ada, service) = service(&fixture, &store).await;
    let ctx = fixture.as_user(&store, ada);
    let deploy = async || {
        fixture.world.clock.advance_seconds(1);
        let deployed = deployments::create(&ctx, &service, NewDeployment::default()).await;
        settle(&fixture, &store, &runtime).await;
        deployments::view(&ctx, &deployed.unwrap().id.to_string()).await.unwrap()
    };
    let first = deploy().await;
    assert_eq!(first.status, DeploymentStatus::Live);
    runtime.add_image("shop:1", "sha256:2");
    let second = deploy().await;
    runtime.add_image("shop:1", "sha256:3");
    runtime.condition("sha256:3", WorkloadState::Failed("it crashed".to_owned()));
    let third = deploy().await;
    assert_eq!((third.status, third.error.as_str()), (DeploymentStatus::Failed, "it crashed"));
    let running: Vec<_> = runtime.workloads().into_iter().map(|workload| workload.id).collect();
    assert_eq!(running, [second.id.into()]);
    fixture.world.clock.advance_seconds(1);
    let back = deployments::roll_back(&ctx, &first.id.to_string()).await.unwrap();
    settle(&fixture, &store, &runtime).await;
    let workloads = runtime.workloads();
    assert_eq!((workloads.len(), workloads[0].id), (1, back.id.into()));
    assert_eq!(workloads[0].image, "sha256:1");
    let routes = runtime.routes();
    assert_eq!((routes[0].host.as_str(), routes[0].workload), ("web-harbour", back.id.into()));
    let listed = deployments::list(&ctx, &service).await.unwrap();
    let statuses: Vec<_> = listed.iter().map(|row| row.status.as_str()).collect();
    assert_eq!(statuses, ["live", "failed", "retired", "retired"]);
    let service = services::view(&ctx, &service).await.unwrap();
    assert_eq!(
        (service.status, service.live_deployment_id),
        (ServiceStatus::Running, Some(back.id))
    );
}

async fn an_operation_has_one_holder_at_a_time(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let (ada, service) = service(&fixture, &store).await;
    let ctx = fixture.as_user(&store, ada);
    for _ in 0..2 {
        deployments::create(&ctx, &service, NewDeployment::default()).await.unwrap();
    }
    let claim = async |holder: &str| -> Option<(OperationId, Subject)> {
        let now = ctx.clock.now();
        let claimed = store.claim_operation(holder, now, now.plus_seconds(LEASE_SECONDS)).await;
        claimed.unwrap().map(|operation| (operation.id, operation.subject))
    };
    let first = claim("host-1").await;
    assert!(first.is_some());
    assert_eq!(claim("host-2").await, None, "the second of a service waits for the first");
    assert_eq!(claim("host-1").await, first, "a holder that was restarted goes on at once");
    fixture.world.clock.advance_seconds(LEASE_SECONDS);
    assert_eq!(claim("host-2").await, first);
}

async fn what_belongs_to_a_service_goes_with_it(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let runtime = FakeRuntime::default();
    runtime.add_image("shop:1", "sha256:1");
    let (ada, service) = service(&fixture, &store).await;
    let ctx = fixture.as_user(&store, ada);
    deployments::create(&ctx, &service, NewDeployment::default()).await.unwrap();
    settle(&fixture, &store, &runtime).await;
    let project = services::view(&ctx, &service).await.unwrap().project_id.to_string();
    projects::delete(&ctx, &project, None).await.unwrap();
    for statement in [
        "SELECT COUNT(*) FROM deployment",
        "SELECT COUNT(*) FROM deployment_log",
        "SELECT COUNT(*) FROM operation",
        "SELECT COUNT(*) FROM hostname",
    ] {
        assert_eq!(fixture.executor().number(statement).await, 0, "{statement}");
    }
    settle(&fixture, &store, &runtime).await;
    assert!(runtime.workloads().is_empty() && runtime.routes().is_empty());
}

async fn many_live_services_are_read_page_by_page(fixture: Fixture) {
    let store = SqlStore::new(fixture.executor());
    let (_, service) = service(&fixture, &store).await;
    // Copies of the one row, each with an id of its own.
    let copied = fixture.executor().execute(COPIES).await;
    assert_eq!(copied, 2_500);
    let live = store.live_services().await.unwrap();
    assert_eq!(live.len(), 2_500);
    assert!(live.iter().all(|live| live.service_id.to_string() != service));
    assert!(live.is_sorted_by_key(|live| live.service_id));
}

const COPIES: &str = "\
    INSERT INTO service (id, project_id, environment_id, name, kind, status, source_kind, \
    repository, branch, root_directory, dockerfile, image, builder, build_command, start_command, \
    environment_variables, cpu, memory, storage, revision, created_at, updated_at, \
    live_deployment_id) \
    WITH RECURSIVE numbers (number) AS \
    (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 2500) \
    SELECT '00000000-0000-0000-0000-' || CAST(100000000000 + number AS TEXT), project_id, \
    environment_id, 'copy' || CAST(number AS TEXT), kind, status, source_kind, repository, \
    branch, root_directory, dockerfile, image, builder, build_command, start_command, \
    environment_variables, cpu, memory, storage, revision, created_at, updated_at, \
    '00000000-0000-0000-0000-000000000001' FROM service, numbers";
