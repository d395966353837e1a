//! Containers that run at their times. The engine knows no times, so that these need the control
//! plane: a time that passes while it is down is not made up for.

use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::WaitContainerOptions;
use chrono::Utc;
use croner::Cron;
use futures::StreamExt;
use tokio::task::JoinHandle;

use super::client::Client;
use crate::driver::WorkloadId;

/// How long it waits after a schedule that has no next time: it has none later either.
const NEVER: Duration = Duration::from_secs(24 * 3_600);

/// Starts one container at its times. Ends with whoever holds it; a run that has begun goes on.
pub(super) struct Scheduled(JoinHandle<()>);

impl Scheduled {
    pub(super) fn start(
        client: Arc<Client>,
        id: WorkloadId,
        container: String,
        schedule: Cron,
    ) -> Self {
        Self(tokio::spawn(run_at_times(client, id, container, schedule)))
    }
}

impl Drop for Scheduled {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run_at_times(client: Arc<Client>, id: WorkloadId, container: String, schedule: Cron) {
    loop {
        let now = Utc::now();
        let next = schedule.find_next_occurrence(&now, false);
        let wait = next.map_or(NEVER, |next| (next - now).to_std().unwrap_or_default());
        tokio::time::sleep(wait).await;
        // A run that goes on longer than the schedule leaves room for is not started twice: the
        // engine passes over a start of what runs.
        let begun = client.ask(async |docker| docker.start_container(&container, None).await);
        if let Err(error) = begun.await {
            tracing::warn!(workload = %id, "not started at its time: {error}");
            continue;
        }
        let Ok(docker) = client.docker().await else { continue };
        let condition = WaitContainerOptions { condition: "not-running".to_owned() };
        let mut ended = docker.wait_container(&container, Some(condition));
        match ended.next().await {
            Some(Ok(ended)) => {
                tracing::info!(workload = %id, code = ended.status_code, "a run at its time ended");
            }
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => {
                tracing::info!(workload = %id, code, "a run at its time ended");
            }
            Some(Err(error)) => tracing::warn!(workload = %id, "a run was lost: {error}"),
            None => {}
        }
    }
}
