//! The way to the engine: one socket, found when it is needed, and errors in words for tenants.

use std::future::Future;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::sync::OnceCell;

use crate::driver::Error;

/// How long an answer of the engine is waited for, where nothing has to be carried out first.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// The longest the engine may take over anything: to stop a container with all its grace.
const LONGEST_SECONDS: u64 = 600;

/// Docker, or Podman, which speaks the same.
pub(super) struct Client {
    socket: String,
    connected: OnceCell<Docker>,
}

impl Client {
    /// At this socket. Nothing is opened before it is needed.
    pub(super) fn new(socket: &str) -> Self {
        let socket = socket.strip_prefix("unix://").unwrap_or(socket);
        Self { socket: socket.to_owned(), connected: OnceCell::new() }
    }

    /// Whether there is a socket. Without one there is nothing of ours either.
    pub(super) fn is_there(&self) -> bool {
        std::path::Path::new(&self.socket).exists()
    }

    /// The engine, spoken to in a version that both know.
    pub(super) async fn docker(&self) -> Result<&Docker, Error> {
        let connect = async {
            let docker =
                Docker::connect_with_unix(&self.socket, LONGEST_SECONDS, API_DEFAULT_VERSION);
            let docker = docker.map_err(|error| self.words(error))?;
            self.timed(docker.negotiate_version()).await
        };
        self.connected.get_or_try_init(|| connect).await
    }

    /// Asks something that is answered at once.
    pub(super) async fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(&Docker) -> Result<T, bollard::errors::Error>,
    ) -> Result<T, Error> {
        let docker = self.docker().await?;
        self.timed(ask(docker)).await
    }

    /// Asks for something that may not be there.
    pub(super) async fn find<T>(
        &self,
        ask: impl AsyncFnOnce(&Docker) -> Result<T, bollard::errors::Error>,
    ) -> Result<Option<T>, Error> {
        match self.ask(ask).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn timed<T>(
        &self,
        answer: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(ANSWER_TIME, answer).await {
            Ok(answered) => answered.map_err(|error| self.words(error)),
            Err(_) => {
                let seconds = ANSWER_TIME.as_secs();
                Err(Error::Unavailable(format!("Docker did not answer within {seconds} seconds")))
            }
        }
    }

    /// What the engine says, for the tenant.
    pub(super) fn words(&self, error: bollard::errors::Error) -> Error {
        use bollard::errors::Error::{DockerResponseServerError, SocketNotFoundError};
        match error {
            SocketNotFoundError(_) => Error::Invalid(format!(
                "this host runs no containers: there is no Docker at {}; install Docker or Podman, \
                 or have the operator name its socket in docker_host",
                self.socket
            )),
            DockerResponseServerError { status_code, message } => said(status_code, message),
            // The chain says what happened to the connection, which is nothing to a tenant.
            error => {
                tracing::debug!(socket = self.socket, "Docker: {error:?}");
                Error::Unavailable("Docker does not answer on this host".to_owned())
            }
        }
    }
}

fn said(status: u16, message: String) -> Error {
    match status {
        404 => Error::NotFound(message),
        409 => Error::Conflict(message),
        400 => Error::Invalid(message),
        _ if message.contains("no space left") => {
            Error::Quota("the disk of this host is full".to_owned())
        }
        _ => Error::Unavailable(format!("Docker: {message}")),
    }
}
