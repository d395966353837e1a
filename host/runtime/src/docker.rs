//! The driver for containers: a workload is a container of Docker, or of Podman, which speaks the
//! same over its socket.
//!
//! Containers do not depend on this process: the engine starts them again, and after a restart of
//! the host they are found by their labels. What does not carry the labels of this installation is
//! never touched.

mod carried;
mod client;
mod condition;
mod container;
mod images;
mod jobs;
mod lines;
mod names;
mod network;
mod proxy;
mod reference;
mod schedule;
mod stop;
mod usage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::{CreateContainerOptions, ListContainersOptions, LogsOptions};
use futures::StreamExt;
use windlass_engine::Destination;

use crate::archives::Archives;
use crate::driver::{Driver, DriverFuture, Error, Kind, State, Usage, Workload, WorkloadId};
use crate::images::Image;
use crate::job::{Job, JobState};
use crate::logbook::LogBook;
use carried::{Carried, Container};
use client::Client;
use condition::{Restarts, Seen};
use images::Fetches;
use jobs::Jobs;
use lines::Follower;
use names::{Installation, Known, known};
use network::Networks;
use schedule::Scheduled;

/// Runs workloads as containers.
pub struct DockerDriver(Arc<Docker>);

/// What its tasks share.
struct Docker {
    client: Arc<Client>,
    ours: Installation,
    log: Arc<LogBook>,
    archives: Archives,
    fetches: Arc<Fetches>,
    carried: Carried,
    networks: Networks,
    jobs: Jobs,
}

impl DockerDriver {
    /// Over the engine at this socket, for the installation of this id. Nothing is asked of it
    /// before there is something to do.
    pub fn new(socket: &str, installation: &str, log: Arc<LogBook>, archives: Archives) -> Self {
        Self(Arc::new(Docker {
            client: Arc::new(Client::new(socket)),
            ours: Installation::new(installation),
            log,
            archives,
            fetches: Arc::default(),
            carried: Carried::default(),
            networks: Networks::default(),
            jobs: Jobs::default(),
        }))
    }
}

impl Docker {
    async fn start(&self, workload: Workload) -> Result<(), Error> {
        let id = workload.id;
        if self.carried.is_stopping(id) {
            return Err(Error::Unavailable("it is still being stopped".to_owned()));
        }
        if workload.kind == Kind::Cron {
            crate::schedule::parse(&workload.schedule)?;
        }
        let name = self.ours.container(id);
        if let Some(found) = self.inspect(&name).await? {
            return self.start_again(&name, &found).await;
        }
        let image = images::kept(&self.client, &self.fetches, &workload.image).await?;
        let port = container::port(&workload, image.config.as_ref())?;
        let image_id = image.id.as_deref().unwrap_or(&workload.image);
        let body = container::of_workload(&self.ours, &workload, image_id, port)?;
        self.check_volumes(&workload).await?;
        network::volumes(&self.client, &self.ours, &workload.volumes).await?;
        // Nobody takes the network away before the container is on it.
        let _held = self.networks.hold(&self.client, &self.ours, &workload.network).await?;
        self.create(&name, body).await?;
        if workload.kind != Kind::Cron {
            self.launch(&name).await?;
        }
        let found = self.inspect(&name).await?;
        let found = found.ok_or_else(|| Error::Unavailable("it is gone again".to_owned()))?;
        self.adopt(&found);
        Ok(())
    }

    /// One that is there stays as it is; one that was made and never started is started now.
    async fn start_again(&self, name: &str, found: &ContainerInspectResponse) -> Result<(), Error> {
        let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
        self.ours.check_owns(name, labels)?;
        self.adopt(found);
        let is_cron = labels.and_then(known).is_some_and(|known| known.kind == Kind::Cron);
        let runs = found.state.as_ref().and_then(|state| state.running) == Some(true);
        if is_cron || runs {
            return Ok(());
        }
        self.launch(name).await
    }

    async fn create(&self, name: &str, body: ContainerCreateBody) -> Result<(), Error> {
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
        let created =
            async |docker: &bollard::Docker| docker.create_container(Some(options), body).await;
        self.client.ask(created).await.map(drop)
    }

    /// Starts what was made. What cannot be started is taken away: it would be in the way of the
    /// next try.
    async fn launch(&self, name: &str) -> Result<(), Error> {
        let launched = self.client.ask(async |docker| docker.start_container(name, None).await);
        let Err(error) = launched.await else { return Ok(()) };
        let said = error.to_string();
        _ = stop::remove(&self.client, name).await;
        let wrong = ["OCI runtime", "executable file not found", "no command specified"];
        if wrong.iter().any(|wrong| said.contains(wrong)) {
            let reason = condition::plain(&said);
            return Err(Error::Invalid(format!("it could not be started: {reason}")));
        }
        Err(match error {
            Error::NotFound(text) | Error::Conflict(text) => Error::Unavailable(text),
            error => error,
        })
    }

    /// Two databases on one volume would spoil it.
    async fn check_volumes(&self, workload: &Workload) -> Result<(), Error> {
        if workload.kind != Kind::Database {
            return Ok(());
        }
        for volume in &workload.volumes {
            let name = self.ours.volume(&volume.name)?;
            let options = ListContainersOptions {
                filters: Some([("volume".to_owned(), vec![name])].into()),
                ..ListContainersOptions::default()
            };
            let users =
                async |docker: &bollard::Docker| docker.list_containers(Some(options)).await;
            if !self.client.ask(users).await?.is_empty() {
                return Err(Error::Conflict(format!("the volume {} is in use", volume.name)));
            }
        }
        Ok(())
    }

    async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, Error> {
        self.client.find(async |docker| docker.inspect_container(name, None).await).await
    }

    /// Remembers a container that is there.
    fn adopt(&self, found: &ContainerInspectResponse) -> Option<Arc<Container>> {
        let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
        let known = labels.and_then(known)?;
        let address = condition::published(found, known.port);
        let restarts = found.restart_count.unwrap_or_default();
        let container = self.remember(known, restarts);
        container.is_at(address);
        Some(container)
    }

    fn remember(&self, known: Known, restarts: i64) -> Arc<Container> {
        let id = known.id;
        self.carried.add(id, || {
            let name = self.ours.container(id);
            let follower = Follower::start(Arc::clone(&self.client), &self.log, id, name.clone());
            let scheduled = (known.kind == Kind::Cron)
                .then(|| crate::schedule::parse(&known.schedule).ok())
                .flatten()
                .map(|times| Scheduled::start(Arc::clone(&self.client), id, name.clone(), times));
            Container::new(known, name, Restarts::known(restarts), follower, scheduled)
        })
    }

    async fn observe(&self, id: WorkloadId) -> Result<State, Error> {
        let name = self.ours.container(id);
        if !self.client.is_there() && self.carried.get(id).is_none() {
            return Ok(State::Absent);
        }
        let Some(found) = self.inspect(&name).await? else { return Ok(State::Absent) };
        if self.carried.is_stopping(id) {
            return Ok(State::Unhealthy("it is being stopped".to_owned()));
        }
        let Some(container) = self.adopt(&found) else { return Ok(State::Absent) };
        if container.known.kind == Kind::Cron {
            return Ok(State::Healthy);
        }
        match condition::seen(&found, &container.restarts) {
            Seen::As(state) => Ok(state),
            Seen::Broken(how) => Ok(State::Failed(match self.last_line(&name).await {
                Some(line) => format!("{how}: {line}"),
                None => how,
            })),
            Seen::Running(since) => {
                let (health, proxy) = (&container.known.health, container.proxy.as_ref());
                condition::ask(&self.client, &name, health, proxy, since).await
            }
        }
    }

    /// The last thing a container wrote that is no empty line.
    async fn last_line(&self, name: &str) -> Option<String> {
        let docker = self.client.docker().await.ok()?;
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: "5".to_owned(),
            ..LogsOptions::default()
        };
        let lines = docker.logs(name, Some(options));
        let lines: Vec<String> = lines
            .filter_map(async |line| line.ok().map(|line| line.to_string().trim().to_owned()))
            .filter(|line| std::future::ready(!line.is_empty()))
            .collect()
            .await;
        lines.into_iter().next_back()
    }

    async fn list(&self) -> Result<Vec<WorkloadId>, Error> {
        if !self.client.is_there() {
            return Ok(Vec::new());
        }
        let options = ListContainersOptions {
            all: true,
            filters: Some(self.ours.workloads()),
            ..ListContainersOptions::default()
        };
        let found =
            self.client.ask(async |docker| docker.list_containers(Some(options)).await).await?;
        let mut ids = Vec::new();
        for summary in &found {
            let Some(known) = summary.labels.as_ref().and_then(known) else { continue };
            ids.push(known.id);
            if !self.carried.is_stopping(known.id) {
                let address = listed_address(summary, known.port);
                // How often it was started again before is not listed; it is no crash of now.
                let container = match self.carried.get(known.id) {
                    Some(container) => container,
                    None => match self.inspect(&self.ours.container(known.id)).await? {
                        Some(found) => match self.adopt(&found) {
                            Some(container) => container,
                            None => continue,
                        },
                        None => continue,
                    },
                };
                container.is_at(address);
            }
        }
        self.carried.keep_only(|id| ids.contains(&id));
        Ok(ids)
    }
}

fn listed_address(summary: &ContainerSummary, port: u16) -> Option<SocketAddr> {
    let ports = summary.ports.iter().flatten();
    ports.filter(|published| published.private_port == port).find_map(|published| {
        let host = published.ip.as_deref()?.parse().ok()?;
        Some(SocketAddr::new(host, published.public_port?))
    })
}

impl Driver for DockerDriver {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn resolve<'a>(&'a self, name: &'a str) -> DriverFuture<'a, Option<Image>> {
        Box::pin(images::resolve(&self.0.client, &self.0.fetches, name))
    }

    fn has_made<'a>(&'a self, name: &'a str) -> DriverFuture<'a, bool> {
        Box::pin(images::has_made(&self.0.client, name))
    }

    fn start(&self, workload: Workload) -> DriverFuture<'_, ()> {
        Box::pin(self.0.start(workload))
    }

    fn observe(&self, id: WorkloadId) -> DriverFuture<'_, State> {
        Box::pin(self.0.observe(id))
    }

    fn stop(&self, id: WorkloadId, grace: Duration) -> DriverFuture<'_, ()> {
        Box::pin(stop::stop(&self.0, id, grace))
    }

    fn list(&self) -> DriverFuture<'_, Vec<WorkloadId>> {
        Box::pin(self.0.list())
    }

    fn destination(&self, id: WorkloadId) -> Option<Arc<dyn Destination>> {
        let proxy = self.0.carried.get(id)?.proxy.clone()?;
        Some(proxy as Arc<dyn Destination>)
    }

    fn address(&self, id: WorkloadId) -> DriverFuture<'_, Option<String>> {
        Box::pin(async move {
            if !self.0.client.is_there() {
                return Ok(None);
            }
            let Some(found) = self.0.inspect(&self.0.ours.container(id)).await? else {
                return Ok(None);
            };
            let container = self.0.adopt(&found);
            let address = container.and_then(|container| container.address());
            Ok(address.map(|address| address.to_string()))
        })
    }

    fn usage(&self, id: WorkloadId) -> DriverFuture<'_, Option<Usage>> {
        Box::pin(async move {
            match self.0.carried.get(id) {
                Some(container) => usage::usage(&self.0.client, &container).await,
                None => Ok(None),
            }
        })
    }

    fn list_volumes(&self) -> DriverFuture<'_, Vec<String>> {
        Box::pin(network::list_volumes(&self.0.client, &self.0.ours))
    }

    fn remove_volume<'a>(&'a self, name: &'a str) -> DriverFuture<'a, ()> {
        Box::pin(network::remove_volume(&self.0.client, &self.0.ours, name))
    }

    fn start_job(&self, job: Job) -> DriverFuture<'_, ()> {
        Box::pin(jobs::start(&self.0, job))
    }

    fn observe_job(&self, id: WorkloadId) -> DriverFuture<'_, JobState> {
        Box::pin(jobs::observe(&self.0, id))
    }

    fn remove_job(&self, id: WorkloadId) -> DriverFuture<'_, ()> {
        Box::pin(jobs::remove(&self.0, id))
    }
}
