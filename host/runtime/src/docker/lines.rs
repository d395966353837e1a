//! What containers write, followed into the log.
//!
//! The engine keeps lines with the time they were written, and so does the log: where following goes
//! on after a restart is where the log ends. Lines of one microsecond are told apart by their number.

use std::sync::Arc;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::ContainerStateStatusEnum;
use bollard::query_parameters::LogsOptions;
use futures::StreamExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use crate::driver::WorkloadId;
use crate::logbook::{LINE_BYTES, LogBook, LogWriter, Output};

/// Pauses before a container is followed again whose lines ended: the shortest and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Newest lines in which those of the last microsecond are looked for.
const LOOKED_THROUGH: usize = 1_000;

/// Follows one container. Ends with whoever holds it.
pub(super) struct Follower {
    task: JoinHandle<()>,
    ending: CancellationToken,
}

impl Follower {
    pub(super) fn start(
        client: Arc<Client>,
        log: &Arc<LogBook>,
        id: WorkloadId,
        container: String,
    ) -> Self {
        let ending = CancellationToken::new();
        let place = Place::last_of(log, id);
        let writer = log.writer(id);
        let task = tokio::spawn(follow(client, writer, place, container, ending.clone()));
        Self { task, ending }
    }

    /// Waits until everything is in the log that a stopped container wrote.
    pub(super) async fn finish(mut self, within: Duration) {
        self.ending.cancel();
        _ = tokio::time::timeout(within, &mut self.task).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(
    client: Arc<Client>,
    writer: LogWriter,
    mut place: Place,
    container: String,
    ending: CancellationToken,
) {
    let mut pause = PAUSES.0;
    loop {
        // Whether it was the last look is decided before it: what was written until then is seen.
        let last = ending.is_cancelled();
        let before = place;
        let found = read(&client, &writer, &mut place, &container, !last).await;
        if last || found == Found::Nothing {
            return;
        }
        if place != before {
            pause = PAUSES.0;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ending.cancelled() => {}
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

#[derive(PartialEq, Eq)]
enum Found {
    Something,
    Nothing,
}

/// Reads to the end of what there is, which for a container that runs is its end.
async fn read(
    client: &Client,
    writer: &LogWriter,
    place: &mut Place,
    container: &str,
    follow: bool,
) -> Found {
    let options = LogsOptions {
        follow,
        stdout: true,
        stderr: true,
        timestamps: true,
        since: i32::try_from(place.at / 1_000_000).unwrap_or(i32::MAX),
        tail: "all".to_owned(),
        ..LogsOptions::default()
    };
    // A container that has ended gives what there is and no more; asked to follow it would be asked
    // again and again.
    let state = client.find(async |docker| docker.inspect_container(container, None).await).await;
    match state {
        Ok(None) => return Found::Nothing,
        Err(_) => return Found::Something,
        Ok(Some(found)) => {
            let status = found.state.and_then(|state| state.status);
            if status == Some(ContainerStateStatusEnum::CREATED) {
                return Found::Something;
            }
        }
    }
    let Ok(docker) = client.docker().await else { return Found::Something };
    let mut lines = docker.logs(container, Some(options));
    let mut replay = Replay { until: *place, seen: 0 };
    while let Some(Ok(line)) = lines.next().await {
        let (output, message) = match line {
            LogOutput::StdErr { message } => (Output::Stderr, message),
            LogOutput::StdOut { message }
            | LogOutput::StdIn { message }
            | LogOutput::Console { message } => (Output::Stdout, message),
        };
        let Some((at, text)) = stamped(&message) else { continue };
        for piece in pieces(&text) {
            if replay.is_new(at) {
                writer.write_at(output, piece, at);
                place.pass(at);
            }
        }
    }
    Found::Something
}

/// The end of what is in the log: the time of its last line, and how many lines have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    at: i64,
    lines: usize,
}

impl Place {
    fn last_of(log: &Arc<LogBook>, id: WorkloadId) -> Self {
        let mut place = Self::default();
        for entry in log.tail(id, LOOKED_THROUGH) {
            place.pass(entry.at);
        }
        place
    }

    fn pass(&mut self, at: i64) {
        match at.cmp(&self.at) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => self.lines += 1,
            std::cmp::Ordering::Greater => *self = Self { at, lines: 1 },
        }
    }
}

/// Lines that are read again, because the engine counts in whole seconds where reading begins.
struct Replay {
    until: Place,
    seen: usize,
}

impl Replay {
    fn is_new(&mut self, at: i64) -> bool {
        if at == self.until.at {
            self.seen += 1;
            return self.seen > self.until.lines;
        }
        // Outputs are collected side by side, and may be a little out of order when they are new.
        at > self.until.at
    }
}

/// `2026-01-02T03:04:05.678901234Z text`, as microseconds since the epoch and the text.
fn stamped(line: &[u8]) -> Option<(i64, String)> {
    let line = String::from_utf8_lossy(line);
    let (stamp, text) = line.split_once(' ')?;
    let at = chrono::DateTime::parse_from_rfc3339(stamp).ok()?.timestamp_micros();
    let text = text.strip_suffix('\n').unwrap_or(text);
    Some((at, text.strip_suffix('\r').unwrap_or(text).to_owned()))
}

/// A line in pieces that the log takes; an empty one is one piece.
fn pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while text.len() > LINE_BYTES {
        let mut end = LINE_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        pieces.push(piece);
        text = rest;
    }
    pieces.push(text);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_engine_carry_their_time() {
        let read = stamped(b"2026-01-02T03:04:05.678901234Z two words\n");
        assert_eq!(read, Some((1_767_323_045_678_901, "two words".to_owned())));
        assert_eq!(
            stamped(b"2026-01-02T03:04:05Z \n"),
            Some((1_767_323_045_000_000, String::new()))
        );
        assert_eq!(stamped(b"no time\n"), None);
        assert_eq!(stamped(b""), None);
    }

    #[test]
    fn what_is_in_the_log_is_not_written_again() {
        let mut place = Place::default();
        for at in [10, 20, 20] {
            place.pass(at);
        }
        let mut replay = Replay { until: place, seen: 0 };
        let read = [10, 20, 20, 20, 30, 25];
        let new: Vec<i64> = read.into_iter().filter(|at| replay.is_new(*at)).collect();
        assert_eq!(new, [20, 30, 25]);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let long = "ü".repeat(LINE_BYTES);
        let cut = pieces(&long);
        assert_eq!(cut.concat(), long);
        assert!(cut.iter().all(|piece| piece.len() <= LINE_BYTES));
        assert_eq!(pieces(""), [""]);
    }
}
