//! What the driver in memory does when it is told to fail: the faults that tests of whoever works
//! with drivers are made of.

use std::time::Duration;

use windlass_runtime::{Driver as _, Error, State};

use crate::fake::{Fault, Stage};
use crate::stages::{Sample, Stage as _, id, workload};

#[tokio::test]
async fn each_fault_shows_itself_and_passes() {
    let stage = Stage::start();
    let (driver, web) = (&stage.driver, workload(&stage, Sample::Web, 1));
    driver.fault(Fault::Start);
    assert!(matches!(driver.start(web.clone()).await, Err(Error::Invalid(_))));
    assert_eq!(driver.list().await, Ok(Vec::new()));

    driver.fault(Fault::LostReply);
    assert!(matches!(driver.start(web.clone()).await, Err(Error::Unavailable(_))));
    driver.fault(Fault::None);
    assert_eq!(driver.list().await, Ok(vec![web.id]), "it was done, and nobody said so");
    assert_eq!(driver.start(web.clone()).await, Ok(()));
    assert_eq!(driver.list().await, Ok(vec![web.id]));

    driver.fault(Fault::Health);
    assert!(matches!(driver.observe(web.id).await, Ok(State::Unhealthy(_))));
    driver.fault(Fault::Crash);
    assert!(matches!(driver.observe(web.id).await, Ok(State::Failed(_))));
    driver.fault(Fault::Unavailable);
    assert!(matches!(driver.stop(id(1), Duration::ZERO).await, Err(Error::Unavailable(_))));
    driver.fault(Fault::None);
    assert_eq!(driver.observe(web.id).await, Ok(State::Healthy));
}
