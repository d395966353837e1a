//! Load, and what came of it: closed loops that send the next request when the last one is
//! answered, and a paced trickle to run beside something else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::connection::{Connection, Request};
use crate::machine;

/// Connections of the closed loop.
pub(crate) const CONNECTIONS: usize = 16;

/// What one round of load on one server came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    /// Requests answered with 200.
    pub(crate) answered: u64,
    /// Requests answered otherwise or not at all.
    pub(crate) failed: u64,
    /// How long it was, in seconds.
    pub(crate) seconds: f64,
    /// What the server's threads spent on a core, in seconds.
    pub(crate) server_seconds: f64,
}

impl Round {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds
    }

    /// Microseconds of a core that the server spent on one answer.
    pub(crate) fn microseconds_each(&self) -> f64 {
        self.server_seconds * 1e6 / self.answered.max(1) as f64
    }
}

/// Runs a closed loop on [`CONNECTIONS`] connections for a time.
pub(crate) async fn closed_loop(
    address: SocketAddr,
    process: u32,
    request: &Request,
    time: Duration,
) -> Result<Round> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(address).await.context("no connection for the load")?);
    }
    let (cost, began) = (machine::processor_time(process)?, Instant::now());
    let end = began + time;
    let loops = connections.into_iter().map(|connection| work(connection, address, request, end));
    let counts = tokio::select! {
        counts = futures::future::join_all(loops) => counts,
        never = stay_awake(), if machine::has_two_cores() => match never {},
    };
    let (seconds, spent) = (began.elapsed().as_secs_f64(), machine::processor_time(process)?);
    Ok(Round {
        answered: counts.iter().map(|(answered, _)| answered).sum(),
        failed: counts.iter().map(|(_, failed)| failed).sum(),
        seconds,
        server_seconds: spent.saturating_sub(cost).as_secs_f64(),
    })
}

/// Keeps the core of the load from sleeping. Waking a sleeping core is work of whoever sends to it,
/// several microseconds on a virtual machine, and would be counted as the server's; a client
/// elsewhere on a network is not woken by the server either.
async fn stay_awake() -> Infallible {
    loop {
        tokio::task::yield_now().await;
    }
}

/// One connection's part: how many were answered, how many not.
async fn work(
    mut connection: Connection,
    address: SocketAddr,
    request: &Request,
    end: Instant,
) -> (u64, u64) {
    let (mut answered, mut failed) = (0, 0);
    while Instant::now() < end {
        match connection.ask(request).await {
            Ok(answer) if answer.status == 200 => answered += 1,
            Ok(_) => failed += 1,
            Err(_) => {
                failed += 1;
                match Connection::open(address).await {
                    Ok(opened) => connection = opened,
                    Err(_) => return (answered, failed),
                }
            }
        }
    }
    (answered, failed)
}

/// A steady trickle of requests beside something else.
pub(crate) struct Trickle {
    stop: Arc<AtomicBool>,
    workers: JoinSet<(u64, u64)>,
    began: Instant,
}

impl Trickle {
    /// Begins to send so many requests a second in all, from so many connections.
    pub(crate) fn start(
        address: SocketAddr,
        request: Request,
        connections: u32,
        rate: u32,
    ) -> Self {
        let (stop, request) = (Arc::new(AtomicBool::new(false)), Arc::new(request));
        let pause = Duration::from_secs(1) * connections / rate;
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            workers.spawn(trickle(address, Arc::clone(&request), pause, Arc::clone(&stop)));
        }
        Self { stop, workers, began: Instant::now() }
    }

    /// Lets what is under way end, and says what came of all.
    pub(crate) async fn finish(self) -> Round {
        self.stop.store(true, Ordering::Relaxed);
        let counts = self.workers.join_all().await;
        Round {
            answered: counts.iter().map(|(answered, _)| answered).sum(),
            failed: counts.iter().map(|(_, failed)| failed).sum(),
            seconds: self.began.elapsed().as_secs_f64(),
            server_seconds: 0.0,
        }
    }
}

async fn trickle(
    address: SocketAddr,
    request: Arc<Request>,
    pause: Duration,
    stop: Arc<AtomicBool>,
) -> (u64, u64) {
    let (mut answered, mut failed) = (0, 0);
    let mut ticks = tokio::time::interval(pause);
    // What a slow answer holds up is sent afterwards, so that the rate is kept.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        if connection.is_none() {
            connection = Connection::open(address).await.ok();
        }
        let Some(open) = connection.as_mut() else {
            failed += 1;
            continue;
        };
        match open.ask(&request).await {
            Ok(answer) if answer.status == 200 => answered += 1,
            Ok(_) => failed += 1,
            Err(_) => (failed, connection) = (failed + 1, None),
        }
    }
    (answered, failed)
}
