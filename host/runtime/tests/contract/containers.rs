//! What only containers have: volumes, ports, health checks inside, measures, and jobs.

use std::time::Duration;

use windlass_runtime::{
    Driver, Error, Health, Job, JobInput, JobOutcome, JobState, Kind, State, Volume, Workload,
};

use crate::stages::{Containers, Sample, Stage, eventually, id, settled, workload};

const MEMORY: u64 = 32 << 20;

/// Writes what it is told into its volume, and answers it by TCP.
fn database(stage: &Containers, serial: u8) -> Workload {
    let script = "test -e /data/kept || echo \"$CONTENT\" > /data/kept; \
                  while :; do nc -l -p 5432 -e cat /data/kept; done";
    Workload {
        kind: Kind::Database,
        command: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        variables: vec![("CONTENT".to_owned(), format!("of {serial}"))],
        volumes: vec![Volume { name: "data-1".to_owned(), path: "/data".to_owned() }],
        health: Health::Command(["test", "-e", "/data/kept"].map(str::to_owned).to_vec()),
        port: 5_432,
        ..workload(stage, Sample::Web, serial)
    }
}

async fn stop(driver: &dyn Driver, serial: u8) {
    assert_eq!(driver.stop(id(serial), Duration::from_secs(1)).await, Ok(()));
    let gone = async || driver.observe(id(serial)).await == Ok(State::Absent);
    eventually("the end of it", gone).await;
}

/// What a database answers to whoever connects.
async fn ask(driver: &dyn Driver, serial: u8) -> String {
    use tokio::io::AsyncReadExt as _;
    let address = driver.address(id(serial)).await.expect("the driver answers");
    let address = address.expect("it is reached");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let mut connection = tokio::net::TcpStream::connect(&address).await.expect("it listens");
    let mut text = String::new();
    connection.read_to_string(&mut text).await.expect("it answers");
    text.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_outlive_what_uses_them_and_are_had_by_one_database_at_a_time() {
    let stage = Containers::start();
    let driver = stage.driver();
    assert_eq!(driver.start(database(&stage, 1)).await, Ok(()));
    assert_eq!(settled(&*driver, id(1)).await, State::Healthy);
    assert_eq!(ask(&*driver, 1).await, "of 1");
    let refused = driver.start(database(&stage, 2)).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let refused = driver.remove_volume("data-1").await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");

    let mut measured = None;
    let counts = async || {
        measured = driver.usage(id(1)).await.expect("the driver answers");
        measured.is_some()
    };
    eventually("measures", counts).await;
    let measured = measured.expect("there are some");
    assert_eq!(measured.memory_limit_bytes, 64 << 20);
    assert!(measured.memory_bytes > 0 && measured.memory_bytes < 64 << 20, "{measured:?}");
    assert!(measured.network_received_bytes > 0, "it was asked over the network: {measured:?}");

    stop(&*driver, 1).await;
    assert_eq!(driver.list_volumes().await, Ok(vec!["data-1".to_owned()]));
    assert_eq!(driver.start(database(&stage, 2)).await, Ok(()));
    assert_eq!(settled(&*driver, id(2)).await, State::Healthy);
    assert_eq!(ask(&*driver, 2).await, "of 1", "what was written before is there");
    stop(&*driver, 2).await;
    assert_eq!(driver.remove_volume("data-1").await, Ok(()));
    assert_eq!(driver.list_volumes().await, Ok(Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_inside_says_whether_it_works_and_a_wrong_one_is_said_at_once() {
    let stage = Containers::start();
    let driver = stage.driver();
    let mut sick = database(&stage, 1);
    let command = ["sh", "-c", "echo it is sick; exit 1"];
    sick.health = Health::Command(command.map(str::to_owned).to_vec());
    assert_eq!(driver.start(sick).await, Ok(()));
    let is_sick = async || match driver.observe(id(1)).await {
        Ok(State::Unhealthy(reason)) => reason.contains("it is sick"),
        _ => false,
    };
    eventually("what the command says", is_sick).await;
    let mut wrong = workload(&stage, Sample::Worker, 2);
    wrong.command = vec!["/nothing".to_owned()];
    match driver.start(wrong).await {
        Err(Error::Invalid(reason)) => assert!(reason.contains("/nothing"), "{reason}"),
        other => panic!("it is {other:?}"),
    }
    assert_eq!(driver.list().await, Ok(vec![id(1)]), "it leaves nothing");
    let mut volume = database(&stage, 3);
    volume.volumes[0].path = "/data/../etc".to_owned();
    assert!(matches!(driver.start(volume).await, Err(Error::Invalid(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_at_times_runs_at_them() {
    let stage = Containers::start();
    let driver = stage.driver();
    let mut cron = workload(&stage, Sample::Worker, 1);
    (cron.kind, cron.schedule) = (Kind::Cron, "* * * * *".to_owned());
    cron.command = ["sh", "-c", "echo ran"].map(str::to_owned).to_vec();
    assert_eq!(driver.start(cron.clone()).await, Ok(()));
    assert_eq!(driver.observe(cron.id).await, Ok(State::Healthy), "it waits for its time");
    let log = stage.log();
    let deadline = std::time::Instant::now() + Duration::from_secs(90);
    while !log.tail(cron.id, 10).iter().any(|line| line.message == "ran") {
        assert!(std::time::Instant::now() < deadline, "a minute passed, and it did not run");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(driver.observe(cron.id).await, Ok(State::Healthy), "it waits for the next");
}

fn job(stage: &Containers, serial: u8, script: &str) -> Job {
    Job {
        id: id(serial),
        image: stage.image(Sample::Worker),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        variables: vec![("WORD".to_owned(), "dumped".to_owned())],
        network: "project-1".to_owned(),
        volumes: vec![Volume { name: "data-1".to_owned(), path: "/data".to_owned() }],
        input: None,
        output: None,
        memory_bytes: MEMORY,
        deadline_seconds: 60,
    }
}

async fn ended(driver: &dyn Driver, serial: u8) -> JobState {
    let mut state = JobState::Absent;
    let ended = async || {
        state = driver.observe_job(id(serial)).await.expect("the driver answers");
        state != JobState::Running
    };
    eventually("the end of the job", ended).await;
    state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_write_archives_and_read_them_whole_or_not_at_all() {
    let stage = Containers::start();
    let driver = stage.driver();
    // A few megabytes, so that it goes through in many pieces.
    let script = "echo \"$WORD\" > /data/kept; seq 1 500000; echo it went well >&2";
    let dump = Job { output: Some("dump-1".to_owned()), ..job(&stage, 1, script) };
    for _ in 0..2 {
        assert_eq!(driver.start_job(dump.clone()).await, Ok(()));
    }
    let JobState::Ended(JobOutcome { exit_code: 0, output_bytes, output_sha256, message }) =
        ended(&*driver, 1).await
    else {
        panic!("the dump failed: {:?}", driver.observe_job(id(1)).await)
    };
    assert_eq!(message, "it went well");
    let archive = stage.directories.path("backups").join("dump-1");
    let expected: String = (1..=500_000).map(|number| format!("{number}\n")).collect();
    let written = std::fs::read_to_string(&archive).expect("the archive is there");
    assert!(written == expected && written.len() as u64 == output_bytes, "{output_bytes} bytes");

    let input =
        |sha256: &str| Some(JobInput { archive: "dump-1".to_owned(), sha256: sha256.to_owned() });
    let script = "cat > /data/copy; cat /data/copy; cat /data/kept >&2";
    let restore = Job {
        input: input(&output_sha256),
        output: Some("copy-1".to_owned()),
        ..job(&stage, 2, script)
    };
    assert_eq!(driver.start_job(restore).await, Ok(()));
    let JobState::Ended(copied) = ended(&*driver, 2).await else { panic!("it was not read") };
    assert_eq!((copied.exit_code, copied.output_sha256), (0, output_sha256.clone()));
    assert_eq!(copied.message, "dumped", "it sees the volume of the one before");

    std::fs::write(&archive, "damaged").expect("it can be damaged");
    let damaged = Job { input: input(&output_sha256), ..job(&stage, 3, "touch /data/ran") };
    assert_eq!(driver.start_job(damaged).await, Ok(()));
    match ended(&*driver, 3).await {
        JobState::Failed(reason) => assert!(reason.contains("damaged"), "{reason}"),
        state => panic!("it is {state:?}"),
    }
    for serial in 1..=3 {
        assert_eq!(driver.remove_job(id(serial)).await, Ok(()));
        assert_eq!(driver.observe_job(id(serial)).await, Ok(JobState::Absent));
    }
    assert_eq!(driver.list().await, Ok(Vec::new()), "jobs are no workloads");
    assert_eq!(stage.engine.run(&["ps", "--all", "--quiet"]), "", "and leave no containers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_fail_leave_no_archive_and_say_why() {
    let mut stage = Containers::start();
    let driver = stage.driver();
    let output = Some("dump-1".to_owned());
    let failing =
        Job { output: output.clone(), ..job(&stage, 1, "echo half; echo no >&2; exit 7") };
    assert_eq!(driver.start_job(failing).await, Ok(()));
    let JobState::Ended(outcome) = ended(&*driver, 1).await else { panic!("it did not end") };
    assert_eq!((outcome.exit_code, outcome.message.as_str()), (7, "no"));
    let endless = Job { deadline_seconds: 1, output, ..job(&stage, 2, "echo half; sleep 1000") };
    assert_eq!(driver.start_job(endless).await, Ok(()));
    match ended(&*driver, 2).await {
        JobState::Failed(reason) => assert!(reason.contains("within 1 second"), "{reason}"),
        state => panic!("it is {state:?}"),
    }
    let kept = std::fs::read_dir(stage.directories.path("backups")).expect("it is there").count();
    assert_eq!(kept, 0, "neither left anything");

    assert_eq!(driver.start_job(job(&stage, 3, "sleep 1000")).await, Ok(()));
    let name = "name=job-00000000";
    let runs = async || !stage.engine.run(&["ps", "--quiet", "--filter", name]).is_empty();
    eventually("the job", runs).await;
    stage.restart();
    match stage.driver().observe_job(id(3)).await {
        Ok(JobState::Failed(reason)) => assert!(reason.contains("the host stopped"), "{reason}"),
        state => panic!("it is {state:?}"),
    }
    assert_eq!(stage.driver().remove_job(id(3)).await, Ok(()));
    assert_eq!(stage.driver().observe_job(id(3)).await, Ok(JobState::Absent));
}
