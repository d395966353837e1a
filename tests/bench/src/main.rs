//! `make bench`: a table of ratios, measured side by side in one run.
//!
//! It starts the released `windlass`, what it is compared with, and the load, each as a process
//! of its own on loopback; servers whose throughput is measured on one core, the load on the
//! other. Figures are medians of several rounds that take turns. It asserts nothing: what a
//! figure should reach is printed beside it, and tests are elsewhere.

mod connection;
mod host;
mod load;
mod machine;
mod manifests;
mod native;
mod process;
mod rows;
mod table;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use crate::table::Row;

/// Measure windlass and print a table of ratios
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Bench {
    /// Fewer and shorter rounds, for a first look
    #[arg(long)]
    quick: bool,
    /// Measure these alone; all when left out
    #[arg(long, value_enum, value_name = "ROWS")]
    only: Vec<Rows>,
    #[command(subcommand)]
    server: Option<Server>,
}

/// Groups of rows.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rows {
    /// The list of projects against a native server
    Projects,
    /// A hello component against hyper and against wasmtime serve
    Hello,
    /// The latency of swaps, and what they do to requests
    Swaps,
    /// Cold and warm starts
    Starts,
    /// Resident memory
    Memory,
    /// How long deployments take, and visits of what was deployed
    Deploys,
}

/// The servers windlass is compared with; started by the bench itself.
#[derive(Subcommand)]
enum Server {
    /// Serve the list of projects natively from a data directory of windlass
    #[command(hide = true)]
    Native {
        /// The data directory
        data: PathBuf,
        /// Verify the signature of each token only once
        #[arg(long)]
        remember: bool,
    },
    /// Say hello
    #[command(hide = true)]
    Hello,
    /// Pass every request on to one server
    #[command(hide = true)]
    Proxy {
        /// The server
        upstream: SocketAddr,
    },
}

/// How much is measured.
pub(crate) struct Plan {
    /// Rounds of load on each server, after one to warm up.
    pub(crate) rounds: usize,
    /// How long each is.
    pub(crate) round: Duration,
    /// Timed swaps.
    pub(crate) swaps: usize,
    /// Cold starts; warm ones are twice as many.
    pub(crate) starts: usize,
    /// Services whose deployment is timed one after the other.
    pub(crate) deploys: usize,
    /// Services that are deployed all at once.
    pub(crate) services: usize,
}

const FULL: Plan = Plan {
    rounds: 5,
    round: Duration::from_secs(3),
    swaps: 200,
    starts: 3,
    deploys: 20,
    services: 100,
};
const QUICK: Plan = Plan {
    rounds: 3,
    round: Duration::from_secs(1),
    swaps: 40,
    starts: 1,
    deploys: 5,
    services: 20,
};

fn main() -> ExitCode {
    match run(&Bench::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(bench: &Bench) -> Result<()> {
    match &bench.server {
        // As many workers as the servers have cores, which is what a native service takes.
        Some(server) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(serve(server)),
        None => {
            machine::claim_load_core().context("the load cannot be kept on a core")?;
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(measure(bench))
        }
    }
}

async fn serve(server: &Server) -> Result<()> {
    match server {
        Server::Native { data, remember } => native::projects(data, *remember).await,
        Server::Hello => native::hello().await,
        Server::Proxy { upstream } => native::proxy(*upstream).await,
    }
}

async fn measure(bench: &Bench) -> Result<()> {
    let plan = if bench.quick { QUICK } else { FULL };
    let (began, load_before) = (Instant::now(), machine::load_average());
    let mut rows: Vec<Row> = Vec::new();
    for group in Rows::value_variants() {
        if !bench.only.is_empty() && !bench.only.contains(group) {
            continue;
        }
        rows.extend(match group {
            Rows::Projects => rows::throughput::projects(&plan).await?,
            Rows::Hello => rows::throughput::hello(&plan).await?,
            Rows::Swaps => rows::swaps::swaps(&plan).await?,
            Rows::Starts => rows::starts::starts(&plan).await?,
            Rows::Memory => rows::memory::memory(&plan).await?,
            Rows::Deploys => rows::deploys::deploys(&plan).await?,
        });
    }
    let mut output = std::io::stdout().lock();
    write!(output, "{}", table::render(&rows))?;
    writeln!(output, "\n{}", footer(&plan, &load_before, began.elapsed()))?;
    Ok(())
}

/// How it was measured.
fn footer(plan: &Plan, load_before: &str, took: Duration) -> String {
    let cores = if machine::has_two_cores() {
        format!(
            "servers on core {}, the load on core {} (sched_setaffinity; a server inherits it); \
             starts and idle memory on both",
            machine::SERVER_CORE,
            machine::LOAD_CORE
        )
    } else {
        "servers and load share one core: the figures are too low".to_owned()
    };
    format!(
        "{cores}\n\
         {} connections, closed loop, {} rounds of {} s each in turns, medians; \"us of the \
         core\" is the server's processor time for one answer\n\
         {}; windlass logs at \"{}\"; SQLite; load average {load_before} before \
         and {} after; {:.0} s in all",
        load::CONNECTIONS,
        plan.rounds,
        plan.round.as_secs(),
        if cfg!(debug_assertions) {
            "NOT RELEASED BINARIES, so that no figure means anything"
        } else {
            "released binaries"
        },
        host::LOG,
        machine::load_average(),
        took.as_secs_f64()
    )
}
