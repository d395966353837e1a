//! What a build tells of itself while it goes on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::lock;
use crate::logbook::{LINE_BYTES, LogWriter, Output};

/// How far a build has come, in steps it knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Steps that are done.
    pub done: u32,
    /// Steps there are in all; 0 until that is known.
    pub steps: u32,
    /// The commit that is built; empty until it is known.
    pub commit: String,
    /// The builder at work; empty until it is known.
    pub builder: String,
}

/// Where a build writes what it does, and hears that it is not wanted any more.
pub struct Report {
    log: LogWriter,
    progress: Mutex<Progress>,
    has_begun: AtomicBool,
    cancelled: CancellationToken,
}

impl Report {
    pub(super) fn new(log: LogWriter, cancelled: CancellationToken) -> Self {
        Self { log, progress: Mutex::default(), has_begun: AtomicBool::new(false), cancelled }
    }

    /// Writes a line into the log of the build. Control characters have no place there.
    pub fn line(&self, text: &str) {
        let mut line: String = text.chars().filter(|character| !character.is_control()).collect();
        while line.len() > LINE_BYTES {
            let mut end = LINE_BYTES;
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            let rest = line.split_off(end);
            self.log.write(Output::Stdout, &line);
            line = rest;
        }
        self.log.write(Output::Stdout, &line);
    }

    /// Says how many steps there are in all.
    pub fn steps(&self, steps: u32) {
        lock(&self.progress).steps = steps;
    }

    /// Says that one more step is done.
    pub fn step_done(&self) {
        lock(&self.progress).done += 1;
    }

    /// Says which commit is built.
    pub fn commit(&self, commit: &str) {
        commit.clone_into(&mut lock(&self.progress).commit);
    }

    /// Says what is at work.
    pub fn builder(&self, builder: &str) {
        builder.clone_into(&mut lock(&self.progress).builder);
    }

    /// Ends when the build is not wanted any more.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancelled
    }

    pub(super) fn begin(&self) {
        self.has_begun.store(true, Ordering::Release);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    pub(super) fn progress(&self) -> Progress {
        lock(&self.progress).clone()
    }
}
