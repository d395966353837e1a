//! The way of an answer from the instance to whoever waits for it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::answer::{Answer, Failure};
use crate::statistics::Statistics;

/// Where an answer goes, once. Counts the request when it does, or at the latest when dropped: a
/// request is counted however it ends, and also when its client did not wait for that.
pub(crate) struct Reply {
    sender: Option<oneshot::Sender<Result<Answer, Failure>>>,
    statistics: Arc<Statistics>,
    begun: Instant,
    unheard: bool,
    excused: bool,
}

impl Reply {
    /// For a request that begins now.
    pub(crate) fn new(
        statistics: Arc<Statistics>,
    ) -> (Self, oneshot::Receiver<Result<Answer, Failure>>) {
        let (sender, receiver) = oneshot::channel();
        let begun = Instant::now();
        let reply =
            Self { sender: Some(sender), statistics, begun, unheard: false, excused: false };
        (reply, receiver)
    }

    /// Answers, unless that was done.
    pub(crate) fn send(&mut self, answer: Result<Answer, Failure>) {
        let Some(sender) = self.sender.take() else { return };
        let failed = answer.as_ref().map_or(true, |answer| answer.status().is_server_error());
        self.statistics.request_ended(self.begun.elapsed(), failed);
        self.unheard = sender.send(answer).is_err();
    }

    /// Whether the client had left when the answer was sent.
    pub(crate) fn was_unheard(&self) -> bool {
        self.unheard
    }

    /// Says whether the deadline, should it pass now, is nothing to blame the component for: it
    /// waits for the client to read.
    pub(crate) fn excuse(&mut self, excused: bool) {
        self.excused = excused;
    }

    /// Whether the deadline passing is nothing to blame the component for.
    pub(crate) fn is_excused(&self) -> bool {
        self.excused
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.sender.is_some() {
            self.statistics.request_ended(self.begun.elapsed(), true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Result<Answer, Failure> {
        let mut answer = Answer::default();
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        Ok(answer)
    }

    #[test]
    fn a_request_is_counted_once_whoever_waits_for_it() {
        let statistics = Arc::new(Statistics::scratch());
        let (mut heard, _receiver) = Reply::new(Arc::clone(&statistics));
        heard.send(answered(200));
        heard.send(Err(Failure::Deadline));
        assert!(!heard.was_unheard());
        let (mut unheard, receiver) = Reply::new(Arc::clone(&statistics));
        drop(receiver);
        unheard.send(answered(500));
        assert!(unheard.was_unheard());
        drop((heard, unheard));
        drop(Reply::new(Arc::clone(&statistics)));
        let counted = statistics.snapshot();
        assert_eq!((counted.requests, counted.errors), (3, 2));
    }
}
