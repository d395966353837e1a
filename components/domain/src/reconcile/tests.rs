//! Deployments carried out over ports in memory: what becomes of good and bad releases, and that
//! every step can be lost or repeated.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use super::{Outcome, step};
use crate::deployments::{self, Deployment, DeploymentStatus, NewDeployment};
use crate::error::{Conflict, Error, Result};
use crate::events::Action;
use crate::ids::{DeploymentId, ServiceId, UserId, WorkloadId};
use crate::operations::{DEADLINE_SECONDS, LEASE_SECONDS};
use crate::projects::{self, NewProject};
use crate::runtime::{Health, IngressRoute, Runtime, Workload, WorkloadKind, WorkloadState};
use crate::services::{
    self, BuildConfigChange, NewService, Service, ServiceChange, ServiceKind, ServiceStatus,
    Source, SourceKind,
};
use crate::testing::{FakeRuntime, World, block_on};

const HOLDER: &str = "host-1";

/// A world with one service of the image `shop:1`, and a runtime that has `shop:1` to `shop:3`.
struct Stage {
    world: World,
    runtime: FakeRuntime,
    user: UserId,
    service: ServiceId,
}

impl Stage {
    fn new() -> Self {
        Self::of_kind(ServiceKind::Web)
    }

    fn of_kind(kind: ServiceKind) -> Self {
        let world = World::default();
        let runtime = FakeRuntime::default();
        for version in 1..=3 {
            runtime.add_image(&format!("shop:{version}"), &format!("sha256:{version}"));
        }
        let user = world.register("ada@example.com").id;
        let ctx = world.as_user(user);
        let project = NewProject { name: "Harbour".to_owned(), description: String::new() };
        let project = block_on(projects::create(&ctx, project)).unwrap().project.id.to_string();
        let mut new_service = NewService {
            name: "web".to_owned(),
            kind,
            source: image("shop:1"),
            build: Default::default(),
            resources: Default::default(),
        };
        new_service.build.variables.insert("COLOUR".to_owned(), "blue".to_owned());
        let service = block_on(services::create(&ctx, &project, new_service)).unwrap().id;
        Self { world, runtime, user, service }
    }

    fn deploy(&self) -> Deployment {
        self.try_deploy(NewDeployment::default()).unwrap()
    }

    fn try_deploy(&self, new_deployment: NewDeployment) -> Result<Deployment> {
        let ctx = self.world.as_user(self.user);
        block_on(deployments::create(&ctx, &self.service.to_string(), new_deployment))
    }

    fn roll_back(&self, id: DeploymentId) -> Result<Deployment> {
        block_on(deployments::roll_back(&self.world.as_user(self.user), &id.to_string()))
    }

    /// Makes the next version of the image what the tag `shop:1` means.
    fn push(&self, digest: &str) {
        self.runtime.add_image("shop:1", digest);
    }

    fn change_colour(&self, colour: &str) {
        let variables = BTreeMap::from([("COLOUR".to_owned(), colour.to_owned())]);
        let build = BuildConfigChange { variables: Some(variables), ..Default::default() };
        let change = ServiceChange { build, ..ServiceChange::default() };
        let ctx = self.world.as_user(self.user);
        block_on(services::update(&ctx, &self.service.to_string(), change, None)).unwrap();
    }

    fn step(&self, holder: &str) -> Result<Outcome> {
        let ctx = self.world.context(crate::Caller::Anonymous);
        block_on(step(&ctx, &self.runtime, holder))
    }

    /// Steps until nothing is due, moving the clock over short waits.
    fn settle(&self) {
        for _ in 0..10_000 {
            match self.step(HOLDER).unwrap() {
                Outcome::Again => {}
                Outcome::Later(milliseconds) if milliseconds >= super::TIDY_EVERY_MS => return,
                Outcome::Later(_) => self.world.clock.advance_seconds(1),
            }
        }
        panic!("it never settles");
    }

    fn deployment(&self, id: DeploymentId) -> Deployment {
        let ctx = self.world.as_user(self.user);
        block_on(deployments::view(&ctx, &id.to_string())).unwrap()
    }

    fn service(&self) -> Service {
        let ctx = self.world.as_user(self.user);
        block_on(services::view(&ctx, &self.service.to_string())).unwrap()
    }

    #[track_caller]
    fn check_live(&self, id: DeploymentId, digest: &str) {
        let running = self.runtime.workloads();
        let running: Vec<_> =
            running.iter().map(|workload| (workload.id, workload.image.as_str())).collect();
        assert_eq!(running, [(id.into(), digest)]);
        let route = IngressRoute { host: "web-harbour".to_owned(), workload: id.into() };
        assert_eq!(self.runtime.routes(), [route]);
        let service = self.service();
        assert_eq!(service.status, ServiceStatus::Running);
        assert_eq!(service.live_deployment_id, Some(id));
        assert_eq!(self.deployment(id).status, DeploymentStatus::Live);
        assert!(self.world.store.operations().iter().all(|row| row.finished_at.is_some()));
    }
}

fn image(name: &str) -> Source {
    Source { kind: Some(SourceKind::Image), image: name.to_owned(), ..Source::default() }
}

#[test]
fn a_deployment_that_is_live_is_not_touched_by_clearing_away() {
    let stage = Stage::new();
    let id = stage.deploy().id;
    for _ in 0..100 {
        if stage.deployment(id).status == DeploymentStatus::Live {
            break;
        }
        stage.step(HOLDER).unwrap();
        stage.world.clock.advance_seconds(1);
    }
    let told = stage.deployment(id);
    stage.settle();
    stage.check_live(id, "sha256:1");
    assert_eq!(stage.deployment(id), told);
}

#[test]
fn a_deployment_becomes_live_with_everything_it_runs_with() {
    let stage = Stage::new();
    let mut new_deployment = NewDeployment::default();
    new_deployment.overrides.insert("SIZE".to_owned(), "large".to_owned());
    let id = stage.try_deploy(new_deployment).unwrap().id;
    assert_eq!(stage.service().status, ServiceStatus::Building);
    stage.settle();
    stage.check_live(id, "sha256:1");
    let workload = &stage.runtime.workloads()[0];
    assert_eq!(workload.kind, WorkloadKind::Web);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(workload.variables, [pair("COLOUR", "blue"), pair("SIZE", "large")]);
    assert_eq!((workload.cpu_millis, workload.memory_bytes), (500, 512 << 20));
    let project = stage.service().project_id.to_string();
    assert_eq!((&*workload.name, &workload.network), ("web", &project));
    assert_eq!((&workload.health, workload.port), (&Health::Http, 0));
    let deployment = stage.deployment(id);
    assert!(deployment.started_at.is_some() && deployment.completed_at.is_some());
    let ctx = stage.world.as_user(stage.user);
    let log = block_on(deployments::log(&ctx, &deployment)).unwrap();
    let lines: Vec<_> = log.iter().map(|line| line.message.as_str()).collect();
    let expected = [
        "fetching image shop:1",
        "image shop:1 is sha256:1 (1000 bytes)",
        "started",
        "healthy",
        "live",
    ];
    assert_eq!(lines, expected);
    let trail = stage.world.store.events();
    let actions: Vec<_> = trail[3..].iter().map(|event| event.action).collect();
    assert_eq!(actions, [Action::Deploy, Action::Finish]);
}

#[test]
fn the_next_release_takes_over_and_the_one_before_is_taken_away() {
    let stage = Stage::new();
    let first = stage.deploy().id;
    stage.settle();
    stage.push("sha256:2");
    let second = stage.deploy().id;
    stage.settle();
    stage.check_live(second, "sha256:2");
    assert_eq!(stage.deployment(first).status, DeploymentStatus::Retired);
}

#[test]
fn a_release_that_fails_leaves_the_one_before_untouched() {
    let check = |condition: WorkloadState, says: &str| {
        let stage = Stage::new();
        let first = stage.deploy().id;
        stage.settle();
        stage.push("sha256:2");
        stage.runtime.condition("sha256:2", condition);
        let second = stage.deploy().id;
        stage.settle();
        stage.check_live(first, "sha256:1");
        let failed = stage.deployment(second);
        assert_eq!(failed.status, DeploymentStatus::Failed);
        assert!(failed.error.contains(says), "{}", failed.error);
    };
    check(WorkloadState::Failed("it exited with 1".to_owned()), "exited with 1");
    check(WorkloadState::Unhealthy("GET / answered 500".to_owned()), "GET / answered 500");
    check(WorkloadState::Starting, "not up within");
}

#[test]
fn a_first_release_that_fails_makes_the_service_failed() {
    let stage = Stage::new();
    stage.push("sha256:broken");
    stage.runtime.condition("sha256:broken", WorkloadState::Failed("it crashed".to_owned()));
    let id = stage.deploy().id;
    stage.settle();
    assert_eq!(stage.service().status, ServiceStatus::Failed);
    assert_eq!(stage.deployment(id).error, "it crashed");
    assert!(stage.runtime.workloads().is_empty() && stage.runtime.routes().is_empty());
}

#[test]
fn a_release_never_has_requests_before_it_is_healthy() {
    let stage = Stage::new();
    stage.runtime.condition("sha256:1", WorkloadState::Starting);
    stage.deploy();
    for _ in 0..20 {
        stage.step(HOLDER).unwrap();
        assert!(stage.runtime.routes().is_empty());
        stage.world.clock.advance_seconds(1);
    }
    assert_eq!(stage.runtime.workloads().len(), 1);
}

#[test]
fn a_deployment_is_said_to_be_live_only_when_visitors_reach_it() {
    let stage = Stage::new();
    let id = stage.deploy().id;
    let mut steps = 0;
    while stage.deployment(id).status != DeploymentStatus::Live {
        assert_eq!(stage.service().status, ServiceStatus::Building);
        stage.step(HOLDER).unwrap();
        stage.world.clock.advance_seconds(1);
        steps += 1;
        assert!(steps < 20, "it never is");
    }
    let route = IngressRoute { host: "web-harbour".to_owned(), workload: id.into() };
    assert_eq!(stage.runtime.routes(), [route]);
    assert_eq!(stage.service().status, ServiceStatus::Running);
}

#[test]
fn an_unknown_image_fails_the_deployment_and_says_so() {
    let stage = Stage::new();
    let world = &stage.world;
    let ctx = world.as_user(stage.user);
    let project_id = stage.service().project_id.to_string();
    let new_service = NewService {
        name: "api".to_owned(),
        kind: ServiceKind::Web,
        source: image("nothing:1"),
        build: Default::default(),
        resources: Default::default(),
    };
    let service = block_on(services::create(&ctx, &project_id, new_service)).unwrap();
    let id = service.id.to_string();
    let deployment = block_on(deployments::create(&ctx, &id, NewDeployment::default())).unwrap();
    stage.settle();
    assert_eq!(stage.deployment(deployment.id).error, "there is no image nothing:1");
}

#[test]
fn a_runtime_that_is_away_for_a_while_is_waited_for_and_then_given_up() {
    let stage = Stage::new();
    let id = stage.deploy().id;
    stage.runtime.set_unreachable(true);
    // Nothing is tidied while the runtime is away, and the operation goes on being tried.
    for _ in 0..3 {
        _ = stage.step(HOLDER);
        stage.world.clock.advance_seconds(1);
    }
    stage.runtime.set_unreachable(false);
    stage.settle();
    stage.check_live(id, "sha256:1");

    stage.runtime.set_unreachable(true);
    let second = stage.deploy().id;
    for _ in 0..100 {
        _ = stage.step(HOLDER);
        stage.world.clock.advance_seconds(10);
    }
    let failed = stage.deployment(second);
    assert_eq!(failed.status, DeploymentStatus::Failed);
    assert!(failed.error.contains("given up after"), "{}", failed.error);
    stage.runtime.set_unreachable(false);
    stage.settle();
    stage.check_live(id, "sha256:1");
}

#[test]
fn rolling_back_brings_image_configuration_and_variables_back() {
    let stage = Stage::new();
    let first = stage.deploy().id;
    stage.settle();
    stage.push("sha256:2");
    stage.change_colour("red");
    let second = stage.deploy().id;
    stage.settle();
    stage.check_live(second, "sha256:2");
    let third = stage.roll_back(first).unwrap();
    assert_eq!(third.rollback_of, Some(first));
    stage.settle();
    stage.check_live(third.id, "sha256:1");
    let variables = vec![("COLOUR".to_owned(), "blue".to_owned())];
    assert_eq!(stage.runtime.workloads()[0].variables, variables);
    assert_eq!(stage.service().build.variables["COLOUR"], "blue");
}

#[test]
fn only_what_had_an_image_can_be_returned_to() {
    let stage = Stage::new();
    let pending = stage.deploy().id;
    let refused = stage.roll_back(pending);
    assert!(matches!(refused, Err(Error::Conflict { cause: Conflict::State(_), .. })));
    let unknown = stage.roll_back(DeploymentId::from_u128(77));
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
}

#[test]
fn deployments_of_one_service_are_carried_out_in_order() {
    let stage = Stage::new();
    let first = stage.deploy().id;
    let second = stage.deploy().id;
    stage.settle();
    stage.check_live(second, "sha256:1");
    assert_eq!(stage.deployment(first).status, DeploymentStatus::Retired);
    for _ in 0..crate::operations::MAXIMUM_UNFINISHED {
        stage.deploy();
    }
    let refused = stage.try_deploy(NewDeployment::default());
    assert!(matches!(refused, Err(Error::QuotaExceeded { .. })), "{refused:?}");
}

#[test]
fn what_a_service_lacks_is_said_at_once() {
    let stage = Stage::of_kind(ServiceKind::Cron);
    let refused = stage.try_deploy(NewDeployment::default());
    assert!(matches!(refused, Err(Error::Conflict { cause: Conflict::State(_), .. })));
    let new_deployment =
        NewDeployment { commit_hash: "not hex".to_owned(), ..NewDeployment::default() };
    assert!(matches!(stage.try_deploy(new_deployment), Err(Error::Invalid(_))));
    let new_deployment = NewDeployment {
        overrides: BTreeMap::from([("1BAD".to_owned(), String::new())]),
        ..NewDeployment::default()
    };
    assert!(matches!(stage.try_deploy(new_deployment), Err(Error::Invalid(_))));
}

#[test]
fn a_machine_that_was_restarted_runs_what_was_live() {
    let stage = Stage::new();
    let id = stage.deploy().id;
    stage.settle();
    stage.runtime.lose_everything();
    stage.settle();
    stage.check_live(id, "sha256:1");
    assert_eq!(stage.runtime.started(), 2);
}

#[test]
fn what_nobody_wants_is_taken_away() {
    let stage = Stage::new();
    let id = stage.deploy().id;
    stage.settle();
    let mut stray: Workload = stage.runtime.workloads()[0].clone();
    stray.id = WorkloadId::from_u128(99);
    stage.runtime.smuggle(stray);
    stage.settle();
    stage.check_live(id, "sha256:1");
    let ctx = stage.world.as_user(stage.user);
    block_on(services::delete(&ctx, &stage.service.to_string(), None)).unwrap();
    stage.settle();
    assert!(stage.runtime.workloads().is_empty() && stage.runtime.routes().is_empty());
}

/// The story of two releases, cut off after every number of steps: by a holder that disappears, by
/// a runtime that lost everything, and by both.
#[test]
fn a_story_cut_off_anywhere_ends_the_same() {
    for lose in [false, true] {
        for cut in 0..24 {
            let stage = Stage::new();
            stage.deploy();
            for _ in 0..cut {
                if let Outcome::Later(_) = stage.step(HOLDER).unwrap() {
                    stage.world.clock.advance_seconds(1);
                }
            }
            let second = stage.deploy().id;
            if lose {
                stage.runtime.lose_everything();
            }
            stage.world.clock.advance_seconds(LEASE_SECONDS + 1);
            stage.settle();
            let digest = stage.deployment(second).release.image_digest;
            stage.check_live(second, &digest);
        }
    }
}

/// Who lost its lease writes nothing, however late it comes.
#[test]
fn two_holders_never_carry_out_the_same_operation() {
    let stage = Stage::new();
    let id = stage.deploy().id;
    assert_eq!(stage.step("host-1").unwrap(), Outcome::Again);
    assert!(matches!(stage.step("host-2").unwrap(), Outcome::Later(_)));
    stage.world.clock.advance_seconds(LEASE_SECONDS + 1);
    assert_eq!(stage.step("host-2").unwrap(), Outcome::Again);
    assert!(matches!(stage.step("host-1").unwrap(), Outcome::Later(_)));
    stage.world.clock.advance_seconds(LEASE_SECONDS + 1);
    stage.settle();
    stage.check_live(id, "sha256:1");
    assert_eq!(stage.runtime.started(), 1);
}

#[test]
fn an_operation_ends_within_its_deadline_whatever_happens() {
    let stage = Stage::new();
    let id = stage.deploy().id;
    stage.world.clock.advance_seconds(DEADLINE_SECONDS);
    stage.settle();
    assert_eq!(stage.deployment(id).status, DeploymentStatus::Failed);
}

#[test]
fn a_store_that_refuses_to_commit_changes_nothing() {
    let stage = Stage::new();
    stage.world.store.refuse_commits();
    assert!(stage.try_deploy(NewDeployment::default()).is_err());
    assert!(stage.world.store.operations().is_empty());
    let idle = block_on(stage.runtime.list()).unwrap();
    assert!(idle.is_empty());
}
