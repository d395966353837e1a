//! Logs of services.

use std::pin::Pin;

use containr_common::Result;
use containr_common::views::{LogEntryView, ServiceLogsView};
use windlass_domain::ids::DeploymentId;
use windlass_domain::logs::{self, LogEntry, Logs, MAXIMUM_TAIL};
use windlass_domain::{Error, Timestamp};
use windlass_sdk::{Call, Refusal, Response, Source, StatusCode};

/// How long a log is followed, in seconds: less than the component may take for an answer, so that
/// the stream ends well. Clients of server-sent events then connect again.
const FOLLOWED_SECONDS: i64 = 9 * 60;
/// How long one look waits for a line, in milliseconds. A comment is sent after each that found
/// none, so that nobody in between takes the connection for dead.
const WAIT_MS: u32 = 20_000;

/// `GET /api/v1/services/{id}/logs`.
pub(crate) async fn list(call: Call<'_>) -> Result<Response> {
    let query = call.request.query()?;
    let follow = match query.text("follow")?.unwrap_or("false") {
        "true" => true,
        "false" => false,
        _ => return Err(Refusal::field("follow", "must be true or false").into()),
    };
    let tail = tail(query.text("tail")?.unwrap_or("100"))?;
    let id = call.parameter("id");
    // Who follows without lines from before still has to know where they end.
    let read = if follow { tail.max(1) } else { tail };
    let found = match logs::of_service(call.context, call.ports.logs, id, read).await {
        Err(Error::Unavailable { .. }) if !follow => return Ok(without("logs are unavailable")),
        other => other?,
    };
    let Some(deployment_id) = found.deployment_id else {
        return Ok(match follow {
            true => Response::events(Nothing),
            false => without("the service has no live deployment"),
        });
    };
    if !follow {
        let logs = found.entries.iter().map(LogEntryView::of_service).collect();
        let message = if found.entries.is_empty() { "nothing was written yet" } else { "" };
        return Ok(Response::json(StatusCode::OK, &ServiceLogsView { logs, message }));
    }
    Ok(Response::events(Follow {
        logs: call.ports.logs,
        deployment_id,
        last: found.entries.last().map_or(0, |entry| entry.sequence),
        waiting: Some(found.entries).filter(|entries| tail > 0 && !entries.is_empty()),
        until: call.context.clock.now().plus_seconds(FOLLOWED_SECONDS),
        waited_ms: 0,
    }))
}

fn without(message: &str) -> Response {
    Response::json(StatusCode::OK, &ServiceLogsView { logs: Vec::new(), message })
}

/// A number of lines; `all` is as many as there may be.
fn tail(text: &str) -> Result<u32, Refusal> {
    if text == "all" {
        return Ok(MAXIMUM_TAIL);
    }
    let number = text.parse().ok().filter(|number| *number <= MAXIMUM_TAIL);
    number.ok_or_else(|| Refusal::field("tail", "must be all or a number from 0 to 10000"))
}

/// Lines as they are written, each an event.
struct Follow {
    logs: &'static dyn Logs,
    deployment_id: DeploymentId,
    last: u64,
    waiting: Option<Vec<LogEntry>>,
    until: Timestamp,
    waited_ms: i64,
}

impl Source for Follow {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + '_>> {
        Box::pin(async move {
            if let Some(entries) = self.waiting.take() {
                return Some(events(&entries));
            }
            if self.waited_ms >= FOLLOWED_SECONDS * 1_000 {
                return None;
            }
            // An error ends the stream as well: whoever follows connects again and is told.
            let entries =
                self.logs.after(self.deployment_id.into(), self.last, WAIT_MS).await.ok()??;
            let Some(newest) = entries.last() else {
                self.waited_ms += i64::from(WAIT_MS);
                return Some(b":\n\n".to_vec());
            };
            self.last = newest.sequence;
            if newest.at > self.until {
                self.waited_ms = FOLLOWED_SECONDS * 1_000;
            }
            Some(events(&entries))
        })
    }
}

/// A stream that ends at once.
struct Nothing;

impl Source for Nothing {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + '_>> {
        Box::pin(async { None })
    }
}

/// Each entry as `data: <JSON>` and a blank line.
fn events(entries: &[LogEntry]) -> Vec<u8> {
    let mut events = Vec::new();
    for entry in entries {
        events.extend_from_slice(b"data: ");
        windlass_sdk::json::append(&mut events, &LogEntryView::of_service(entry));
        events.extend_from_slice(b"\n\n");
    }
    events
}
