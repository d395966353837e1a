//! From the upload of a component to its first visitor, the first visit of a service without an
//! instance, visits against a bare proxy, and how many deployments a host carries out.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::throughput::{Contender, compete};
use crate::Plan;
use crate::connection::{Request, ask};
use crate::host::{Host, Setup, expect};
use crate::machine::Cores;
use crate::manifests;
use crate::process::{Announcement, Process};
use crate::table::{Row, median, percentile};

/// How long a host keeps instances that nobody asks anything, and a little more: it looks every
/// few seconds.
const IDLE: Duration = Duration::from_secs(75);
/// How often it is asked whether a deployment has ended.
const ASK_AGAIN: Duration = Duration::from_millis(2);
/// A deployment takes milliseconds; one that takes this long is a fault.
const PATIENCE: Duration = Duration::from_secs(120);

/// The rows of deployments.
pub(crate) async fn deploys(plan: &Plan) -> Result<Vec<Row>> {
    let mut rows = latency(plan).await?;
    rows.push(many(plan).await?);
    rows.push(visits(plan).await?);
    Ok(rows)
}

/// One service after the other, each of code that the host has never seen; and later, when none
/// has an instance any more, a first and a second visit of each.
async fn latency(plan: &Plan) -> Result<Vec<Row>> {
    let setup = Setup::new(&manifests::shipped()?)?;
    let tenant = Tenant::new(setup.start(Cores::All)?).await?;
    let mut uploads = Vec::new();
    for serial in 0..plan.deploys {
        let began = Instant::now();
        let image = tenant.push(serial).await?;
        let service = tenant.service(serial, &image).await?;
        let deployment = tenant.deploy(&service).await?;
        tenant.wait(&deployment).await?;
        visit(tenant.host.address(), serial).await?;
        uploads.push(milliseconds(began));
    }
    tokio::time::sleep(IDLE).await;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for serial in 0..plan.deploys {
        for visits in [&mut first, &mut second] {
            let began = Instant::now();
            visit(tenant.host.address(), serial).await?;
            visits.push(milliseconds(began));
        }
    }
    let row = |what: &str, figures: &[f64], from: &str| Row {
        what: what.to_owned(),
        figure: format!("{:.1} ms", median(figures.iter().copied())),
        from: format!(
            "{} services, {from}; 99 of 100 within {:.1} ms",
            plan.deploys,
            percentile(figures.iter().copied(), 99.0)
        ),
        target: None,
    };
    Ok(vec![
        row("deploy a component, upload to first 200", &uploads, "each compiled for itself"),
        row("first visit of a service without an instance", &first, "on a connection of its own"),
        row("  the second visit", &second, "on a connection of its own"),
    ])
}

/// Many services that are live are deployed again, all at once.
async fn many(plan: &Plan) -> Result<Row> {
    let setup = Setup::new(&manifests::shipped()?)?;
    let tenant = Tenant::new(setup.start(Cores::All)?).await?;
    let image = tenant.push(0).await?;
    let mut services = Vec::new();
    for serial in 0..plan.services {
        services.push(tenant.service(serial, &image).await?);
    }
    tenant.deploy_all(&services).await?;
    let began = Instant::now();
    tenant.deploy_all(&services).await?;
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    Ok(Row {
        what: format!("deployments a minute, with {} services", plan.services),
        figure: format!("{:.0}", plan.services as f64 / minutes),
        from: format!("all asked for at once, live after {:.1} s", minutes * 60.0),
        target: None,
    })
}

/// Visits of a deployed component against a hyper proxy in front of a hyper server.
async fn visits(plan: &Plan) -> Result<Row> {
    let setup = Setup::new(&manifests::shipped()?)?;
    let tenant = Tenant::new(setup.start(Cores::Server)?).await?;
    let image = tenant.push(0).await?;
    let service = tenant.service(0, &image).await?;
    let deployment = tenant.deploy(&service).await?;
    tenant.wait(&deployment).await?;
    let own = |arguments: &[&str]| -> Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        Process::start(command, Announcement::Own, Cores::Server)
    };
    let upstream = own(&["hello"])?;
    let proxy = own(&["proxy", &upstream.address.to_string()])?;
    let request = || Request::visit(&host_name(0));
    let mut contenders = [
        Contender::of_host("a component behind the ingress", tenant.host, request()),
        Contender::new("a hyper server behind a hyper proxy", proxy, request()),
    ];
    compete(plan, &mut contenders).await?;
    let [own, proxied] = &contenders;
    let mut row = own.row("visits of a deployed component", proxied, "", None);
    row.from += " (the proxy's alone)";
    Ok(row)
}

/// A user with a project on a host.
struct Tenant {
    host: Host,
    token: String,
    project: String,
}

impl Tenant {
    async fn new(host: Host) -> Result<Self> {
        let token = host.register().await?;
        let project = json!({"name": "bench"});
        let project = id(&host.create("/api/v1/projects", Some(&token), &project).await?)?;
        Ok(Self { host, token, project })
    }

    /// Keeps a component that differs from every other by its serial, and answers its name.
    async fn push(&self, serial: usize) -> Result<String> {
        let wasm = fs::read(manifests::fixture("hello")?)?;
        let name = format!("service-{serial}:1");
        self.host.push_image(&name, &manifests::distinct(wasm, serial)).await?;
        Ok(format!("local/{name}"))
    }

    async fn service(&self, serial: usize, image: &str) -> Result<String> {
        let path = format!("/api/v1/projects/{}/services", self.project);
        let service = json!({
            "name": format!("service-{serial}"),
            "type": "web",
            "source": {"type": "image", "image": image},
        });
        id(&self.host.create(&path, Some(&self.token), &service).await?)
    }

    async fn deploy(&self, service: &str) -> Result<String> {
        let path = format!("/api/v1/services/{service}/deployments");
        id(&self.host.create(&path, Some(&self.token), &json!({})).await?)
    }

    async fn deploy_all(&self, services: &[String]) -> Result<()> {
        let mut deployments = Vec::new();
        for service in services {
            deployments.push(self.deploy(service).await?);
        }
        for deployment in &deployments {
            self.wait(deployment).await?;
        }
        Ok(())
    }

    /// Waits until a deployment has its visitors.
    async fn wait(&self, deployment: &str) -> Result<()> {
        let path = format!("/api/v1/deployments/{deployment}");
        let began = Instant::now();
        loop {
            let request = Request::get(&path, Some(&self.token));
            let body = expect(self.host.address(), &request, 200, &path).await?;
            match body["deployment"]["status"].as_str() {
                Some("deployed") => return Ok(()),
                Some("failed") => bail!("a deployment failed: {body}"),
                _ => ensure!(began.elapsed() < PATIENCE, "a deployment does not end: {body}"),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
}

async fn visit(address: SocketAddr, serial: usize) -> Result<()> {
    let answer = ask(address, &Request::visit(&host_name(serial))).await?;
    ensure!(answer.status == 200, "a visit is answered {}", answer.status);
    Ok(())
}

fn host_name(serial: usize) -> String {
    format!("service-{serial}-bench.localhost")
}

fn id(thing: &Value) -> Result<String> {
    Ok(thing["id"].as_str().context("what was created has an id")?.to_owned())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}
