//! Who may build, and what becomes of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::deployments::{self, DeploymentStatus, NewDeployment};
use crate::operations::{DEADLINE_SECONDS, LEASE_SECONDS};
use crate::projects::NewProject;
use crate::reconcile::{self, Outcome};
use crate::services::{NewService, ServiceKind, Source, SourceKind};
use crate::testing::{FakeRuntime, World, block_on};

const REPOSITORY: &str = "https://git.example.com/acme/shop.git";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A user, a runtime with one good and one broken repository.
struct Stage {
    world: World,
    runtime: FakeRuntime,
    user: UserId,
}

impl Stage {
    fn new() -> Self {
        let world = World::default();
        let runtime = FakeRuntime::default();
        runtime.add_repository(REPOSITORY, COMMIT, "sha256:made");
        runtime.add_broken_repository("https://git.example.com/broken", "there is no component");
        let user = world.register("ada@example.com").id;
        Self { world, runtime, user }
    }

    fn build(&self, new_build: NewBuild) -> Result<Build> {
        block_on(create(&self.world.as_user(self.user), new_build))
    }

    fn view(&self, id: BuildId) -> Build {
        block_on(view(&self.world.as_user(self.user), &id.to_string())).unwrap()
    }

    fn cancel(&self, id: BuildId) -> Result<Build> {
        block_on(cancel(&self.world.as_user(self.user), &id.to_string()))
    }

    fn step(&self) -> Outcome {
        block_on(reconcile::step(&self.world.anonymous(), &self.runtime, "host-1")).unwrap()
    }

    fn settle(&self) {
        self.world.settle(&self.runtime);
    }

    /// A service of the repository, in a project of its own.
    fn git_service(&self, address: &str) -> services::Service {
        let ctx = self.world.as_user(self.user);
        let project = NewProject { name: "Quay".to_owned(), description: String::new() };
        let project = block_on(projects::create(&ctx, project)).unwrap().project.id.to_string();
        let source = Source {
            kind: Some(SourceKind::Git),
            repository: address.to_owned(),
            branch: "main".to_owned(),
            root_directory: "apps/web".to_owned(),
            ..Source::default()
        };
        let new_service = NewService {
            name: "web".to_owned(),
            kind: ServiceKind::Web,
            source,
            build: Default::default(),
            resources: Default::default(),
        };
        block_on(services::create(&ctx, &project, new_service)).unwrap()
    }
}

fn named(source_path: &str) -> NewBuild {
    NewBuild {
        source_path: source_path.to_owned(),
        image_name: "shop".to_owned(),
        image_tag: "1".to_owned(),
        ..NewBuild::default()
    }
}

#[track_caller]
fn check_field(result: Result<Build>, field: &str) {
    match result.unwrap_err() {
        Error::Invalid(violations) => assert_eq!(violations[0].field, field),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_build_goes_from_pending_to_success_and_says_what_it_made() {
    let stage = Stage::new();
    let build = stage.build(named(REPOSITORY)).unwrap();
    assert_eq!((build.status, build.progress), (BuildStatus::Pending, 0));
    stage.settle();
    let made = stage.view(build.id);
    assert_eq!((made.status, made.progress), (BuildStatus::Success, 100));
    assert_eq!((made.commit.as_str(), made.digest.as_str()), (COMMIT, "sha256:made"));
    assert!(made.started_at.is_some() && made.completed_at.is_some());
    assert_eq!(made.metadata()["commit"], COMMIT);
    assert!(stage.runtime.builds().is_empty(), "the host keeps nothing of it");
    let actions: Vec<_> = stage.world.store.events().iter().map(|event| event.action).collect();
    assert_eq!(actions, [Action::Register, Action::Create, Action::Finish]);
}

#[test]
fn progress_is_what_the_builder_has_done() {
    let stage = Stage::new();
    stage.runtime.set_endless_builds(true);
    let id = stage.build(named(REPOSITORY)).unwrap().id;
    for _ in 0..2 {
        stage.step();
    }
    let running = stage.view(id);
    assert_eq!((running.status, running.progress), (BuildStatus::Running, 33));
}

#[test]
fn a_build_that_fails_says_why() {
    let stage = Stage::new();
    let id = stage.build(named("https://git.example.com/broken")).unwrap().id;
    stage.settle();
    let failed = stage.view(id);
    assert_eq!(failed.status, BuildStatus::Failed);
    assert_eq!(failed.error, "there is no component");
    assert!(failed.progress < 100);
}

#[test]
fn a_cancelled_build_stays_cancelled_at_every_step() {
    for steps in 0..4 {
        let stage = Stage::new();
        let id = stage.build(named(REPOSITORY)).unwrap().id;
        for _ in 0..steps {
            stage.step();
            stage.world.clock.advance_seconds(1);
        }
        let cancelled = stage.cancel(id).unwrap();
        assert_eq!(cancelled.status, BuildStatus::Cancelled, "after {steps} steps");
        stage.settle();
        assert_eq!(stage.view(id), cancelled, "after {steps} steps");
        assert!(stage.runtime.builds().is_empty());
        assert!(matches!(stage.cancel(id), Err(Error::Conflict { kind: Kind::Build, .. })));
    }
}

#[test]
fn what_has_ended_is_not_cancelled() {
    let stage = Stage::new();
    let id = stage.build(named(REPOSITORY)).unwrap().id;
    stage.settle();
    let refused = stage.cancel(id).unwrap_err();
    assert_eq!(refused.to_string(), "the build is already finished");
    assert_eq!(stage.view(id).status, BuildStatus::Success);
}

#[test]
fn a_build_whose_host_was_restarted_is_taken_up_again() {
    for cut in 0..5 {
        let stage = Stage::new();
        let id = stage.build(named(REPOSITORY)).unwrap().id;
        for _ in 0..cut {
            stage.step();
            stage.world.clock.advance_seconds(1);
        }
        stage.runtime.lose_builds();
        stage.world.clock.advance_seconds(LEASE_SECONDS + 1);
        stage.settle();
        assert_eq!(stage.view(id).status, BuildStatus::Success, "cut after {cut} steps");
    }
}

#[test]
fn every_build_ends_within_its_deadline() {
    let stage = Stage::new();
    stage.runtime.set_endless_builds(true);
    let id = stage.build(named(REPOSITORY)).unwrap().id;
    stage.step();
    stage.world.clock.advance_seconds(DEADLINE_SECONDS);
    stage.settle();
    assert_eq!(stage.view(id).status, BuildStatus::Failed);
    assert!(stage.runtime.builds().is_empty(), "it is broken off");
}

#[test]
fn a_host_that_always_forgets_is_given_up_on() {
    let stage = Stage::new();
    stage.runtime.set_endless_builds(true);
    let id = stage.build(named(REPOSITORY)).unwrap().id;
    for _ in 0..100 {
        stage.step();
        stage.runtime.lose_builds();
        stage.world.clock.advance_seconds(31);
    }
    assert_eq!(stage.view(id).status, BuildStatus::Failed);
}

#[test]
fn strangers_find_no_builds_and_viewers_make_none() {
    let stage = Stage::new();
    let build = stage.build(named(REPOSITORY)).unwrap();
    let id = build.id.to_string();
    let stranger = stage.world.register("eve@example.com").id;
    let ctx = stage.world.as_user(stranger);
    let not_found = |error: Error| assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    not_found(block_on(view(&ctx, &id)).unwrap_err());
    not_found(block_on(cancel(&ctx, &id)).unwrap_err());
    let service = stage.git_service(REPOSITORY);
    for new_build in [
        NewBuild { service_id: service.id.to_string(), ..named("") },
        NewBuild { project_id: service.project_id.to_string(), ..named(REPOSITORY) },
    ] {
        not_found(block_on(create(&ctx, new_build)).unwrap_err());
    }
    let page = PageRequest::new(1, 20).unwrap();
    assert_eq!(block_on(list(&ctx, &BuildFilter::default(), page)).unwrap().total, 0);
    stage.world.store.add_member(build.organization_id, stranger, Role::Viewer);
    assert_eq!(block_on(view(&ctx, &id)).unwrap(), build);
    let refused = block_on(cancel(&ctx, &id)).unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused:?}");
    let new_build = NewBuild { service_id: service.id.to_string(), ..named("") };
    let refused = block_on(create(&ctx, new_build)).unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused:?}");
    let anonymous = block_on(create(&stage.world.anonymous(), named(REPOSITORY))).unwrap_err();
    assert!(matches!(anonymous, Error::Unauthenticated(_)));
}

#[test]
fn what_to_build_is_found_in_the_request_or_in_the_service() {
    let stage = Stage::new();
    check_field(stage.build(named("")), "source_path");
    check_field(stage.build(named("apps/web")), "source_path");
    let prebuilt = |method| NewBuild {
        method,
        prebuilt_image: "registry.example.com/shop:1".to_owned(),
        ..named("")
    };
    check_field(stage.build(prebuilt(Some(Method::Dockerfile))), "build_type");
    check_field(
        stage.build(NewBuild { method: Some(Method::Prebuilt), ..named(REPOSITORY) }),
        "prebuilt_image",
    );
    let build = stage.build(prebuilt(None)).unwrap();
    assert_eq!(build.recipe.method, Some(Method::Prebuilt));
    let service = stage.git_service(REPOSITORY);
    let of_service =
        |source_path: &str| NewBuild { service_id: service.id.to_string(), ..named(source_path) };
    let recipe = stage.build(of_service("")).unwrap().recipe;
    assert_eq!((recipe.repository.as_str(), recipe.branch.as_str()), (REPOSITORY, "main"));
    assert_eq!(recipe.root_directory, "apps/web");
    let build = stage.build(of_service("apps/admin")).unwrap();
    assert_eq!(build.recipe.root_directory, "apps/admin");
    assert_eq!(build.project_id, Some(service.project_id));
    let elsewhere = NewBuild { project_id: OTHER.to_owned(), ..of_service("") };
    check_field(stage.build(elsewhere), "project_id");
}

const OTHER: &str = "00000000-0000-7000-8000-000000000000";

#[test]
fn builds_are_listed_newest_first_and_filtered() {
    let stage = Stage::new();
    let service = stage.git_service(REPOSITORY);
    let first = stage.build(named(REPOSITORY)).unwrap().id;
    stage.settle();
    stage.world.clock.advance_seconds(1);
    let of_service = NewBuild { service_id: service.id.to_string(), ..named("") };
    let second = stage.build(of_service).unwrap().id;
    let ctx = stage.world.as_user(stage.user);
    let found = |filter: BuildFilter| -> Vec<BuildId> {
        let page = PageRequest::new(1, 20).unwrap();
        let page = block_on(list(&ctx, &filter, page)).unwrap();
        page.items.iter().map(|build| build.id).collect()
    };
    assert_eq!(found(BuildFilter::default()), [second, first]);
    let status = Some(BuildStatus::Success);
    assert_eq!(found(BuildFilter { status, ..BuildFilter::default() }), [first]);
    let project_id = Some(service.project_id.to_string());
    assert_eq!(found(BuildFilter { project_id, ..BuildFilter::default() }), [second]);
    let service_id = Some("no id".to_owned());
    assert!(found(BuildFilter { service_id, ..BuildFilter::default() }).is_empty());
}

#[test]
fn too_many_builds_wait_for_others() {
    let stage = Stage::new();
    for _ in 0..MAXIMUM_UNFINISHED {
        stage.build(named(REPOSITORY)).unwrap();
    }
    let refused = stage.build(named(REPOSITORY)).unwrap_err();
    assert!(matches!(refused, Error::QuotaExceeded { .. }), "{refused:?}");
    stage.settle();
    stage.build(named(REPOSITORY)).unwrap();
}

/// A name means what its owner built, and nothing to anybody else.
#[test]
fn a_service_runs_what_its_own_organization_built() {
    let stage = Stage::new();
    stage.build(named(REPOSITORY)).unwrap();
    stage.settle();
    let service = stage.world.image_service(stage.user, "shop:1").id.to_string();
    let ctx = stage.world.as_user(stage.user);
    block_on(deployments::create(&ctx, &service, NewDeployment::default())).unwrap();
    stage.settle();
    assert_eq!(stage.runtime.workloads()[0].image, "sha256:made");
    let stranger = stage.world.register("eve@example.com").id;
    let service = stage.world.image_service(stranger, "shop:1").id.to_string();
    let ctx = stage.world.as_user(stranger);
    let deployed = block_on(deployments::create(&ctx, &service, NewDeployment::default())).unwrap();
    stage.settle();
    let deployment = block_on(deployments::view(&ctx, &deployed.id.to_string())).unwrap();
    assert_eq!(deployment.error, "there is no image shop:1");
}

#[test]
fn a_deployment_of_a_repository_builds_it_first() {
    let stage = Stage::new();
    let service = stage.git_service(REPOSITORY).id.to_string();
    let ctx = stage.world.as_user(stage.user);
    let deployed = block_on(deployments::create(&ctx, &service, NewDeployment::default())).unwrap();
    stage.settle();
    let deployment = block_on(deployments::view(&ctx, &deployed.id.to_string())).unwrap();
    assert_eq!(
        (deployment.status, deployment.commit_hash.as_str()),
        (DeploymentStatus::Live, COMMIT)
    );
    assert_eq!(stage.runtime.workloads()[0].image, "sha256:made");
    let order = &stage.runtime.orders()[0];
    assert_eq!(order.id, BuildId::of_deployment(deployed.id));
    assert_eq!(order.recipe.branch, "main");
    assert!(stage.runtime.builds().is_empty());
    let page = PageRequest::new(1, 20).unwrap();
    assert_eq!(block_on(list(&ctx, &BuildFilter::default(), page)).unwrap().total, 0);
}

#[test]
fn a_deployment_that_cannot_be_built_fails_and_the_one_before_stays() {
    let stage = Stage::new();
    let service = stage.git_service(REPOSITORY).id.to_string();
    let ctx = stage.world.as_user(stage.user);
    let deploy = || {
        stage.world.clock.advance_seconds(1);
        let new_deployment = NewDeployment::default();
        let deployed = block_on(deployments::create(&ctx, &service, new_deployment)).unwrap();
        stage.settle();
        block_on(deployments::view(&ctx, &deployed.id.to_string())).unwrap()
    };
    let first = deploy();
    stage.runtime.add_broken_repository(REPOSITORY, "it does not compile");
    let second = deploy();
    assert_eq!(second.error, "the build failed: it does not compile");
    assert_eq!(stage.runtime.workloads()[0].id, first.id.into());
    assert!(stage.runtime.builds().is_empty());
}

#[test]
fn a_build_of_a_service_that_was_deleted_is_broken_off() {
    let stage = Stage::new();
    stage.runtime.set_endless_builds(true);
    let service = stage.git_service(REPOSITORY).id.to_string();
    let ctx = stage.world.as_user(stage.user);
    block_on(deployments::create(&ctx, &service, NewDeployment::default())).unwrap();
    for _ in 0..4 {
        stage.step();
    }
    assert_eq!(stage.runtime.builds().len(), 1);
    block_on(services::delete(&ctx, &service, None)).unwrap();
    stage.settle();
    assert!(stage.runtime.builds().is_empty());
}
