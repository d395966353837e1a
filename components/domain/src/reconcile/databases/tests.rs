//! Databases carried out over ports in memory: made, stopped, saved, brought back and taken away,
//! and what becomes of them when something does not go well.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crate::databases::{
    self, Backup, BackupStatus, Database, DatabaseStatus, Demand, Engine, NewDatabase, Plan,
    backups,
};
use crate::error::Result;
use crate::events::Action;
use crate::ids::{DatabaseId, UserId};
use crate::operations::{DEADLINE_SECONDS, Step};
use crate::reconcile::{self, Outcome};
use crate::runtime::{Health, JobState, Runtime, WorkloadKind, WorkloadState};
use crate::testing::{FakeRuntime, World, block_on};

/// A world with one user, and a runtime that has the image of every engine.
struct Stage {
    world: World,
    runtime: FakeRuntime,
    user: UserId,
}

impl Stage {
    fn new() -> Self {
        let world = World::default();
        let runtime = FakeRuntime::default();
        for engine in Engine::ALL {
            let image = engine.specification().image;
            runtime.add_image(image, &format!("{image}@sha256:1"));
        }
        let user = world.register("ada@example.com").id;
        Self { world, runtime, user }
    }

    /// A database that is asked for and not carried out.
    fn ask(&self, engine: Engine) -> DatabaseId {
        let new_database = NewDatabase {
            name: "orders".to_owned(),
            engine,
            plan: Plan::Hobby,
            region: String::new(),
            variables: BTreeMap::from([("TZ".to_owned(), "UTC".to_owned())]),
        };
        let ctx = self.world.as_user(self.user);
        block_on(databases::create(&ctx, new_database)).unwrap().id
    }

    fn running(&self, engine: Engine) -> DatabaseId {
        let id = self.ask(engine);
        self.settle();
        assert_eq!(self.database(id).status, DatabaseStatus::Running, "{engine:?}");
        id
    }

    fn demand(&self, id: DatabaseId, demand: Demand) -> Database {
        let ctx = self.world.as_user(self.user);
        block_on(databases::demand(&ctx, &id.to_string(), demand)).unwrap()
    }

    fn delete(&self, id: DatabaseId) {
        block_on(databases::delete(&self.world.as_user(self.user), &id.to_string())).unwrap();
    }

    fn back_up(&self, id: DatabaseId) -> Backup {
        self.world.clock.advance_seconds(1);
        let ctx = self.world.as_user(self.user);
        block_on(backups::create(&ctx, &id.to_string())).unwrap()
    }

    fn restore(&self, id: DatabaseId, backup: &Backup) -> Result<Database> {
        let ctx = self.world.as_user(self.user);
        block_on(backups::restore(&ctx, &id.to_string(), &backup.id.to_string()))
    }

    fn step(&self) -> Outcome {
        block_on(reconcile::step(&self.world.anonymous(), &self.runtime, "host-1")).unwrap()
    }

    fn settle(&self) {
        self.world.settle(&self.runtime);
    }

    /// The database, whoever may be shown it.
    fn database(&self, id: DatabaseId) -> Database {
        self.world.store.databases().into_iter().find(|row| row.id == id).unwrap()
    }

    fn backup(&self, backup: &Backup) -> Backup {
        self.world.store.backups().into_iter().find(|row| row.id == backup.id).unwrap()
    }

    /// The commands of the jobs that ran since so many had run.
    fn programs_since(&self, number: usize) -> Vec<String> {
        self.runtime.ran()[number..].iter().map(|job| job.command[0].clone()).collect()
    }

    /// What the trail says of the last thing that ended.
    fn last_outcome(&self) -> String {
        let events = self.world.store.events();
        let last = events.iter().rfind(|event| event.action == Action::Finish).unwrap();
        format!("{:?}", last.changes)
    }

    #[track_caller]
    fn check_all_ended(&self) {
        let open = self.world.store.operations().into_iter();
        let open: Vec<_> = open.filter(|row| row.finished_at.is_none()).collect();
        assert!(open.is_empty(), "{open:?}");
        assert!(self.runtime.jobs().is_empty(), "{:?}", self.runtime.jobs());
    }
}

fn failing(message: &str) -> JobState {
    JobState::Ended {
        exit_code: 1,
        output_bytes: 0,
        output_sha256: String::new(),
        message: message.to_owned(),
    }
}

#[test]
fn a_database_runs_with_what_its_engine_needs_and_its_plan_gives() {
    let stage = Stage::new();
    let id = stage.running(Engine::Postgresql);
    let database = stage.database(id);
    assert_eq!(database.address, "127.0.0.1:49153");
    assert_eq!(database.image_digest, "postgres:16-alpine@sha256:1");
    let workload = &stage.runtime.workloads()[0];
    assert_eq!((workload.kind, workload.port), (WorkloadKind::Database, 5432));
    assert_eq!((&*workload.name, &workload.network), ("database", &id.to_string()));
    assert_eq!((workload.cpu_millis, workload.memory_bytes), (500, 512 << 20));
    assert_eq!(workload.volumes[0].name, format!("database-{id}"));
    assert_eq!(workload.volumes[0].path, "/var/lib/postgresql/data");
    assert_eq!(workload.command, ["postgres", "-c", "max_connections=50"]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [
        pair("POSTGRES_USER", "app"),
        pair("POSTGRES_PASSWORD", "{password}"),
        pair("POSTGRES_DB", "orders"),
        pair("TZ", "{variable:TZ}"),
    ];
    assert_eq!(workload.variables, expected);
    let places: Vec<_> = workload.sealed.iter().map(|sealed| &*sealed.placeholder).collect();
    assert_eq!(places, ["{password}", "{variable:TZ}"]);
    let Health::Command(health) = &workload.health else { panic!("{:?}", workload.health) };
    assert_eq!(health[2..], ["--username=app", "--dbname=orders"]);
    stage.check_all_ended();
}

#[test]
fn an_image_that_is_not_there_is_an_error_that_says_so_and_can_be_mended() {
    let stage = Stage::new();
    stage.runtime.condition("redis:7-alpine@sha256:1", WorkloadState::Failed("no".to_owned()));
    let id = stage.ask(Engine::Redis);
    stage.settle();
    let database = stage.database(id);
    assert_eq!((database.status, &*database.error), (DatabaseStatus::Error, "no"));
    assert!(stage.runtime.workloads().is_empty(), "what does not work does not run");
    assert!(stage.last_outcome().contains("no"), "{}", stage.last_outcome());
    stage.runtime.condition("redis:7-alpine@sha256:1", WorkloadState::Healthy);
    assert_eq!(stage.demand(id, Demand::Start).status, DatabaseStatus::Building);
    stage.settle();
    let database = stage.database(id);
    assert_eq!((database.status, &*database.error), (DatabaseStatus::Running, ""));
    stage.check_all_ended();
}

#[test]
fn one_that_never_works_is_given_up_and_so_is_a_runtime_that_never_answers() {
    let stage = Stage::new();
    let unhealthy = WorkloadState::Unhealthy("it refuses connections".to_owned());
    stage.runtime.condition("redis:7-alpine@sha256:1", unhealthy);
    let redis = stage.ask(Engine::Redis);
    stage.settle();
    let error = stage.database(redis).error;
    assert!(error.contains("it refuses connections"), "{error}");
    stage.runtime.set_unreachable(true);
    stage.demand(redis, Demand::Start);
    for _ in 0..100 {
        if stage.database(redis).status == DatabaseStatus::Error {
            break;
        }
        let ctx = stage.world.anonymous();
        _ = block_on(reconcile::step(&ctx, &stage.runtime, "host-1"));
        stage.world.clock.advance_seconds(30);
    }
    assert!(stage.database(redis).error.contains("unreachable"));
    assert!(stage.world.store.operations().iter().all(|row| row.finished_at.is_some()));
}

#[test]
fn it_stops_starts_and_is_restarted_and_the_last_wish_holds() {
    let stage = Stage::new();
    let id = stage.running(Engine::Postgresql);
    stage.demand(id, Demand::Stop);
    stage.settle();
    let stopped = stage.database(id);
    assert_eq!((stopped.status, &*stopped.address), (DatabaseStatus::Stopped, ""));
    assert!(stage.runtime.workloads().is_empty());
    stage.demand(id, Demand::Start);
    stage.settle();
    assert_eq!(stage.database(id).status, DatabaseStatus::Running);
    let started = stage.runtime.started();
    stage.demand(id, Demand::Restart);
    stage.settle();
    assert_eq!(stage.runtime.started(), started + 1);
    for demand in [Demand::Stop, Demand::Start, Demand::Restart, Demand::Stop] {
        stage.demand(id, demand);
    }
    stage.settle();
    assert_eq!(stage.database(id).status, DatabaseStatus::Stopped);
    assert!(stage.runtime.workloads().is_empty());
    assert_eq!(block_on(stage.runtime.list_volumes()).unwrap().len(), 1, "its data stays");
    stage.check_all_ended();
}

#[test]
fn every_engine_is_saved_brought_back_and_taken_away_without_a_trace() {
    for engine in Engine::ALL {
        let stage = Stage::new();
        let id = stage.running(engine);
        let asked = stage.back_up(id);
        stage.settle();
        let backup = stage.backup(&asked);
        assert_eq!(backup.status, BackupStatus::Completed, "{engine:?}: {}", backup.error);
        assert_eq!((backup.size_bytes, backup.sha256.len()), (1_000, 64));
        let saved = stage.runtime.ran().pop().unwrap();
        assert_eq!(saved.output, Some(backup.id.to_string()));
        assert_eq!(stage.database(id).status, DatabaseStatus::Running, "{engine:?}");
        stage.restore(id, &backup).unwrap();
        assert_eq!(stage.database(id).status, DatabaseStatus::Building);
        stage.settle();
        let restored = stage.database(id);
        assert_eq!((restored.status, restored.restoring), (DatabaseStatus::Running, None));
        let read: Vec<_> = stage.runtime.ran().into_iter().filter_map(|job| job.input).collect();
        assert_eq!(read.len(), 1, "{engine:?}");
        assert_eq!((&read[0].archive, &read[0].sha256), (&backup.id.to_string(), &backup.sha256));
        stage.delete(id);
        stage.settle();
        assert!(stage.world.store.databases().is_empty());
        assert!(stage.world.store.backups().is_empty());
        assert!(stage.runtime.workloads().is_empty());
        assert!(block_on(stage.runtime.list_volumes()).unwrap().is_empty());
        assert!(block_on(stage.runtime.list_archives()).unwrap().is_empty());
        stage.check_all_ended();
    }
}

#[test]
fn a_backup_that_fails_says_why_and_leaves_the_database_alone() {
    let stage = Stage::new();
    let id = stage.running(Engine::Postgresql);
    stage.runtime.end_jobs("pg_dump", failing("out of disk"));
    let asked = stage.back_up(id);
    stage.settle();
    let backup = stage.backup(&asked);
    assert_eq!(backup.status, BackupStatus::Failed);
    assert!(backup.error.contains("pg_dump ended with 1: out of disk"), "{}", backup.error);
    assert_eq!(stage.database(id).status, DatabaseStatus::Running);
    stage.runtime.end_jobs("pg_dump", JobState::Failed("the host stopped".to_owned()));
    let asked = stage.back_up(id);
    stage.settle();
    assert_eq!(stage.backup(&asked).error, "the host stopped");
    let nothing = JobState::Ended {
        exit_code: 0,
        output_bytes: 0,
        output_sha256: String::new(),
        message: String::new(),
    };
    stage.runtime.end_jobs("pg_dump", nothing);
    let asked = stage.back_up(id);
    stage.settle();
    assert_eq!(stage.backup(&asked).error, "pg_dump wrote nothing");
    stage.check_all_ended();
}

#[test]
fn a_backup_that_waits_for_a_database_that_was_stopped_fails() {
    let stage = Stage::new();
    let id = stage.running(Engine::Postgresql);
    stage.demand(id, Demand::Stop);
    let asked = stage.back_up(id);
    stage.settle();
    assert!(stage.backup(&asked).error.contains("does not run any more"));
    assert_eq!(stage.database(id).status, DatabaseStatus::Stopped);
    stage.check_all_ended();
}

#[test]
fn the_newest_backups_are_kept() {
    let stage = Stage::new();
    let id = stage.running(Engine::Postgresql);
    let first = stage.back_up(id);
    stage.settle();
    for _ in 0..backups::KEPT {
        stage.back_up(id);
        stage.settle();
    }
    let left = stage.world.store.backups();
    assert_eq!(left.len(), usize::try_from(backups::KEPT).unwrap());
    assert!(left.iter().all(|backup| backup.id != first.id));
    let archives = block_on(stage.runtime.list_archives()).unwrap();
    assert!(!archives.contains(&first.id.to_string()));
}

/// A database of an engine with a backup, whose restore fails in this program.
fn restore_failing_in(engine: Engine, program: &str) -> (Stage, Database, Vec<String>) {
    let stage = Stage::new();
    let id = stage.running(engine);
    let asked = stage.back_up(id);
    stage.settle();
    let before = stage.runtime.ran().len();
    stage.runtime.end_jobs(program, failing("broken"));
    stage.restore(id, &stage.backup(&asked)).unwrap();
    stage.settle();
    let database = stage.database(id);
    assert_eq!(database.restoring, None);
    stage.check_all_ended();
    let programs = stage.programs_since(before);
    (stage, database, programs)
}

#[test]
fn a_restore_that_changed_nothing_leaves_the_database_running() {
    let check = |engine, program: &str, expected: &[&str]| {
        let (stage, database, programs) = restore_failing_in(engine, program);
        assert_eq!(database.status, DatabaseStatus::Running, "{engine:?}: {}", database.error);
        assert_eq!(programs, expected);
        let outcome = stage.world.store.events();
        let told = outcome.iter().any(|event| format!("{:?}", event.changes).contains("broken"));
        assert!(told, "the trail says that it failed");
    };
    check(Engine::Postgresql, "psql", &["psql"]);
    check(Engine::Postgresql, "pg_restore", &["psql", "pg_restore"]);
    check(Engine::Redis, "dd", &["dd"]);
    check(Engine::Clickhouse, "mkdir", &["rm", "mkdir"]);
    check(Engine::Mysql, "mysqldump", &["mysqldump"]);
}

#[test]
fn a_restore_that_broke_in_the_middle_stops_the_database_and_can_be_repeated() {
    let check = |engine, program: &str, repaired: &[&str]| {
        let (stage, database, _) = restore_failing_in(engine, program);
        assert_eq!(database.status, DatabaseStatus::Error, "{engine:?}");
        assert!(database.error.contains("restore it again"), "{}", database.error);
        assert!(stage.runtime.workloads().is_empty(), "what is damaged does not run");
        for _ in 0..3 {
            stage.world.clock.advance_seconds(10);
            stage.step();
        }
        assert_eq!(stage.database(database.id).status, DatabaseStatus::Error, "and stays so");
        for program in repaired {
            let good = JobState::Ended {
                exit_code: 0,
                output_bytes: 1,
                output_sha256: String::new(),
                message: String::new(),
            };
            stage.runtime.end_jobs(program, good);
        }
        let backup = stage.world.store.backups()[0].clone();
        stage.restore(database.id, &backup).unwrap();
        stage.settle();
        assert_eq!(stage.database(database.id).status, DatabaseStatus::Running, "{engine:?}");
    };
    check(Engine::Redis, "mv", &["mv"]);
    check(Engine::Clickhouse, "find", &["find"]);
    // Nor can what was saved before be put back.
    check(Engine::Mysql, "mysql", &["mysql"]);
}

#[test]
fn what_was_saved_before_a_restore_is_put_back_when_it_breaks() {
    let stage = Stage::new();
    let id = stage.running(Engine::Mariadb);
    let asked = stage.back_up(id);
    stage.settle();
    let before = stage.runtime.ran().len();
    stage.runtime.end_jobs("mariadb", failing("broken"));
    stage.restore(id, &stage.backup(&asked)).unwrap();
    while stage.runtime.ran().len() < before + 3 {
        stage.step();
        stage.world.clock.advance_seconds(1);
    }
    let ran = &stage.runtime.ran()[before..];
    let saved = ran[0].output.clone().unwrap();
    assert_eq!(ran[1].input.as_ref().unwrap().archive, asked.id.to_string());
    assert_eq!(ran[2].input.as_ref().unwrap().archive, saved);
}

#[test]
fn a_database_that_is_gone_is_started_again_and_its_state_is_what_is_seen() {
    let stage = Stage::new();
    let id = stage.running(Engine::Postgresql);
    stage.runtime.lose_everything();
    stage.settle();
    assert_eq!(stage.database(id).status, DatabaseStatus::Running);
    assert_eq!(stage.runtime.workloads().len(), 1);
    let image = "postgres:16-alpine@sha256:1";
    let check = |seen: WorkloadState, status: DatabaseStatus, address: &str| {
        stage.runtime.condition(image, seen);
        stage.step();
        let database = stage.database(id);
        assert_eq!((database.status, &*database.address), (status, address));
    };
    check(WorkloadState::Starting, DatabaseStatus::Building, "");
    check(WorkloadState::Failed("ended with 137".to_owned()), DatabaseStatus::Error, "");
    assert_eq!(stage.database(id).error, "ended with 137");
    check(WorkloadState::Healthy, DatabaseStatus::Running, "127.0.0.1:49153");
    let revision = stage.database(id).revision;
    stage.step();
    assert_eq!(stage.database(id).revision, revision, "what did not change is not written");
    stage.check_all_ended();
}

#[test]
fn a_deletion_is_carried_out_from_wherever_the_database_is() {
    for step in 0..12 {
        for (engine, restoring) in [(Engine::Postgresql, false), (Engine::Redis, true)] {
            let stage = Stage::new();
            let id = if restoring {
                let id = stage.running(engine);
                let asked = stage.back_up(id);
                stage.settle();
                stage.restore(id, &stage.backup(&asked)).unwrap();
                id
            } else {
                stage.ask(engine)
            };
            for _ in 0..step {
                stage.step();
                stage.world.clock.advance_seconds(1);
            }
            stage.delete(id);
            stage.settle();
            assert!(stage.world.store.databases().is_empty(), "after {step} steps");
            assert!(stage.runtime.workloads().is_empty());
            assert!(block_on(stage.runtime.list_volumes()).unwrap().is_empty());
            assert!(block_on(stage.runtime.list_archives()).unwrap().is_empty());
            stage.check_all_ended();
        }
    }
}

#[test]
fn a_deletion_waits_for_a_runtime_that_does_not_answer_for_as_long_as_it_takes() {
    let stage = Stage::new();
    let id = stage.running(Engine::Postgresql);
    stage.delete(id);
    stage.runtime.set_unreachable(true);
    for _ in 0..100 {
        let ctx = stage.world.anonymous();
        _ = block_on(reconcile::step(&ctx, &stage.runtime, "host-1"));
        stage.world.clock.advance_seconds(DEADLINE_SECONDS / 10);
    }
    assert_eq!(stage.world.store.databases().len(), 1);
    stage.runtime.set_unreachable(false);
    stage.settle();
    assert!(stage.world.store.databases().is_empty());
    stage.check_all_ended();
}

#[test]
fn another_plan_is_what_it_is_started_again_with() {
    let stage = Stage::new();
    let id = stage.running(Engine::Postgresql);
    let change = databases::DatabaseChange { name: None, plan: Some(Plan::Standard) };
    let ctx = stage.world.as_user(stage.user);
    block_on(databases::update(&ctx, &id.to_string(), change)).unwrap();
    stage.settle();
    let workload = &stage.runtime.workloads()[0];
    assert_eq!((workload.cpu_millis, workload.memory_bytes), (2_000, 4 << 30));
    assert_eq!(stage.database(id).status, DatabaseStatus::Running);
}

#[test]
fn an_operation_that_takes_too_long_ends() {
    let stage = Stage::new();
    let id = stage.running(Engine::Postgresql);
    stage.runtime.end_jobs("pg_dump", JobState::Running);
    let asked = stage.back_up(id);
    for _ in 0..100 {
        stage.step();
        stage.world.clock.advance_seconds(DEADLINE_SECONDS / 20);
    }
    assert_eq!(stage.backup(&asked).status, BackupStatus::Failed);
    assert!(stage.world.store.operations().iter().all(|row| row.finished_at.is_some()));
    assert!(stage.world.store.operations().iter().any(|row| row.step == Step::Save));
    stage.settle();
    assert_eq!(stage.database(id).status, DatabaseStatus::Running, "and the database goes on");
}
