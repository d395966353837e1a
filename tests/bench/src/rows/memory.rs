//! Resident memory: with many controllers that do nothing, and for each further live instance.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::starts::MANY;
use crate::Plan;
use crate::connection::{Request, ask};
use crate::host::{Host, Setup};
use crate::load::closed_loop;
use crate::machine::{self, Cores, Memory};
use crate::manifests;
use crate::table::{Row, Target};

/// Requests that are under way at the same time, each on an instance of its own; as many as a
/// component may have by default.
const INSTANCES: usize = 32;
/// How long each of them waits, so that all are there at once.
const WAIT: Duration = Duration::from_millis(1_500);

/// The rows of memory.
pub(crate) async fn memory(plan: &Plan) -> Result<Vec<Row>> {
    Ok(vec![idle().await?, waiting_instances().await?, working_instances(plan).await?])
}

async fn idle() -> Result<Row> {
    let copies = TempDir::with_prefix("windlass-bench-")?;
    let setup = Setup::new(&manifests::many(MANY, copies.path())?)?;
    // The second start: the first one's compiler leaves memory behind that a running host,
    // restarted at some time, does not have.
    let compiling = setup.start(Cores::All)?;
    compiling.check_health().await?;
    compiling.process.stop()?;
    let host = setup.start(Cores::All)?;
    host.check_health().await?;
    let Memory { resident_kib, anonymous_kib } = machine::memory(host.process.id())?;
    let mebibytes = resident_kib as f64 / 1_024.0;
    Ok(Row {
        what: format!("memory, {MANY} controllers, idle"),
        figure: format!("{mebibytes:.0} MiB"),
        from: format!(
            "resident after a warm start; {:.0} MiB of it not mapped files",
            anonymous_kib as f64 / 1_024.0
        ),
        target: Target::at_most("<= 256 MiB", mebibytes, 256.0),
    })
}

/// Instances of a small component that all wait for the clock.
async fn waiting_instances() -> Result<Row> {
    let setup = Setup::new(&manifests::slow()?)?;
    let host = setup.start(Cores::All)?;
    ask(host.address(), &Request::get("/slow", None)).await?;
    let before = machine::memory(host.process.id())?;
    let (address, mut asked) = (host.address(), JoinSet::new());
    for _ in 0..INSTANCES {
        let request = Request::get(&format!("/slow?ms={}", WAIT.as_millis()), None);
        asked.spawn(async move { ask(address, &request).await.map(|answer| answer.status) });
    }
    tokio::time::sleep(WAIT / 2).await;
    let (during, live) = (machine::memory(host.process.id())?, instances(&host, "slow").await?);
    for status in asked.join_all().await {
        let status = status?;
        ensure!(status == 200, "a waiting request was answered {status}");
    }
    Ok(row("small component, waiting", before, during, live))
}

/// Instances of the controller for projects, after they have listed projects for a while.
async fn working_instances(plan: &Plan) -> Result<Row> {
    let setup = Setup::new(&manifests::shipped()?)?;
    let host = setup.start(Cores::Server)?;
    let token = host.seed().await?;
    let request = Request::get("/api/v1/projects", Some(&token));
    ask(host.address(), &request).await?;
    let before = machine::memory(host.process.id())?;
    closed_loop(host.address(), host.process.id(), &request, plan.round).await?;
    let (after, live) =
        (machine::memory(host.process.id())?, instances(&host, "containr-projects").await?);
    Ok(row("controller for projects, after load", before, after, live))
}

async fn instances(host: &Host, component: &str) -> Result<u64> {
    let listed = host.component(component).await?;
    listed["instances"].as_u64().context("a component says how many instances it has")
}

/// What each instance after the first one added.
fn row(what: &str, before: Memory, after: Memory, live: u64) -> Row {
    let grown = after.resident_kib.saturating_sub(before.resident_kib) as f64 / 1_024.0;
    let further = live.saturating_sub(1);
    let each = grown / further.max(1) as f64;
    Row {
        what: "memory, each further live instance".to_owned(),
        figure: if further == 0 { "not measured".to_owned() } else { format!("{each:.2} MiB") },
        from: format!("{what}: {grown:.1} MiB more with {live} live"),
        target: if further == 0 { None } else { Target::at_most("<= 1 MiB", each, 1.0) },
    }
}
