//! What may be asked of databases, and what is kept of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::identity::{is_slug, slug};
use super::*;
use crate::databases::engine::Archiving;
use crate::ids::UserId;
use crate::operations::MAXIMUM_UNFINISHED;
use crate::organizations::Role;
use crate::testing::{World, block_on};

fn new_database(name: &str, engine: Engine) -> NewDatabase {
    NewDatabase {
        name: name.to_owned(),
        engine,
        plan: Plan::Hobby,
        region: "us-east".to_owned(),
        variables: BTreeMap::new(),
    }
}

fn made(world: &World, user: UserId, name: &str) -> Database {
    let new = new_database(name, Engine::Postgresql);
    block_on(create(&world.as_user(user), new)).unwrap()
}

/// A database as the reconciler leaves it when it runs.
fn running(world: &World, user: UserId, name: &str) -> Database {
    let database = made(world, user, name);
    let mut changed = database.clone();
    changed.status = DatabaseStatus::Running;
    changed.address = "127.0.0.1:49153".to_owned();
    changed.revision = database.revision.next();
    block_on(async {
        let transaction = world.as_user(user).store.begin().await.unwrap();
        assert!(transaction.update_database(&changed, database.revision).await.unwrap());
        transaction.commit().await.unwrap();
    });
    changed
}

fn fields(error: Error) -> Vec<String> {
    match error {
        Error::Invalid(violations) => {
            violations.into_iter().map(|violation| violation.field.into_owned()).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_database_is_kept_with_a_sealed_password_and_promised() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let database = made(&world, ada, "Orders of 2026");
    assert_eq!(database.status, DatabaseStatus::Building);
    assert_eq!((&*database.username, &*database.database), ("app", "orders_of_2026"));
    assert_eq!((&*database.image, &*database.version), ("postgres:16-alpine", "16"));
    let context = format!("database:{}:password", database.id);
    let password = world.secrets.open(&context, &database.password);
    assert_eq!(password.as_deref(), Some("secret-1"));
    assert_eq!(world.store.operations()[0].subject, Subject::Database(database.id));
    assert_eq!(world.signal.count(), 1);
    let event = world.store.events().pop().unwrap();
    assert_eq!((event.resource, event.action), (Resource::Database, Action::Create));
    let told = format!("{event:?}");
    assert!(!told.contains("secret-1"), "{told}");
}

#[test]
fn who_may_change_a_database_is_told_how_it_is_reached() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let eve = world.register("eve@example.com").id;
    let database = running(&world, ada, "orders");
    let id = database.id.to_string();
    let view = |user| block_on(view(&world.as_user(user), &world.secrets, &id));
    let url = "postgresql://app:secret-1@127.0.0.1:49153/orders?sslmode=disable";
    assert_eq!(view(ada).unwrap().connection_url, url);
    assert_eq!(view(eve).unwrap_err(), Error::not_found(Kind::Database, &id));
    world.store.add_member(database.organization_id, eve, Role::Viewer);
    assert_eq!(view(eve).unwrap().connection_url, "");
    let listed = block_on(list(&world.as_user(ada), &world.secrets)).unwrap();
    assert_eq!((listed.len(), &*listed[0].connection_url), (1, url));
}

#[test]
fn variables_decide_user_password_and_logical_database() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let mut new = new_database("orders", Engine::Postgresql);
    for (name, value) in [
        ("POSTGRES_USER", "clerk"),
        ("POSTGRES_PASSWORD", "p@ss:word"),
        ("POSTGRES_DB", "ledger"),
        ("TZ", "UTC"),
        ("EMPTY", ""),
    ] {
        new.variables.insert(name.to_owned(), value.to_owned());
    }
    let database = block_on(create(&world.as_user(ada), new)).unwrap();
    assert_eq!((&*database.username, &*database.database), ("clerk", "ledger"));
    let password = world.secrets.open(&password_context(database.id), &database.password);
    assert_eq!(password.as_deref(), Some("p@ss:word"));
    let names: Vec<_> = database.variables.keys().map(String::as_str).collect();
    assert_eq!(names, ["TZ"]);
    let context = variable_context(database.id, "TZ");
    assert_eq!(world.secrets.open(&context, &database.variables["TZ"]).as_deref(), Some("UTC"));
}

#[test]
fn what_does_not_fit_is_named() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let check = |change: &dyn Fn(&mut NewDatabase), expected: &[&str]| {
        let mut new = new_database("orders", Engine::Postgresql);
        change(&mut new);
        let refused = block_on(create(&world.as_user(ada), new)).unwrap_err();
        assert_eq!(fields(refused), expected);
    };
    check(&|new| new.name = "  ".to_owned(), &["name"]);
    check(&|new| new.name = "n".repeat(101), &["name"]);
    check(&|new| new.region = "r".repeat(65), &["region"]);
    let user = |value: &'static str| {
        move |new: &mut NewDatabase| {
            new.variables.insert("POSTGRES_USER".to_owned(), value.to_owned());
        }
    };
    check(&user("1st"), &["variables"]);
    check(&user("Robert'); DROP TABLE"), &["variables"]);
    check(
        &|new| {
            new.variables.insert("1".to_owned(), String::new());
        },
        &["variables"],
    );
    let id = made(&world, ada, "orders").id.to_string();
    let nothing = block_on(update(&world.as_user(ada), &id, DatabaseChange::default()));
    assert_eq!(fields(nothing.unwrap_err()), ["body"]);
}

#[test]
fn a_name_is_its_owners_once_and_free_after_a_deletion() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let eve = world.register("eve@example.com").id;
    let first = made(&world, ada, "orders");
    let taken = Error::AlreadyExists { kind: Kind::Database, field: "name" };
    let again = || {
        let new = new_database("orders", Engine::Redis);
        block_on(create(&world.as_user(ada), new))
    };
    assert_eq!(again().unwrap_err(), taken);
    made(&world, eve, "orders");
    let other = made(&world, ada, "archive");
    let rename = DatabaseChange { name: Some("orders".to_owned()), plan: None };
    let renamed = block_on(update(&world.as_user(ada), &other.id.to_string(), rename));
    assert_eq!(renamed.unwrap_err(), taken);
    let id = first.id.to_string();
    block_on(delete(&world.as_user(ada), &id)).unwrap();
    let gone = block_on(view(&world.as_user(ada), &world.secrets, &id));
    assert_eq!(gone.unwrap_err(), Error::not_found(Kind::Database, &id));
    again().unwrap();
}

#[test]
fn another_plan_starts_one_that_runs_again_and_another_name_does_not() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let id = running(&world, ada, "orders").id.to_string();
    let change = |name: Option<&str>, plan| {
        let change = DatabaseChange { name: name.map(str::to_owned), plan };
        block_on(update(&world.as_user(ada), &id, change)).unwrap()
    };
    let renamed = change(Some("sales"), None);
    assert_eq!((&*renamed.name, renamed.status), ("sales", DatabaseStatus::Running));
    assert_eq!(world.store.operations().len(), 1, "a name is only written down");
    let resized = change(None, Some(Plan::Standard));
    assert_eq!((resized.plan, resized.status), (Plan::Standard, DatabaseStatus::Building));
    assert_eq!(world.store.operations().last().unwrap().step, Step::Stop);
    let events = world.store.events().len();
    assert_eq!(change(None, Some(Plan::Standard)), resized);
    assert_eq!(world.store.events().len(), events, "what changes nothing writes nothing");
}

#[test]
fn viewers_change_nothing_and_strangers_find_nothing() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let eve = world.register("eve@example.com").id;
    let database = running(&world, ada, "orders");
    let id = database.id.to_string();
    let backup = block_on(backups::create(&world.as_user(ada), &id)).unwrap().id.to_string();
    let all = |user| {
        let ctx = world.as_user(user);
        let plan = DatabaseChange { name: None, plan: Some(Plan::Starter) };
        [
            block_on(update(&ctx, &id, plan)).unwrap_err(),
            block_on(demand(&ctx, &id, Demand::Stop)).unwrap_err(),
            block_on(delete(&ctx, &id)).unwrap_err(),
            block_on(backups::create(&ctx, &id)).unwrap_err(),
            block_on(backups::restore(&ctx, &id, &backup)).unwrap_err(),
        ]
    };
    for refused in all(eve) {
        assert_eq!(refused, Error::not_found(Kind::Database, &id));
    }
    world.store.add_member(database.organization_id, eve, Role::Viewer);
    for refused in all(eve) {
        assert!(matches!(refused, Error::Forbidden(_)), "{refused:?}");
    }
    let unknown = block_on(demand(&world.as_user(ada), "orders", Demand::Start)).unwrap_err();
    assert_eq!(unknown, Error::not_found(Kind::Database, "orders"));
}

#[test]
fn backups_are_made_of_what_runs_and_restored_when_they_are_whole() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let ctx = world.as_user(ada);
    let building = made(&world, ada, "building").id.to_string();
    let refused = block_on(backups::create(&ctx, &building)).unwrap_err();
    assert!(matches!(refused, Error::Conflict { .. }), "{refused:?}");
    let id = running(&world, ada, "orders").id.to_string();
    let other = running(&world, ada, "other").id.to_string();
    let backup = block_on(backups::create(&ctx, &id)).unwrap();
    let restore = |id: &str, backup: &str| block_on(backups::restore(&ctx, id, backup));
    let unfinished = restore(&id, &backup.id.to_string()).unwrap_err();
    assert!(matches!(unfinished, Error::Conflict { .. }), "{unfinished:?}");
    let foreign = restore(&other, &backup.id.to_string()).unwrap_err();
    assert_eq!(foreign, Error::not_found(Kind::Backup, backup.id));
    assert_eq!(restore(&id, "x").unwrap_err(), Error::not_found(Kind::Backup, "x"));
    assert_eq!(fields(restore(&id, "").unwrap_err()), ["backup_id"]);
}

#[test]
fn what_waits_for_one_database_is_bounded_but_for_its_deletion() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    let ctx = world.as_user(ada);
    let id = running(&world, ada, "orders").id.to_string();
    for _ in 1..MAXIMUM_UNFINISHED {
        block_on(demand(&ctx, &id, Demand::Start)).unwrap();
    }
    let refused = block_on(demand(&ctx, &id, Demand::Stop)).unwrap_err();
    assert!(matches!(refused, Error::QuotaExceeded { .. }), "{refused:?}");
    block_on(delete(&ctx, &id)).unwrap();
}

#[test]
fn an_organization_has_a_bounded_number_of_databases() {
    let world = World::default();
    let ada = world.register("ada@example.com").id;
    for number in 0..MAXIMUM_DATABASES {
        made(&world, ada, &format!("number {number}"));
    }
    let new = new_database("one more", Engine::Redis);
    let refused = block_on(create(&world.as_user(ada), new)).unwrap_err();
    assert!(matches!(refused, Error::QuotaExceeded { .. }), "{refused:?}");
}

#[test]
fn names_become_what_every_engine_takes() {
    let check = |name: &str, expected: &str| assert_eq!(slug(name), expected, "{name}");
    check("orders", "orders");
    check("Orders & Returns", "orders_returns");
    check("2026", "db_2026");
    check("Größe", "gr_e");
    check("___", "db");
    check(&"n".repeat(100), &"n".repeat(32));
    for name in ["orders", "2026", "___", "ÄÖÜ", "a b", &"9".repeat(100)] {
        assert!(is_slug(&slug(name)), "{name} becomes {}", slug(name));
    }
}

#[test]
fn words_of_people_name_an_engine_too() {
    let check = |word: &str, expected: Option<Engine>| assert_eq!(Engine::parse(word), expected);
    for engine in Engine::ALL {
        check(engine.as_str(), Some(engine));
    }
    check("postgres", Some(Engine::Postgresql));
    check("pg", Some(Engine::Postgresql));
    check("mongo", Some(Engine::Mongodb));
    check("dragonflydb", Some(Engine::Dragonfly));
    check("oracle", None);
    check("", None);
}

#[test]
fn every_engine_is_what_the_contract_says() {
    let check = |engine: Engine, image: &str, port: u16, directory: &str, url: &str| {
        let specification = engine.specification();
        assert_eq!((specification.image, specification.port), (image, port));
        assert_eq!(specification.data_directory, directory, "{image}");
        let world = World::default();
        let ada = world.register("ada@example.com").id;
        let new = new_database("db", engine);
        let created = block_on(create(&world.as_user(ada), new)).unwrap();
        let database = Database { address: "localhost:1".to_owned(), ..created };
        assert_eq!(super::url(&database).replace("{password}", "p"), url);
    };
    use Engine::*;
    check(
        Postgresql,
        "postgres:16-alpine",
        5432,
        "/var/lib/postgresql/data",
        "postgresql://app:p@localhost:1/db?sslmode=disable",
    );
    check(Redis, "redis:7-alpine", 6379, "/data", "redis://default:p@localhost:1/0");
    check(Mysql, "mysql:8.4", 3306, "/var/lib/mysql", "mysql://app:p@localhost:1/db");
    check(Mariadb, "mariadb:11", 3306, "/var/lib/mysql", "mysql://app:p@localhost:1/db");
    check(
        Mongodb,
        "mongo:7",
        27017,
        "/data/db",
        "mongodb://admin:p@localhost:1/db?authSource=admin",
    );
    check(
        Clickhouse,
        "clickhouse/clickhouse-server:24.8",
        8123,
        "/var/lib/clickhouse",
        "http://default:p@localhost:1/db",
    );
    check(
        Dragonfly,
        "docker.dragonflydb.io/dragonflydb/dragonfly:latest",
        6379,
        "/data",
        "redis://default:p@localhost:1/0",
    );
}

/// What the table may contain: no shell, no text without a meaning, and nothing that could be run
/// against the wrong database.
#[test]
fn commands_are_programs_with_arguments_that_name_their_database() {
    const PLACES: [&str; 6] =
        ["{user}", "{database}", "{host}", "{password}", "{connections}", "{}"];
    for engine in Engine::ALL {
        let specification = engine.specification();
        let commands: Vec<&[&str]> = match specification.archiving {
            Archiving::Running { save, load, .. }
            | Archiving::Snapshot { save, load }
            | Archiving::Stopped { save, load } => {
                assert_eq!(load.iter().filter(|part| part.reads_archive).count(), 1);
                load.iter().map(|part| part.command).chain([save]).collect()
            }
        };
        let all = commands.iter().chain([&specification.command, &specification.health]);
        for command in all.filter(|command| !command.is_empty()) {
            assert!(!["sh", "bash", "/bin/sh"].contains(&command[0]), "{command:?}");
            for argument in *command {
                let plain = PLACES
                    .iter()
                    .fold((*argument).to_owned(), |text, place| text.replace(place, ""));
                let is_known = !plain.contains('{') || plain.contains("{ping: 1}");
                assert!(is_known, "{argument} of {engine:?}");
            }
        }
        let has_password = specification.variables.iter().any(|(_, value)| *value == "{password}");
        assert!(has_password && specification.url.contains("{password}"), "{engine:?}");
        assert!(!specification.health.is_empty(), "{engine:?}");
    }
}

#[test]
fn a_larger_plan_gives_more_of_everything() {
    for plans in Plan::ALL.windows(2) {
        let (less, more) = (plans[0], plans[1]);
        assert!(less.cpu_millis() < more.cpu_millis());
        assert!(less.memory_bytes() < more.memory_bytes());
        assert!(less.max_connections() < more.max_connections());
        assert_eq!(Plan::parse(less.as_str()), Some(less));
    }
    assert_eq!(Plan::parse("free"), None);
}
