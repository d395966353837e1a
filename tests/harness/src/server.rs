//! The binary `windlass` as a process of its own.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::fixtures::{binary, checkout};
use crate::management::Management;

/// A cold start compiles every component, on a machine that may be doing other things.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// Draining has a limit of its own, and this is well above it.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// Where the server keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// The embedded default.
    Sqlite,
    /// A fresh database of the test process's own PostgreSQL.
    Postgres,
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where it keeps its data.
    pub database: Database,
    /// The manifest; `spin.toml` of the checkout when left out.
    pub manifest: Option<PathBuf>,
    /// More environment, such as `WINDLASS_LOG`.
    pub environment: Vec<(String, String)>,
    /// Where the process ends as by a power cut, once.
    pub crash: Option<CrashPoint>,
}

/// A call of a component into the host, after which the host ends itself before anybody learns what
/// the call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashPoint {
    /// The component and the function, such as `reconciler/runtime.workloads.start`.
    pub call: String,
    /// How many of these calls go well before.
    pub after: usize,
}

impl CrashPoint {
    /// As the variable `FAILPOINTS` says it.
    fn order(&self) -> String {
        match self.after {
            0 => format!("{}=return", self.call),
            after => format!("{}={after}*off->return", self.call),
        }
    }
}

impl ServerOptions {
    /// The default for a database.
    pub fn on(database: Database) -> Self {
        Self { database, manifest: None, environment: Vec::new(), crash: None }
    }
}

/// A running server with a data directory of its own. Its log is printed when the test fails.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    database_url: Option<String>,
    data: TempDir,
    process: Option<Child>,
    log: Arc<Mutex<String>>,
    listen: String,
    manage: String,
}

impl Server {
    /// Starts one on SQLite.
    pub fn start() -> Self {
        Self::start_on(Database::Sqlite)
    }

    /// Starts one on a database.
    pub fn start_on(database: Database) -> Self {
        Self::start_with(ServerOptions::on(database))
    }

    /// Starts one and waits until it serves.
    pub fn start_with(options: ServerOptions) -> Self {
        let database_url = match options.database {
            Database::Sqlite => None,
            Database::Postgres => Some(windlass_test_support::fresh_database()),
        };
        let mut server = Self {
            options,
            database_url,
            data: private_directory(),
            process: None,
            log: Arc::default(),
            listen: String::new(),
            manage: String::new(),
        };
        server.launch();
        server
    }

    /// The main listener, without a token.
    pub fn client(&self) -> Client {
        Client::new(&self.listen)
    }

    /// The main listener, by HTTP/2.
    pub fn http2(&self) -> Client {
        Client::http2(&self.listen)
    }

    /// A visitor of what is deployed under this host name.
    pub fn visitor(&self, host: &str) -> Client {
        Client::visitor(&self.listen, host)
    }

    /// The same, by HTTP/2.
    pub fn http2_visitor(&self, host: &str) -> Client {
        Client::http2_visitor(&self.listen, host)
    }

    /// The management listener, with its token.
    pub fn management(&self) -> Management {
        let file = self.data.path().join("management.token");
        let token =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Management { client: Client::new(&self.manage).with_token(token.trim()) }
    }

    /// The main listener as `host:port`.
    pub fn address(&self) -> &str {
        self.listen.trim_start_matches("http://")
    }

    /// The management listener as a URL.
    pub fn management_url(&self) -> &str {
        &self.manage
    }

    /// The data directory.
    pub fn data_directory(&self) -> &Path {
        self.data.path()
    }

    /// Resident memory, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let file = format!("/proc/{}/status", self.process_id().as_raw_nonzero());
        let status = fs::read_to_string(file).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).expect("Linux says VmRSS in KiB")
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        let process = self.process.as_mut().expect("it was started");
        process.try_wait().expect("its state can be asked for").is_none()
    }

    /// Whether it logs this within a few seconds: the log arrives through a pipe.
    pub async fn logs(&self, text: &str) -> bool {
        for _ in 0..100 {
            if self.log().contains(text) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it as a power cut would: `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a child can be killed");
            process.wait().expect("a killed child ends");
        }
    }

    /// Starts it again on the same data. Its ports are new ones.
    pub fn restart(&mut self) {
        self.kill();
        self.options.crash = None;
        self.launch();
    }

    /// The same, and it will end itself where it is told to.
    pub fn restart_to_crash(&mut self, point: CrashPoint) {
        self.kill();
        self.options.crash = Some(point);
        self.launch();
    }

    /// Asks it to end, and answers how it did.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal_termination();
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.is_running() {
            assert!(
                Instant::now() < deadline,
                "it did not end within {STOP_PATIENCE:?} of SIGTERM"
            );
            thread::sleep(Duration::from_millis(20));
        }
        let mut process = self.process.take().expect("it was started");
        let status = process.wait().expect("an ended child has a status");
        assert!(!self.log().contains("panicked"), "it ended with a fault:\n{}", self.log());
        status
    }

    /// Sends SIGTERM and does not wait.
    pub fn signal_termination(&self) {
        kill_process(self.process_id(), Signal::TERM).expect("a child can be signalled");
    }

    /// Runs another command of the binary against this server's data and management listener.
    pub fn command(&self, arguments: &[&str]) -> std::process::Output {
        self.prepare(arguments).output().expect("the binary runs")
    }

    /// The same for a command that does not end by itself.
    pub fn prepare(&self, arguments: &[&str]) -> Command {
        let mut command = self.base_command();
        command.args(arguments).env("WINDLASS_MANAGE", self.manage.trim_start_matches("http://"));
        command
    }

    fn process_id(&self) -> Pid {
        Pid::from_child(self.process.as_ref().expect("it was started"))
    }

    fn base_command(&self) -> Command {
        let manifest = self.options.manifest.clone();
        let mut command = bare_command();
        command
            .env("WINDLASS_DATA_DIR", self.data.path())
            // Tests of containers name an engine of their own; no other test touches the machine's.
            .env("WINDLASS_DOCKER_HOST", "none")
            .env("WINDLASS_MANIFEST", manifest.unwrap_or_else(|| checkout().join("spin.toml")))
            .envs(self.options.environment.iter().cloned());
        if let Some(url) = &self.database_url {
            command.env("WINDLASS_DATABASE", url);
        }
        if let Some(point) = &self.options.crash {
            command.env("FAILPOINTS", point.order());
        }
        command
    }

    fn launch(&mut self) {
        let mut process = self
            .base_command()
            .args(["serve", "--listen", "127.0.0.1:0", "--manage", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let output = process.stdout.take().expect("it was piped");
        let errors = process.stderr.take().expect("it was piped");
        let log = Arc::clone(&self.log);
        thread::spawn(move || keep(errors, &log));
        let (sender, lines) = channel();
        let log = Arc::clone(&self.log);
        thread::spawn(move || announce(output, &log, &sender));
        self.process = Some(process);
        self.listen = self.wait_for(&lines, "listening on ");
        self.manage = self.wait_for(&lines, "management on ");
    }

    /// Waits for a line of the standard output that begins so, and answers the rest of it. The
    /// two announcements come in this order.
    fn wait_for(&mut self, lines: &Receiver<String>, beginning: &str) -> String {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(beginning) {
                        return rest.trim().to_owned();
                    }
                }
                Err(_) => panic!("the server did not say {beginning:?}"),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if thread::panicking() {
            print_log(&self.log());
        }
    }
}

/// A temporary directory fit for data: its owner's alone.
pub fn private_directory() -> TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("windlass-e2e-").permissions(fs::Permissions::from_mode(0o700));
    builder.tempdir().expect("a temporary directory")
}

/// The binary without anything of the surrounding environment that would configure it.
pub fn bare_command() -> Command {
    let mut command = Command::new(binary());
    command.current_dir(checkout()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WINDLASS_") {
            command.env_remove(name);
        }
    }
    command
}

#[expect(clippy::print_stderr, reason = "shown by the test runner beside a failure")]
fn print_log(log: &str) {
    eprintln!("---- what the server said ----\n{log}------------------------------");
}

/// Keeps what a stream says until it ends.
fn keep(stream: impl Read, log: &Mutex<String>) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(log, "{line}");
    }
}

/// Keeps what a stream says, and passes each line on.
fn announce(stream: impl Read, log: &Mutex<String>, sender: &Sender<String>) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let _ = writeln!(log.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
        let _ = sender.send(line);
    }
}
