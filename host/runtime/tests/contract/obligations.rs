//! The obligations.

use std::time::Duration;

use windlass_runtime::{Error, Kind, State};

use crate::stages::{PATIENCE, Sample, Stage, eventually, id, settled, visit, workload};

for_each_driver!(
    what_was_never_started_is_absent_and_may_be_stopped,
    what_is_started_twice_is_there_once_and_answers,
    what_a_workload_writes_is_in_the_log,
    what_is_stopped_is_gone_and_may_be_started_again,
    what_ends_at_its_start_has_failed,
    an_image_that_is_not_there_leaves_nothing,
    after_a_restart_of_the_control_plane_the_list_is_true,
);

async fn what_was_never_started_is_absent_and_may_be_stopped(stage: impl Stage) {
    let driver = stage.driver();
    assert_eq!(driver.observe(id(1)).await, Ok(State::Absent));
    assert_eq!(driver.list().await, Ok(Vec::new()));
    assert!(driver.destination(id(1)).is_none());
    assert_eq!(driver.address(id(1)).await, Ok(None));
    assert_eq!(driver.usage(id(1)).await, Ok(None));
    assert_eq!(driver.stop(id(1), Duration::ZERO).await, Ok(()));
    assert_eq!(driver.list_volumes().await, Ok(Vec::new()));
    assert_eq!(driver.remove_volume("data-1").await, Ok(()));
    assert_eq!(driver.remove_job(id(1)).await, Ok(()));
}

async fn what_is_started_twice_is_there_once_and_answers(stage: impl Stage) {
    let driver = stage.driver();
    let web = workload(&stage, Sample::Web, 1);
    for _ in 0..2 {
        assert_eq!(driver.start(web.clone()).await, Ok(()));
        assert_eq!(driver.list().await, Ok(vec![web.id]));
    }
    assert_eq!(settled(&*driver, web.id).await, State::Healthy);
    assert_eq!(visit(&*driver, web.id).await, "blue navy", "with its variables");
    let first = driver.destination(web.id).expect("it answers requests");
    assert_eq!(driver.start(web.clone()).await, Ok(()));
    let second = driver.destination(web.id).expect("it answers requests");
    assert!(std::sync::Arc::ptr_eq(&first, &second), "requests go where they went");
    let worker = workload(&stage, Sample::Worker, 2);
    assert_eq!(driver.start(worker.clone()).await, Ok(()));
    assert_eq!(settled(&*driver, worker.id).await, State::Healthy);
    assert!(driver.destination(worker.id).is_none(), "it answers none");
}

async fn what_a_workload_writes_is_in_the_log(stage: impl Stage) {
    let driver = stage.driver();
    let worker = workload(&stage, Sample::Worker, 1);
    assert_eq!(driver.start(worker.clone()).await, Ok(()));
    let log = stage.log();
    let mut seen = 0;
    for _ in 0..3 {
        let lines = log.after(worker.id, seen, 1_000, PATIENCE).await.expect("it goes on");
        let first = lines.first().expect("a line was written within the wait");
        assert_eq!(first.sequence, seen + 1, "none is left out, and none comes twice");
        assert!(first.message.starts_with("tick"), "{first:?}");
        seen = lines.last().expect("there is one").sequence;
    }
    assert_eq!(driver.stop(worker.id, Duration::from_secs(5)).await, Ok(()));
    let ended = async || log.after(worker.id, u64::MAX, 1, Duration::ZERO).await.is_none();
    eventually("the end of the log", ended).await;
    assert!(!log.tail(worker.id, 10).is_empty(), "the lines stay");
}

async fn what_is_stopped_is_gone_and_may_be_started_again(stage: impl Stage) {
    let driver = stage.driver();
    let web = workload(&stage, Sample::Web, 1);
    for _ in 0..2 {
        assert_eq!(driver.start(web.clone()).await, Ok(()));
        assert_eq!(settled(&*driver, web.id).await, State::Healthy);
        for _ in 0..2 {
            assert_eq!(driver.stop(web.id, Duration::from_millis(100)).await, Ok(()));
            assert!(driver.destination(web.id).is_none(), "it gets no more requests");
        }
        let gone = async || driver.observe(web.id).await == Ok(State::Absent);
        eventually("the end of it", gone).await;
        assert_eq!(driver.list().await, Ok(Vec::new()));
    }
}

async fn what_ends_at_its_start_has_failed(stage: impl Stage) {
    let driver = stage.driver();
    let crash = workload(&stage, Sample::Crash, 1);
    assert_eq!(driver.start(crash.clone()).await, Ok(()));
    match settled(&*driver, crash.id).await {
        State::Failed(reason) => assert!(reason.contains('3'), "how it ended: {reason}"),
        state => panic!("it is {state:?}"),
    }
    assert_eq!(driver.list().await, Ok(vec![crash.id]), "it is there until it is stopped");
}

async fn an_image_that_is_not_there_leaves_nothing(stage: impl Stage) {
    let driver = stage.driver();
    let mut web = workload(&stage, Sample::Web, 1);
    // Nothing listens there, so that it cannot be fetched either.
    let beginning = if web.image.contains('@') { "127.0.0.1:9/none@" } else { "" };
    web.image = format!("{beginning}sha256:{}", "0".repeat(64));
    let refused = driver.start(web.clone()).await;
    assert!(matches!(refused, Err(Error::NotFound(_) | Error::Unavailable(_))), "{refused:?}");
    assert_eq!(driver.observe(web.id).await, Ok(State::Absent));
    assert_eq!(driver.list().await, Ok(Vec::new()));
    let mut cron = workload(&stage, Sample::Worker, 2);
    (cron.kind, cron.schedule) = (Kind::Cron, "at noon".to_owned());
    let refused = driver.start(cron).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    assert_eq!(driver.list().await, Ok(Vec::new()));
}

async fn after_a_restart_of_the_control_plane_the_list_is_true<S: Stage>(mut stage: S) {
    let web = workload(&stage, Sample::Web, 1);
    let worker = workload(&stage, Sample::Worker, 2);
    for workload in [&web, &worker] {
        assert_eq!(stage.driver().start(workload.clone()).await, Ok(()));
        assert_eq!(settled(&*stage.driver(), workload.id).await, State::Healthy);
    }
    stage.restart();
    let driver = stage.driver();
    let mut listed = driver.list().await.expect("the driver answers");
    listed.sort_unstable();
    let expected = if S::OUTLIVES { vec![web.id, worker.id] } else { Vec::new() };
    assert_eq!(listed, expected);
    assert_eq!(driver.destination(web.id).is_some(), S::OUTLIVES);
    assert_eq!(driver.start(web.clone()).await, Ok(()));
    assert_eq!(settled(&*driver, web.id).await, State::Healthy);
    assert_eq!(visit(&*driver, web.id).await, "blue navy");
    for workload in [&web, &worker] {
        assert_eq!(driver.stop(workload.id, Duration::from_millis(100)).await, Ok(()));
    }
    let gone = async || driver.list().await == Ok(Vec::new());
    eventually("the end of both", gone).await;
}
