//! Servers as processes of their own: started on their core, spoken to over loopback, ended with
//! this program.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::machine::{self, Cores};

/// Compiling forty components on a busy machine takes a while; more than this is a fault.
const START_PATIENCE: Duration = Duration::from_secs(180);
/// What windlass and the servers of this program print once they serve.
pub(crate) const LISTENING: &str = "listening on ";
/// What windlass prints beside it.
const MANAGEMENT: &str = "management on ";
/// What `wasmtime serve` prints, and where.
const WASMTIME: &str = "Serving HTTP on ";

/// Where a server says that it serves.
#[derive(Clone, Copy)]
pub(crate) enum Announcement {
    /// As windlass does, on standard output.
    Windlass,
    /// As the servers of this program do, on standard output.
    Own,
    /// As `wasmtime serve` does, on standard error.
    Wasmtime,
}

/// A running server. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it serves.
    pub(crate) address: SocketAddr,
    /// Where it is managed, if it is windlass.
    pub(crate) management: Option<SocketAddr>,
    /// When it was started.
    pub(crate) began: Instant,
}

impl Process {
    /// Starts one and waits until it says where it serves.
    pub(crate) fn start(
        mut command: Command,
        announcement: Announcement,
        cores: Cores,
    ) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null());
        match announcement {
            Announcement::Windlass | Announcement::Own => command.stdout(Stdio::piped()),
            Announcement::Wasmtime => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let began = Instant::now();
        let mut child = spawn(command, cores).with_context(|| format!("{program} cannot start"))?;
        let lines = match announcement {
            Announcement::Windlass | Announcement::Own => child.stdout.take().map(lines),
            Announcement::Wasmtime => child.stderr.take().map(lines),
        };
        let told = lines.context("its output is piped").and_then(|lines| match announcement {
            Announcement::Own => Ok((address(&lines, LISTENING)?, None)),
            Announcement::Wasmtime => Ok((address(&lines, WASMTIME)?, None)),
            Announcement::Windlass => {
                Ok((address(&lines, LISTENING)?, Some(address(&lines, MANAGEMENT)?)))
            }
        });
        match told {
            Ok((address, management)) => Ok(Self { child, address, management, began }),
            Err(error) => {
                child.kill().and_then(|()| child.wait()).context("a server cannot be ended")?;
                Err(error.context(format!("{program} did not start")))
            }
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Keeps it from running until [`Process::resume`], so that it costs the others nothing.
    pub(crate) fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it run again.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(anyhow!("a server ended with {status}")) }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(process.context("a process has an id")?, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        if self.child.kill().is_ok() {
            let _ended = self.child.wait();
        }
    }
}

/// Starts a process from a thread that is on its cores, which it inherits.
fn spawn(mut command: Command, cores: Cores) -> std::io::Result<Child> {
    let start = move || {
        machine::move_to(cores)?;
        command.spawn()
    };
    thread::spawn(start).join().unwrap_or_else(|_| Err(std::io::Error::other("a thread panicked")))
}

/// Reads lines to the end, so that the process never waits for a reader.
fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens any more once the addresses are known.
            let _unheard = sender.send(line);
        }
    });
    receiver
}

/// The address in the first line with a prefix.
fn address(lines: &Receiver<String>, prefix: &str) -> Result<SocketAddr> {
    let end = Instant::now() + START_PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let Ok(line) = lines.recv_timeout(left) else {
            bail!("it ended, or said nothing for {} s", START_PATIENCE.as_secs());
        };
        if let Some(url) = line.strip_prefix(prefix) {
            let address = url.trim_start_matches("http://").trim_end_matches('/');
            return address.parse().with_context(|| format!("{line:?} has no address"));
        }
    }
}
