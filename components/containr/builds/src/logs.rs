//! The logs of builds, as text: a line of the builder each, with its time.

use std::fmt::Write as _;
use std::pin::Pin;

use containr_common::Result;
use containr_common::views::time;
use windlass_domain::Error;
use windlass_domain::builds::{self, Build};
use windlass_domain::ids::BuildId;
use windlass_domain::logs::{LogEntry, Logs, MAXIMUM_TAIL};
use windlass_sdk::{Call, Refusal, Response, Source, StatusCode};

/// Lines that a build is shown with. All of them are at its logs.
const SHOWN_LINES: u32 = 1_000;
/// How long a log is followed, in milliseconds: less than the component may take for an answer, so
/// that the text ends well. A build may take longer; whoever wants the rest asks again.
const FOLLOWED_MS: u32 = 9 * 60 * 1_000;
/// How long one look waits for a line, in milliseconds.
const WAIT_MS: u32 = 10_000;

/// What is shown of a build's log beside the build. When the runtime cannot be reached it is empty:
/// how the build is doing is known all the same.
pub(crate) async fn text(call: &Call<'_>, build: &Build) -> Result<String> {
    match builds::log(call.context, call.ports.logs, build, SHOWN_LINES).await {
        Err(Error::Unavailable { .. }) => Ok(String::new()),
        other => Ok(lines(&other?)),
    }
}

/// `GET /api/v1/builds/{id}/logs`.
pub(crate) async fn view(call: Call<'_>) -> Result<Response> {
    let query = call.request.query()?;
    let follow = match query.text("follow")?.unwrap_or("false") {
        "true" => true,
        "false" => false,
        _ => return Err(Refusal::field("follow", "must be true or false").into()),
    };
    let build = builds::view(call.context, call.parameter("id")).await?;
    if !follow || build.status.is_final() {
        let found = builds::log(call.context, call.ports.logs, &build, MAXIMUM_TAIL).await?;
        return Ok(Response::text(StatusCode::OK, lines(&found)));
    }
    Ok(Response::text_stream(Follow { logs: call.ports.logs, id: build.id, last: 0, waited_ms: 0 }))
}

/// Lines as they are written.
struct Follow {
    logs: &'static dyn Logs,
    id: BuildId,
    last: u64,
    waited_ms: u32,
}

impl Source for Follow {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + '_>> {
        Box::pin(async move {
            while self.waited_ms < FOLLOWED_MS {
                // An error ends the text as well: whoever follows asks again and is told.
                let found = self.logs.after(self.id.into(), self.last, WAIT_MS).await.ok()??;
                if let Some(newest) = found.last() {
                    self.last = newest.sequence;
                    return Some(lines(&found).into_bytes());
                }
                self.waited_ms += WAIT_MS;
            }
            None
        })
    }
}

fn lines(entries: &[LogEntry]) -> String {
    let mut text = String::new();
    for entry in entries {
        // Writing into a text cannot fail.
        _ = writeln!(text, "{} {}", time(entry.at), entry.message);
    }
    text
}
