//! How a container is doing, by what the engine says of it and by asking it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum as Status,
};
use bytes::Bytes;
use chrono::Utc;
use futures::StreamExt;
use http_body_util::{BodyExt, Full};
use windlass_engine::{Destination, RequestContext};

use super::client::Client;
use super::proxy::Proxy;
use crate::driver::{Error, Health, State};

/// What runs for so long is taken for something that works, where it cannot be asked.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// What runs for so long was no crash at the start.
const STARTED_WELL_AFTER: Duration = Duration::from_secs(10);
/// Ends in a row, each right after its start, after which a container has failed.
const CRASHES: i64 = 3;
/// How long an answer to the question whether it works may take.
const PROBE_TIME: Duration = Duration::from_secs(5);
/// Bytes of what a program says that was asked inside.
const SAID_BYTES: usize = 4_096;
/// What is asked of what answers requests.
const PROBE_PATH: &str = "/";

/// How often a container was started again when it last ran well, so that crashes of long ago do
/// not count.
#[derive(Default)]
pub(super) struct Restarts(AtomicI64);

impl Restarts {
    /// What was there before this host looks after it counts for nothing.
    pub(super) fn known(count: i64) -> Self {
        Self(AtomicI64::new(count))
    }

    fn crashes(&self, count: i64, runs_well: bool) -> i64 {
        if runs_well {
            self.0.store(count, Ordering::Relaxed);
        }
        count - self.0.load(Ordering::Relaxed)
    }
}

/// What can be said without asking the container itself.
pub(super) enum Seen {
    /// It has come to this.
    As(State),
    /// It runs, for so long.
    Running(Duration),
    /// It ended too often, or never began; how, without what it wrote.
    Broken(String),
}

/// Judges what the engine says.
pub(super) fn seen(found: &ContainerInspectResponse, restarts: &Restarts) -> Seen {
    let Some(state) = &found.state else { return Seen::As(State::Starting) };
    let count = found.restart_count.unwrap_or_default();
    let runs = state.status == Some(Status::RUNNING);
    let since = running_since(state);
    let crashes = restarts.crashes(count, runs && since >= STARTED_WELL_AFTER);
    if crashes >= CRASHES {
        return Seen::Broken(format!(
            "it ended {crashes} times in a row right after its start; at last {}",
            end(state)
        ));
    }
    match state.status {
        Some(Status::RUNNING) => Seen::Running(since),
        Some(Status::EXITED | Status::DEAD) => Seen::Broken(end(state)),
        Some(Status::PAUSED) => Seen::As(State::Unhealthy("the operator has paused it".to_owned())),
        Some(Status::REMOVING | Status::STOPPING) => {
            Seen::As(State::Unhealthy("it is being stopped".to_owned()))
        }
        Some(Status::CREATED | Status::RESTARTING | Status::EMPTY) | None => {
            Seen::As(State::Starting)
        }
    }
}

/// How it ended.
fn end(state: &ContainerState) -> String {
    let code = state.exit_code.unwrap_or_default();
    if state.oom_killed == Some(true) {
        return "it took more memory than it was given".to_owned();
    }
    match state.error.as_deref() {
        Some(error) if !error.is_empty() => format!("it could not be started: {}", plain(error)),
        _ if code == 0 => "it ended by itself".to_owned(),
        _ => format!("it ended with exit code {code}"),
    }
}

/// The reason at the end of what a runtime says, which begins with names of the host's programs.
pub(super) fn plain(error: &str) -> &str {
    const BEFORE: &str = "unable to start container process: ";
    error.rsplit_once(BEFORE).map_or(error, |(_, reason)| reason).trim()
}

fn running_since(state: &ContainerState) -> Duration {
    let started = state.started_at.as_deref().unwrap_or_default();
    let started = chrono::DateTime::parse_from_rfc3339(started);
    started.map_or(Duration::ZERO, |started| {
        (Utc::now() - started.to_utc()).to_std().unwrap_or_default()
    })
}

/// Asks what runs whether it works.
pub(super) async fn ask(
    client: &Client,
    container: &str,
    health: &Health,
    proxy: Option<&Arc<Proxy>>,
    runs_for: Duration,
) -> Result<State, Error> {
    match (health, proxy) {
        (Health::Http, Some(proxy)) => Ok(ask_over_http(proxy).await),
        (Health::Command(command), _) => ask_inside(client, container, command).await,
        (Health::Http | Health::Unasked, _) if runs_for >= SETTLED_AFTER => Ok(State::Healthy),
        (Health::Http | Health::Unasked, _) => Ok(State::Starting),
    }
}

async fn ask_over_http(proxy: &Arc<Proxy>) -> State {
    let request = http::Request::get(PROBE_PATH)
        .header(http::header::HOST, "health.invalid")
        .header(http::header::USER_AGENT, "windlass-health")
        .body(Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync());
    let Ok(request) = request else { return State::Starting };
    let context = RequestContext::internal("health", PROBE_TIME);
    match Arc::clone(proxy).answer(context, request).await {
        Ok(answer) if answer.status().is_server_error() => {
            State::Unhealthy(format!("GET {PROBE_PATH} answered {}", answer.status()))
        }
        Ok(_) => State::Healthy,
        Err(failure) => State::Unhealthy(format!("GET {PROBE_PATH}: {failure}")),
    }
}

async fn ask_inside(client: &Client, container: &str, command: &[String]) -> Result<State, Error> {
    let program = command.first().map_or("", String::as_str);
    match tokio::time::timeout(PROBE_TIME, run_inside(client, container, command)).await {
        Ok(Ok((0, _))) => Ok(State::Healthy),
        Ok(Ok((code, said))) => {
            Ok(State::Unhealthy(format!("{program} ended with exit code {code}: {said}")))
        }
        // It went away in this moment; the next look says how.
        Ok(Err(Error::NotFound(_) | Error::Conflict(_))) => Ok(State::Starting),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let seconds = PROBE_TIME.as_secs();
            Ok(State::Unhealthy(format!("{program} did not end within {seconds} seconds")))
        }
    }
}

/// Runs a program inside, and answers how it ended and its last line.
async fn run_inside(
    client: &Client,
    container: &str,
    command: &[String],
) -> Result<(i64, String), Error> {
    let options = CreateExecOptions {
        cmd: Some(command.to_vec()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = client.ask(async |docker| docker.create_exec(container, options).await).await?.id;
    let started = client.ask(async |docker| docker.start_exec(&exec, None).await).await?;
    let mut said = Vec::new();
    if let StartExecResults::Attached { mut output, .. } = started {
        while let Some(Ok(piece)) = output.next().await {
            let room = SAID_BYTES.saturating_sub(said.len());
            said.extend(piece.as_ref().iter().take(room));
        }
    }
    let ended = client.ask(async |docker| docker.inspect_exec(&exec).await).await?;
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Ok((ended.exit_code.unwrap_or(-1), last.trim().to_owned()))
}

/// Where the engine published the port of a container on this machine.
pub(super) fn published(found: &ContainerInspectResponse, port: u16) -> Option<SocketAddr> {
    let ports = found.network_settings.as_ref()?.ports.as_ref()?;
    let bindings = ports.get(&format!("{port}/tcp"))?.as_ref()?;
    bindings.iter().find_map(|binding| {
        let host = binding.host_ip.as_deref()?.parse().ok()?;
        let port = binding.host_port.as_deref()?.parse().ok()?;
        Some(SocketAddr::new(host, port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        status: Status,
        exit_code: i64,
        restarts: i64,
        seconds: i64,
    ) -> ContainerInspectResponse {
        let started = Utc::now() - chrono::Duration::seconds(seconds);
        ContainerInspectResponse {
            restart_count: Some(restarts),
            state: Some(ContainerState {
                status: Some(status),
                exit_code: Some(exit_code),
                started_at: Some(started.to_rfc3339()),
                ..ContainerState::default()
            }),
            ..ContainerInspectResponse::default()
        }
    }

    #[test]
    fn what_crashes_at_its_start_again_and_again_has_failed() {
        let restarts = Restarts::default();
        let first = seen(&found(Status::RESTARTING, 3, 1, 0), &restarts);
        assert!(matches!(first, Seen::As(State::Starting)));
        let third = seen(&found(Status::RESTARTING, 3, 3, 0), &restarts);
        let Seen::Broken(reason) = third else { panic!("it has not failed") };
        assert!(reason.contains("3 times") && reason.contains("exit code 3"), "{reason}");
    }

    #[test]
    fn crashes_of_long_ago_do_not_count() {
        let restarts = Restarts::default();
        for (count, seconds) in [(1, 0), (2, 20), (4, 1)] {
            let now = seen(&found(Status::RUNNING, 0, count, seconds), &restarts);
            assert!(matches!(now, Seen::Running(_)), "{count}");
        }
        assert!(matches!(seen(&found(Status::RESTARTING, 1, 5, 0), &restarts), Seen::Broken(_)));
        let known = Restarts::known(7);
        assert!(matches!(seen(&found(Status::RUNNING, 0, 8, 1), &known), Seen::Running(_)));
    }

    #[test]
    fn an_end_is_said_in_the_words_of_its_cause() {
        let mut state = ContainerState { exit_code: Some(137), ..ContainerState::default() };
        assert_eq!(end(&state), "it ended with exit code 137");
        state.oom_killed = Some(true);
        assert_eq!(end(&state), "it took more memory than it was given");
        state.oom_killed = None;
        state.error = Some(
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to \
             start container process: exec: \"nope\": executable file not found in $PATH"
                .to_owned(),
        );
        let said = end(&state);
        assert!(said.starts_with("it could not be started: exec: \"nope\""), "{said}");
    }
}
