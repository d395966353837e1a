//! Jobs: a container that runs one command to its end, with an archive at either end of it.
//!
//! What flows through a job flows through this process. When the host stops in the middle, nobody
//! reads or writes the other end, and so a job that is found again after a restart has failed.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::query_parameters::{
    AttachContainerOptions, CreateContainerOptions, WaitContainerOptions,
};
use bytes::Bytes;
use cap_std::fs::File;
use futures::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

use super::{Docker, container, images, network, stop};
use crate::archives::Unfinished;
use crate::driver::{Error, WorkloadId};
use crate::job::{Job, JobOutcome, JobState};

/// Bytes read from an archive at once.
const CHUNK: usize = 64 * 1_024;
/// Chunks on their way between a file and a container.
const CHUNKS_AHEAD: usize = 16;
/// Lines of what a job says of itself that are kept.
const MESSAGE_LINES: usize = 10;
/// Bytes of them.
const MESSAGE_BYTES: usize = 4_096;
/// Jobs that are remembered; each is removed by whoever asked for it.
const JOBS: usize = 1_000;

/// What became of jobs since this host was started.
#[derive(Default)]
pub(super) struct Jobs(Mutex<BTreeMap<WorkloadId, JobState>>);

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkloadId, JobState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what became of one, unless it was removed meanwhile.
    fn settle(&self, id: WorkloadId, state: JobState) {
        if let Some(known) = self.lock().get_mut(&id) {
            *known = state;
        }
    }
}

/// Sees to it that this job runs or has run.
pub(super) async fn start(docker: &Arc<Docker>, job: Job) -> Result<(), Error> {
    if observe(docker, job.id).await? != JobState::Absent {
        return Ok(());
    }
    // What can be said at once is said to who asks, and not found out later.
    let image = images::kept(&docker.client, &docker.fetches, &job.image).await?;
    let image_id = image.id.as_deref().unwrap_or(&job.image);
    container::of_job(&docker.ours, &job, image_id)?;
    {
        let mut jobs = docker.jobs.lock();
        if jobs.len() >= JOBS {
            return Err(Error::Unavailable("too many jobs are there; remove some".to_owned()));
        }
        jobs.insert(job.id, JobState::Running);
    }
    let (docker, image_id) = (Arc::clone(docker), image_id.to_owned());
    tokio::spawn(async move {
        let deadline = Duration::from_secs(job.deadline_seconds.into());
        let ran = match tokio::time::timeout(deadline, run(&docker, &job, &image_id)).await {
            Ok(Ok(outcome)) => JobState::Ended(outcome),
            Ok(Err(error)) => JobState::Failed(error.to_string()),
            Err(_) => {
                JobState::Failed(format!("it did not end within {} seconds", deadline.as_secs()))
            }
        };
        // The record of it is here; the container is only in the way of a network.
        let name = docker.ours.job(job.id);
        if let Err(error) = stop::remove(&docker.client, &name).await {
            tracing::warn!(job = %job.id, "not removed: {error}");
        }
        docker.jobs.settle(job.id, ran);
        docker.networks.let_go(&docker.client, &docker.ours, &job.network).await;
    });
    Ok(())
}

/// How a job is doing.
pub(super) async fn observe(docker: &Docker, id: WorkloadId) -> Result<JobState, Error> {
    if let Some(known) = docker.jobs.lock().get(&id) {
        return Ok(known.clone());
    }
    if !docker.client.is_there() {
        return Ok(JobState::Absent);
    }
    let name = docker.ours.job(id);
    let Some(found) = docker.inspect(&name).await? else { return Ok(JobState::Absent) };
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    docker.ours.check_owns(&name, labels)?;
    Ok(JobState::Failed("the host stopped in the middle of it".to_owned()))
}

/// Sees to it that there is no job of this id.
pub(super) async fn remove(docker: &Docker, id: WorkloadId) -> Result<(), Error> {
    docker.jobs.lock().remove(&id);
    if !docker.client.is_there() {
        return Ok(());
    }
    let name = docker.ours.job(id);
    let Some(found) = docker.inspect(&name).await? else { return Ok(()) };
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    docker.ours.check_owns(&name, labels)?;
    // A task that runs it sees its container go, and ends.
    stop::remove(&docker.client, &name).await
}

async fn run(docker: &Docker, job: &Job, image_id: &str) -> Result<JobOutcome, Error> {
    let input = match &job.input {
        None => None,
        Some(input) => {
            let (archives, input) = (docker.archives.clone(), input.clone());
            let open = move || archives.open(&input.archive, &input.sha256);
            Some(tokio::task::spawn_blocking(open).await.map_err(broken)??)
        }
    };
    let output = job.output.as_ref().map(|name| docker.archives.create(name)).transpose()?;
    let name = docker.ours.job(job.id);
    network::volumes(&docker.client, &docker.ours, &job.volumes).await?;
    let attached = {
        // Nobody takes the network away before the container is on it.
        let _held = docker.networks.hold(&docker.client, &docker.ours, &job.network).await?;
        let body = container::of_job(&docker.ours, job, image_id)?;
        let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
        let create =
            async |engine: &bollard::Docker| engine.create_container(Some(options), body).await;
        docker.client.ask(create).await?;
        let options = AttachContainerOptions {
            stream: true,
            stdin: input.is_some(),
            stdout: true,
            stderr: true,
            ..AttachContainerOptions::default()
        };
        let attach =
            async |engine: &bollard::Docker| engine.attach_container(&name, Some(options)).await;
        let attached = docker.client.ask(attach).await?;
        docker.client.ask(async |engine| engine.start_container(&name, None).await).await?;
        attached
    };
    let AttachContainerResults { output: said, input: hears } = attached;
    let feeding = tokio::spawn(feed(input, hears));
    let collected = collect(said, output).await;
    feeding.abort();
    let (archive, message) = collected?;
    let exit_code = wait(docker, &name).await?;
    let (output_bytes, output_sha256) = match archive {
        // What a dump wrote that failed is no archive.
        Some(archive) if exit_code == 0 => {
            tokio::task::spawn_blocking(|| archive.finish()).await.map_err(broken)??
        }
        _ => (0, String::new()),
    };
    Ok(JobOutcome { exit_code, output_bytes, output_sha256, message })
}

async fn wait(docker: &Docker, name: &str) -> Result<i64, Error> {
    let engine = docker.client.docker().await?;
    let condition = WaitContainerOptions { condition: "not-running".to_owned() };
    match engine.wait_container(name, Some(condition)).next().await {
        Some(Ok(ended)) => Ok(ended.status_code),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
        Some(Err(error)) => Err(docker.client.words(error)),
        None => Err(Error::Unavailable("Docker did not say how it ended".to_owned())),
    }
}

/// Writes a file into a container, and closes its input. What goes wrong here the command notices.
async fn feed(input: Option<File>, mut hears: Pin<Box<dyn AsyncWrite + Send>>) {
    let Some(mut input) = input else { return };
    let (chunks, mut read) = mpsc::channel::<Bytes>(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            match input.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(length) => chunk.truncate(length),
            }
            if chunks.blocking_send(chunk.into()).is_err() {
                return;
            }
        }
    });
    while let Some(chunk) = read.recv().await {
        if hears.write_all(&chunk).await.is_err() {
            return;
        }
    }
    _ = hears.shutdown().await;
}

type Said = Pin<Box<dyn futures::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// Writes what a container says into its archive; answers that and the last lines of what it says of
/// itself.
async fn collect(
    mut said: Said,
    archive: Option<Unfinished>,
) -> Result<(Option<Unfinished>, String), Error> {
    let (chunks, written) = match archive {
        None => (None, None),
        Some(archive) => {
            let (chunks, received) = mpsc::channel(CHUNKS_AHEAD);
            (Some(chunks), Some(tokio::task::spawn_blocking(|| keep(archive, received))))
        }
    };
    let mut message = LastLines::default();
    while let Some(piece) = said.next().await {
        let piece = piece.map_err(|_| Error::Unavailable("Docker went away".to_owned()))?;
        match piece {
            LogOutput::StdErr { message: bytes } => message.add(&bytes),
            LogOutput::StdOut { message: bytes } | LogOutput::Console { message: bytes } => {
                let Some(chunks) = &chunks else { continue };
                if chunks.send(bytes).await.is_err() {
                    // The writer has the reason.
                    break;
                }
            }
            LogOutput::StdIn { .. } => {}
        }
    }
    drop(chunks);
    let archive = match written {
        None => None,
        Some(written) => Some(written.await.map_err(broken)??),
    };
    Ok((archive, message.into_text()))
}

fn keep(mut archive: Unfinished, mut chunks: mpsc::Receiver<Bytes>) -> Result<Unfinished, Error> {
    while let Some(chunk) = chunks.blocking_recv() {
        archive.write(&chunk)?;
    }
    Ok(archive)
}

/// The end of a text that comes in pieces.
#[derive(Default)]
struct LastLines(VecDeque<u8>);

impl LastLines {
    fn add(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let surplus = self.0.len().saturating_sub(MESSAGE_BYTES);
        self.0.drain(..surplus);
    }

    fn into_text(self) -> String {
        let bytes: Vec<u8> = self.0.into();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let older = lines.len().saturating_sub(MESSAGE_LINES);
        lines.get(older..).unwrap_or_default().join("\n")
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err by name")]
fn broken(error: tokio::task::JoinError) -> Error {
    Error::Other(format!("the job broke off: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_job_says_the_end_is_kept() {
        let mut message = LastLines::default();
        for line in 0..1_000 {
            message.add(format!("line {line}\n\n").as_bytes());
        }
        let text = message.into_text();
        assert!(text.ends_with("line 998\nline 999"), "{text}");
        assert_eq!(text.lines().count(), MESSAGE_LINES);
    }
}
