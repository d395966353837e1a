//! What workloads wrote: lines by workload, bounded, kept over a restart.
//!
//! Each workload has one file of JSON lines, and a second one when the first is full: the newest
//! half is always there. Lines are found again in memory; the files are read when the host starts
//! and when somebody asks for a workload it does not know.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::{Dir, File, OpenOptions};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::driver::WorkloadId;

/// Lines of one workload that are kept.
const LINES: usize = 10_000;
/// Bytes of one line; the rest of a longer one is the next line.
pub(crate) const LINE_BYTES: usize = 8_192;
/// Bytes of one workload's lines that are kept in memory.
const KEPT_BYTES: usize = 2 * 1_048_576;
/// Bytes after which a file is set aside and the one before it deleted.
const FILE_BYTES: u64 = 2 * 1_048_576;
/// Workloads whose lines are in memory. A stopped one gives way first.
const BOOKS: usize = 10_000;

/// Where a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Grows with every line of a workload, from 1.
    #[serde(rename = "n")]
    pub sequence: u64,
    /// Microseconds since the Unix epoch.
    #[serde(rename = "t")]
    pub at: i64,
    /// Where it was written.
    #[serde(rename = "o")]
    pub output: Output,
    /// The line.
    #[serde(rename = "m")]
    pub message: String,
}

/// The lines of all workloads.
pub struct LogBook {
    directory: Dir,
    books: Mutex<HashMap<WorkloadId, Arc<Book>>>,
}

/// The lines of one workload.
struct Book {
    lines: Mutex<Lines>,
    written: Notify,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<Entry>,
    bytes: usize,
    last: u64,
    file: Option<(File, u64)>,
    closed: bool,
    /// Whether anybody ever wrote, or said that nobody will: until then a log that is followed may
    /// still begin.
    known: bool,
}

/// Writes the lines of one workload.
#[derive(Clone)]
pub struct LogWriter {
    log: Arc<LogBook>,
    id: WorkloadId,
    book: Arc<Book>,
}

impl LogBook {
    /// Keeps lines in a directory that nobody else reads.
    pub fn new(directory: Dir) -> Self {
        Self { directory, books: Mutex::default() }
    }

    /// Opens the book of a workload that is about to write.
    pub fn writer(self: &Arc<Self>, id: WorkloadId) -> LogWriter {
        let book = self.book(id);
        let mut lines = lock(&book.lines);
        (lines.closed, lines.known) = (false, true);
        drop(lines);
        LogWriter { log: Arc::clone(self), id, book }
    }

    /// Says that a workload writes no more. Its lines stay.
    pub fn close(&self, id: WorkloadId) {
        let book = self.book(id);
        let mut lines = lock(&book.lines);
        (lines.closed, lines.known) = (true, true);
        lines.file = None;
        drop(lines);
        book.written.notify_waiters();
    }

    /// The newest lines of a workload, oldest of them first.
    pub fn tail(&self, id: WorkloadId, limit: usize) -> Vec<Entry> {
        let book = self.book(id);
        let lines = lock(&book.lines);
        let skipped = lines.kept.len().saturating_sub(limit);
        lines.kept.iter().skip(skipped).cloned().collect()
    }

    /// The lines after a sequence number, oldest first, at most `limit`. Waits for the first one;
    /// `None` when there will be no more.
    pub async fn after(
        &self,
        id: WorkloadId,
        sequence: u64,
        limit: usize,
        wait: Duration,
    ) -> Option<Vec<Entry>> {
        let book = self.book(id);
        let wait = tokio::time::sleep(wait);
        tokio::pin!(wait);
        loop {
            let written = book.written.notified();
            tokio::pin!(written);
            // Registered before the look, so that a line in between is not missed.
            written.as_mut().enable();
            {
                let lines = lock(&book.lines);
                let newer = lines.kept.iter().filter(|entry| entry.sequence > sequence);
                let found: Vec<Entry> = newer.take(limit).cloned().collect();
                if !found.is_empty() {
                    return Some(found);
                }
                if lines.closed && lines.known {
                    return None;
                }
            }
            tokio::select! {
                () = &mut wait => return Some(Vec::new()),
                () = written => {}
            }
        }
    }

    /// Deletes the files that nobody wrote to for so long.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn prune(&self, unwritten_for: Duration) -> std::io::Result<()> {
        let now = SystemTime::now();
        for file in self.directory.entries()? {
            let file = file?;
            let written = file.metadata()?.modified()?.into_std();
            if now.duration_since(written).is_ok_and(|age| age > unwritten_for) {
                file.remove_file()?;
            }
        }
        Ok(())
    }

    fn book(&self, id: WorkloadId) -> Arc<Book> {
        let mut books = lock(&self.books);
        if let Some(book) = books.get(&id) {
            return Arc::clone(book);
        }
        if books.len() >= BOOKS {
            // A book that nobody holds but this map is read again when it is asked for.
            books.retain(|_, book| Arc::strong_count(book) > 1);
        }
        let lines = self.read(id);
        let book = Arc::new(Book { lines: Mutex::new(lines), written: Notify::new() });
        books.insert(id, Arc::clone(&book));
        book
    }

    /// What the files have. Who writes opens the book again, so it begins closed.
    fn read(&self, id: WorkloadId) -> Lines {
        let mut lines = Lines { closed: true, ..Lines::default() };
        for name in [older(id), newer(id)] {
            let Ok(file) = self.directory.open(&name) else { continue };
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                // The last line of a host that was killed may be half a line.
                if let Ok(entry) = serde_json::from_str(&line) {
                    lines.keep(entry);
                }
            }
        }
        lines
    }

    fn append(&self, id: WorkloadId, lines: &mut Lines, entry: &Entry) -> std::io::Result<()> {
        let (file, written) = match &mut lines.file {
            Some((file, length)) => (file, length),
            None => {
                let mut options = OpenOptions::new();
                let file =
                    self.directory.open_with(newer(id), options.create(true).append(true))?;
                let length = file.metadata()?.len();
                let (file, length) = lines.file.insert((file, length));
                if *length > 0 {
                    // What a killed host left unfinished must not spoil what follows.
                    file.write_all(b"\n")?;
                    *length += 1;
                }
                (file, length)
            }
        };
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        file.write_all(&line)?;
        *written += line.len() as u64;
        if *written >= FILE_BYTES {
            lines.file = None;
            self.directory.rename(newer(id), &self.directory, older(id))?;
        }
        Ok(())
    }
}

impl LogWriter {
    /// Writes one line, without its end.
    pub fn write(&self, output: Output, message: &str) {
        self.write_at(output, message, now());
    }

    /// Writes one line that was written at some time, in microseconds since the Unix epoch.
    pub(crate) fn write_at(&self, output: Output, message: &str, at: i64) {
        let mut lines = lock(&self.book.lines);
        let entry = Entry { sequence: lines.last + 1, at, output, message: message.to_owned() };
        // A disk that is full costs the lines their life after a restart, and nothing else.
        if let Err(error) = self.log.append(self.id, &mut lines, &entry) {
            tracing::debug!(workload = %self.id, "a line was not kept on disk: {error}");
            lines.file = None;
        }
        lines.keep(entry);
        drop(lines);
        self.book.written.notify_waiters();
    }
}

impl Lines {
    fn keep(&mut self, entry: Entry) {
        self.known = true;
        self.last = self.last.max(entry.sequence);
        self.bytes += entry.message.len();
        self.kept.push_back(entry);
        while self.kept.len() > LINES || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes -= oldest.message.len();
        }
    }
}

fn newer(id: WorkloadId) -> String {
    format!("{id}.log")
}

fn older(id: WorkloadId) -> String {
    format!("{id}.log.1")
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Nothing is left half done behind these locks, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn book(directory: &tempfile::TempDir) -> Arc<LogBook> {
        let opened = Dir::open_ambient_dir(directory.path(), cap_std::ambient_authority());
        Arc::new(LogBook::new(opened.unwrap()))
    }

    fn id() -> WorkloadId {
        WorkloadId::parse("00000000-0000-7000-8000-000000000001").unwrap()
    }

    fn messages(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.message.as_str()).collect()
    }

    #[tokio::test]
    async fn lines_are_there_after_a_restart_and_numbered_on() {
        let directory = tempfile::tempdir().unwrap();
        let writer = book(&directory).writer(id());
        writer.write(Output::Stdout, "one");
        writer.write(Output::Stderr, "two \\ \"quoted\"");
        let again = book(&directory);
        assert_eq!(messages(&again.tail(id(), 10)), ["one", "two \\ \"quoted\""]);
        assert_eq!(messages(&again.tail(id(), 1)), ["two \\ \"quoted\""]);
        again.writer(id()).write(Output::Stdout, "three");
        assert_eq!(again.tail(id(), 1)[0].sequence, 3);
    }

    #[tokio::test]
    async fn only_the_newest_lines_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let log = book(&directory);
        let writer = log.writer(id());
        let line = "x".repeat(LINE_BYTES);
        for _ in 0..2_000 {
            writer.write(Output::Stdout, &line);
        }
        let kept = log.tail(id(), usize::MAX);
        assert_eq!(kept.len(), KEPT_BYTES / LINE_BYTES);
        assert_eq!(kept.last().unwrap().sequence, 2_000);
        let on_disk: u64 = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(on_disk < 2 * FILE_BYTES + LINE_BYTES as u64 * 2, "{on_disk} bytes");
        assert_eq!(book(&directory).tail(id(), 1)[0].sequence, 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_gets_each_line_once_and_hears_of_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let log = book(&directory);
        let writer = log.writer(id());
        writer.write(Output::Stdout, "one");
        let wait = Duration::from_secs(5);
        let first = log.after(id(), 0, 10, wait).await.unwrap();
        assert_eq!(messages(&first), ["one"]);
        assert_eq!(log.after(id(), 1, 10, wait).await, Some(Vec::new()));
        let follower = {
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.after(id(), 1, 10, wait).await })
        };
        tokio::task::yield_now().await;
        writer.write(Output::Stdout, "two");
        assert_eq!(messages(&follower.await.unwrap().unwrap()), ["two"]);
        log.close(id());
        assert_eq!(log.after(id(), 2, 10, wait).await, None);
    }

    #[tokio::test]
    async fn files_nobody_writes_to_are_deleted_in_time() {
        let directory = tempfile::tempdir().unwrap();
        let log = book(&directory);
        log.writer(id()).write(Output::Stdout, "one");
        log.prune(Duration::from_secs(3_600)).unwrap();
        assert_eq!(book(&directory).tail(id(), 1).len(), 1);
        log.prune(Duration::ZERO).unwrap();
        assert!(book(&directory).tail(id(), 1).is_empty());
    }

    #[tokio::test]
    async fn half_a_line_of_a_killed_host_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(newer(id()));
        let whole = r#"{"n":1,"t":2,"o":"stdout","m":"whole"}"#;
        std::fs::write(&file, format!("{whole}\n{{\"n\":2,\"t\"")).unwrap();
        assert_eq!(messages(&book(&directory).tail(id(), 10)), ["whole"]);
        book(&directory).writer(id()).write(Output::Stdout, "next");
        assert_eq!(messages(&book(&directory).tail(id(), 10)), ["whole", "next"]);
    }
}
