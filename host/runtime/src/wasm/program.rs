//! Workloads that are programs: workers, which are started again when they end, and cron ones,
//! which run at their times.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use croner::Cron;
use tokio::task::JoinHandle;
use windlass_engine::{Ended, Program, RequestContext};

use crate::driver::{Error, Kind, State, Workload};
use crate::logbook::{LogWriter, Output};
use crate::schedule;

/// A worker that runs for so long is taken for one that works.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// Ends in a row, each before it had settled, after which a worker has failed.
const CRASHES: u32 = 3;
/// Pauses before a worker that ended is started again: the shortest and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// How long one run may take: a worker's life, which has no end of its own.
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// A program that somebody looks after. Ends with whoever holds it.
pub(super) struct Supervised {
    state: Arc<Mutex<Progress>>,
    task: JoinHandle<()>,
}

struct Progress {
    began: Option<Instant>,
    crashes: u32,
    last_end: String,
    scheduled: bool,
}

impl Supervised {
    pub(super) fn start(
        program: Program,
        workload: &Workload,
        log: LogWriter,
    ) -> Result<Self, Error> {
        let state = Arc::new(Mutex::new(Progress {
            began: None,
            crashes: 0,
            last_end: String::new(),
            scheduled: workload.kind == Kind::Cron,
        }));
        let task = match workload.kind {
            Kind::Cron => {
                let schedule = schedule::parse(&workload.schedule)?;
                tokio::spawn(run_at_times(program, schedule, log))
            }
            Kind::Web | Kind::Worker | Kind::Database => {
                tokio::spawn(keep_running(program, Arc::clone(&state), log))
            }
        };
        Ok(Self { state, task })
    }

    pub(super) fn observe(&self) -> State {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.scheduled {
            return State::Healthy;
        }
        if state.crashes >= CRASHES {
            return State::Failed(format!(
                "it ended {} times in a row right after its start; at last {}",
                state.crashes, state.last_end
            ));
        }
        match state.began {
            Some(began) if began.elapsed() >= SETTLED_AFTER => State::Healthy,
            _ => State::Starting,
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_running(program: Program, state: Arc<Mutex<Progress>>, log: LogWriter) {
    let change = |change: &dyn Fn(&mut Progress)| {
        change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
    };
    let mut pause = PAUSES.0;
    loop {
        let began = Instant::now();
        change(&|state| state.began = Some(began));
        let end = run(&program).await;
        let settled = began.elapsed() >= SETTLED_AFTER;
        change(&|state| {
            state.began = None;
            state.crashes = if settled { 0 } else { state.crashes + 1 };
            state.last_end.clone_from(&end);
        });
        if settled {
            pause = PAUSES.0;
        }
        let seconds = pause.as_secs_f64();
        log.write(Output::Stderr, &format!("[windlass] {end}; starting again in {seconds} s"));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

async fn run_at_times(program: Program, schedule: Cron, log: LogWriter) {
    loop {
        let now = Utc::now();
        let Ok(next) = schedule.find_next_occurrence(&now, false) else { return };
        let wait = (next - now).to_std().unwrap_or_default();
        tokio::time::sleep(wait).await;
        let end = run(&program).await;
        log.write(Output::Stderr, &format!("[windlass] the run of {next} is over: {end}"));
    }
}

/// Runs it once and says how it ended.
async fn run(program: &Program) -> String {
    match program.run(RequestContext::internal("program", LIFETIME)).await {
        Ok(Ended::Well) => "it ended by itself".to_owned(),
        Ok(Ended::Badly(how)) | Err(how) => how,
    }
}
