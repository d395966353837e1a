//! Steady load in the background, and what came of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::task::JoinHandle;

use crate::client::Client;

/// What a load got, so far or altogether.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How often each (status, first bytes of the body) was answered.
    pub answers: BTreeMap<(u16, String), u64>,
    /// What did not get an answer at all, as the client says it.
    pub broken: Vec<String>,
    /// How long each answer took.
    pub latencies: Vec<Duration>,
}

impl Outcome {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.broken.len() as u64
    }

    /// The latency that so many of a hundred requests stayed under.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(rank).copied().unwrap_or_default()
    }
}

/// A load that runs until it is stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
    outcome: Arc<Mutex<Outcome>>,
    began: Instant,
}

impl Load {
    /// Begins to send `GET path` by so many workers, each as often a second.
    pub fn start(client: &Client, path: &str, workers: u32, rate_each: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let outcome = Arc::new(Mutex::new(Outcome::default()));
        let pause = Duration::from_secs(1) / rate_each;
        let workers = (0..workers).map(|_| {
            let (client, path) = (client.clone(), path.to_owned());
            tokio::spawn(work(client, path, pause, Arc::clone(&stop), Arc::clone(&outcome)))
        });
        Self { workers: workers.collect(), stop, outcome, began: Instant::now() }
    }

    /// Requests that have ended since the beginning.
    pub fn requests(&self) -> u64 {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).requests()
    }

    /// Requests a second since the beginning.
    pub fn rate(&self) -> f64 {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.requests() as f64 / self.began.elapsed().as_secs_f64()
    }

    /// Lets every request that is under way end, and says what came of all.
    pub async fn finish(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers {
            worker.await.expect("a worker does not panic");
        }
        std::mem::take(&mut *self.outcome.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn work(
    client: Client,
    path: String,
    pause: Duration,
    stop: Arc<AtomicBool>,
    outcome: Arc<Mutex<Outcome>>,
) {
    let mut ticks = tokio::time::interval(pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let sent = Instant::now();
        let answer = client.request(Method::GET, &path).try_send().await;
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(answer) => {
                let body = answer.text().chars().take(80).collect();
                *outcome.answers.entry((answer.status, body)).or_default() += 1;
                outcome.latencies.push(sent.elapsed());
            }
            Err(error) => outcome.broken.push(format!("{error:?}")),
        }
    }
}
